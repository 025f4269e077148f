"""Leaving on ZFS: every volume is a dataset, by its whole name; its number is its guid.

Two names cannot change places in one step here. They need not: the base boots by the loader's home,
or by `bootfs`, which goes with what it points at, until the root that was built is in its place.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from snaproot import durable
from snaproot.adoption.datasets import raze
from snaproot.adoption.grounds import PARTIAL
from snaproot.errors import SnaprootError
from snaproot.filesystem import Filesystem
from snaproot.filesystem.faults import translated
from snaproot.filesystem.layout import SNAPROOT, Layout
from snaproot.filesystem.trees import remove
from snaproot.filesystem.zfs import binding, commands, likeness, listing
from snaproot.filesystem.zfs.backend import Zfs
from snaproot.filesystem.zfs.binding import CANMOUNT_NOAUTO, Properties
from snaproot.filesystem.zfs.names import Names, short
from snaproot.filesystem.zfs.trash import ensure, snapshots
from snaproot.filesystem.zfs.view import View, mount, release
from snaproot.leaving import forgetting, renaming
from snaproot.leaving.fstabs import Fstab
from snaproot.leaving.note import Note
from snaproot.mountinfo import mount_of, mounted_as
from snaproot.record import Records

_ROOT: Properties = {"canmount": CANMOUNT_NOAUTO, "mountpoint": "/"}
"""What every root has: with canmount=on, zfs-mount(8) would mount it over the one that runs."""
_BUILDING = "snaproot.leaving"
"""The root while it is built, beside the boot environments; no id has a dot in it."""
_KEPT = "leaving"
"""The snapshot of the base's `/etc` as it was copied."""
_NONE = 5
"""What a plan calls no default, as the top level is Btrfs's."""


