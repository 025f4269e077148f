"""The shared areas while a target is staged: throw-away clones, and what staging left in them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from snaproot import durable
from snaproot.areas import Area, Kind
from snaproot.filesystem import Change, Collected
from snaproot.filesystem.collecting import Keeper, carry_in, carry_out
from snaproot.filesystem.faults import translated
from snaproot.filesystem.trees import remove
from snaproot.filesystem.zfs import binding
from snaproot.filesystem.zfs.comparison import compare
from snaproot.filesystem.zfs.places import located
from snaproot.filesystem.zfs.view import View, mount, release
from snaproot.inside import Inside


def copied(view: View) -> Sequence[Area]:
    """Name the areas that staging gets a copy of: swap stays where it is, as do other pools'."""
    found = (area for area in located(view) if area.kind is not Kind.SWAP)
    return [area for area in found if view.names.area(area).split("/")[0] == view.pool]


def snapshots(view: View, id: str) -> list[str]:
    """Name what the copies are cloned from."""
    return [reference(view, area, id) for area in copied(view)]


def reference(view: View, area: Area, id: str) -> str:
    """Name the snapshot of an area when staging began."""
    return f"{view.names.area(area)}@{id}"


def mount_copies(view: View, id: str) -> Mapping[str, Path]:
    """Mount the clones, and give them the single files that belong to the root."""
    copies = {
        area.mount: mount(view.names.copy(id, area.name), view.layout.copies(id) / area.name)
        for area in copied(view)
    }
    carry_in(Inside(view.root(id), copies))
    return copies


def collect(view: View, id: str) -> Collected:
    """Keep what was added below /var, and tell what else happened in the areas."""
    additions, layout = view.layout.additions(id), view.layout
    with translated(f"make {additions}"):
        remove(additions)
    durable.make_directory(additions, mode=0o755)
    there = [area for area in copied(view) if binding.exists(view.names.copy(id, area.name))]
    copies = {
        area.mount: mount(view.names.copy(id, area.name), layout.copies(id) / area.name)
        for area in there
    }
    carry_out(Inside(view.root(id), copies))
    told: dict[str, Change] = {}
    keeper = Keeper(additions)
    for area in there:
        told |= keeper.sort_out(area, copies[area.mount], _changed(view, id, area))
    keeper.finish()
    durable.sync_filesystem(additions)
    drop_copies(view, id)
    return keeper.collected(told)


def drop_copies(view: View, id: str) -> None:
    """Destroy the clones and their origins; gone already is fine."""
    layout = view.layout
    for place in (layout.copies(id), layout.references(id)):
        release(place)
    for area in copied(view):
        binding.destroy(view.names.copy(id, area.name))
    binding.destroy_snapshots(snapshots(view, id))
    for place in (layout.copies(id), layout.references(id)):
        with translated(f"remove {place}"):
            remove(place)


def _changed(view: View, id: str, area: Area) -> Mapping[bytes, Change]:
    before = reference(view, area, id)
    older = mount(before, view.layout.references(id) / area.name)
    return compare(
        before, view.names.copy(id, area.name), (older, view.layout.copies(id) / area.name)
    )
