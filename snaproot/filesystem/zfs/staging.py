"""The beginning of staging: clones of the parent's root, of its `/etc`, and of the areas."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from snaproot.filesystem import Workspace
from snaproot.filesystem.faults import translated
from snaproot.filesystem.zfs import binding, collecting, likeness, listing, trash
from snaproot.filesystem.zfs.binding import CANMOUNT_NOAUTO, SYNC_DISABLED, Properties
from snaproot.filesystem.zfs.names import parent_snapshot
from snaproot.filesystem.zfs.properties import ENVIRONMENT, STAGING
from snaproot.filesystem.zfs.view import View

ROOT: Properties = {
    "canmount": CANMOUNT_NOAUTO,
    "mountpoint": "/",
    "sync": SYNC_DISABLED,
    ENVIRONMENT: STAGING,
}
"""Without `sync`, until it is sealed: a cut discards it anyway, and an intent log is a change."""
ETC: Properties = {"canmount": CANMOUNT_NOAUTO, "mountpoint": "/etc", "readonly": 0}
_COPY: Properties = {
    "canmount": CANMOUNT_NOAUTO,
    "mountpoint": "legacy",
    "sync": SYNC_DISABLED,
}


def create(view: View, new: str, parent: str) -> Workspace:
    """Clone a sealed parent. One snapshot of all that is live, then clones side by side."""
    names, layout = view.names, view.layout
    listing.sealed(view, parent)
    with translated(f"make {layout.home(new)}"):
        for place in (layout.home(new), layout.copies(new), layout.references(new)):
            place.mkdir(mode=0o700)
    etc = f"{names.etc(parent)}@{parent_snapshot(new)}"
    binding.snapshot([etc, *collecting.snapshots(view, new)], new)
    trash.ensure(names.work)
    first = _first(view, new, parent)
    _clone(first)
    _clone({names.etc(new): (etc, ETC)})
    likeness.carry({clone: origin.partition("@")[0] for clone, (origin, _) in first.items()})
    return Workspace(new, view.root(new), collecting.mount_copies(view, new))


def _first(view: View, new: str, parent: str) -> dict[str, tuple[str, Properties]]:
    names = view.names
    copies = {
        names.copy(new, area.name): (collecting.reference(view, area, new), _COPY)
        for area in collecting.copied(view)
    }
    return {names.root(new): (names.sealed(parent), ROOT), **copies}


def _clone(wanted: Mapping[str, tuple[str, Properties]]) -> None:
    """Make clones at the same time: each waits for its transaction group, which they share."""
    with ThreadPoolExecutor(len(wanted)) as pool:
        made = [
            pool.submit(binding.clone, wanted[name][0], name, wanted[name][1]) for name in wanted
        ]
    for one in made:
        one.result()
