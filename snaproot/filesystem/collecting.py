"""What is kept of what staging left in copies of the shared areas. Shared by the backends."""

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from snaproot import areas
from snaproot.areas import Area, Kind
from snaproot.errors import NeedsRecovery
from snaproot.filesystem import Change, Collected
from snaproot.filesystem.cloning import copy, copy_attributes
from snaproot.filesystem.faults import translated
from snaproot.filesystem.layout import Layout
from snaproot.inside import Inside

_KEPT_BELOW = "/var"
_EMPTIED = (
    "/var/cache",
    "/var/log",
    "/var/spool",
    "/var/tmp",  # noqa: S108 - names what is left out, nothing is written there
    "/var/lib/apt/lists",
    "/var/lib/systemd/catalog",
)
"""Of these only new directories are kept: services expect them, their content is nobody's."""
_CARRIED = {"/var/lib/shells.state": "/usr/lib/sysimage/shells.state"}
"""Single files that belong to the root, but are replaced by rename where a link would not last."""


def declared(layout: Layout) -> Sequence[Area]:
    """Read the declared areas that roots see. Raises NeedsRecovery where the list is damaged."""
    path = layout.record / areas.NAME
    try:
        found = areas.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise NeedsRecovery(f"{path} cannot be read ({error}); nothing was changed") from error
    return tuple(area for area in found if area.mount)


@dataclass(slots=True)
class Keeper:
    """Copies what was added, with the directories above it, links between files kept."""

    additions: Path
    kept: list[str] = field(default_factory=list)
    linked: dict[tuple[str, int], Path] = field(default_factory=dict)
    real: set[Path] = field(default_factory=set)
    directories: list[tuple[Path, Path]] = field(default_factory=list)

    def sort_out(
        self, area: Area, copied: Path, found: Mapping[bytes, Change]
    ) -> dict[str, Change]:
        """Keep what is to be kept of what became of an area; return the rest, by absolute path."""
        told: dict[str, Change] = {}
        for relative, change in sorted(found.items()):
            path = str(PurePosixPath(area.mount, os.fsdecode(relative)))
            if path in _CARRIED:
                continue
            if change is Change.ADDED and _is_below(path, _KEPT_BELOW):
                self.keep(area, copied, path)
            elif not _is_emptied(area, path):
                told[path] = change
        return told

    def collected(self, told: Mapping[str, Change]) -> Collected:
        """Say what was kept, and what else happened."""
        return Collected(
            tuple(sorted(self.kept)),
            _with(told, Change.CHANGED, Change.ADDED),
            _with(told, Change.REMOVED),
        )

    def keep(self, area: Area, copied: Path, path: str) -> None:
        """Copy one added path, unless it is of a kind that is not kept."""
        source = copied / PurePosixPath(path).relative_to(area.mount)
        directory = source.is_dir() and not source.is_symlink()
        if _is_emptied(area, path) and not directory:
            return
        target = self.additions / path.lstrip("/")
        with translated(f"keep {path}"):
            self._above(source.parent, target.parent, area.mount)
            if self._put(area.name, source, target):
                self.kept.append(path)
            if directory:
                self.directories.append((source, target))

    def finish(self) -> None:
        """Set the times of directories, which filling them has moved."""
        with translated("keep what staging added"):
            for source, target in reversed(self.directories):
                copy_attributes(source, target)

    def _above(self, source: Path, target: Path, mount: str) -> None:
        """Make the directories above: areas meet here, and a link of one may stand in the way."""
        if target == self.additions or target in self.real:
            return
        inside = target.is_relative_to(self.additions / mount.lstrip("/"))
        self._above(source.parent if inside else source, target.parent, mount)
        if os.path.lexists(target):
            if not stat.S_ISDIR(target.lstat().st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(target))
        elif inside:
            copy(source, target)
            self.directories.append((source, target))
        else:
            target.mkdir()
        self.real.add(target)

    def _put(self, area: str, source: Path, target: Path) -> bool:
        found = source.lstat()
        first = self.linked.setdefault((area, found.st_ino), target)
        if first != target and found.st_nlink > 1:
            os.link(first, target, follow_symlinks=False)
            return True
        return copy(source, target)


def carry_in(inside: Inside) -> None:
    """Give the copies the single files that belong to the root."""
    for shared, own in _CARRIED.items():
        with translated(f"carry {own} to {shared}"):
            _carry(_place(inside, own), _place(inside, shared))


def carry_out(inside: Inside) -> None:
    """Take the single files that belong to the root out of the copies again."""
    for shared, own in _CARRIED.items():
        with translated(f"carry {shared} to {own}"):
            _carry(_place(inside, shared), _place(inside, own))


def _carry(source: Path | None, target: Path | None) -> None:
    if source is None or target is None or not _is_plain(source) or _same(source, target):
        return
    target.unlink(missing_ok=True)
    copy(source, target)


def _place(inside: Inside, path: str) -> Path | None:
    """Say where a root would put a file; None where it has no such directory."""
    directory, _, name = path.rpartition("/")
    try:
        found = inside.locate(directory)
    except OSError:
        return None
    return found / name if found.is_dir() else None


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _same(one: Path, other: Path) -> bool:
    return _is_plain(other) and one.read_bytes() == other.read_bytes()


def _is_emptied(area: Area, path: str) -> bool:
    return area.kind in {Kind.LOG, Kind.CACHE} or any(_is_below(path, p) for p in _EMPTIED)


def _is_below(path: str, place: str) -> bool:
    return PurePosixPath(path).is_relative_to(place)


def _with(changes: Mapping[str, Change], *which: Change) -> tuple[str, ...]:
    return tuple(sorted(path for path, change in changes.items() if change in which))
