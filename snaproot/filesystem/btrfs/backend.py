"""Boot environments on Btrfs. The running system and `--sysroot` differ in `booted_root` alone."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from snaproot.environment import ID, Environment, Standing
from snaproot.errors import Refused, SnaprootError
from snaproot.filesystem import Address, Collected, PathChange, Space, Workspace
from snaproot.filesystem.btrfs import (
    binding,
    collecting,
    listing,
    originals,
    salvaging,
    sealing,
    trash,
)
from snaproot.filesystem.btrfs.comparison import compare
from snaproot.filesystem.collecting import declared
from snaproot.filesystem.edits import edits
from snaproot.filesystem.faults import translated
from snaproot.filesystem.layout import Layout
from snaproot.filesystem.manifest import Report, printable
from snaproot.run import run


@dataclass(frozen=True, slots=True)
class Btrfs:
    """Implements `snaproot.filesystem.Filesystem`.

    `booted_root` is `/` on the running system, None for a filesystem that nobody runs from.
    """

    layout: Layout
    booted_root: Path | None

    def environments(self) -> Sequence[Environment]:
        return listing.environments(self.layout)

    def environment(self, id: str) -> Environment:
        return listing.existing(self.layout, id)

    def place(self, id: str) -> Workspace:
        environment = listing.existing(self.layout, id)
        root = listing.root_of(self.layout, environment)
        if environment.standing is Standing.ORIGINAL:
            return Workspace(id, root, {})  # what it shares lies in itself
        return Workspace(
            id, root, {a.mount: self.layout.top / a.subvolume for a in declared(self.layout)}
        )

    def describe(self, environment: Environment) -> None:
        listing.existing(self.layout, environment.id)
        sealing.describe(self.layout, environment)

    def changes(self, older: str, newer: str) -> Sequence[PathChange]:
        for id in (older, newer):
            listing.sealed(self.layout, id)
        found = dict(compare(self.layout.root(older), self.layout.root(newer)))
        with trash.scratch(self.layout) as place:
            for id, name in ((older, "older"), (newer, "newer")):
                binding.snapshot(self.layout.etc(id), place / name, read_only=True)
            etc = compare(place / "older", place / "newer")
        found |= {b"etc/" + path if path else b"etc": change for path, change in etc.items()}
        return [PathChange(printable(path), found[path]) for path in sorted(found)]

    def space(self, ids: Sequence[str]) -> Space:
        """Say how full the filesystem is.

        `exclusive` is the file data that nothing outside one boot environment refers to, as
        `btrfs filesystem du` counts it: without metadata, without quotas, and without what a boot
        environment shares with itself alone (`/etc` and its own snapshots of it). So deleting it
        frees at least this much.
        """
        found = os.statvfs(self.layout.top)
        return Space(
            total=found.f_blocks * found.f_frsize,
            free=found.f_bavail * found.f_frsize,
            exclusive=self._exclusive(ids),
        )

    def verify(self, id: str, report: Report) -> Sequence[PathChange]:
        return sealing.verify(self.layout, id, report)

    def salvage(self, id: str) -> Environment:
        listing.existing(self.layout, id)
        return salvaging.salvage(self.layout, id)

    def create(self, new: str, parent: str) -> Workspace:
        layout = self.layout
        if not ID.fullmatch(new) or layout.home(new).exists():
            raise RuntimeError(f"{new} exists already, or is no id")
        listing.sealed(layout, parent)
        with translated(f"make {layout.home(new)}"):
            layout.home(new).mkdir(mode=0o700)
        binding.snapshot(layout.root(parent), layout.root(new))
        with translated(f"make room for {layout.etc(new)}"):
            # what a snapshot leaves of a nested subvolume is an unwritable directory, inode 2
            layout.etc(new).rmdir()
        binding.snapshot(layout.etc(parent), layout.etc(new))
        binding.snapshot(layout.etc(new), layout.etc_parent(new), read_only=True)
        return Workspace(new, layout.root(new), collecting.copy_areas(layout, new))

    def collect(self, workspace: Workspace) -> Collected:
        listing.existing(self.layout, workspace.id)
        return collecting.collect(self.layout, workspace.id)

    def seal(self, environment: Environment) -> Environment:
        return sealing.seal(self.layout, environment)

    def intact(self, id: str) -> None:
        sealing.intact(self.layout, id)

    def discardable(self, id: str) -> None:
        if not ID.fullmatch(id):
            raise RuntimeError(f"{id} is no id")
        if id in (self.booted(), self.default()):
            raise Refused(f"{id} is booted or the default; nothing was changed")
        originals.check(self.layout, id)

    def discard(self, id: str) -> None:
        self.discardable(id)
        originals.take_in(self.layout, id)
        trash.throw(self.layout, id, self._held())

    def empty_trash(self) -> None:
        """Destroy what cuts have left in the trash; nothing there is fine."""
        trash.empty(self.layout, self._held())
        for id in originals.taken_in(self.layout):
            if id not in (self.booted(), self.default()):
                trash.throw(self.layout, id, self._held())

    def booted(self) -> str | None:
        if self.booted_root is None:
            return None
        return listing.named(self.layout, binding.subvolume_id(self.booted_root))

    def note_boot(self, now: datetime) -> None:
        """Nothing: no use of a Btrfs takes an older kernel's root from it by itself."""

    def default(self) -> str | None:
        return listing.default(self.layout)

    def flush(self) -> None:
        binding.sync(self.layout.top)

    def set_default(self, id: str) -> None:
        environment = listing.existing(self.layout, id)
        if not environment.complete:
            why = environment.damage or "it is not sealed"
            raise Refused(f"{id} cannot be the default: {why}; the default was not moved")
        wanted = listing.pointed_at(self.layout, environment)
        binding.set_default(self.layout.top, wanted)
        binding.sync(self.layout.top)
        if binding.default_id(self.layout.top) != wanted:
            raise SnaprootError(f"the default is not {id} after it was set")

    @property
    def uuid(self) -> str:
        """What a boot loader searches for."""
        return binding.information(self.layout.top)[1]

    def address(self, id: str) -> Address:
        environment = listing.existing(self.layout, id)
        subvolume = self.layout.inside(listing.root_of(self.layout, environment))
        arguments = (f"root=UUID={self.uuid}", "ro", f"rootflags=subvol={subvolume}")
        return Address(self.uuid, f"/{subvolume}", arguments)

    def edits(self, id: str) -> Sequence[PathChange]:
        before = self.layout.etc_parent(id)
        parent = listing.existing(self.layout, id).parent
        if not (binding.is_subvolume(before) and self.layout.home(parent).is_dir()):
            return []
        after = listing.root_of(self.layout, listing.existing(self.layout, parent)) / "etc"
        return edits(before, after) if after.is_dir() else []

    def additions(self, id: str) -> Path:
        return self.layout.additions(id)

    def _held(self) -> frozenset[int]:
        held = {binding.default_id(self.layout.top)}
        if self.booted_root is not None:
            held.add(binding.subvolume_id(self.booted_root))
        return frozenset(held)

    def _exclusive(self, ids: Sequence[str]) -> Mapping[str, int]:
        places = [self._whole(id) for id in ids]
        if not places:
            return {}
        output = run(["btrfs", "filesystem", "du", "-s", "--raw", "--", *places]).output
        figures = [line.split(maxsplit=3) for line in output.splitlines()[1:]]
        return {id: int(figure[1]) for id, figure in zip(ids, figures, strict=True)}

    def _whole(self, id: str) -> str:
        environment = listing.existing(self.layout, id)
        original = environment.standing is Standing.ORIGINAL
        root = listing.root_of(self.layout, environment)
        return str(root if original else self.layout.home(id))
