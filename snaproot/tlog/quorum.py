"""Which witnesses must have seen a checkpoint before it counts (after C2SP tlog-policy). Pure.

Witnesses and groups of them have names in one space. Each stands in at most one group, so that none
has more than one way to count.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from snaproot.tlog import checkpoint, note
from snaproot.tlog.note import Key, Kind, Note
from snaproot.trust.facts import Distrusted

MOST = 100
"""Witnesses, and groups, in one quorum; C2SP wants 32 of each to be read."""

_COSIGNING = (Kind.ED25519_COSIGNATURE, Kind.MLDSA44_COSIGNATURE)


@dataclass(frozen=True, slots=True)
class Witness:
    """One witness, by a name that only the quorum knows, and its verifier key.

    Making one raises Distrusted for a key that is none, or none that makes cosignatures.
    """

    name: str
    vkey: str

    def __post_init__(self) -> None:
        if self.key.kind not in _COSIGNING:
            what = f"the key of the witness {self.name!r} makes no cosignatures"
            raise Distrusted("key.kind", what, hint="a witness publishes one for that purpose")

    @property
    def key(self) -> Key:
        """The key itself."""
        return Key.parse(self.vkey)


@dataclass(frozen=True, slots=True)
class Group:
    """Some witnesses and groups, and how many of them it needs: a number, any (one), or all.

    Making one raises Distrusted where that many are not in it, or none is.
    """

    name: str
    need: int | Literal["any", "all"]
    members: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.members:
            raise Distrusted("quorum.empty", f"the group {self.name!r} has no members")
        if type(self.least) is not int or not 1 <= self.least <= len(self.members):
            what = f"the group {self.name!r} needs {self.need!r} of its {len(self.members)} members"
            raise Distrusted("quorum.need", what)

    @property
    def least(self) -> int:
        """How many that is."""
        if self.need == "all":
            return len(self.members)
        return 1 if self.need == "any" else self.need


@dataclass(frozen=True, slots=True)
class Cosigned:
    """That a witness cosigned, and when as it says; it may say nothing about when."""

    witness: str
    time: datetime | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Who cosigned a checkpoint: those who count, those whose time is not near enough."""

    counted: tuple[Cosigned, ...]
    stale: tuple[Cosigned, ...]
    met: bool


@dataclass(frozen=True, slots=True)
class Quorum:
    """What is required: `rule` names the witness or the group that has to have cosigned.

    Making one raises Distrusted for names and keys that are not known or used twice, and for groups
    that contain themselves. Without `maximum_age` a cosignature counts for ever; with it, neither
    an older one counts nor one from further ahead: a wrong clock would keep it fresh for ever.
    """

    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    rule: str
    maximum_age: timedelta | None = None

    def __post_init__(self) -> None:
        if max(len(self.witnesses), len(self.groups)) > MOST:
            raise Distrusted("quorum.size", f"the quorum has more than {MOST} witnesses or groups")
        if self.maximum_age is not None and self.maximum_age <= timedelta():
            raise Distrusted("quorum.age", "the quorum's maximum age lets no cosignature count")
        _require_names(self)
        _require_once("key", [witness.key.material.hex() for witness in self.witnesses])
        _require_ends(self.groups)

    def met(self, names: Set[str]) -> bool:
        """Tell whether these witnesses suffice."""
        groups = {group.name: group for group in self.groups}
        return _has(self.rule, groups, names)

    def evaluate(
        self, seen: Note, *, origin: str, size: int, root: bytes, now: datetime
    ) -> Evaluation:
        """Say which witnesses cosigned this note, which has to be of this log and this tree.

        Raises Distrusted where it is of another, and for a witness's bad signature. Raises
        Unverifiable where the installed cryptography does not suffice.
        """
        checkpoint.parse(seen.text).require(origin=origin, size=size, root=root)
        found = self._cosigned(seen, now)
        counted = tuple(one for one in found if self._counts(one, now))
        stale = tuple(one for one in found if one not in counted)
        return Evaluation(counted, stale, self.met({one.witness for one in counted}))

    def require(
        self, seen: Note, *, origin: str, size: int, root: bytes, now: datetime
    ) -> tuple[Cosigned, ...]:
        """Return who cosigned and counts. Raises as above, and Distrusted if that is too few."""
        found = self.evaluate(seen, origin=origin, size=size, root=root, now=now)
        if found.met:
            return found.counted
        what = f"the checkpoint of {origin!r} at {size} was cosigned by {_listed(found.counted)}"
        if self.met({one.witness for one in (*found.counted, *found.stale)}):
            what += f" lately, by {_listed(found.stale)} too long ago or ahead"
            hint = "get it with newer cosignatures, and look at the clock"
            raise Distrusted("witness.age", f"{what}: {self.rule!r} needs more", hint=hint)
        hint = "get it with more cosignatures: witnesses may need some minutes"
        raise Distrusted("witness.quorum", f"{what}: {self.rule!r} needs more", hint=hint)

    def _cosigned(self, seen: Note, now: datetime) -> list[Cosigned]:
        """Find each witness's cosignature, the one nearest in time where it has several."""
        keys = {witness.key: witness.name for witness in self.witnesses}
        times: dict[str, list[datetime | None]] = {}
        for one in note.signed(seen, keys, what="witness"):
            times.setdefault(keys[one.key], []).append(one.time)
        return [
            Cosigned(name, min(found, key=lambda time: _apart(time, now)))
            for name, found in times.items()
        ]

    def _counts(self, one: Cosigned, now: datetime) -> bool:
        return self.maximum_age is None or _apart(one.time, now) <= self.maximum_age


def _apart(time: datetime | None, now: datetime) -> timedelta:
    return timedelta.max if time is None else abs(now - time)


def _has(name: str, groups: Mapping[str, Group], names: Set[str]) -> bool:
    group = groups.get(name)
    if group is None:
        return name in names
    return sum(_has(member, groups, names) for member in group.members) >= group.least


def _require_names(quorum: Quorum) -> None:
    names = [*(one.name for one in quorum.witnesses), *(one.name for one in quorum.groups)]
    members = [member for group in quorum.groups for member in group.members]
    _require_once("name", names)
    _require_once("member", members)
    for name in (quorum.rule, *members):
        if name not in names:
            what = f"the quorum speaks of {name!r}, which is neither witness nor group"
            raise Distrusted("quorum.unknown", what)


def _require_once(what: str, values: Sequence[str]) -> None:
    for value, times in Counter(values).items():
        if times > 1:
            raise Distrusted("quorum.twice", f"the quorum has the {what} {value[:60]!r} twice")


def _require_ends(groups: Sequence[Group]) -> None:
    """Refuse a group within itself; every name is a member of one group at most."""
    above = {member: group.name for group in groups for member in group.members}
    for group in groups:
        name: str | None = group.name
        for _ in groups:
            name = None if name is None else above.get(name)
        if name is not None:
            raise Distrusted("quorum.cycle", f"the group {group.name!r} is within itself")


def _listed(cosigned: Iterable[Cosigned]) -> str:
    return ", ".join(repr(one.witness) for one in cosigned) or "nobody"
