"""Whether enough distinct parties have signed: m of n, groups within groups. Pure.

Nobody counts twice anywhere in what is required: neither an authority that several groups name, nor
an identity that several authorities believe. So it is not enough to count each group by itself:
one way has to be found to give each authority a signer of its own. Where nobody could count twice,
which policies should see to, that is mere counting.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

from snaproot.trust.facts import Distrusted
from snaproot.trust.policy import Group, Policy

MOST_STEPS = 200_000
"""Comparisons, some 0.1 s. Policies that people write take a few dozen."""

Pairs = tuple[tuple[str, str], ...]
"""Authorities, each with the identity that counts for it."""

_Taken = frozenset[tuple[str, str]]
_Ways = Mapping[_Taken, Pairs]
_NOTHING: _Ways = {frozenset(): ()}


def chosen(policy: Policy, signers: Mapping[str, Collection[str]]) -> Pairs | None:
    """Find distinct authorities, each with a distinct identity, that satisfy what is required.

    `signers` maps authorities to the identities that satisfy each. None where there are not enough.
    Raises Distrusted (`policy.group`) where finding out would take too long.
    """
    if not policy.require:
        return None
    search = _Search(policy, signers, _single(policy, signers))
    for pairs in search.ways(policy.require).values():
        return tuple(sorted(pairs, key=lambda pair: policy.asked.index(pair[0])))
    return None


def _single(policy: Policy, signers: Mapping[str, Collection[str]]) -> _Taken:
    """Name the authorities and identities that have one place only where they could count."""
    above = Counter(m for n in policy.needed if n in policy.groups for m in policy.groups[n].of)
    several = {name for name, times in above.items() if times > 1}
    for _ in policy.groups:
        several |= {m for name in several if name in policy.groups for m in policy.groups[name].of}
    believed = Counter(identity for name in policy.asked for identity in signers.get(name, ()))
    return frozenset(
        {("authority", name) for name in policy.asked if name not in several}
        | {("identity", identity) for identity, times in believed.items() if times == 1}
    )


@dataclass(slots=True)
class _Search:
    """All ways to satisfy a name; ways that take the same from others are one.

    A way that takes nothing from anybody is as good as all others together, so it is kept alone.
    """

    policy: Policy
    signers: Mapping[str, Collection[str]]
    single: _Taken
    known: dict[str, _Ways] = field(default_factory=dict)
    steps: int = 0

    def ways(self, name: str) -> _Ways:
        if name not in self.known:
            group = self.policy.groups.get(name)
            self.known[name] = self._of_group(group) if group else self._of_authority(name)
        return self.known[name]

    def _of_authority(self, name: str) -> _Ways:
        ways = {
            frozenset({("authority", name), ("identity", identity)}): ((name, identity),)
            for identity in self.signers.get(name, ())
        }
        free = {taken: pairs for taken, pairs in ways.items() if taken <= self.single}
        return dict([*free.items()][:1]) or ways

    def _of_group(self, group: Group) -> _Ways:
        members = [self.ways(member) for member in group.of]
        free = [ways for ways in members if self._is_free(ways)][: group.need]
        others = [ways for ways in members if not self._is_free(ways)]
        certain = reduce(self._joined, free, _NOTHING)
        return self._joined(certain, self._several(others, group.need - len(free)))

    def _is_free(self, ways: _Ways) -> bool:
        return any(taken <= self.single for taken in ways)

    def _several(self, members: Sequence[_Ways], need: int) -> _Ways:
        by_count: list[dict[_Taken, Pairs]] = [{**_NOTHING}, *({} for _ in range(need))]
        for ways in members:
            for count in range(need, 0, -1):  # downwards: a member counts once
                by_count[count] = {**self._joined(by_count[count - 1], ways), **by_count[count]}
        return by_count[need]

    def _joined(self, ways: _Ways, more: _Ways) -> _Ways:
        self.steps += len(ways) * len(more)
        if self.steps > MOST_STEPS:
            raise Distrusted(
                "policy.group",
                f"who of {self.policy.require} has signed can be understood in too many ways",
                hint="give the authorities identities that differ",
            )
        return dict(_apart(ways, more))


def _apart(ways: _Ways, more: _Ways) -> Iterator[tuple[_Taken, Pairs]]:
    for taken, pairs in ways.items():
        for others, their in more.items():
            if not taken & others:
                yield taken | others, pairs + their
