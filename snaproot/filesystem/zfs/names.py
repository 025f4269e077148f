"""How datasets and snapshots are called in one pool. Pure.

A snapshot is called after the boot environment that it belongs to, so that no two that OpenZFS's
own promote could bring together have the same name.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from snaproot.areas import Area
from snaproot.environment import ID
from snaproot.filesystem.layout import SNAPROOT

HOME = "snaproot"
CONTAINER = "ROOT"
_TRASH = "trash."  # no id has a dot in it


@dataclass(frozen=True, slots=True)
class Names:
    """The names in one pool."""

    pool: str

    @property
    def container(self) -> str:
        return f"{self.pool}/{CONTAINER}"

    @property
    def home(self) -> str:
        """Name the filesystem with the record, the log, and the files about each root."""
        return f"{self.pool}/{HOME}"

    @property
    def areas(self) -> str:
        return f"{self.home}/areas"

    @property
    def work(self) -> str:
        return f"{self.home}/work"

    def root(self, id: str) -> str:
        return f"{self.container}/{id}"

    def etc(self, id: str) -> str:
        return f"{self.root(id)}/etc"

    def sealed(self, id: str) -> str:
        """Name the snapshot of a root as it was sealed; its children are clones of it."""
        return f"{self.root(id)}@{id}"

    def pristine(self, id: str) -> str:
        """Name the snapshot of `/etc` as staging left it."""
        return f"{self.etc(id)}@pristine-{id}"

    def bookmark(self, id: str) -> str:
        return f"{self.root(id)}#{id}"

    def area(self, area: Area) -> str:
        """Name an area's dataset: ours lie together, what stayed in its place is named whole."""
        inner = area.subvolume.removeprefix(f"{SNAPROOT}/areas/")
        return f"{self.areas}/{inner}" if inner != area.subvolume else area.subvolume

    def foreign(self, found: Iterable[str]) -> list[str]:
        """Name those of some datasets that lie in snaproot's own, and are none of snaproot's."""
        ours = (f"{self.areas}/", f"{self.work}/")
        inner = [name for name in found if name.startswith(f"{self.home}/")]
        return [name for name in inner if not f"{name}/".startswith(ours)]

    def copy(self, id: str, area: str) -> str:
        """Name the throw-away clone of an area; no id has a dot in it."""
        return f"{self.work}/{id}.{area}"


def trashed(dataset: str) -> str:
    """Name a root while it is being removed: beside where it was.

    OpenZFS renames into another parent only where that has room for it, and a full pool has none
    (dsl_dir_rename_check of dsl_dir.c).
    """
    above, _, last = dataset.rpartition("/")
    return f"{above}/{_TRASH}{last}"


def untrashed(dataset: str) -> str | None:
    """Say what a root was called, or the dataset of one that its `/etc` was in; None if it is not.

    Undoes `trashed`.
    """
    _, mark, last = dataset.rpartition(f"/{_TRASH}")
    return last.partition("/")[0] if mark else None


def parent_snapshot(id: str) -> str:
    """Name the snapshot of the parent's `/etc` when staging of `id` began, without its dataset."""
    return f"parent-{id}"


def adopted_snapshot(id: str) -> str:
    """Name the snapshot of the original root that `id` was made from, without its dataset."""
    return f"adopt-{id}"


def id_of(dataset: str) -> str | None:
    """Name the boot environment whose root a dataset would be, by its name alone."""
    parts = dataset.split("/")
    ours = len(parts) == len(("pool", CONTAINER, "id")) and parts[1] == CONTAINER
    return parts[2] if ours and ID.fullmatch(parts[2]) else None


def short(snapshot: str) -> str:
    """Name a snapshot or bookmark without its dataset."""
    return snapshot.partition("@")[2] or snapshot.partition("#")[2]
