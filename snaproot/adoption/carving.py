"""Snapshot and move up: turn a directory of a snapshot into a subvolume, without copying a byte."""

import errno
import fcntl
import os
import secrets
import stat
import struct
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from snaproot.filesystem.cloning import copy_attributes

_GET_FLAGS = 0x80086601  # FS_IOC_GETFLAGS, linux/fs.h
_SET_FLAGS = 0x40086602
NO_COW = 0x00800000
_LOCKED = 0x10 | 0x20  # immutable, append-only
_PLACEHOLDER = 2
"""The inode of the empty directory that a snapshot shows in place of a nested subvolume."""


def prune(subvolume: Path, kept: Collection[str]) -> None:
    """Remove everything of a snapshot but the directories `kept`, and what leads to them."""
    _prune(str(subvolume), "", kept)


def move_up(subvolume: Path, inner: str) -> None:
    """Make the directory `inner` the whole subvolume: its content, owner, mode and attributes."""
    aside, before = subvolume / f".{secrets.token_hex(8)}", (subvolume / inner).lstat()
    with unlocked(subvolume / inner):
        (subvolume / inner).rename(aside)
    prune(subvolume, {aside.name})
    for name in os.listxattr(subvolume, follow_symlinks=False):
        os.removexattr(subvolume, name)
    for child in list(aside.iterdir()):
        _move(child, subvolume / child.name)
    copy_attributes(aside, subvolume)
    held = flags(aside)
    set_flags(aside, 0)
    aside.rmdir()
    os.utime(subvolume, ns=(before.st_atime_ns, before.st_mtime_ns))
    set_flags(subvolume, held)


def empty(directory: Path) -> None:
    """Remove what is in a directory of ours, and leave the directory."""
    for child in list(directory.iterdir()):
        remove(child)


def remove(path: Path) -> None:
    """Remove a file or a tree of ours, locked by chattr(1) or not."""
    _remove(str(path))


def is_placeholder(path: Path) -> bool:
    """Tell whether this is what a snapshot left of a nested subvolume."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_ino == _PLACEHOLDER


def flags(path: Path) -> int:
    """Read the attributes of chattr(1); 0 for what has none, such as links and devices."""
    if not _has_flags(path):
        return 0
    with _opened(path) as descriptor:
        answer = fcntl.ioctl(descriptor, _GET_FLAGS, bytes(8))
    return int(struct.unpack_from("=I", answer)[0])


def set_flags(path: Path, wanted: int) -> None:
    """Set the attributes of chattr(1) on a file or directory, where they differ."""
    if flags(path) != wanted:
        with _opened(path) as descriptor:
            fcntl.ioctl(descriptor, _SET_FLAGS, struct.pack("=I4x", wanted))


@contextmanager
def unlocked(path: Path) -> Iterator[None]:
    """Let an immutable or append-only entry be renamed; it is locked again where it then is."""
    held = flags(path)
    set_flags(path, held & ~_LOCKED)
    yield
    if held & _LOCKED and path.exists():
        set_flags(path, held)


def _move(source: Path, target: Path) -> None:
    if is_placeholder(source):
        return source.rmdir()
    held = flags(source)
    set_flags(source, held & ~_LOCKED)
    source.rename(target)
    return set_flags(target, held)


def _prune(subvolume: str, inner: str, kept: Collection[str]) -> None:
    with os.scandir(f"{subvolume}/{inner}") as entries:
        names = [entry.name for entry in entries]
    for name in names:
        path = f"{inner}/{name}".lstrip("/")
        if path in kept:
            continue
        if any(keep.startswith(f"{path}/") for keep in kept):
            _prune(subvolume, path, kept)
        else:
            _remove(f"{subvolume}/{path}")


def _remove(path: str) -> None:
    """Remove depth first, however deep it is."""
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        return _remove_one(os.unlink, path)
    directories = [path]
    for directory in directories:  # which grows while it is walked
        with os.scandir(directory) as entries:
            below = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for place, is_directory in below:
            if is_directory:
                directories.append(place)
            else:
                _remove_one(os.unlink, place)
    for directory in reversed(directories):
        _remove_one(os.rmdir, directory)
    return None


def _remove_one(remove: Callable[[str], None], path: str) -> None:
    """Remove one entry; only a refusal makes us look for locks."""
    try:
        remove(path)
    except PermissionError as error:
        if error.errno != errno.EPERM:
            raise
        _unlock(path)
        _unlock(os.path.dirname(path))  # noqa: PTH120 - bytes of any name, 100,000 times
        remove(path)


def _unlock(path: str) -> None:
    place = Path(path)
    set_flags(place, flags(place) & ~_LOCKED)


def _has_flags(path: Path) -> bool:
    mode = path.lstat().st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
