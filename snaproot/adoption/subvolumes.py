"""Adopting on Btrfs: every volume is a subvolume, and nothing is ever copied but by snapshots."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from snaproot.adoption import carving
from snaproot.adoption.volumes import Volume
from snaproot.environment import Environment
from snaproot.filesystem import Filesystem
from snaproot.filesystem.btrfs import binding, trash
from snaproot.filesystem.btrfs.backend import Btrfs
from snaproot.filesystem.btrfs.listing import DEFAULT, SUBVOLUME
from snaproot.filesystem.layout import Layout
from snaproot.fstab import Entry
from snaproot.mountinfo import mount_of


@dataclass(frozen=True, slots=True)
class Subvolumes:
    """Implements `snaproot.adoption.volumes.Ground`; `top` is the filesystem's top level."""

    top: Path

    @property
    def kind(self) -> str:
        return "btrfs"

    @property
    def lock(self) -> Path:
        return self.top

    @property
    def word(self) -> str:
        return "subvolume"

    def place(self, name: str) -> Path:
        return self.top / name

    def volumes(self) -> Sequence[Volume]:
        return [Volume(one.path, one.read_only) for one in binding.subvolumes(self.top)]

    def is_volume(self, place: Path) -> bool:
        return binding.is_subvolume(place)

    def create(self, place: Path) -> None:
        binding.create(place)

    def copy(self, source: Path, place: Path, *, passing: bool = False) -> None:  # noqa: ARG002
        binding.snapshot(source, place)

    def gather(self, source: Path, seed: Path, inner: Collection[str]) -> None:
        """Prune one snapshot to what becomes subvolumes, so that each of them is quickly made."""
        binding.snapshot(source, seed)
        carving.prune(seed, inner)

    def carve(
        self,
        seed: Path,
        inner: str,
        place: Path,
        *,
        passing: bool = False,  # noqa: ARG002
    ) -> None:
        binding.snapshot(seed, place)
        carving.move_up(place, inner)

    def remove(self, place: Path) -> None:
        trash.raze(self.top, place)

    def move(self, place: Path, to: Path) -> None:
        place.rename(to)

    def seal(self, place: Path) -> None:
        binding.set_read_only(place, read_only=True)

    def sync(self) -> None:
        binding.sync(self.top)

    def filesystem(self, layout: Layout, booted: Path | None = None) -> Filesystem:
        return Btrfs(layout, booted)

    def pointer(self) -> int | str:
        return binding.default_id(self.top)

    def lay_out(self, layout: Layout, root: str) -> None:  # noqa: ARG002
        layout.top.mkdir(mode=0o700)
        binding.create(layout.snaproot)
        layout.snaproot.chmod(0o700)
        plain = (layout.environments, layout.areas, layout.record, layout.log, layout.trash)
        for directory in plain:
            directory.mkdir(mode=0o700)
        for subvolume in (layout.loader, layout.cache):
            binding.create(subvolume)

    def declare(self, layout: Layout, original: Environment, name: str, *, runs: bool) -> None:
        """Write where it is into its metadata, and what the default was where it stays that."""
        extra: dict[str, object] = {SUBVOLUME: name} if name or runs else {}
        if runs:
            extra[DEFAULT] = self.pointer()
        Btrfs(layout, None).describe(replace(original, extra=extra))

    def branch(self, source: Path, root: Path) -> None:
        binding.snapshot(source, root)

    def keep_etc(self, layout: Layout, id: str) -> None:
        binding.snapshot(layout.etc(id), layout.etc_parent(id), read_only=True)

    def keep(self, name: str, area: str) -> None:
        """Nothing: fstab(5) names it too, and it is found by no other mark."""

    def put_in_place(self, layout: Layout, top: Path) -> None:
        self.sync()
        layout.snaproot.rename(Layout(top).snaproot)
        self.sync()

    def mounting(self, name: str, entry: Entry | None) -> Sequence[str]:
        device = mount_of(Path("/")).source
        line = entry or Entry(0, device, "", "btrfs")
        options = line.without("subvolid").having(f"subvol=/{name}").options
        return ("-t", "btrfs", "-o", ",".join(options), device)
