"""Versions below which nothing is believed any more. Pure.

They do what TUF's own state does, and hold where that was lost: a fresh client would take whatever
old repository it is shown. A floor has a name and is never lowered; merging takes the maximum.

A TUF role has a floor for each of its keys. Who steals a key can sign an absurdly high version, and
lock everybody out; a root that replaces the keys makes the role begin anew (the fast-forward attack
of the TUF specification, 5.3.11). `policy` and `revocations` have no such way back. Those
of a policy that nobody delivered have its path in their names.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from snaproot import formats

FORMAT = 1
POLICY = "policy"
REVOCATIONS = "revocations"
TIME = "time"
"""When something was last delivered, in seconds since 1970: a clock before that is wrong."""


@dataclass(frozen=True, slots=True)
class Floors:
    """The lowest version of each name that is still believed; 0 where none was seen."""

    versions: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def time(self) -> datetime:
        """When something was last delivered. Raises ValueError for no time that there is."""
        try:
            return datetime.fromtimestamp(self.of(TIME), UTC)
        except (OverflowError, OSError) as error:
            raise ValueError("it has no time that there is") from error

    @property
    def has_root(self) -> bool:
        """Tell whether anything was ever verified under a TUF root."""
        return any(name.startswith("root ") for name in self.versions)

    def of(self, name: str) -> int:
        """Give the floor of one name."""
        return self.versions.get(name, 0)

    def raised(self, seen: Mapping[str, int]) -> "Floors":
        """Merge with versions that were seen: the higher of two holds."""
        highest = {name: max(self.of(name), seen.get(name, 0)) for name in {*self.versions, *seen}}
        return Floors(MappingProxyType(highest))

    def undercut(self, seen: Mapping[str, int]) -> Iterable[str]:
        """Name what was seen in a version below its floor."""
        return (name for name, version in seen.items() if version < self.of(name))


def of_role(role: str, keys: Iterable[str], version: int) -> dict[str, int]:
    """Name the floors of a TUF role by the ids of its keys."""
    return {f"{role} {key}": version for key in keys}


def parse(text: bytes) -> Floors:
    """Read the floors. Raises ValueError on damage, NewerFormat on a newer format."""
    data = formats.parse(text, "file of version floors", FORMAT)
    found = Floors(checked(data.get("floors")))
    _ = found.time
    return found


def checked(versions: object) -> Mapping[str, int]:
    """Take in versions by name. Raises ValueError where they are something else."""
    if not isinstance(versions, dict) or not all(map(_is_version, versions.values())):
        raise ValueError("versions are numbers from 0 on, by name")
    return MappingProxyType(versions)


def render(floors: Floors) -> bytes:
    """Write the floors as JSON."""
    written = {"format": FORMAT, "floors": dict(sorted(floors.versions.items()))}
    return (json.dumps(written, indent=1) + "\n").encode()


def _is_version(value: object) -> bool:
    return type(value) is int and value >= 0
