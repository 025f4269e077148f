"""What may go, and what never does. Pure: deleting is `transaction`'s business.

Protected are the booted boot environment, whatever the loader and the filesystem point at, and
everything in the record (DESIGN.md §5). Beyond that: originals, the pinned, those whose metadata
cannot be read, and the last proven ones. Of the rest the rules choose; a hand may choose more.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from snaproot.environment import Environment, Standing
from snaproot.errors import Refused
from snaproot.state import LoaderView, Record


@dataclass(frozen=True, slots=True)
class Policy:
    """How many to keep; an age of 0 days means any age."""

    proven: int = 3
    unproven: int = 3
    total: int = 10
    max_age_days: int = 0


@dataclass(frozen=True, slots=True)
class Removal:
    """One boot environment that may go, and the rule that says so; no rule: by hand alone."""

    id: str
    why: str = ""


def protected(
    record: Record,
    booted: str | None,
    loader: LoaderView,
    default: str | None,
    environments: Sequence[Environment],
) -> frozenset[str]:
    """Name what something needs; `booted` is nothing with `--sysroot`.

    Raises Refused where that cannot be determined: then nothing may be deleted.
    """
    known = {environment.id for environment in environments}
    if not loader.present:
        raise _undetermined("the loader's file cannot be read")
    if default is None:
        raise _undetermined("the filesystem's default is none of ours")
    for what, id in (("default", default), ("base", record.base)):
        if id not in known:
            raise _undetermined(f"the {what} {id} is not among the boot environments")
    pointed = {loader.good, loader.trial, loader.once, loader.fallback, default}
    return frozenset(id for id in _held(record) | pointed | {booted} if id)


def removable(
    environments: Sequence[Environment], protected: Set[str], policy: Policy, now: datetime
) -> list[Removal]:
    """Choose what goes: bad ones and unproven ones before proven ones, the oldest first."""
    return [one for one in dispensable(environments, protected, policy, now) if one.why]


def dispensable(
    environments: Sequence[Environment], protected: Set[str], policy: Policy, now: datetime
) -> list[Removal]:
    """Name all that may go at all, those first that the rules would remove first."""
    able_to = [e for e in environments if not (e.damage or e.beneath)]
    proven = sorted(e.id for e in able_to if e.standing is Standing.PROVEN)
    fallbacks = proven[max(len(proven) - policy.proven, 0) :]
    able = [e for e in environments if not _kept(e) and e.id not in {*protected, *fallbacks}]
    able.sort(key=_order)
    rules = (
        _excess_unproven(able, policy.unproven),
        _excess(able, len(environments), policy.total),
        _expired(able, policy.max_age_days, now),
    )
    why: dict[str, str] = {}
    for rule in rules:
        why = {**rule, **why}
    return [Removal(e.id, why.get(e.id, "")) for e in able]


def _held(record: Record) -> set[str | None]:
    pending = record.pending
    deployments = (record.work, pending, pending.replaces if pending else None)
    return {record.base, *(id for d in deployments if d for id in (d.parent, d.base, d.target))}


def _kept(environment: Environment) -> bool:
    """Tell whether no rule applies; what cannot be read may be pinned."""
    original = environment.standing is Standing.ORIGINAL
    return original or environment.pinned or bool(environment.damage)


def _order(environment: Environment) -> tuple[int, str]:
    ranks = {Standing.BAD: 0, Standing.UNPROVEN: 1}
    return ranks.get(environment.standing, 2), environment.id


def _excess_unproven(able: Sequence[Environment], most: int) -> dict[str, str]:
    unproven = [e.id for e in able if e.standing is not Standing.PROVEN]
    return dict.fromkeys(
        unproven[: max(len(unproven) - most, 0)], f"more than {most} that are not proven"
    )


def _excess(able: Sequence[Environment], there: int, most: int) -> dict[str, str]:
    first = able[: max(there - most, 0)]
    return dict.fromkeys((e.id for e in first), f"more than {most} boot environments")


def _expired(able: Sequence[Environment], days: int, now: datetime) -> dict[str, str]:
    if days == 0:
        return {}
    oldest = now - timedelta(days=days)
    old = (e.id for e in able if e.created is not None and e.created < oldest)
    return dict.fromkeys(old, f"older than {days} days")


def _undetermined(what: str) -> Refused:
    return Refused(
        f"{what}, so what is needed cannot be determined; nothing was deleted",
        hint="snaproot recover",
    )
