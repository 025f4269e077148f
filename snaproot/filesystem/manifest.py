r"""`files.list`: what every file of a sealed root was, so that `verify` can tell what it is.

The list is a sequence of sections. A section is lines, and ends in one that holds the chain: the
SHA-256 of the previous section's chain and of the section's own bytes. A child's list is a copy of
its parent's that shares the data, with a section for what changed; later lines win. So writing it
costs what changed, and its digest is the last chain.

    TYPE MODE UID GID XATTRS CONTENT PATH    one entry
    - PATH                                   an entry that is gone
    = CHAIN SIZE                             end of a section; SIZE of the first section, in bytes

XATTRS is a SHA-256 or `-`. CONTENT is the SHA-256 of a file or of a link's target, the number of a
device, or `-`. In PATH a backslash and a newline are written `\\` and `\n`; all other bytes stand
for themselves. `/etc` is not listed, as it stays writable, and timestamps are not.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from snaproot.filesystem import Change, PathChange
from snaproot.filesystem.cloning import clone
from snaproot.hashing import file_sha256, sha256

Lines = dict[bytes, bytes]
Report = Callable[[float], None]

_TYPES = {
    stat.S_IFREG: b"f",
    stat.S_IFDIR: b"d",
    stat.S_IFLNK: b"l",
    stat.S_IFIFO: b"p",
    stat.S_IFSOCK: b"s",
    stat.S_IFBLK: b"b",
    stat.S_IFCHR: b"c",
}
_FIELDS = 6
_TAIL = 128
_SLACK = 1 << 20
"""Bytes that a list may grow by before it is worth writing anew."""
_FEW = 200
"""Files that are not worth a pool of threads."""
_UNLISTED = b"etc"


def write(target: Path, root: Path) -> str:
    """List every file of `root` in `target`, and return the digest of the list."""
    section = _section(root, walk(root))
    return _finish(target, section, "", len(section))


def extend(target: Path, parent: Path, digest: str, root: Path, candidates: Iterable[bytes]) -> str:
    """List `root` as the parent's list plus what `candidates` are now; return the digest.

    `digest` is the parent list's. Raises ValueError if that list does not end in it.
    """
    chain, first = _trailer(parent)
    if chain != digest:
        raise ValueError(f"{parent} is not what its digest says")
    section = _section(root, sorted(candidates))
    if parent.stat().st_size + len(section) > 2 * first + _SLACK:
        return _rewrite(target, load(parent, digest), section)
    target.unlink(missing_ok=True)
    clone(parent, target)
    return _finish(target, section, digest, first)


def load(source: Path, digest: str) -> Lines:
    """Read a list as path → fields. Raises ValueError if any byte of it differs from `digest`."""
    lines: Lines = {}
    chain, section = "", sha256(b"")
    with source.open("rb") as file:
        for line in file:
            if line.startswith(b"= "):
                chain = section.hexdigest()
                if line.split(b" ")[1].decode("ascii", "replace") != chain:
                    raise ValueError(f"{source} is damaged")
                section = sha256(chain.encode())
            else:
                section.update(line)
                _apply(lines, line)
    if chain != digest:
        raise ValueError(f"{source} is not what its digest says")
    return lines


def compare(lines: Mapping[bytes, bytes], root: Path, report: Report) -> list[PathChange]:
    """Recompute everything and name what differs, or cannot be read; reports the fraction done."""
    found: set[bytes] = set()
    changes: list[PathChange] = []
    for number, (path, state) in enumerate(_states(root, walk(root), _readable)):
        report(min(1.0, number / max(1, len(lines))))
        found.add(path)
        if path not in lines:
            changes.append(_changed(path, Change.ADDED))
        elif lines[path] != state:
            changes.append(_changed(path, Change.CHANGED))
    changes += (_changed(path, Change.REMOVED) for path in lines.keys() - found)
    report(1.0)
    return sorted(changes, key=lambda change: change.path)


def walk(root: Path, start: bytes = b"") -> Iterator[bytes]:
    """Yield `start`, a directory, and every path below it, as seen from `root`.

    Leaves out `/etc`, other mounts and nested subvolumes.
    """
    top = os.fsencode(root)
    device = root.stat().st_dev
    pending = [start]
    yield start
    while pending:
        directory = pending.pop()
        with os.scandir(top + b"/" + directory if directory else top) as entries:
            for entry in entries:
                path = directory + b"/" + entry.name if directory else entry.name
                if path == _UNLISTED:
                    continue
                below = entry.is_dir(follow_symlinks=False)
                if below and entry.stat(follow_symlinks=False).st_dev != device:
                    continue
                yield path
                if below:
                    pending.append(path)


@dataclass(frozen=True, slots=True)
class Tree:
    """A root that nobody writes; no link in it is followed, the last part of a path included."""

    root: Path
    directories: dict[bytes, bool] = field(default_factory=lambda: {b"": True})

    def status(self, path: bytes) -> os.stat_result | None:
        """Look at one path; None if there is nothing by that name."""
        if not self._is_directory(path.rpartition(b"/")[0]):
            return None
        try:
            return os.lstat(self._full(path))
        except FileNotFoundError:
            return None

    def state(self, path: bytes) -> bytes | None:
        """Describe one file as the list does: type, mode, owner, attributes and content."""
        found = self.status(path)
        if found is None:
            return None
        full = self._full(path)
        fields = (
            _TYPES[stat.S_IFMT(found.st_mode)],
            b"%04o" % stat.S_IMODE(found.st_mode),
            b"%d" % found.st_uid,
            b"%d" % found.st_gid,
            _attributes(full),
            _content(full, found),
        )
        return b" ".join(fields)

    def _is_directory(self, path: bytes) -> bool:
        if path not in self.directories:
            found = self.status(path)
            self.directories[path] = found is not None and stat.S_ISDIR(found.st_mode)
        return self.directories[path]

    def _full(self, path: bytes) -> bytes:
        return os.fsencode(self.root) + b"/" + path


def printable(path: bytes) -> str:
    """Name a path of a root as the booted system would."""
    return "/" + os.fsdecode(path)


def _content(full: bytes, found: os.stat_result) -> bytes:
    if stat.S_ISREG(found.st_mode):
        with open(full, "rb", buffering=0) as file:  # noqa: PTH123 - a path of any bytes
            return file_sha256(file).encode()
    if stat.S_ISLNK(found.st_mode):
        target = os.readlink(full)  # noqa: PTH115 - a path of any bytes
        return sha256(target).hexdigest().encode()
    if stat.S_ISBLK(found.st_mode) or stat.S_ISCHR(found.st_mode):
        return b"%d:%d" % (os.major(found.st_rdev), os.minor(found.st_rdev))
    return b"-"


def _attributes(full: bytes) -> bytes:
    names = os.listxattr(full, follow_symlinks=False)
    if not names:
        return b"-"
    digest = sha256()
    for name in sorted(names):
        value = os.getxattr(full, name, follow_symlinks=False)
        digest.update(b"%s\0%d\0%s" % (os.fsencode(name), len(value), value))
    return digest.hexdigest().encode()


def _rewrite(target: Path, lines: Lines, section: bytearray) -> str:
    """Write one section anew, where what changed has come to outweigh what did not."""
    for line in section.splitlines(keepends=True):
        _apply(lines, bytes(line))
    whole = bytearray().join(_entry(path, state) for path, state in lines.items())
    return _finish(target, whole, "", len(whole))


def _finish(target: Path, section: bytearray, previous: str, first: int) -> str:
    """Append a section to what `target` holds; an empty `previous` begins it anew."""
    chain = sha256(previous.encode() + section).hexdigest()
    if not previous:
        target.unlink(missing_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(section)
        file.write(f"= {chain} {first}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    return chain


def _trailer(source: Path) -> tuple[str, int]:
    """Read the last line: chain, and size of the first section. Raises ValueError."""
    with source.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        last = file.read().split(b"\n")[-2:]
    parts = last[0].split(b" ")
    if last[1:] != [b""] or parts[0] != b"=" or len(parts) != len(("=", "CHAIN", "SIZE")):
        raise ValueError(f"{source} is cut short")
    return parts[1].decode("ascii"), int(parts[2])


def _section(root: Path, paths: Iterable[bytes]) -> bytearray:
    return bytearray().join(
        b"- %s\n" % _escaped(path) if state is None else _entry(path, state)
        for path, state in _states(root, paths)
    )


def _states(
    root: Path,
    paths: Iterable[bytes],
    described: Callable[[Tree, bytes], bytes | None] = Tree.state,
) -> Iterator[tuple[bytes, bytes | None]]:
    """Describe many files; on every processor, as hashing releases the interpreter's lock."""
    tree, known = Tree(root), [*paths]
    if len(known) < _FEW:
        yield from ((path, described(tree, path)) for path in known)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from zip(known, pool.map(partial(described, tree), known), strict=True)


def _readable(tree: Tree, path: bytes) -> bytes | None:
    """Describe one file, with nothing for one that the disk does not give back."""
    try:
        return tree.state(path)
    except OSError:
        return b""


def _entry(path: bytes, state: bytes) -> bytes:
    return b"%s %s\n" % (state, _escaped(path))


def _apply(lines: Lines, line: bytes) -> None:
    if line.startswith(b"- "):
        lines.pop(_unescaped(line[2:-1]), None)
    else:
        *fields, path = line[:-1].split(b" ", _FIELDS)
        lines[_unescaped(path)] = b" ".join(fields)


def _escaped(path: bytes) -> bytes:
    return path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")


def _unescaped(path: bytes) -> bytes:
    """Undo the escapes; splitting at the doubled one first leaves no ambiguous pair."""
    return b"\\".join(part.replace(b"\\n", b"\n") for part in path.split(b"\\\\"))


def _changed(path: bytes, change: Change) -> PathChange:
    return PathChange(printable(path), change)
