"""Adopting on ZFS: every volume is a dataset, and what is to stay without the original is copied.

A clone would keep the original alive for ever. The root alone is one: it shares everything with the
original until that goes, and is promoted then.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from snaproot.adoption import carving
from snaproot.adoption.copying import copy_tree
from snaproot.adoption.grounds import PARTIAL
from snaproot.adoption.volumes import Volume
from snaproot.environment import Environment
from snaproot.filesystem import Filesystem
from snaproot.filesystem.faults import translated
from snaproot.filesystem.layout import SNAPROOT, Layout
from snaproot.filesystem.zfs import binding, commands, likeness, listing, places
from snaproot.filesystem.zfs.backend import Zfs
from snaproot.filesystem.zfs.names import HOME, Names, adopted_snapshot, parent_snapshot
from snaproot.filesystem.zfs.staging import ETC, ROOT
from snaproot.filesystem.zfs.trash import ensure
from snaproot.filesystem.zfs.view import View, mount, release
from snaproot.fstab import Entry
from snaproot.mountinfo import mount_of, mounted_as
from snaproot.run import run

BUILDING = "org.snaproot:building"
"""On the home of an adoption that is not complete: the boot environment that goes with it."""
SEED = "snaproot-seed"
"""The snapshot that areas are copied out of; clones of it are thrown away again."""
_FOR_EVER = ("casesensitivity", "normalization", "utf8only")
_LEGACY: Mapping[str, str | int] = {"mountpoint": "legacy"}
_SEED_PLACE = "seed"


class _PartialNames(Names):
    """The names while the home is not in sight yet."""

    @property
    def home(self) -> str:
        return f"{self.pool}/{HOME}.partial"


class _PartialView(View):
    @property
    def names(self) -> Names:
        return _PartialNames(self.pool)


@dataclass(frozen=True, slots=True)
class Datasets:
    """Implements `snaproot.adoption.volumes.Ground`; `top` is where the pool's view is."""

    top: Path
    pool: str

    @property
    def kind(self) -> str:
        return "zfs"

    @property
    def lock(self) -> Path:
        """Name what every process sees alike: the view is each one's own."""
        return self.top.parent

    @property
    def word(self) -> str:
        return "dataset"

    def place(self, name: str) -> Path:
        """Mount a dataset beside the view of snaproot's own, by its name."""
        return mount(name, self.top / "@datasets" / name.replace("/", "%"))

    def volumes(self) -> Sequence[Volume]:
        """List none: a dataset in another one is mounted there, and never copied along."""
        return []

    def is_volume(self, place: Path) -> bool:
        """Tell whether there is one, and have it at its place, as all others are at theirs."""
        name = self._dataset(place)
        if not binding.exists(name):
            return False
        mount(name, place)
        return True

    def create(self, place: Path) -> None:
        name = self._dataset(place)
        ensure(name.rpartition("/")[0])
        binding.create(name, _LEGACY)
        mount(name, place)

    def copy(self, source: Path, place: Path, *, passing: bool = False) -> None:  # noqa: ARG002
        """Copy the files of a dataset, as they are at one instant."""
        frozen = f"{self._mounted(source)}@{SEED}"
        self._drop_seed(frozen)
        binding.snapshot([frozen], SEED)
        seed = mount(frozen, self.top / "@copied")
        self.create(place)
        copy_tree(seed, place)
        release(seed)
        self._drop_seed(frozen)

    def gather(self, source: Path, seed: Path, inner: Collection[str]) -> None:  # noqa: ARG002
        frozen = f"{self._mounted(source)}@{SEED}"
        self._drop_seed(frozen)
        binding.snapshot([frozen], SEED)
        mount(frozen, seed)

    def carve(self, seed: Path, inner: str, place: Path, *, passing: bool = False) -> None:
        if passing:
            self._lend(seed, inner, place)
        elif place.name == "etc" and place.parent.name == "root":
            binding.create(self._dataset(place), ETC)
            mount(self._dataset(place), place)
            copy_tree(seed / inner, place)
        else:
            self.create(place)
            copy_tree(seed / inner, place)

    def _lend(self, seed: Path, inner: str, place: Path) -> None:
        """Show a directory of a clone at a place: it takes no time, and goes with the clone."""
        name = self._dataset(place)
        ensure(name.rpartition("/")[0])
        binding.clone(self._mounted(seed), name, _LEGACY)
        whole = mount(name, self._lent(name))
        place.mkdir(mode=0o700, exist_ok=True)
        run(["mount", "--bind", str(whole / inner), str(place)])

    def remove(self, place: Path) -> None:
        """Destroy what is at and below a place; of a root that was not finished, that too."""
        name = self._dataset(place)
        for one in (place, self._lent(name)):
            release(one)
        if (place.parent.name, place.name) == (SNAPROOT, _SEED_PLACE):
            for (snapshot,) in commands.listed("snapshot", ["name"], self.pool):
                if snapshot.endswith(f"@{SEED}"):
                    self._drop_seed(snapshot)
        if binding.exists(name):
            building = commands.local(name).get(name, {}).get(BUILDING, "")
            if building and place.name == PARTIAL:
                self._forsake(building)
            raze(name)
        with translated(f"remove {place}"):
            if os.path.lexists(place):
                carving.remove(place)

    def move(self, place: Path, to: Path) -> None:
        release(place)
        binding.rename(self._dataset(place), self._dataset(to))
        place.rmdir()
        mount(self._dataset(to), to)

    def seal(self, place: Path) -> None:
        commands.put(self._dataset(place), {"readonly": "on"})

    def sync(self) -> None:
        binding.sync(self.pool)

    def filesystem(self, layout: Layout, booted: Path | None = None) -> Filesystem:
        return Zfs(self._view(layout), booted)

    def pointer(self) -> int | str:
        return commands.pool_value(self.pool, "bootfs")

    def lay_out(self, layout: Layout, root: str) -> None:
        """Make the home, which all areas inherit from: it has what the original has set."""
        names = self._view(layout).names
        asked = {
            **likeness.unlike(root, self.pool, _FOR_EVER),
            "mountpoint": "legacy",
            "canmount": "noauto",
        }
        words = [word for name, value in asked.items() for word in ("-o", f"{name}={value}")]
        commands.output(["zfs", "create", *words, names.home], f"make {names.home}")
        likeness.carry({names.home: root})
        mount(names.home, layout.snaproot)
        layout.snaproot.chmod(0o700)
        ensure(names.areas)
        plain = (layout.environments, layout.areas, layout.record, layout.log, layout.trash)
        for directory in (*plain, layout.loader, layout.cache):
            directory.mkdir(mode=0o700)

    def declare(self, layout: Layout, original: Environment, name: str, *, runs: bool) -> None:
        view = self._view(layout)
        listing.declare_original(view, original.id, name)
        extra = {listing.DEFAULT: self.pointer()} if runs else {}
        Zfs(view, None).describe(replace(original, extra=extra))

    def branch(self, source: Path, root: Path) -> None:
        """Clone the original; a cut leaves what the home names as being built."""
        original, names = self._mounted(source), Names(self.pool)
        id, home = root.parent.name, self._home(root)
        if home != names.home:
            commands.put(home, {BUILDING: id})
        ensure(names.container)
        origin = f"{original}@{adopted_snapshot(id)}"
        binding.snapshot([origin], id)
        binding.clone(origin, names.root(id), ROOT)
        likeness.carry({names.root(id): original})
        mount(names.root(id), root)

    def keep_etc(self, layout: Layout, id: str) -> None:
        etc = self._view(layout).names.etc(id)
        binding.snapshot([f"{etc}@{parent_snapshot(id)}"], id)

    def keep(self, name: str, area: str) -> None:
        if name.partition("/")[0] == self.pool:  # another pool is none of ours
            places.keep(name, area)

    def put_in_place(self, layout: Layout, top: Path) -> None:
        names = Names(self.pool)
        partial = self._view(layout).names.home
        self.sync()
        release(layout.top)
        binding.rename(partial, names.home)
        self.sync()
        commands.unset(names.home, BUILDING)
        layout.snaproot.rmdir()
        layout.top.rmdir()
        mount(names.home, Layout(top).snaproot)

    def mounting(self, name: str, entry: Entry | None) -> Sequence[str]:  # noqa: ARG002
        """Mount it by mount(2) alone: the helper refuses what has a mount point of its own."""
        return ("-i", "-t", "zfs", name)

    # -- what is where ---------------------------------------------------------------------------

    def _view(self, layout: Layout) -> View:
        kind = _PartialView if layout.top.name == PARTIAL else View
        return kind(layout, self.pool)

    def _home(self, place: Path) -> str:
        partial = PARTIAL in place.relative_to(self.top).parts[:1]
        return (_PartialNames if partial else Names)(self.pool).home

    def _dataset(self, place: Path) -> str:
        """Name the dataset that is at a place of the view, if there is one."""
        names, parts = Names(self.pool), place.relative_to(self.top).parts
        inner = parts[2:] if parts[:1] == (PARTIAL,) else parts[1:]
        match inner:
            case ("environments", id, "root"):
                return names.root(id)
            case ("environments", id, "root", "etc"):
                return names.etc(id)
        return "/".join((self._home(place), *inner))

    def _mounted(self, place: Path) -> str:
        return mount_of(place).source

    def _lent(self, name: str) -> Path:
        return self.top / "@lent" / name.replace("/", "%")

    def _drop_seed(self, frozen: str) -> None:
        """Destroy such a snapshot, and the clones of it that a cut has left; no other is made."""
        if not binding.exists(frozen):
            return
        clones = commands.values(["clones"], frozen)[frozen, "clones"].strip("-")
        for name in filter(None, clones.split(",")):
            for mounted in mounted_as(name):
                release(mounted)
            raze(name)
        binding.destroy_snapshots([frozen])

    def _forsake(self, id: str) -> None:
        """Destroy a root that was not finished, and what it was cloned from."""
        root, ending = Names(self.pool).root(id), f"@{adopted_snapshot(id)}"
        if binding.exists(root):
            origin = commands.values(["origin"], root)[root, "origin"]
            if not origin.endswith(ending):
                return
            raze(root)
        snapshots = commands.listed("snapshot", ["name"], self.pool)
        binding.destroy_snapshots(name for (name,) in snapshots if name.endswith(ending))


def raze(name: str) -> None:
    """Destroy datasets with all that is in them, the innermost first."""
    found = [row[0] for row in commands.listed("filesystem", ["name"], name)]
    for one in sorted(found, key=lambda one: one.count("/"), reverse=True):
        own = (row[0] for row in commands.listed("snapshot", ["name"], one))
        binding.destroy_snapshots(snapshot for snapshot in own if snapshot.startswith(f"{one}@"))
        binding.destroy(one)
