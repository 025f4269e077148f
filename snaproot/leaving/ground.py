"""What leaving asks of a copy-on-write filesystem, beside the backend that it has anyway.

A *volume* is a Btrfs subvolume or a ZFS dataset. Names are from the filesystem's top; a volume's
number stays the same whatever it is called.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from snaproot.filesystem import Filesystem
from snaproot.filesystem.layout import Layout
from snaproot.leaving.fstabs import Fstab
from snaproot.leaving.note import Note


class Known(Protocol):
    """What is there. Every method raises SnaprootError where the filesystem refuses."""

    @property
    def layout(self) -> Layout:
        """Say where snaproot's own files lie."""

    @property
    def pool(self) -> str:
        """Name the pool; empty on Btrfs."""

    @property
    def filesystem(self) -> Filesystem:
        """Return what knows the boot environments."""

    def uuid(self) -> str:
        """Say what a boot loader searches for."""

    def volumes(self) -> Mapping[str, int]:
        """Name every volume, with its number."""

    def ours(self) -> frozenset[str]:
        """Name those that are snaproot's, and lie among others."""

    def named(self, root: Path) -> str:
        """Name the volume that is mounted at `root`."""

    def root_of(self, id: str) -> str:
        """Name the volume that is a boot environment's root."""

    def place(self, name: str) -> Path:
        """Say where a volume can be seen."""

    def etcs(self, base: str) -> tuple[Path, Path] | None:
        """Say where the base's `/etc` is as it was copied, and as it is; None if one is gone."""

    def show_remains(self) -> None:
        """Have in sight what a cut has left of the very end."""


class Places(Protocol):
    """Makes a root, and lets it have its place."""

    @property
    def root(self) -> Path:
        """Say where a root is while it is built."""

    @property
    def etc(self) -> Path:
        """Say where the base's `/etc` is kept as it was copied."""

    def branch(self, base: str) -> None:
        """Copy the base, writable, and keep its `/etc` as it is at that moment."""

    def clear(self) -> None:
        """Remove what was being built; nothing there is fine."""

    def prefix(self, name: str) -> str:
        """Say what GRUB puts before a path in that volume."""

    def mounting(self, name: str) -> str:
        """Say which word of the kernel's command line, or of `rootflags=`, names that volume."""

    def rooted(self, text: str, place: str) -> str:
        """Let an fstab(5) mount the volume at a place as `/`."""

    def remove(self, name: str) -> None:
        """Remove a volume that nobody uses; gone already is fine."""

    def put(self, place: str, aside: str, *, made: bool) -> None:
        """Let the root appear at its place; `made`: what is there is one of ours, and goes.

        Anything else that is there becomes `aside`.
        """

    def attach(self, name: str, place: Path) -> None:
        """Mount a volume at a directory outside of the view."""

    def point(self, number: int, place: str) -> None:
        """Set the default to a volume: 0 for the one at `place`, 5 for none, and read it back."""

    def sync(self) -> None:
        """Write everything out."""


class Ground(Known, Places, Protocol):
    """A filesystem that is being left."""

    def remove_environments(self, place: str) -> None:
        """Delete every boot environment of ours; the root at `place` depends on none of them."""

    def areas(self) -> Sequence[tuple[int, str]]:
        """List areas that still lie in our own; what is nested in one goes with it."""

    def names(self, area: str) -> Iterator[str]:
        """Propose names for an area outside of our own."""

    def rename_areas(self, said: Note, fstab: Fstab) -> None:
        """Give areas the names that the note has for them; every line mounts at any moment."""

    def hide(self) -> None:
        """Take what remains out of sight in one step."""

    def remove_rest(self) -> None:
        """Destroy it."""
