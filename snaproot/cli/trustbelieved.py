"""What `trust show` shows: to scripts as an object, to people as lines and a table."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from snaproot.output import Output, Table
from snaproot.tlog.quorum import Quorum
from snaproot.trust.believed import Believed
from snaproot.trust.policy import (
    Authority,
    Expired,
    Leave,
    Packages,
    Policy,
    RevocationRules,
)
from snaproot.trust.revocationlist import Revocations
from snaproot.trust.sigstore import reading
from snaproot.wording import some


def root(content: bytes | None) -> dict[str, object] | None:
    """Describe a trusted root, if there is one. Raises Unverifiable where it cannot be read."""
    if content is None:
        return None
    read = reading.instance(content, "the trusted root").root
    return {
        "sha256": read.fingerprint,
        "authorities": [list(one.fingerprints) for one in read.authorities],
        "ct_keys": [one.fingerprint for one in read.ct_logs],
        "log_keys": [one.fingerprint for one in read.logs],
        "timestamp_authorities": [list(one.fingerprints) for one in read.timestamp_authorities],
    }


def shape(found: Believed, root: Mapping[str, object] | None) -> dict[str, object]:
    """Describe what is believed, with its trusted root as `root` describes it."""
    return {
        "origin": found.origin,
        "policy": _policy(found.policy),
        "trusted_root": root,
        "revocations": _listed(found.revocations),
        "floors": dict(found.floors.versions),
        "updated": found.updated and found.updated.isoformat(),
        "delivery_expires": found.expires and found.expires.isoformat(),
    }


def show(output: Output, found: Believed, root: Mapping[str, object] | None, now: datetime) -> None:
    """Print what is believed, the policy first."""
    policy = found.policy
    ends = f", until {policy.expires:%Y-%m-%d}" if policy.expires else ""
    output.say(f"policy        version {policy.version}, {found.origin}{ends}")
    if found.updated and found.expires:
        until = "EXPIRED" if found.expires <= now else "good until"
        output.say(f"delivered     {found.updated:%Y-%m-%d}, {until} {found.expires:%Y-%m-%d}")
    output.say(f"bundles       {_required(policy)}")
    for line in _conditions(policy):
        output.say(f"              {line}")
    output.say(f"packages      {_permitted(policy.packages)}")
    for pin in policy.packages.pinned.values():
        keys = some(pin.signed_by)
        output.say(f"              pinned: {pin.origin}, {pin.suite}, signed by {keys}")
    _print_root(output, root)
    _print_revocations(output, found.revocations)
    if policy.authorities:
        output.say()
        output.table(_table(policy))
    for one in policy.authorities.values():
        for line in _claims(one):
            output.paragraph(f"{one.name}: {line}", indent=8)


def _policy(policy: Policy) -> dict[str, object]:
    return {
        "version": policy.version,
        "sha256": policy.digest,
        "expires": policy.expires and policy.expires.isoformat(),
        "require": policy.require or None,
        "authorities": [_authority(one) for one in policy.authorities.values()],
        "groups": [
            {"name": one.name, "need": one.need, "of": list(one.of)}
            for one in policy.groups.values()
        ],
        "maximum_age_days": policy.maximum_age and policy.maximum_age.days,
        "minimum_version": dict(policy.minimum_version),
        "witnesses": policy.quorum and _witnesses(policy.quorum),
        "revocations": policy.revocations and _rules(policy.revocations),
        "packages": _packages(policy),
    }


def _rules(rules: RevocationRules) -> dict[str, object]:
    return {
        "minimum_version": rules.minimum_version,
        "expired": str(rules.expired),
        "grace_days": rules.grace.days,
    }


def _authority(one: Authority) -> dict[str, object]:
    return {
        "name": one.name,
        "issuer": one.issuer,
        "identity": one.identity.text,
        "glob": one.identity.glob,
        "claims": dict(one.claims),
        "predicate": one.predicate_type or None,
        "builder": one.builder_id or None,
        "build_type": one.build_type or None,
        "external_parameters": dict(one.external_parameters),
    }


def _witnesses(quorum: Quorum) -> dict[str, object]:
    (group,) = quorum.groups
    return {"need": group.need, "of": [one.name for one in quorum.witnesses]}


def _packages(policy: Policy) -> dict[str, object]:
    said = policy.packages
    return {
        "archives": str(said.archives),
        "pinned": [
            {
                "name": one.name,
                "origin": one.origin,
                "suite": one.suite,
                "signed_by": list(one.signed_by),
            }
            for one in said.pinned.values()
        ],
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


def _permitted(rules: Packages) -> str:
    said = f"archives: {rules.archives}; run: {rules.run}; shell: {rules.shell}"
    leaves = {
        "unauthenticated": rules.unauthenticated,
        "trusted=yes": rules.trusted_yes,
        "older versions": rules.downgrade,
    }
    lax = [name for name, leave in leaves.items() if leave is Leave.ALLOW]
    return f"{said}; let in: {some(lax)}" if lax else said


def _conditions(policy: Policy) -> Iterator[str]:
    """Say what is meant by a group, and what is asked for beside signatures."""
    for group in policy.groups.values():
        if group.name != policy.require:
            yield f"{group.name}: {group.need} of {some(group.of)}"
    if policy.maximum_age is not None:
        yield f"signed at most {policy.maximum_age.days} days ago"
    for product, version in policy.minimum_version.items():
        yield f"{product}: version {version}, or later"
    rules = policy.revocations
    if rules is not None and rules.expired is Expired.GRACE:
        yield f"an expired list of revocations serves for {rules.grace.days} days more"
    if policy.quorum is not None:
        said = _witnesses(policy.quorum)
        yield f"in a log that {said['need']} of {some(policy.quorum.groups[0].members)} witnessed"


def _claims(one: Authority) -> Iterator[str]:
    """Say what an authority's certificates and statements have to have in them."""
    yield from (f"{name} is {value}" for name, value in one.claims.items())
    if one.builder_id:
        yield f"built by {one.builder_id}" + (f", as {one.build_type}" if one.build_type else "")
    yield from (f"built with {name} = {value}" for name, value in one.external_parameters.items())


def _print_root(output: Output, root: Mapping[str, object] | None) -> None:
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
