"""The shared areas while a target is staged: throw-away copies, and what staging left in them."""

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
from snaproot.filesystem.btrfs import binding
from snaproot.filesystem.btrfs.comparison import compare
from snaproot.filesystem.btrfs.trash import subvolumes_below
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


def copy_areas(layout: Layout, id: str) -> Mapping[str, Path]:
    """Snapshot each area twice: one to write in, one to compare it with. Swap stays where it is."""
    copies: dict[str, Path] = {}
    for directory in (layout.copies(id), layout.references(id)):
        with translated(f"make {directory}"):
            directory.mkdir(mode=0o700)
    for area in declared(layout):
        if area.kind is not Kind.SWAP:
            reference = layout.references(id) / area.name
            binding.snapshot(layout.top / area.subvolume, reference, read_only=True)
            copies[area.mount] = layout.copies(id) / area.name
            binding.snapshot(reference, copies[area.mount])
    _carry_in(Inside(layout.root(id), copies))
    return copies


def collect(layout: Layout, id: str) -> Collected:
    """Keep what was added below /var, and tell what else happened in the areas."""
    additions = layout.additions(id)
    if binding.is_subvolume(additions):
        binding.delete(additions)
    binding.create(additions)
    binding.sync(layout.top)
    copies = {area.mount: layout.copies(id) / area.name for area in declared(layout)}
    _carry_out(Inside(layout.root(id), copies))
    changes: dict[str, Change] = {}
    keeper = _Keeper(additions)
    for area in declared(layout):
        if binding.is_subvolume(layout.copies(id) / area.name):
            changes |= _collect_area(layout, id, area, keeper)
    keeper.finish()
    _drop_copies(layout, id)
    return Collected(
        tuple(sorted(keeper.kept)),
        _with(changes, Change.CHANGED, Change.ADDED),
        _with(changes, Change.REMOVED),
    )


def _collect_area(layout: Layout, id: str, area: Area, keeper: "_Keeper") -> dict[str, Change]:
    """Keep what is to be kept; return the rest, by absolute path."""
    older, newer = layout.references(id) / area.name, layout.copies(id) / area.name
    told = {
        str(PurePosixPath(area.mount, nested.relative_to(newer))): Change.ADDED
        for nested in _nested(layout, newer)
    }
    binding.set_read_only(newer, read_only=True)
    if binding.subvolume(newer).changed == binding.subvolume(older).changed:
        return told
    for relative, change in sorted(compare(older, newer).items()):
        path = str(PurePosixPath(area.mount, os.fsdecode(relative)))
        if path in _CARRIED:
            continue
        if change is Change.ADDED and _is_below(path, _KEPT_BELOW):
            keeper.keep(area, newer, path)
        elif not _is_emptied(area, path):
            told[path] = change
    return told


@dataclass(slots=True)
class _Keeper:
    """Copies what was added, with the directories above it, links between files kept."""

    additions: Path
    kept: list[str] = field(default_factory=list)
    linked: dict[tuple[str, int], Path] = field(default_factory=dict)
    real: set[Path] = field(default_factory=set)
    directories: list[tuple[Path, Path]] = field(default_factory=list)

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


def _drop_copies(layout: Layout, id: str) -> None:
    for directory in (layout.copies(id), layout.references(id)):
        for area in declared(layout):
            place = directory / area.name
            if binding.is_subvolume(place):
                _delete(layout, place)
        with translated(f"remove {directory}"):
            directory.rmdir()


def _nested(layout: Layout, place: Path) -> Sequence[Path]:
    """List the subvolumes that staging made below a copy, as systemd-tmpfiles(8) does."""
    return [layout.top / found.path for found in subvolumes_below(layout, place)[1:]]


def _delete(layout: Layout, place: Path) -> None:
    doomed = (place, *_nested(layout, place))
    for subvolume in doomed:
        binding.set_read_only(subvolume, read_only=False)
    for subvolume in reversed(doomed):
        binding.delete(subvolume)


def _carry_in(inside: Inside) -> None:
    for shared, own in _CARRIED.items():
        with translated(f"carry {own} to {shared}"):
            _carry(_place(inside, own), _place(inside, shared))


def _carry_out(inside: Inside) -> None:
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
