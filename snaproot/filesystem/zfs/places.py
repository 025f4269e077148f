"""Where shared areas lie: what stayed in its place is found by a mark on it, not by its name.

`areas.toml` has the name from the adoption, and a dataset may be renamed: one that lies in the
original root has to be, before that can go.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from snaproot.areas import Area
from snaproot.filesystem.collecting import declared
from snaproot.filesystem.layout import SNAPROOT
from snaproot.filesystem.zfs import commands
from snaproot.filesystem.zfs.view import View

AREA = "org.snaproot:area"
"""On a dataset that stayed in its place: the name of the area that it is."""


def keep(dataset: str, area: str) -> None:
    """Mark a dataset that stays in its place as an area; durable, and again is fine."""
    commands.put(dataset, {AREA: area})


def located(view: View) -> tuple[Area, ...]:
    """Read the declared areas, and what the datasets of those that stayed are called now."""
    return tuple(named(declared(view.layout), view.pool))


def named(areas: Iterable[Area], pool: str) -> list[Area]:
    """Say where areas are now; one that was never marked is where it was."""
    found = [*areas]
    stayed = {area.name for area in found if not area.subvolume.startswith(f"{SNAPROOT}/")}
    marks = _marks(pool) if stayed else []
    return [_now(area, marks) if area.name in stayed else area for area in found]


def _now(area: Area, marks: Sequence[tuple[str, str]]) -> Area:
    """Find an area by its mark; of several, such as a copy with all properties, the old name."""
    found = [dataset for name, dataset in marks if name == area.name]
    return replace(area, subvolume=found[0]) if found and area.subvolume not in found else area


def _marks(pool: str) -> list[tuple[str, str]]:
    """Name each area's dataset, by one look at the pool. A clone of one has no mark of its own."""
    argv = ["zfs", "get", "-Hp", "-r", "-t", "filesystem", "-s", "local", "-o", "value,name"]
    rows = commands.rows([*argv, AREA, pool], f"look for the areas of {pool}")
    return [(row[0], row[1]) for row in rows]
