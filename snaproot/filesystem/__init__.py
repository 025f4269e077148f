"""What snaproot asks of a copy-on-write filesystem.

One object implements all four protocols; they are apart because their callers are.
Ids that do not exist are misuse (`RuntimeError`): the caller looks in `environments()` first.
Every change is durable when its method returns, and may be repeated after a cut at any point.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from snaproot.environment import Environment


class Change(StrEnum):
    """What became of one path between two boot environments."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class PathChange:
    """One path, absolute as the booted root would see it."""

    path: str
    change: Change


@dataclass(frozen=True, slots=True)
class Workspace:
    """A target that may be written: its root, and throw-away copies of the shared areas.

    `areas` maps the place where the target sees an area (`/var`) to the copy's path here.
    """

    id: str
    root: Path
    areas: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class Collected:
    """What staging did under the areas. Only `added` is kept, the rest is told."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes: of the filesystem, and what deleting each boot environment alone would free."""

    total: int
    free: int
    exclusive: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a boot loader and a kernel find a root.

    `filesystem` is a UUID to search for, `prefix` the root's path from the top of it as GRUB reads
    it, `arguments` what the kernel's command line says to mount it. `readable`: whether a loader
    can read the kernel there; else it is given copies in its home, and `filesystem` only says whose
    they are (a pool's guid).
    """

    filesystem: str
    prefix: str
    arguments: tuple[str, ...]
    readable: bool = True


class Catalogue(Protocol):
    """Reads what exists; the filesystem is the database."""

    def environments(self) -> Sequence[Environment]:
        """Every boot environment, sorted by id, in one pass. Works read-only.

        An unreadable `environment.toml` is reported in `Environment.damage`, never raised, and what
        its kernel is known not to be able to mount any more in `Environment.beneath`.
        """

    def environment(self, id: str) -> Environment:
        """Read one that exists, without looking at the others; damage is reported as there."""

    def place(self, id: str) -> Workspace:
        """Say where an existing boot environment and the shared areas themselves are.

        For reading only: sandboxes on it are entered with `writable=False`.
        """

    def describe(self, environment: Environment) -> None:
        """Replace the metadata of an existing boot environment, atomically.

        Raises SnaprootError where the filesystem is read-only or full.
        """

    def changes(self, older: str, newer: str) -> Sequence[PathChange]:
        """Name what differs between two boot environments' roots and `/etc`, by path.

        Costs what differs, not what is there.
        """

    def space(self, ids: Sequence[str]) -> Space:
        """Say how full the filesystem is; `exclusive` has an entry for each of `ids`."""

    def verify(self, id: str, report: Callable[[float], None]) -> Sequence[PathChange]:
        """Read every file of a sealed root again and name what differs from the sealed list.

        `report` gets the fraction done. Raises Refused where the list itself is damaged.
        """

    def salvage(self, id: str) -> Environment:
        """Set unreadable metadata aside, and write anew what the filesystem itself shows.

        Raises Refused where the boot environment was never finished.
        """


class Workshop(Protocol):
    """Makes and unmakes boot environments; never touches one that it did not make."""

    def create(self, new: str, parent: str) -> Workspace:
        """Make a writable copy of `parent` (root and `/etc`), the areas' copies beside it.

        `parent` itself is not modified. After a cut `discard(new)` removes whatever there is.
        Raises SnaprootError on a full or read-only filesystem.
        """

    def collect(self, workspace: Workspace) -> Collected:
        """Keep what staging added under `/var` as the target's `additions`; drop the copies."""

    def seal(self, environment: Environment) -> Environment:
        """Make the root read-only, list its files' digests, write the metadata; all durable.

        Returns the environment as written. Costs what changed against the parent.
        """

    def intact(self, id: str) -> None:
        """Raise Refused unless `id` is sealed and unchanged since; cheap, nothing is re-read."""

    def discardable(self, id: str) -> None:
        """Raise Refused where `discard(id)` would; nothing is touched."""

    def discard(self, id: str) -> None:
        """Remove a boot environment, or what a cut left of one; gone already is fine.

        Atomic as seen by `environments()`. Raises Refused for the booted one and the default.
        What it shared with others goes with `empty_trash`, once for all that were removed; nobody
        is called so again before that.
        """

    def empty_trash(self) -> None:
        """Finish every removal, be it of a moment ago or interrupted by a cut."""


class Pointer(Protocol):
    """The filesystem's own idea of which root to mount."""

    def booted(self) -> str | None:
        """Name the boot environment that runs; None with `--sysroot`, or if it is none of ours."""

    def note_boot(self, now: datetime) -> None:
        """Remember, outside every boot environment, what the booted one's kernel can read.

        Nothing where none of ours is booted, or every kernel can read what this one can.
        """

    def default(self) -> str | None:
        """Name the one the filesystem's pointer names; None if that is none of ours."""

    def flush(self) -> None:
        """Write everything out, so that a loader which replays no log finds it."""

    def set_default(self, id: str) -> None:
        """Move the pointer in one atomic step, and make it durable before returning."""


class Booting(Protocol):
    """What belongs to a boot of one boot environment; reads only."""

    def address(self, id: str) -> Address:
        """Say how a loader and a kernel find its root."""

    def edits(self, id: str) -> Sequence[PathChange]:
        """Name what was changed in the parent's `/etc` after staging of `id` began.

        Cheap, and wrong only where somebody set a file's times back.
        """

    def additions(self, id: str) -> Path:
        """Say where what staging added below `/var` lies; there may be no such directory."""


class Filesystem(Catalogue, Workshop, Pointer, Booting, Protocol):
    """All of it: what a backend implements."""
