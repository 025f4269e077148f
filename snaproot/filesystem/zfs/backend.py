"""Boot environments on ZFS. The running system and `--sysroot` differ in `booted_root` alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from snaproot import durable
from snaproot.environment import ID, Environment, Standing
from snaproot.errors import Refused, SnaprootError
from snaproot.filesystem import Address, Collected, PathChange, Space, Workspace
from snaproot.filesystem.edits import edits
from snaproot.filesystem.layout import Layout
from snaproot.filesystem.manifest import Report, printable
from snaproot.filesystem.zfs import (
    binding,
    collecting,
    commands,
    differing,
    floor,
    listing,
    places,
    room,
    salvaging,
    sealing,
    staging,
    trash,
)
from snaproot.filesystem.zfs.names import adopted_snapshot, parent_snapshot
from snaproot.filesystem.zfs.view import View, mount
from snaproot.mountinfo import mount_of, mounted_from


@dataclass(frozen=True, slots=True)
class Zfs:
    """Implements `snaproot.filesystem.Filesystem`.

    `booted_root` is `/` on the running system, None for a pool that nobody runs from.
    """

    view: View
    booted_root: Path | None

    @property
    def layout(self) -> Layout:
        return self.view.layout

    def environments(self) -> Sequence[Environment]:
        return floor.marked(self.view, listing.environments(self.view))

    def environment(self, id: str) -> Environment:
        return floor.marked(self.view, [listing.existing(self.view, id)])[0]

    def place(self, id: str) -> Workspace:
        environment = listing.existing(self.view, id)
        if environment.standing is Standing.ORIGINAL:
            root = self.view.root(id, listing.dataset_of(self.view, id))
            return Workspace(id, root, {})  # what it shares lies in itself
        areas = {area.mount: self.view.shared(area) for area in places.located(self.view)}
        return Workspace(id, self.view.root(id), areas)

    def describe(self, environment: Environment) -> None:
        listing.existing(self.view, environment.id)
        sealing.describe(self.view, environment)

    def changes(self, older: str, newer: str) -> Sequence[PathChange]:
        for id in (older, newer):
            listing.sealed(self.view, id)
        found = differing.changes(self.view, older, newer)
        return [PathChange(printable(path), found[path]) for path in sorted(found)]

    def space(self, ids: Sequence[str]) -> Space:
        return room.space(self.view, ids)

    def verify(self, id: str, report: Report) -> Sequence[PathChange]:
        return sealing.verify(self.view, id, report)

    def salvage(self, id: str) -> Environment:
        listing.existing(self.view, id)
        return salvaging.salvage(self.view, id)

    def create(self, new: str, parent: str) -> Workspace:
        there = self.layout.home(new).exists() or binding.exists(self.view.names.root(new))
        if not ID.fullmatch(new) or there:
            raise RuntimeError(f"{new} exists already, or is no id")
        return staging.create(self.view, new, parent)

    def collect(self, workspace: Workspace) -> Collected:
        listing.existing(self.view, workspace.id)
        return collecting.collect(self.view, workspace.id)

    def seal(self, environment: Environment) -> Environment:
        return sealing.seal(self.view, environment)

    def intact(self, id: str) -> None:
        sealing.intact(self.view, id)

    def discardable(self, id: str) -> None:
        self._expendable(id)

    def discard(self, id: str) -> None:
        trash.throw(self.view, self._expendable(id))

    def empty_trash(self) -> None:
        """Finish every removal that a cut interrupted, and drop what staging left behind."""
        trash.empty(self.view)

    def booted(self) -> str | None:
        dataset = self._booted_dataset()
        return listing.named(self.view, dataset) if dataset is not None else None

    def note_boot(self, now: datetime) -> None:
        booted = self.booted()
        if booted is not None:
            there = [one.id for one in listing.environments(self.view)]
            floor.note(self.view, booted, there, now)

    def default(self) -> str | None:
        return listing.default(self.view)

    def flush(self) -> None:
        for point in mounted_from(self.layout.top):
            durable.sync_filesystem(point)
        binding.sync(self.view.pool)

    def set_default(self, id: str) -> None:
        environment = listing.existing(self.view, id)
        if not environment.complete:
            why = environment.damage or "it is not sealed"
            raise Refused(f"{id} cannot be the default: {why}; the default was not moved")
        wanted = listing.pointed_at(self.view, environment)
        commands.put_pool(self.view.pool, "bootfs", wanted)
        if commands.pool_value(self.view.pool, "bootfs") != (wanted or "-"):
            raise SnaprootError(f"the default is not {id} after it was set")

    @property
    def uuid(self) -> str:
        """What a boot loader searches for: the pool's guid, as GRUB writes it (zfs.c)."""
        return f"{int(commands.pool_value(self.view.pool, 'guid')):016x}"

    def address(self, id: str) -> Address:
        listing.existing(self.view, id)
        dataset = listing.dataset_of(self.view, id)
        inner = dataset.removeprefix(self.view.pool)
        # a blank would end the word: initramfs-tools and dracut read a plus sign as one
        arguments = (f"root=ZFS={dataset.replace(' ', '+')}", "ro")
        return Address(self.uuid, f"{inner}/@", arguments, readable=False)

    def edits(self, id: str) -> Sequence[PathChange]:
        parent = listing.existing(self.view, id).parent
        found = {one.id: one for one in self.environments()}.get(parent)
        original = found is not None and found.standing is Standing.ORIGINAL
        before = self._made_from(id) if original else self._etc_of_parent(id)
        if found is None or not before:
            return []
        older = mount(before, self.layout.etc_parent(id))
        places = older / "etc" if original else older, self.place(parent).root / "etc"
        return edits(*places) if all(place.is_dir() for place in places) else []

    def additions(self, id: str) -> Path:
        return self.layout.additions(id)

    def _expendable(self, id: str) -> listing.Root:
        """Find a root that could be removed. Raises Refused as `discardable`."""
        if not ID.fullmatch(id):
            raise RuntimeError(f"{id} is no id")
        root = listing.located(self.view, id)
        if root.dataset == self._booted_dataset() or listing.is_default(self.view, root):
            raise Refused(f"{id} is booted or the default; nothing was changed")
        trash.check(self.view, root)
        return root

    def _booted_dataset(self) -> str | None:
        if self.booted_root is None:
            return None
        mount = mount_of(self.booted_root)
        return mount.source if mount.kind == "zfs" else None

    def _made_from(self, id: str) -> str:
        """Name the snapshot that an adopted root was cloned from; empty where there is none."""
        root = self.view.names.root(id)
        origin = commands.values(["origin"], root)[root, "origin"]
        return origin if origin.endswith(f"@{adopted_snapshot(id)}") else ""

    def _etc_of_parent(self, id: str) -> str:
        """Name the parent's `/etc` as it was when staging began; empty where there is none."""
        etc = self.view.names.etc(id)
        if not binding.exists(etc):
            return ""
        origin = commands.values(["origin"], etc)[etc, "origin"]
        own = f"{etc}@{parent_snapshot(id)}"
        if origin.endswith(f"@{parent_snapshot(id)}"):
            return origin
        return own if binding.exists(own) else ""
