"""What adoption has made of a pool goes, and nothing that stays depends on it. ZFS's half."""

from collections.abc import Collection, Sequence

from snaproot.filesystem.zfs import binding, commands, listing, trash
from snaproot.filesystem.zfs.names import Names, short
from snaproot.filesystem.zfs.view import View
from snaproot.leaving.plan import check_others

_MARK = "org.snaproot:"
_DEPTH = 99
"""Deeper than any dataset: their names have at most 255 characters."""


def partial(names: Names) -> str:
    """Name snaproot's own dataset once it is out of sight."""
    return f"{names.home}.partial"


def environments(view: View) -> Sequence[str]:
    """Name every boot environment but the original, which stays."""
    original = listing.original(view)
    found = (one.id for one in listing.environments(view))
    return [id for id in found if original is None or id != original.id]


def check(names: Names) -> None:
    """Raise Refused where others' datasets lie in snaproot's own, which is about to go."""
    found = commands.listed("filesystem,volume", ["name"], names.home)
    check_others(names.pool, (row[0] for row in found))


def remove_environments(view: View, place: str) -> None:
    """Destroy all boot environments; what was cloned from them gets what it needs of them.

    `place` is the root that was built; empty where there is none. All that was held together by
    properties of ours is forgotten at the end, so that it may be repeated after a cut.
    """
    doomed = [listing.located(view, id) for id in environments(view)]
    for root in doomed:
        trash.check(view, root)
    _destroy_bookmarks(view, {root.id for root in doomed})
    for root in doomed:
        trash.throw(view, root)
    trash.empty(view)
    if place:
        _part(view, place)
    _forget_snapshots(view)
    _forget_datasets(view)


def remove_container(names: Names) -> None:
    """Remove the dataset that held boot environments, if nothing else is in it."""
    if binding.exists(names.container):
        inner = commands.listed("filesystem,volume,snapshot", ["name"], names.container)
        off = commands.values(["canmount"], names.container)[names.container, "canmount"] == "off"
        if len(inner) == 1 and off:
            binding.destroy(names.container)


def _destroy_bookmarks(view: View, ids: Collection[str]) -> None:
    """Destroy those of roots, whoever has got them by OpenZFS's own promote."""
    found = (row[0] for row in commands.listed("bookmark", ["name"], view.pool))
    binding.destroy_bookmarks(name for name in found if short(name) in ids)


def _part(view: View, place: str) -> None:
    """Let the original be a clone of the new root, not the other way: it may go any time."""
    original = listing.original(view)
    origin = commands.values(["origin"], place)[place, "origin"]
    if original is not None and origin.partition("@")[0] == original.dataset:
        trash.inherit(origin, place)


def _forget_snapshots(view: View) -> None:
    """Destroy those of ours; one that the original depends on goes with it."""
    for one in trash.snapshots(view.pool):
        if one.of and one.free:
            binding.destroy_snapshots([one.name])
        elif one.of:
            commands.unset(one.name, binding.OF)
            binding.destroy_snapshots([one.name], defer=True)


def _forget_datasets(view: View) -> None:
    for name, known in commands.local(view.pool, depth=_DEPTH).items():
        if name == view.names.home or name.startswith(f"{view.names.home}/"):
            continue
        for key in known:
            if key.startswith(_MARK):
                commands.unset(name, key)
