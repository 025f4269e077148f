"""What adopting asks of a copy-on-write filesystem: trees that are made, copied, removed as one.

A *volume* is a Btrfs subvolume or a ZFS dataset. Places are paths in the view that `Layout` names;
a *name* is what the filesystem itself calls a volume, from its top.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from snaproot.environment import Environment
from snaproot.filesystem import Filesystem
from snaproot.filesystem.layout import Layout
from snaproot.fstab import Entry


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume, by its name."""

    name: str
    readonly: bool


class Volumes(Protocol):
    """Makes and unmakes them. Every method raises SnaprootError where the filesystem refuses."""

    def place(self, name: str) -> Path:
        """Say where a volume can be seen."""

    def volumes(self) -> Sequence[Volume]:
        """List every volume that another may lie in, sorted by nothing."""

    def is_volume(self, place: Path) -> bool:
        """Tell whether there is a volume at exactly this place."""

    def create(self, place: Path) -> None:
        """Make an empty one."""

    def copy(self, source: Path, place: Path, *, passing: bool = False) -> None:
        """Copy one, without what is nested in it.

        The copy keeps nothing of the source alive; a `passing` one may, as it does not stay.
        """

    def gather(self, source: Path, seed: Path, inner: Collection[str]) -> None:
        """Keep the directories `inner` of a volume as they are now, to carve them out of `seed`."""

    def carve(self, seed: Path, inner: str, place: Path, *, passing: bool = False) -> None:
        """Make a directory of a seed a volume: its content, owner, mode and attributes."""

    def remove(self, place: Path) -> None:
        """Remove a tree that nobody uses, volumes in it and all; gone already is fine."""

    def move(self, place: Path, to: Path) -> None:
        """Rename a volume, over nothing."""

    def seal(self, place: Path) -> None:
        """Make one read-only."""

    def sync(self) -> None:
        """Write everything out."""


class Ground(Volumes, Protocol):
    """A filesystem that is being adopted."""

    @property
    def kind(self) -> str:
        """What mount(8) calls its type."""

    @property
    def lock(self) -> Path:
        """Name the directory that one adoption at a time locks."""

    @property
    def word(self) -> str:
        """What its users call a volume."""

    def filesystem(self, layout: Layout, booted: Path | None = None) -> Filesystem:
        """Return what finds the boot environments of a layout; `booted` is the running root."""

    def pointer(self) -> int | str:
        """Say what the filesystem's own pointer names now."""

    def lay_out(self, layout: Layout, root: str) -> None:
        """Make the empty tree; only root may go in, as old programs may be set-user-id.

        `root` is the original's name.
        """

    def declare(self, layout: Layout, original: Environment, name: str, *, runs: bool) -> None:
        """Describe the root that is there already, by its name; `runs`: it stays the base."""

    def branch(self, source: Path, root: Path) -> None:
        """Copy the original as the root of a boot environment, sharing everything with it."""

    def keep_etc(self, layout: Layout, id: str) -> None:
        """Keep the original's `/etc` as it is now: what is edited from now on is named later."""

    def keep(self, name: str, area: str) -> None:
        """Remember that a volume, which stays where it is, is an area, whatever it is called."""

    def put_in_place(self, layout: Layout, top: Path) -> None:
        """Rename a complete tree into sight, durable before and after."""

    def mounting(self, name: str, entry: Entry | None) -> Sequence[str]:
        """Say how mount(8) mounts a volume by its name, as the line of fstab(5) would."""
