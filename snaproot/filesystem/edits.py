"""What somebody changed in a `/etc` that was copied meanwhile: seen by what stat(2) tells."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from snaproot.filesystem import Change, PathChange
from snaproot.filesystem.faults import translated
from snaproot.filesystem.manifest import printable

_Seen = dict[bytes, tuple[object, ...]]
_MADE = {b".updated", b".pwd.lock", b"adjtime", b"ld.so.cache", b"mtab"}
"""Of the machine's own making, at every boot or whenever a program asks: no edits of anybody's."""


def edits(before: Path, after: Path) -> list[PathChange]:
    """Compare two trees without reading any file: a snapshot keeps every file's times."""
    with translated(f"compare {before} with {after}"):
        old, new = _seen(before), _seen(after)
    changed = [path for path in sorted({*old, *new}) if old.get(path) != new.get(path)]
    return [PathChange(printable(b"etc/" + p), _change(old, new, p)) for p in changed]


def _seen(root: Path) -> _Seen:
    return {path: _state(found, full) for path, found, full in _walk(os.fsencode(root), b"")}


def _walk(root: bytes, inner: bytes) -> Iterator[tuple[bytes, os.stat_result, bytes]]:
    with os.scandir(os.path.join(root, inner)) as entries:  # noqa: PTH118 - bytes of any name
        below = [(inner + entry.name, entry) for entry in entries if inner or not _made(entry)]
    for path, entry in below:
        yield path, entry.stat(follow_symlinks=False), entry.path
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(root, path + b"/")


def _made(entry: "os.DirEntry[bytes]") -> bool:
    return entry.name in _MADE


def _state(found: os.stat_result, full: bytes) -> tuple[object, ...]:
    """Tell what makes an entry what it is; of a directory not its times, which files move."""
    kind = stat.S_IFMT(found.st_mode)
    owned = (found.st_mode, found.st_uid, found.st_gid)
    if kind == stat.S_IFLNK:
        return (*owned, os.readlink(full))  # noqa: PTH115 - bytes of any name
    if kind == stat.S_IFREG:
        return (*owned, found.st_size, found.st_mtime_ns)
    return owned


def _change(old: _Seen, new: _Seen, path: bytes) -> Change:
    if path not in old:
        return Change.ADDED
    return Change.CHANGED if path in new else Change.REMOVED
