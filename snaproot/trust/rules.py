"""What one bundle has to satisfy for one authority, rule by rule. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from snaproot.tlog import checkpoint, note
from snaproot.trust import statement
from snaproot.trust.facts import Distrusted, Facts
from snaproot.trust.policy import Authority, Policy
from snaproot.trust.statement import PROVENANCE, RELEASE


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One bundle held against one authority."""

    policy: Policy
    authority: Authority
    facts: Facts
    now: datetime


def _identity(case: Case) -> None:
    wanted = case.authority.identity
    if not wanted.matches(case.facts.identity):
        raise Distrusted(
            "policy.identity",
            f"{case.authority.name} is {wanted.text}, and it was signed by {case.facts.identity!r}",
        )


def _issuer(case: Case) -> None:
    wanted = case.authority.issuer
    if case.facts.issuer != wanted:
        raise Distrusted(
            "policy.issuer",
            f"{case.authority.name} is vouched for by {wanted}, and its signer by "
            f"{case.facts.issuer!r}",
        )


def _claims(case: Case) -> None:
    for name, wanted in case.authority.claims.items():
        said = case.facts.claims.get(name)
        if said != wanted:
            raise Distrusted(
                "policy.claim",
                f"{case.authority.name} has {name} {wanted!r}, and its signer {said or 'none'!r}",
            )


def _predicate(case: Case) -> None:
    """Believe nobody's statement without asking for it: it may say no."""
    said, wanted = case.facts.statement, case.authority.predicate_type
    found = "" if said is None else str(said.get("predicateType"))
    if (said is not None) != bool(wanted) or found != wanted:
        what = f"{found!r}" if said is not None else "the artifact itself"
        raise Distrusted(
            "policy.predicate",
            f"{case.authority.name} signs {wanted or 'artifacts themselves'}, and this is of "
            f"{what}",
        )


def _content(case: Case) -> None:
    authority, said = case.authority, case.facts.statement
    if said is not None and authority.predicate_type == PROVENANCE:
        made = statement.provenance(said)
        expected = (authority.builder_id, authority.build_type, authority.external_parameters)
        statement.require_build(made, *expected)
    if said is not None and authority.predicate_type == RELEASE:
        statement.release(said)


def _age(case: Case) -> None:
    most = case.policy.maximum_age
    if most is not None and case.now - case.facts.signed > most:
        raise Distrusted(
            "policy.age",
            f"it was signed at {case.facts.signed:%Y-%m-%d %H:%M}, more than {most.days} days ago",
        )


def _witnesses(case: Case) -> None:
    """Ask for the witnesses of the log's checkpoint, which was verified with the rest."""
    if case.policy.quorum is None:
        return
    seen = note.parse(case.facts.checkpoint)
    tree = checkpoint.parse(seen.text)
    case.policy.quorum.require(
        seen, origin=tree.origin, size=tree.size, root=tree.root, now=case.now
    )


RULES: Sequence[Callable[[Case], None]] = (
    _identity,
    _issuer,
    _claims,
    _predicate,
    _content,
    _age,
    _witnesses,
)
"""In this order; each raises Distrusted where it is not satisfied."""
