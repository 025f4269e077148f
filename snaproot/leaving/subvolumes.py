"""Leaving on Btrfs: every volume is a subvolume, below the top level."""

import ctypes
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from snaproot import durable
from snaproot.adoption.grounds import PARTIAL
from snaproot.errors import SnaprootError
from snaproot.filesystem import Filesystem
from snaproot.filesystem.btrfs import binding, listing, trash
from snaproot.filesystem.btrfs.backend import Btrfs
from snaproot.filesystem.faults import translated
from snaproot.filesystem.layout import SNAPROOT, Layout
from snaproot.leaving import table
from snaproot.leaving.fstabs import Fstab
from snaproot.leaving.note import Note
from snaproot.mountinfo import mount_of
from snaproot.run import run

_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)
_HERE = -100  # AT_FDCWD


@dataclass(frozen=True, slots=True)
class Subvolumes:
    """Implements `snaproot.leaving.ground.Ground`; `top` is the filesystem's top level."""

    top: Path

    @property
    def layout(self) -> Layout:
        return Layout(self.top)

    @property
    def pool(self) -> str:
        return ""

    @property
    def filesystem(self) -> Filesystem:
        return Btrfs(self.layout, None)

    def uuid(self) -> str:
        return binding.information(self.top)[1]

    def volumes(self) -> Mapping[str, int]:
        return {s.path: s.id for s in binding.subvolumes(self.top)}

    def ours(self) -> frozenset[str]:
        """Name none: what is snaproot's lies in its own subvolume."""
        return frozenset()

    def named(self, root: Path) -> str:
        return binding.subvolume_path(self.top, binding.subvolume_id(root)) or ""

    def root_of(self, id: str) -> str:
        return self.layout.inside(listing.root_of(self.layout, listing.existing(self.layout, id)))

    def place(self, name: str) -> Path:
        return self.top / name

    def etcs(self, base: str) -> tuple[Path, Path] | None:
        places = (self.etc, self.layout.etc(base))
        return places if all(map(binding.is_subvolume, places)) else None

    def show_remains(self) -> None:
        """Do nothing: they lie below the top level."""

    # -- a root and its place --------------------------------------------------------------------

    @property
    def root(self) -> Path:
        return self._building / "root"

    @property
    def etc(self) -> Path:
        return self._building / "etc"

    @property
    def _building(self) -> Path:
        return self.layout.snaproot / "leaving"

    def branch(self, base: str) -> None:
        durable.make_directory(self._building)
        binding.snapshot(self.layout.root(base), self.root)
        binding.snapshot(self.layout.etc(base), self.etc, read_only=True)

    def clear(self) -> None:
        trash.raze(self.top, self._building)

    def prefix(self, name: str) -> str:
        return f"/{name}"

    def mounting(self, name: str) -> str:
        return f"subvol={name}"

    def rooted(self, text: str, place: str) -> str:
        return table.rooted(text, place)

    def remove(self, name: str) -> None:
        trash.raze(self.top, self.top / name)

    def put(self, place: str, aside: str, *, made: bool) -> None:
        """Let it appear whole, in one step; there always is one.

        The new one takes the name of the original's later place first, then they change names.
        """
        target = self.top / place
        self.sync()
        with translated(f"put {target} in its place"):
            if not os.path.lexists(target):
                self.root.rename(target)
            elif made:
                exchange(self.root, target)
            else:
                self.root.rename(self.top / aside)
                self.sync()
                exchange(self.top / aside, target)
        self.sync()
        trash.raze(self.top, self.root)

    def attach(self, name: str, place: Path) -> None:
        device = mount_of(self.top).source
        run(["mount", "-t", "btrfs", "-o", f"subvol={name}", device, str(place)])

    def point(self, number: int, place: str) -> None:
        wanted = number or binding.subvolume_id(self.top / place)
        binding.set_default(self.top, wanted)
        self.sync()
        if binding.default_id(self.top) != wanted:
            raise SnaprootError("the default is not what it was set to; all boots as before")

    def sync(self) -> None:
        binding.sync(self.top)

    # -- what is left over -----------------------------------------------------------------------

    def remove_environments(self, place: str) -> None:  # noqa: ARG002 - a snapshot needs nobody
        layout, held = self.layout, frozenset({binding.default_id(self.top)})
        if layout.environments.is_dir():
            for home in sorted(layout.environments.iterdir()):
                trash.throw(layout, home.name, held)
        trash.empty(layout, held)

    def areas(self) -> Sequence[tuple[int, str]]:
        home = f"{self.layout.inside(self.layout.areas)}/"
        found = [s for s in binding.subvolumes(self.top) if s.path.startswith(home)]
        return [(s.id, s.path) for s in found if "/" not in s.path.removeprefix(home)]

    def names(self, area: str) -> Iterator[str]:
        yield f"@{area}"
        yield from (f"@{area}-{number}" for number in count(2))

    def rename_areas(self, said: Note, fstab: Fstab) -> None:
        """Meanwhile the root's fstab has their numbers."""
        numbers = {path: number for number, path in self.areas()}
        fstab.change(table.numbered(fstab.text, numbers))
        for number, path in self.areas():
            with translated(f"rename {path}"):
                (self.top / path).rename(self.top / said.moves[number])
        self.sync()
        fstab.change(table.named(fstab.text, said.moves))

    def hide(self) -> None:
        if self.layout.snaproot.is_dir():
            self.sync()
            trash.raze(self.top, self.top / PARTIAL)
            durable.make_directory(self.top / PARTIAL)
            with translated(f"remove {self.layout.snaproot}"):
                self.layout.snaproot.rename(self.top / PARTIAL / SNAPROOT)
            self.sync()

    def remove_rest(self) -> None:
        trash.raze(self.top, self.top / PARTIAL)
        self.sync()


def exchange(one: Path, other: Path) -> None:
    """Let two names change places, atomically (renameat2(2)). Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = (_HERE, os.fsencode(one), _HERE, os.fsencode(other))
    if libc.renameat2(*names, _EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one))
