"""The fstab of a root that leaves: `/` by name again, and areas that get other names. Pure.

While areas are renamed it names them by number, which stays: every line of it mounts at any moment.
On ZFS, where there are no numbers, they mount themselves meanwhile.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from snaproot import fstab
from snaproot.fstab import Entry


def rooted(text: str, place: str) -> str:
    """Let `/` be the subvolume at a place, as a stock system has it."""
    return _changed(
        text, lambda e: e.without("subvolid").having(f"subvol={place}") if e.file == "/" else None
    )


def numbered(text: str, numbers: Mapping[str, int]) -> str:
    """Name subvolumes by number instead of by path."""

    def change(entry: Entry) -> Entry | None:
        number = numbers.get(entry.subvolume or "")
        if number is None:
            return None
        return entry.without("subvol").having(f"subvolid={number}")

    return _changed(text, change)


def named(text: str, names: Mapping[int, str]) -> str:
    """Name subvolumes by path instead of by number."""

    def change(entry: Entry) -> Entry | None:
        number = entry.option("subvolid") or ""
        name = names.get(int(number)) if number.isdecimal() else None
        return None if name is None else entry.without("subvolid").having(f"subvol=/{name}")

    return _changed(text, change)


def tight(text: str, specs: Collection[str]) -> tuple[str, ...]:
    """Name where datasets are mounted that have to be: without them, systemd gives up."""
    found = (one for one in fstab.parse(text) if _mounts(one, specs))
    return tuple(one.file for one in found if one.option("nofail") is None)


def loosened(text: str, specs: Collection[str]) -> str:
    """Let the lines of datasets fail."""

    def change(entry: Entry) -> Entry | None:
        strict = _mounts(entry, specs) and entry.option("nofail") is None
        return entry.having("nofail") if strict else None

    return _changed(text, change)


def tightened(text: str, specs: Collection[str], points: Collection[str]) -> str:
    """Undo that, where they could not fail before."""
    return _changed(
        text, lambda e: e.without("nofail") if _mounts(e, specs) and e.file in points else None
    )


def respelled(text: str, names: Mapping[str, str]) -> str:
    """Let the lines of datasets have other names of them."""
    return _changed(text, lambda e: replace(e, spec=names[e.spec]) if _mounts(e, names) else None)


def _mounts(entry: Entry, specs: Collection[str]) -> bool:
    return entry.type == "zfs" and entry.spec in specs


def within(text: str, place: str) -> Entry | None:
    """Find a line that mounts what lies in a subvolume, which a new one in its place would lack."""
    for entry in fstab.parse(text):
        path = PurePosixPath(entry.subvolume or "")
        if entry.file != "/" and path != PurePosixPath(place) and path.is_relative_to(place):
            return entry
    return None


def _changed(text: str, change: Callable[[Entry], Entry | None]) -> str:
    found = ((entry, change(entry)) for entry in fstab.parse(text))
    return fstab.rewritten(text, {old.line: [fstab.render(new)] for old, new in found if new})
