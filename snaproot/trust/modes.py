"""Files that decide whom to believe are read only where nobody but root could have written them.

The rule is sshd's StrictModes (sshd_config(5)): the file and every directory above it belong to
root, and neither group nor others may write there; a sticky directory such as /tmp is no exception.
Each step is opened from the one before it, never through a link, and judged by its descriptor: who
swaps something meanwhile changes nothing about what is read.
"""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from snaproot.trust.facts import Distrusted, Unverifiable

LIMIT = 16 << 20
"""How many bytes such a file may have; none that is meant has a tenth of it."""

_DIRECTORY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_REASONS = {
    errno.ENOENT: "file.missing",
    errno.ENOTDIR: "file.missing",
    errno.ELOOP: "file.link",
}


def read(path: Path, *, owner: int = 0, within: Path = Path("/"), limit: int = LIMIT) -> bytes:
    """Read a file that only its owner, which is root, can have written.

    `within` is where the way begins: the root of another system, with links on the way to it as
    they are. Raises Distrusted (`file.owner`, `file.mode`, `file.link`, `file.kind`), Unverifiable
    (`file.missing`, `file.unreadable`, `file.size`), RuntimeError for a path outside.
    """
    if within not in path.parents:
        raise RuntimeError(f"{path} is not within {within}")
    *above, name = path.relative_to(within).parts
    with ExitStack() as opened:
        place = within
        directory = _opened(opened, within.resolve(), place, _DIRECTORY, None)
        _judge(directory, place, owner)
        for part in above:
            place /= part
            directory = _opened(opened, part, place, _DIRECTORY, directory)
            _judge(directory, place, owner)
        file = _opened(opened, name, path, _FILE, directory)
        _judge(file, path, owner, is_kind=stat.S_ISREG)
        return _content(file, path, limit)


def _content(file: int, path: Path, limit: int) -> bytes:
    parts: list[bytes] = []
    left = limit + 1
    while left and (part := _part(file, path, left)):
        parts.append(part)
        left -= len(part)
    if not left:
        raise Unverifiable("file.size", f"{path} has more than {limit} bytes; it was not read")
    return b"".join(parts)


def _part(file: int, path: Path, limit: int) -> bytes:
    try:
        return os.read(file, limit)
    except OSError as error:
        raise _unopened(path, error) from error


def _opened(
    opened: ExitStack, part: str | Path, place: Path, flags: int, directory: int | None
) -> int:
    try:
        descriptor = os.open(part, flags, dir_fd=directory)
    except OSError as error:
        raise _unopened(place, error) from error
    opened.callback(os.close, descriptor)
    return descriptor


def _unopened(place: Path, error: OSError) -> Distrusted | Unverifiable:
    reason = _REASONS.get(error.errno or 0, "file.unreadable")
    if reason == "file.link":
        return _linked(place)
    said = (error.strerror or str(error)).lower()
    return Unverifiable(reason, f"{place} cannot be read: {said}")


def _linked(place: Path) -> Distrusted:
    return Distrusted(
        "file.link",
        f"{place} is a symbolic link; nothing was read through it",
        hint="name the file itself, without links on the way",
    )


def _judge(
    descriptor: int, place: Path, owner: int, is_kind: Callable[[int], bool] = stat.S_ISDIR
) -> None:
    found = os.fstat(descriptor)
    if stat.S_ISLNK(found.st_mode):
        raise _linked(place)
    if not is_kind(found.st_mode):
        what = "a directory" if is_kind is stat.S_ISDIR else "a regular file"
        raise Distrusted("file.kind", f"{place} is not {what}; nothing was read")
    if found.st_uid != owner:
        who = "root" if owner == 0 else f"user {owner}"
        raise Distrusted(
            "file.owner",
            f"{place} belongs to user {found.st_uid}, not to {who}; it was not believed",
            hint=f"look at what it says, then: chown {owner} {place}",
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        who = "everybody" if found.st_mode & stat.S_IWOTH else "its group"
        raise Distrusted(
            "file.mode",
            f"{place} can be written by {who}; it was not believed",
            hint=f"look at what it says, then: chmod go-w {place}",
        )
