"""What a policy may say and had better not, for `trust lint`. Pure.

An error makes the policy useless or worse than it looks; a warning is a choice to be sure of.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from snaproot.trust import thresholds
from snaproot.trust.facts import Distrusted
from snaproot.trust.policy import Authority, Expired, Group, Leave, Policy
from snaproot.trust.statement import PROVENANCE, RELEASE

SOON = timedelta(days=30)
"""How long before its end a policy is called to be renewed."""


class Weight(StrEnum):
    """How much a remark matters."""

    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to change or to be sure of. `code` is stable, for scripts."""

    weight: Weight
    code: str
    message: str


def lint(policy: Policy, now: datetime) -> list[Remark]:
    """Say all that is unwise, errors first. What cannot be meant at all, `policyfile` refuses."""
    found = [*_of_time(policy, now), *_of_packages(policy)]
    if policy.authorities or policy.require:
        found += [*_of_bundles(policy), *_of_requirement(policy)]
    for name in policy.asked:
        found += _of_authority(policy.authorities[name])
    for group in policy.groups.values():
        found += _of_group(group)
    return sorted(found, key=lambda remark: remark.weight is not Weight.ERROR)


def _of_time(policy: Policy, now: datetime) -> Iterator[Remark]:
    if policy.expires is None:
        if policy.require:
            yield _warning("no-expiry", "the policy never expires: an old one can be kept in place")
    elif now >= policy.expires:
        yield _error("expired", f"the policy expired at {policy.expires:%Y-%m-%d}")
    elif policy.expires - now <= SOON:
        yield _warning("expires-soon", f"the policy expires at {policy.expires:%Y-%m-%d}")


def _of_packages(policy: Policy) -> Iterator[Remark]:
    leaves: Mapping[str, tuple[Leave, str]] = {
        "unauthenticated": (policy.packages.unauthenticated, "archives that nobody signed"),
        "trusted-yes": (policy.packages.trusted_yes, "sources that say trusted=yes"),
        "downgrade": (policy.packages.downgrade, "packages older than those installed"),
    }
    for code, (leave, what) in leaves.items():
        if leave is Leave.ALLOW:
            yield _warning(code, f"the policy permits {what}")


def _of_bundles(policy: Policy) -> Iterator[Remark]:
    if not policy.require:
        yield _error(
            "no-require", "there are authorities, and nothing requires any: all is refused"
        )
    if policy.trusted_root is None:
        yield _warning("no-trusted-root", "the policy does not pin the trusted root by its digest")
    if policy.revocations is None:
        yield _warning("no-revocations", "there is no revocation list: nothing can be taken back")
    elif policy.revocations.expired is Expired.GRACE:
        days = policy.revocations.grace.days
        yield _warning("grace", f"an expired revocation list still serves for {days} days")
    if policy.maximum_age is None:
        yield _warning("no-maximum-age", "signatures of any age are accepted")


def _of_requirement(policy: Policy) -> Iterator[Remark]:
    for name in {**policy.authorities, **policy.groups}:
        if name not in policy.needed:
            yield _warning("unused", f"{name} is not asked: require does not lead to it")
    if policy.require and not _can_be_satisfied(policy):
        yield _error(
            "unsatisfiable",
            f"{policy.require} can never be satisfied: too few of it have a signer of their own",
        )
    asked = [policy.authorities[name].predicate_type for name in policy.asked]
    if RELEASE not in asked and policy.minimum_version:
        what = "minimum_version needs an authority that signs release statements: all is refused"
        yield _error("no-release", what)
    elif RELEASE not in asked and policy.require:
        what = "nobody is asked to say which version it is: an old artifact looks like a new one"
        yield _warning("no-release", what)


def _of_authority(authority: Authority) -> Iterator[Remark]:
    name, identity = authority.name, authority.identity
    if identity.glob:
        yield _warning("glob", f"{name} is whoever {identity.text} matches")
    if identity.email:
        what = f"{name} is whoever can log in as {identity.text} at {authority.issuer}"
        yield _warning("email", what)
    if authority.predicate_type == PROVENANCE and not authority.build_type:
        yield _warning("no-build-type", f"{name} may build in any way: it has no build_type")


def _of_group(group: Group) -> Iterator[Remark]:
    if len(group.of) == 1:
        yield _warning("one-member", f"the group {group.name} has one member, {group.of[0]}")
    elif group.need == 1:
        yield _warning("any-one", f"any one of the group {group.name} is enough by itself")


def _can_be_satisfied(policy: Policy) -> bool:
    """Try with all that could ever sign: globs have as many signers as there are authorities."""
    signers = {}
    for name in policy.asked:
        pattern = policy.authorities[name].identity
        signers[name] = [f"{pattern.text} {name}" if pattern.glob else pattern.text]
    try:
        return thresholds.chosen(policy, signers) is not None
    except Distrusted:
        return False


def _warning(code: str, message: str) -> Remark:
    return Remark(Weight.WARNING, f"lint.{code}", message)


def _error(code: str, message: str) -> Remark:
    return Remark(Weight.ERROR, f"lint.{code}", message)