@dataclass(frozen=True, slots=True)
class Datasets:
    """Implements `snaproot.leaving.ground.Ground`; `top` is where the pool's view is."""

    top: Path
    pool: str

    @property
    def layout(self) -> Layout:
        return Layout(self.top)

    @property
    def view(self) -> View:
        return View(self.layout, self.pool)

    @property
    def _names(self) -> Names:
        return Names(self.pool)

    @property
    def filesystem(self) -> Filesystem:
        return Zfs(self.view, None)

    def uuid(self) -> str:
        return Zfs(self.view, None).uuid

    def volumes(self) -> Mapping[str, int]:
        found = commands.listed("filesystem,volume", ("name", "guid"), self.pool)
        return {name: int(guid) for name, guid in found}

    def ours(self) -> frozenset[str]:
        if not binding.exists(self._names.home):
            return frozenset()
        return frozenset(self._names.root(id) for id in forgetting.environments(self.view))

    def named(self, root: Path) -> str:
        return mount_of(root).source

    def root_of(self, id: str) -> str:
        return listing.dataset_of(self.view, id)

    def place(self, name: str) -> Path:
        """Mount it beside the view of snaproot's own, where no renaming makes it another's."""
        return mount(name, self.top / "@datasets" / str(self.volumes()[name]))

    def etcs(self, base: str) -> tuple[Path, Path] | None:
        etc = self._names.etc(base)
        kept = f"{etc}@{_KEPT}"
        if not (binding.exists(etc) and binding.exists(kept)):
            return None
        self.view.root(base)
        return mount(kept, self.etc), self.layout.etc(base)

    def show_remains(self) -> None:
        names = self._names
        if binding.exists(forgetting.partial(names)) and not binding.exists(names.home):
            mount(forgetting.partial(names), self.top / PARTIAL / SNAPROOT)

    # -- a root and its place --------------------------------------------------------------------

    @property
    def root(self) -> Path:
        return self._place / "root"

    @property
    def etc(self) -> Path:
        return self._place / "etc"

    @property
    def _place(self) -> Path:
        return self.layout.snaproot / "leaving"

    @property
    def _building(self) -> str:
        return f"{self._names.container}/{_BUILDING}"

    def branch(self, base: str) -> None:
        """Clone the base as it was sealed; it depends on it until that goes."""
        names, etc = self._names, f"{self._names.etc(base)}@{_KEPT}"
        durable.make_directory(self._place)
        binding.snapshot([etc], base)
        binding.clone(names.sealed(base), self._building, _ROOT)
        likeness.carry({self._building: names.root(base)})
        mount(self._building, self.root)
        mount(etc, self.etc)

    def clear(self) -> None:
        release(self._place)
        self.remove(self._building)
        kept = (one.name for one in snapshots(self._names.container) if short(one.name) == _KEPT)
        binding.destroy_snapshots(kept)
        with translated(f"remove {self._place}"):
            remove(self._place)

    def prefix(self, name: str) -> str:
        return f"{name.removeprefix(self.pool)}@"

    def mounting(self, name: str) -> str:
        return f"root=ZFS={name.replace(' ', '+')}"

    def rooted(self, text: str, place: str) -> str:  # noqa: ARG002
        """Leave it alone: the kernel's command line says which dataset is `/`."""
        return text

    def remove(self, name: str) -> None:
        """Destroy a dataset with its snapshots; one with others in it is refused by OpenZFS."""
        if binding.exists(name):
            self._release(name)
            binding.destroy_snapshots(one.name for one in snapshots(name, deep=False))
            binding.destroy(name)

    def put(self, place: str, aside: str, *, made: bool) -> None:
        """Rename what is there, then the root; nothing that boots meanwhile goes by these names."""
        self.sync()
        if binding.exists(place):
            self._withdraw(place, "" if made else aside)
        self._declare(place, aside)
        ensure(place.rpartition("/")[0])
        self._release(self._building)
        origin = commands.values(["origin"], self._building)[self._building, "origin"]
        binding.rename(self._building, place)
        likeness.carry({place: origin.partition("@")[0]})
        self.sync()

    def _withdraw(self, place: str, aside: str) -> None:
        """Take what has the root's name out of its way; `bootfs` goes with what it points at."""
        self._release(place)
        if aside:
            commands.put(place, {"canmount": "noauto"})  # or it would be mounted over the root
            binding.rename(place, aside)
            return
        if commands.pool_value(self.pool, "bootfs") == place:  # which destroying would clear
            self.filesystem.set_default(Records(self.layout.record).load().base)
        self.remove(place)

    def _declare(self, place: str, aside: str) -> None:
        """Remember where the original is now: who looks for it must not find the root instead."""
        original = listing.original(self.view)
        moved = aside and binding.exists(aside)
        if original is not None and original.dataset == place and moved:
            listing.declare_original(self.view, original.id, aside)

    def attach(self, name: str, place: Path) -> None:
        mount(name, place)

    def point(self, number: int, place: str) -> None:
        known = {guid: name for name, guid in self.volumes().items()}
        wanted = place if number == 0 else "" if number == _NONE else known[number]
        commands.put_pool(self.pool, "bootfs", wanted)
        self.sync()
        if commands.pool_value(self.pool, "bootfs") != (wanted or "-"):
            raise SnaprootError("bootfs is not what it was set to; all boots as before")

    def sync(self) -> None:
        binding.sync(self.pool)

    def _release(self, name: str) -> None:
        """Unmount it wherever we have it; where others have, it stays."""
        for place in mounted_as(name):
            if place.is_relative_to(self.top):
                release(place)

    # -- what is left over -----------------------------------------------------------------------

    def remove_environments(self, place: str) -> None:
        if binding.exists(self._names.home):
            forgetting.check(self._names)
            release(self._place)
            forgetting.remove_environments(self.view, place if binding.exists(place) else "")

    def areas(self) -> Sequence[tuple[int, str]]:
        home = self._names.areas
        known = self.volumes()
        inner = ((number, name) for name, number in known.items() if name.startswith(f"{home}/"))
        return [(number, name) for number, name in inner if "/" not in name[len(home) + 1 :]]

    def names(self, area: str) -> Iterator[str]:
        yield f"{self.pool}/{area}"
        yield from (f"{self.pool}/{area}-{number}" for number in count(2))

    def rename_areas(self, said: Note, fstab: Fstab) -> None:
        renaming.rename(self, said, fstab)

    def hide(self) -> None:
        names = self._names
        if not binding.exists(names.home):
            return
        forgetting.check(names)
        if self.areas():
            raise RuntimeError(f"there still are areas in {names.home}")
        self.sync()
        if binding.exists(forgetting.partial(names)):
            raze(forgetting.partial(names))
        binding.rename(names.home, forgetting.partial(names))
        self.sync()

    def remove_rest(self) -> None:
        for place in (self.layout.snaproot, self.top / PARTIAL):
            release(place)
        if binding.exists(forgetting.partial(self._names)):
            raze(forgetting.partial(self._names))
        forgetting.remove_container(self._names)
        self.sync()
