"""The words in which adoption decides: where areas come from, what becomes of the nested."""

from dataclasses import dataclass
from enum import StrEnum

from snaproot.areas import Area


class How(StrEnum):
    """Where an area's content comes from."""

    CARVED = "carved"
    SNAPSHOT = "snapshot"
    STAYS = "stays"
    EMPTY = "empty"


class Policy(StrEnum):
    """What becomes of a nested subvolume in the adopted BE; the original keeps its own always."""

    REATTACHED = "reattached"
    AREA = "area"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class AreaPlan:
    """One area: `source` is the subvolume it comes from, `inner` the directory in it if carved."""

    area: Area
    how: How
    source: str = ""
    inner: str = ""


@dataclass(frozen=True, slots=True)
class Nested:
    """One subvolume inside what is snapshotted; `path` as the booted root sees it.

    `area` (its mount) and `inner` say where a reattached one goes.
    """

    subvolume: str
    path: str
    policy: Policy
    area: str = ""
    inner: str = ""
    readonly: bool = False


@dataclass(frozen=True, slots=True)
class Places:
    """All of it, in an order in which it can be made."""

    areas: tuple[AreaPlan, ...]
    nested: tuple[Nested, ...]
    findings: tuple[str, ...]

    @property
    def declared(self) -> tuple[Area, ...]:
        return tuple(plan.area for plan in self.areas)
