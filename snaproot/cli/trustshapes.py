"""What the verbs about trust show: to scripts as objects, to people as lines and tables."""

from collections.abc import Mapping, Sequence

from snaproot.output import Output, Table
from snaproot.trust.audit import Affected
from snaproot.trust.believed import Believed
from snaproot.trust.evaluation import Refusal
from snaproot.trust.facts import Facts
from snaproot.trust.judging import Judgement
from snaproot.trust.policy import Authority, Policy
from snaproot.trust.policylint import Remark
from snaproot.trust.revocationlist import Revocations
from snaproot.trust.selftest import Answer
from snaproot.trust.sigstore import reading
from snaproot.wording import some


def facts(found: Facts) -> dict[str, object]:
    """Describe what one signature establishes."""
    return {
        "digest": f"sha256:{found.digest}",
        "identity": found.identity,
        "issuer": found.issuer,
        "claims": dict(found.claims),
        "times": [
            {
                "time": one.time.isoformat(),
                "clock": str(one.clock),
                "by": one.by,
                "under": list(one.under),
            }
            for one in found.times
        ],
        "certificate": found.keys.certificate,
        "authorities": list(found.keys.authorities),
        "ct_key": found.keys.ct_key,
        "log_key": found.keys.log_key,
        "predicate": found.predicate,
        "attestation": found.attestation or None,
    }


def print_facts(output: Output, artifact: str, found: Facts) -> None:
    """Say who signed, and when."""
    what = f"an attestation ({found.predicate}) about it" if found.predicate else "it"
    output.paragraph(
        f"{artifact}: good. {found.identity}, as {found.issuer} knows them, signed {what} "
        f"by {found.signed:%Y-%m-%d %H:%M:%S} UTC."
    )


def believed(found: Believed) -> dict[str, object]:
    """Describe what is believed."""
    policy = found.policy
    return {
        "origin": found.origin,
        "policy": {
            "version": policy.version,
            "sha256": policy.digest,
            "expires": policy.expires and policy.expires.isoformat(),
            "require": policy.require or None,
            "authorities": [_authority(one) for one in policy.authorities.values()],
            "groups": [
                {"name": one.name, "need": one.need, "of": list(one.of)}
                for one in policy.groups.values()
            ],
            "packages": _packages(policy),
        },
        "trusted_root": _root(found.trusted_root),
        "revocations": _listed(found.revocations),
        "updated": found.updated and found.updated.isoformat(),
        "delivery_expires": found.expires and found.expires.isoformat(),
    }


def show(output: Output, found: Believed) -> None:
    """Print what is believed, the policy first."""
    policy = found.policy
    ends = f", until {policy.expires:%Y-%m-%d}" if policy.expires else ""
    output.say(f"policy        version {policy.version}, {found.origin}{ends}")
    if found.updated and found.expires:
        output.say(f"delivered     {found.updated:%Y-%m-%d}, good until {found.expires:%Y-%m-%d}")
    output.say(f"bundles       {_required(policy)}")
    said = _packages(policy)
    output.say(
        f"packages      archives: {said['archives']}; run: {said['run']}; shell: {said['shell']}"
    )
    _print_root(output, found)
    _print_revocations(output, found.revocations)
    if policy.authorities:
        output.say()
        output.table(_table(policy))


def remark(one: Remark) -> dict[str, object]:
    """Describe one remark of lint."""
    return {"weight": str(one.weight), "code": one.code, "message": one.message}


def print_remarks(output: Output, found: Sequence[Remark]) -> None:
    """Print what lint remarks."""
    for one in found:
        output.paragraph(f"{one.weight}: {one.message} ({one.code})", indent=9)
    if not found:
        output.say("Nothing to remark.")


def judgement(digest: str, found: Judgement) -> dict[str, object]:
    """Describe a judgement, with each signature that stands and each rule that was failed."""
    decision = found.decision
    return {
        "digest": f"sha256:{digest}",
        "accepted": decision.accepted,
        "by": list(decision.by),
        "release": decision.release
        and {"name": decision.release.name, "version": decision.release.version},
        "signatures": [facts(one) for one in found.facts],
        "refusals": [_refusal(one) for one in decision.refusals],
        "revocations_expired": found.graceful,
    }


def explain(output: Output, artifact: str, found: Judgement) -> None:
    """Print a judgement: the verdict, then what each signature and authority came to."""
    decision = found.decision
    verdict = f"accepted, by {some(decision.by)}" if decision.accepted else "refused"
    output.paragraph(f"{artifact}: {verdict}.")
    if decision.release:
        output.say(f"It is {decision.release.name} {decision.release.version}.")
    for one in found.facts:
        signed = f"{one.signed:%Y-%m-%d %H:%M} UTC"
        output.paragraph(f"signed: {one.identity} ({one.issuer}), {signed}", indent=8)
    for why in () if decision.accepted else _telling(decision.refusals):
        about = f"{why.authority}: " if why.authority else ""
        output.paragraph(f"{about}{why.message} ({why.reason})", indent=8)
    if found.graceful:
        output.paragraph("The list of revocations has expired; the policy lets it serve for now.")


