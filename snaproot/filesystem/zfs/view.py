"""A pool as one tree that looks as the top level of a Btrfs does, so that `Layout` fits both.

`<pool>/snaproot` is mounted at `top/@snaproot`; roots, their `/etc`, areas and snapshots only when
they are asked for, in directories that lie there for that. All of it is in a mount namespace of
our own, so nobody else sees it, and a kill removes it. A dataset that is mounted can neither be
destroyed nor set read-only in peace: `release` comes first.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from snaproot import mounts
from snaproot.areas import Area
from snaproot.filesystem.faults import translated
from snaproot.filesystem.layout import Layout
from snaproot.filesystem.zfs import commands
from snaproot.filesystem.zfs.names import HOME, Names
from snaproot.filesystem.zfs.patience import patiently
from snaproot.filesystem.zfs.reasons import failure
from snaproot.mountinfo import mount_of, mounted_from
from snaproot.run import run


@dataclass(frozen=True, slots=True)
class View:
    """One pool's datasets below `layout.top`."""

    layout: Layout
    pool: str

    @property
    def names(self) -> Names:
        return Names(self.pool)

    def root(self, id: str, dataset: str = "") -> Path:
        """Mount a root and its `/etc`; `dataset` where it is called otherwise, as an original is.

        Writable only as far as the dataset is.
        """
        place = self.layout.root(id)
        name = dataset or self.names.root(id)
        mount(name, place)
        if not dataset:
            self.etc(id)
        return place

    def etc(self, id: str) -> Path:
        """Mount the `/etc` of a root that is mounted."""
        mount(self.names.etc(id), self.layout.etc(id))
        return self.layout.etc(id)

    def area(self, name: str) -> Path:
        """Mount a shared area of ours itself, by its name."""
        return mount(f"{self.names.areas}/{name}", self.layout.areas / name)

    def shared(self, area: Area) -> Path:
        """Mount a declared area itself, wherever its dataset lies."""
        return mount(self.names.area(area), self.layout.areas / area.name)

    def release(self, id: str) -> None:
        """Unmount all that belongs to one boot environment."""
        release(self.layout.home(id))


def at(top: Path) -> View:
    """Find out whose view is mounted at `top`; that of an adopted pool alone."""
    source = mount_of(Layout(top).snaproot).source
    return View(Layout(top), source.removesuffix(f"/{HOME}"))


@contextmanager
def opened(pool: str) -> Iterator[View]:
    """Lend the view of a pool, in a mount namespace of this process.

    There is no `@snaproot` in it where the pool is not adopted.
    """
    with mounts.empty_top(pool) as top:
        view = View(Layout(top), pool)
        if is_dataset(view.names.home):
            mount(view.names.home, view.layout.snaproot)
        yield view


def is_dataset(name: str) -> bool:
    """Tell whether there is a filesystem of that name, by zfs(8) alone."""
    return (
        run(["zfs", "list", "-H", "-o", "name", "-t", "filesystem", name], check=False).status == 0
    )


def mount(dataset: str, place: Path) -> Path:
    """Mount a filesystem or a snapshot; there already is fine. Raises SnaprootError."""
    if os.path.ismount(place):
        return place
    with translated(f"make {place}"):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        try:
            patiently(partial(_attach, dataset, place))
        except OSError:
            mounts.attach("zfs", dataset, place, read_only=True)
    except OSError as error:
        raise failure(f"mount {dataset}", error.errno or 0, dataset=dataset) from error
    return place


def _attach(dataset: str, place: Path) -> None:
    """Mount it for writing, unless it is read-only. Raises OSError.

    One that is mounted elsewhere too is busy for whoever asks for another flag than there
    (zpl_super.c); but so is one that somebody is mounting or unmounting just now.
    """
    try:
        mounts.attach("zfs", dataset, place, read_only="@" in dataset)
    except OSError as error:
        if error.errno != errno.EBUSY or not _read_only(dataset):
            raise
        mounts.attach("zfs", dataset, place, read_only=True)


def _read_only(dataset: str) -> bool:
    return commands.values(["readonly"], dataset)[dataset, "readonly"] == "on"


def release(place: Path) -> None:
    """Unmount what is mounted at or below a place, the deepest first."""
    for mounted in reversed(mounted_from(place)):
        try:
            mounts.detach(mounted)
        except OSError as error:
            raise failure(f"unmount {mounted}", error.errno or 0) from error
