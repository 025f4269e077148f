"""Which boot environments rest on something that has been revoked since. Pure.

What a boot environment rests on is in its metadata: artifacts, the package files that deployments
brought, and the policies that let them. A list that has expired still names what it names: entries
never go away.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from snaproot.environment import SALVAGED, Environment
from snaproot.trust import rests, revocation
from snaproot.trust.facts import Unverifiable
from snaproot.trust.rests import Rests
from snaproot.trust.revocation import Revoked
from snaproot.trust.revocationlist import Kind, Revocations

KEY = "rests"
"""Where the metadata have it."""
_CONFIGURATION = frozenset({Kind.POLICY, Kind.TRUSTED_ROOT})


@dataclass(frozen=True, slots=True)
class Affected:
    """A boot environment, and all that is revoked of it; `unreadable` says why nobody can tell."""

    id: str
    revoked: tuple[Revoked, ...]
    unreadable: str = ""

    @property
    def why(self) -> str:
        """Say the first, in a clause."""
        return self.unreadable or self.revoked[0].message


def audit(revocations: Revocations, environments: Iterable[Environment]) -> list[Affected]:
    """Name those that are affected, in the order given."""
    found = (_examined(revocations, one) for one in environments)
    return [one for one in found if one.revoked or one.unreadable]


def barred(
    revocations: Revocations, environments: Sequence[Environment], base: str
) -> Mapping[str, str]:
    """Say why by the ids of those that nobody is to go to.

    Not for a policy that let in the base as well: to stay there would be no better, and all that is
    made from it has that in it. Nor for metadata that are damaged or lost: nobody knows.
    """
    found = {one.id: one for one in audit(revocations, filter(_is_known, environments))}
    here = found[base].revoked if base in found else ()
    spared = {hit.entry for hit in here if hit.entry.kind in _CONFIGURATION}
    left = {one: [hit for hit in one.revoked if hit.entry not in spared] for one in found.values()}
    return {
        one.id: one.unreadable or hits[0].message
        for one, hits in left.items()
        if one.unreadable or hits
    }


def _is_known(environment: Environment) -> bool:
    return not environment.damage and environment.origin != SALVAGED


def rested(environment: Environment) -> tuple[Rests, ...]:
    """Read what one rests on. Raises Unverifiable where that is damaged."""
    kept = environment.extra.get(KEY, [])
    if not isinstance(kept, list):
        raise Unverifiable("rests.malformed", f"what {environment.id} rests on cannot be read")
    return tuple(rests.from_dict(_table(one)) for one in kept)


def carried(parent: Environment, *, policy: str, trusted_root: str) -> Mapping[str, object]:
    """Say what one rests on that is made from a parent under a policy, as its metadata keep it.

    Both are SHA-256 in hexadecimal. What cannot be read of the parent stays so.
    """
    kept = parent.extra.get(KEY, [])
    under = rests.as_dict(Rests("", policy=policy, trusted_root=trusted_root))
    if not isinstance(kept, list) or under in kept:
        return {KEY: kept}
    return {KEY: [*kept, under]}


def _table(one: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", one) if isinstance(one, dict) else {}


def _examined(revocations: Revocations, environment: Environment) -> Affected:
    if environment.damage:
        return Affected(environment.id, (), f"its metadata cannot be read: {environment.damage}")
    if environment.origin == SALVAGED:
        return Affected(environment.id, (), "its metadata were lost: nobody knows who let it in")
    packages = (Rests(one.digest) for one in environment.installed if one.digest)
    try:
        hits = _hits(revocations, (*rested(environment), *packages))
    except Unverifiable as error:
        return Affected(environment.id, (), str(error))
    return Affected(environment.id, tuple(hits))


def _hits(revocations: Revocations, kept: Sequence[Rests]) -> Iterator[Revoked]:
    for one in kept:
        yield from revocation.check_installed(revocations, one)
