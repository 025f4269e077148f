"""The shared areas while a target is staged: throw-away copies, and what staging left in them."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from snaproot.areas import Area, Kind
from snaproot.filesystem import Change, Collected
from snaproot.filesystem.btrfs import binding
from snaproot.filesystem.btrfs.comparison import compare
from snaproot.filesystem.btrfs.trash import subvolumes_below
from snaproot.filesystem.collecting import Keeper, carry_in, carry_out, declared
from snaproot.filesystem.faults import translated
from snaproot.filesystem.layout import Layout
from snaproot.inside import Inside


def copy_areas(layout: Layout, id: str) -> Mapping[str, Path]:
    """Snapshot each area twice: one to write in, one to compare it with. Swap stays where it is."""
    copies: dict[str, Path] = {}
    for directory in (layout.copies(id), layout.references(id)):
        with translated(f"make {directory}"):
            directory.mkdir(mode=0o700)
    for area in declared(layout):
        if area.kind is not Kind.SWAP:
            reference = layout.references(id) / area.name
            binding.snapshot(layout.top / area.subvolume, reference, read_only=True)
            copies[area.mount] = layout.copies(id) / area.name
            binding.snapshot(reference, copies[area.mount])
    carry_in(Inside(layout.root(id), copies))
    return copies


def collect(layout: Layout, id: str) -> Collected:
    """Keep what was added below /var, and tell what else happened in the areas."""
    additions = layout.additions(id)
    if binding.is_subvolume(additions):
        binding.delete(additions)
    binding.create(additions)
    binding.sync(layout.top)
    copies = {area.mount: layout.copies(id) / area.name for area in declared(layout)}
    carry_out(Inside(layout.root(id), copies))
    changes: dict[str, Change] = {}
    keeper = Keeper(additions)
    for area in declared(layout):
        if binding.is_subvolume(layout.copies(id) / area.name):
            changes |= _collect_area(layout, id, area, keeper)
    keeper.finish()
    _drop_copies(layout, id)
    return keeper.collected(changes)


def _collect_area(layout: Layout, id: str, area: Area, keeper: "Keeper") -> dict[str, Change]:
    """Keep what is to be kept; return the rest, by absolute path."""
    older, newer = layout.references(id) / area.name, layout.copies(id) / area.name
    told = {
        str(PurePosixPath(area.mount, nested.relative_to(newer))): Change.ADDED
        for nested in _nested(layout, newer)
    }
    binding.set_read_only(newer, read_only=True)
    if binding.subvolume(newer).changed == binding.subvolume(older).changed:
        return told
    return told | keeper.sort_out(area, newer, compare(older, newer))


def _drop_copies(layout: Layout, id: str) -> None:
    for directory in (layout.copies(id), layout.references(id)):
        for area in declared(layout):
            place = directory / area.name
            if binding.is_subvolume(place):
                _delete(layout, place)
        with translated(f"remove {directory}"):
            directory.rmdir()


def _nested(layout: Layout, place: Path) -> Sequence[Path]:
    """List the subvolumes that staging made below a copy, as systemd-tmpfiles(8) does."""
    return [layout.top / found.path for found in subvolumes_below(layout, place)[1:]]


def _delete(layout: Layout, place: Path) -> None:
    doomed = (place, *_nested(layout, place))
    for subvolume in doomed:
        binding.set_read_only(subvolume, read_only=False)
    for subvolume in reversed(doomed):
        binding.delete(subvolume)
