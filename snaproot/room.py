"""How much room there is for one more boot environment, and what could go to make more."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from snaproot import booting, original
from snaproot.adoption.shape import ORIGINAL
from snaproot.bootloader import HOME
from snaproot.bootloader.copies import RESERVE, Copies
from snaproot.environment import Environment
from snaproot.errors import NoRoom, SnaprootError
from snaproot.retention import Removal
from snaproot.system import System
from snaproot.wording import size, some

_SECTOR = 512  # what st_blocks counts (stat(2))
_OTHERS = "delete what others have left there, such as old firmware updates"
_ON_ESP = 128 << 10
"""Bytes that arming may take there: an entry, and an index beside the one that it replaces."""


@dataclass(frozen=True, slots=True)
class Place:
    """One filesystem that a new boot environment needs room on; all in bytes."""

    name: str
    path: Path
    total: int
    free: int
    needed: int

    @property
    def is_short(self) -> bool:
        return self.free < self.needed

    def shape(self) -> dict[str, object]:
        """Describe it for scripts."""
        return {
            "name": self.name,
            "path": str(self.path),
            "total_bytes": self.total,
            "free_bytes": self.free,
            "needed_bytes": self.needed,
        }


@dataclass(frozen=True, slots=True)
class Going:
    """One boot environment that could go, and how.

    `why` is the rule that says so; empty where only a hand removes it. `frees` and `entry` are
    bytes: of the roots' filesystem, at least, for what several share goes with the last of them;
    and of the loader's own.
    """

    id: str
    why: str
    frees: int
    entry: int
    command: str = "snaproot cleanup"

    def shape(self) -> dict[str, object]:
        """Describe it for scripts."""
        return {
            "id": self.id,
            "why": self.why or None,
            "frees_bytes": self.frees,
            "entry_bytes": self.entry,
            "command": self.command,
        }


def places(system: System, needed: int = 0) -> list[Place]:
    """Measure what a new boot environment is written to; `needed` bytes for its root."""
    space = system.filesystem.space([])
    roots = Place("the root's filesystem", system.top, space.total, space.free, needed)
    if system.esp is None:
        return [roots]
    found = os.statvfs(system.esp)
    total, free = (blocks * found.f_frsize for blocks in (found.f_blocks, found.f_bavail))
    return [roots, Place("the ESP", system.esp, total, free, _ON_ESP + _copies(system))]


def going(system: System) -> list[Going]:
    """Name and measure all that could go: first what the rules choose, the original last.

    Reads the extents of every file in them. Raises Refused where what is needed cannot be
    determined.
    """
    chosen, last = system.transaction.dispensable(), _original(system)
    whole = [one.id for one in chosen] + [one.id for one in last if not one.damage]
    frees = system.filesystem.space(whole).exclusive
    copied = _copied(system)
    return [
        Going(
            one.id,
            one.why,
            frees.get(one.id, 0),
            _entry(system, one.id) + copied.get(one.id, 0),
            _command(one),
        )
        for one in (*chosen, *(Removal(one.id) for one in last))
    ]


def by_hand(plan: Sequence[Going], *, entries: bool = False) -> str:
    """Say how what the rules keep could go, and what that frees; empty for nothing. Pure."""
    ways = [
        f"{one.command} ({size(one.entry if entries else one.frees)})"
        for one in plan
        if not one.why
    ]
    return f"by hand: {some(ways)}" if ways else ""


def said(place: Place, kept: int) -> str:
    """Say what is needed and what is there. Pure."""
    there = f"{size(place.free)} of {size(place.total)} are free"
    if kept == place.needed:
        return f"{size(kept)} have to stay free on {place.name}, {there}"
    stays = f" ({size(kept)} of them kept free)" if kept else ""
    return f"{size(place.needed)} are needed on {place.name}{stays}, {there}"


def hint(plan: Sequence[Going], *, roots: bool) -> str:
    """Say what could go, and what else helps; on the ESP alone entries are all that goes. Pure."""
    ruled = [one for one in plan if one.why]
    freed = size(sum(one.frees if roots else one.entry for one in ruled))
    ways = (
        f"snaproot cleanup removes {some([one.id for one in ruled])} ({freed})" if ruled else "",
        by_hand(plan, entries=not roots),
        "delete something large, or set a smaller [space] reserve_mib" if roots else _OTHERS,
    )
    return "; ".join(way for way in ways if way)


def check(system: System, needed: int, *, kept: int = 0) -> None:
    """Refuse where `needed` bytes, and `kept` that stay free, do not fit.

    Raises NoRoom, with what could go and how much that frees.
    """
    found = places(system, needed + kept)
    if any(place.is_short for place in found):
        system.filesystem.flush()  # what was deleted is free once that is committed
        found = places(system, needed + kept)
    short = [place for place in found if place.is_short]
    if not short:
        return
    plan = _known(system)
    figures = "; ".join(said(place, kept if place is found[0] else 0) for place in short)
    shape = {
        "places": [place.shape() for place in found],
        "going": [one.shape() for one in plan],
    }
    if not found[0].is_short and found[-1].needed > _ON_ESP:
        help = "; ".join((*_lent(system), _OTHERS))  # the rest would go by itself
    else:
        help = hint(plan, roots=found[0].is_short)
    raise NoRoom(f"{figures}; nothing was changed", hint=help, shape=shape)


def _original(system: System) -> list[Environment]:
    try:
        return [original.dispensable(system)]
    except SnaprootError:
        return []


def _known(system: System) -> list[Going]:
    """Name what could go; nothing where that cannot be determined."""
    try:
        return going(system)
    except SnaprootError:
        return []


def _command(one: Removal) -> str:
    if one.why:
        return "snaproot cleanup"
    return f"snaproot cleanup {'--original' if one.id == ORIGINAL else one.id}"


def _copies(system: System) -> int:
    """Say what a pair of copies like the base's takes, beyond what arming withdraws by itself.

    Nothing where the loader reads the roots. Where it cannot be told, arming itself refuses.
    """
    try:
        base = system.records.load().base
        if system.esp is None or system.filesystem.address(base).readable:
            return 0
        copies = Copies(system.esp / HOME)
        asked = copies.asks(booting.bootable(system.filesystem, base)) + RESERVE
        return max(asked - sum(one.bytes for one in copies.spare(_held(system))), 0)
    except (SnaprootError, OSError):
        return 0


def _held(system: System) -> set[str]:
    """Name what keeps its copies whatever is armed."""
    view = system.bootloader.view()
    pinned = {one.id for one in system.filesystem.environments() if one.pinned}
    return {view.good, view.trial, view.once, view.fallback, *pinned}


def _lent(system: System) -> Iterator[str]:
    """Say how copies could go that are held, and what that frees."""
    copied, view = _copied(system), system.bootloader.view()
    if copied.get(view.trial) and view.trial != view.good:
        yield f"snaproot abandon lets {view.trial} go ({size(copied[view.trial])})"
    for one in system.filesystem.environments():
        if one.pinned and copied.get(one.id) and one.id not in {view.good, view.trial}:
            yield f"snaproot unpin {one.id} lets it go ({size(copied[one.id])})"


def _copied(system: System) -> Mapping[str, int]:
    """Say how many bytes of copies each boot environment alone has; none, where it has none."""
    try:
        return Copies(system.esp / HOME).exclusive() if system.esp else {}
    except OSError:
        return {}


def _entry(system: System, id: str) -> int:
    if system.esp is None:
        return 0
    try:
        return (system.esp / HOME / f"entries/{id}.cfg").stat().st_blocks * _SECTOR
    except OSError:
        return 0