def _telling(refusals: Sequence[Refusal]) -> list[Refusal]:
    """Keep of each authority the bundle that came nearest; they are in that order."""
    first: dict[str, Refusal] = {}
    for one in refusals:
        if one.authority:
            first.setdefault(one.authority, one)
    return [one for one in refusals if not one.authority or first[one.authority] is one]


def affected(one: Affected) -> dict[str, object]:
    """Describe a boot environment that is affected."""
    return {
        "id": one.id,
        "revoked": [
            {"reason": hit.reason, "value": hit.entry.value, "message": hit.message}
            for hit in one.revoked
        ],
        "unreadable": one.unreadable or None,
    }


def print_audit(
    output: Output, revocations: Revocations | None, found: Sequence[Affected], number: int
) -> None:
    """Print which boot environments are affected, and by what."""
    if revocations is None:
        output.say("There is no list of revocations.")
        return
    for one in found:
        for said in [hit.message for hit in one.revoked] or [one.unreadable]:
            output.paragraph(f"{one.id}: {said}", indent=9)
    many = f"{len(found)} of {number} boot environments"
    output.say(f"{many} rest on something that version {revocations.version} of the list revokes.")


def answer(one: Answer) -> dict[str, object]:
    """Describe the answer to one question of the self-test."""
    return {"case": one.case, "expected": one.expected, "got": one.got, "ok": one.ok}


def print_answers(output: Output, answers: Sequence[Answer]) -> None:
    """Print each question and what the verifier says, and whether all is right."""
    rows = [(one.case, one.got, "" if one.ok else f"WRONG: {one.expected}") for one in answers]
    output.table(Table(("ABOUT", "THE VERIFIER SAYS", ""), rows))
    wrong = sum(not one.ok for one in answers)
    output.say(f"{wrong} of {len(answers)} answers are wrong." if wrong else "All are right.")


def _authority(one: Authority) -> dict[str, object]:
    return {
        "name": one.name,
        "issuer": one.issuer,
        "identity": one.identity.text,
        "predicate": one.predicate_type or None,
    }


def _packages(policy: Policy) -> dict[str, object]:
    said = policy.packages
    return {
        "archives": str(said.archives),
        "pinned": sorted(said.pinned),
        "unauthenticated": str(said.unauthenticated),
        "trusted_yes": str(said.trusted_yes),
        "downgrade": str(said.downgrade),
        "run": str(said.run),
        "shell": str(said.shell),
    }


def _required(policy: Policy) -> str:
    if not policy.require:
        return "refused: the policy names nobody who could sign them"
    group = policy.groups.get(policy.require)
    return f"{group.need} of {some(group.of)}" if group else f"by {policy.require}"


def _root(content: bytes | None) -> dict[str, object] | None:
    if content is None:
        return None
    root = reading.instance(content, "the trusted root").root
    return {
        "sha256": root.fingerprint,
        "authorities": [list(one.fingerprints) for one in root.authorities],
        "ct_keys": [one.fingerprint for one in root.ct_logs],
        "log_keys": [one.fingerprint for one in root.logs],
        "timestamp_authorities": [list(one.fingerprints) for one in root.timestamp_authorities],
    }


def _print_root(output: Output, found: Believed) -> None:
    root = _root(found.trusted_root)
    if root is None:
        output.say("trusted root  none")
        return
    output.say(f"trusted root  sha256:{root['sha256']}")
    for what, kept in root.items():
        for one in kept if isinstance(kept, list) else ():
            shown = one if isinstance(one, str) else " < ".join(one)
            output.say(f"  {what.replace('_', ' '):<22} {shown}")


def _listed(revocations: Revocations | None) -> Mapping[str, object] | None:
    if revocations is None:
        return None
    return {
        "version": revocations.version,
        "expires": revocations.expires.isoformat(),
        "entries": len(revocations.entries),
    }


def _print_revocations(output: Output, revocations: Revocations | None) -> None:
    if revocations is None:
        output.say("revocations   none")
        return
    many = f"{len(revocations.entries)} entries, until {revocations.expires:%Y-%m-%d}"
    output.say(f"revocations   version {revocations.version}, {many}")


def _table(policy: Policy) -> Table:
    rows = [
        (one.name, one.identity.text, one.issuer, one.predicate_type or "the artifact itself")
        for one in policy.authorities.values()
    ]
    headings = ("AUTHORITY", "IDENTITY", "ISSUER", "SIGNS")
    return Table(headings, rows, cut=("SIGNS", "IDENTITY"))


def _refusal(one: Refusal) -> dict[str, object]:
    return {
        "reason": one.reason,
        "message": one.message,
        "authority": one.authority or None,
        "identity": one.identity or None,
    }
