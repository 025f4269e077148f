"""How subvolumes go: renamed into the trash first, and opened and deleted only there.

btrfsutil's recursive deletion leaves half a tree when it is cut, and cannot open what is sealed.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from snaproot import durable
from snaproot.errors import Refused
from snaproot.filesystem.btrfs import binding
from snaproot.filesystem.btrfs.binding import Subvolume
from snaproot.filesystem.faults import translated
from snaproot.filesystem.layout import Layout
from snaproot.filesystem.trees import remove

_PATIENCE = 5.0  # seconds; what the kernel has not reclaimed by then it goes on reclaiming


def throw(layout: Layout, id: str, held: frozenset[int]) -> None:
    """Take a boot environment out of sight in one durable step, then destroy it.

    May be repeated after a cut at any point. Raises Refused if it holds one of the subvolumes
    numbered `held`, before anything is touched.
    """
    home, trashed = layout.home(id), layout.trashed(id)
    if home.is_dir():
        _check(subvolumes_below(layout, home), held)
        destroy(layout, trashed, held)
        durable.make_directory(layout.trash)
        with translated(f"move {home} to the trash"):
            home.rename(trashed)
        binding.sync(layout.trash)
    destroy(layout, trashed, held)
    binding.reclaim(layout.top, seconds=_PATIENCE)


def empty(layout: Layout, held: frozenset[int]) -> None:
    """Destroy whatever lies in the trash."""
    if layout.trash.is_dir():
        for place in sorted(layout.trash.iterdir()):
            destroy(layout, place, held)


def destroy(layout: Layout, place: Path, held: frozenset[int]) -> None:
    """Delete a directory of the trash: first what is nested deepest, last the directory."""
    if layout.trash not in place.parents:
        raise RuntimeError(f"{place} is not in the trash")
    if not os.path.lexists(place):
        return
    found = subvolumes_below(layout, place)
    _check(found, held)
    _delete(layout.top, found)
    with translated(f"empty {place}"):
        remove(place)


def raze(top: Path, place: Path) -> None:
    """Delete a tree that never was in use, subvolumes in it first; gone already is fine.

    The caller knows that nothing boots from it, and that it is nobody else's.
    """
    if not os.path.lexists(place):
        return
    found = subvolumes_below(Layout(top), place)
    _delete(top, found)
    with translated(f"remove {place}"):
        remove(place)
    binding.sync(top)


@contextmanager
def scratch(layout: Layout) -> Iterator[Path]:
    """Lend a directory in the trash: whatever happens, nothing of it stays."""
    durable.make_directory(layout.trash)
    place = layout.trash / f"x{os.urandom(6).hex()}"
    with translated(f"make {place}"):
        place.mkdir(mode=0o700)
    try:
        yield place
    finally:
        destroy(layout, place, frozenset())


def subvolumes_below(layout: Layout, place: Path) -> Sequence[Subvolume]:
    """List what lies at or below a place, each after what it is nested in."""
    inside = layout.inside(place)
    found = (s for s in binding.subvolumes(layout.top) if f"{s.path}/".startswith(f"{inside}/"))
    return sorted(found, key=lambda subvolume: subvolume.path.count("/"))


def _delete(top: Path, found: Sequence[Subvolume]) -> None:
    """Open what is sealed, then delete, what is nested deepest first."""
    for subvolume in found:
        if subvolume.read_only:
            binding.set_read_only(top / subvolume.path, read_only=False)
    for subvolume in reversed(found):
        binding.delete(top / subvolume.path)


def _check(found: Sequence[Subvolume], held: frozenset[int]) -> None:
    for subvolume in found:
        if subvolume.id in held:
            raise Refused(f"{subvolume.path} is booted or the default; nothing was changed")
