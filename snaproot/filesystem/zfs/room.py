"""How full a pool is, and what the removal of each boot environment alone would free."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from snaproot.filesystem import Space
from snaproot.filesystem.zfs import commands, listing
from snaproot.filesystem.zfs.view import View

_COLUMNS = ("name", "used", "usedbydataset", "referenced", "written", "clones")


@dataclass(frozen=True, slots=True)
class _Figures:
    used: int
    unique: int
    referenced: int
    written: int
    clones: tuple[str, ...]


def space(view: View, ids: Sequence[str]) -> Space:
    """Say how full the pool is.

    `exclusive` is exact for a root that nothing was cloned from. Of another it is what no clone of
    its snapshots refers to any more, for the clone that refers to most; what clones of clones and
    snapshots of other tools hold is not looked into.
    """
    names = view.names
    pool = commands.values(["used", "available"], names.container, view.pool)
    free = int(pool[names.container, "available"])
    datasets = listing.datasets_of(view, ids)
    known = _figures(*datasets.values()) if ids else {}
    return Space(
        total=int(pool[view.pool, "used"]) + free,
        free=free,
        exclusive={id: _freed(known, dataset) for id, dataset in datasets.items()},
    )


def _freed(known: Mapping[str, _Figures], root: str) -> int:
    return sum(
        _freed_alone(known, name)
        for name in known
        if "@" not in name and f"{name}/".startswith(f"{root}/")
    )


def _freed_alone(known: Mapping[str, _Figures], dataset: str) -> int:
    """Count one dataset: what is its own alone, and of that only what no clone of it shares.

    `usedbydataset` counts what its own snapshots refer to as well (zfsprops(7)).
    """
    own = {name: found for name, found in known.items() if name.startswith(f"{dataset}@")}
    cloned = [found for found in own.values() if found.clones]
    unique, others = known[dataset].unique, [one for one in own.values() if not one.clones]
    freed = min(unique, _left_by(known, cloned[-1])) if cloned else unique
    return freed + sum(one.used for one in others)


def _left_by(known: Mapping[str, _Figures], origin: _Figures) -> int:
    """Count what of a snapshot none of its clones needs, as far as each alone tells."""
    left = [
        max(0, origin.referenced - known[clone].referenced + known[clone].written)
        for clone in origin.clones
        if clone in known
    ]
    return min(left, default=0)


def _figures(*datasets: str) -> dict[str, _Figures]:
    rows = commands.listed("filesystem,snapshot", _COLUMNS, *datasets)
    return {
        name: _Figures(
            used=_number(used),
            unique=_number(unique),
            referenced=_number(referenced),
            written=_number(written),
            clones=tuple(one for one in clones.split(",") if one != "-"),
        )
        for name, used, unique, referenced, written, clones in rows
    }


def _number(text: str) -> int:
    return 0 if text == "-" else int(text)
