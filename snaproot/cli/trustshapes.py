"""What the verbs about trust show: to scripts as objects, to people as lines and tables."""

from collections.abc import Sequence

from snaproot.output import Output, Table
from snaproot.trust.audit import Affected
from snaproot.trust.evaluation import Refusal
from snaproot.trust.facts import Facts
from snaproot.trust.judging import Judgement
from snaproot.trust.policylint import Remark
from snaproot.trust.revocationlist import Revocations
from snaproot.trust.selftest import Answer
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


def _refusal(one: Refusal) -> dict[str, object]:
    return {
        "reason": one.reason,
        "message": one.message,
        "authority": one.authority or None,
        "identity": one.identity or None,
    }
