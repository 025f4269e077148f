"""What differs between two read-only subvolumes, at the cost of what differs."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from snaproot.errors import SnaprootError
from snaproot.filesystem import Change
from snaproot.filesystem.btrfs import binding
from snaproot.filesystem.btrfs.sendstream import Difference, parse
from snaproot.filesystem.faults import translated
from snaproot.filesystem.manifest import Tree, walk
from snaproot.run import pipe


def candidates(older: Path, newer: Path) -> frozenset[bytes]:
    """Name every path that may differ, and few others. Both have to be read-only.

    Raises SnaprootError where `btrfs send` fails.
    """
    difference = _sent(older, newer)
    before, after = Tree(older), Tree(newer)
    paths = {*difference.touched, *difference.gone}
    for old, new in difference.moved:
        paths |= {*_whole(before, old), *_whole(after, new)}
    for path in difference.touched:
        paths |= {*_other_names(after, path)}
    return frozenset(paths)


def compare(older: Path, newer: Path) -> Mapping[bytes, Change]:
    """Tell what became of each path that really differs; a new timestamp alone is no change.

    Raises SnaprootError where something in them cannot be read.
    """
    before, after = Tree(older), Tree(newer)
    with translated(f"compare {older} with {newer}"):
        changes = {path: _change(before, after, path) for path in candidates(older, newer)}
    return {path: change for path, change in changes.items() if change is not None}


def _sent(older: Path, newer: Path) -> Difference:
    found: list[Difference] = []
    problems: list[ValueError] = []

    def read(descriptor: int) -> None:
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            try:
                found.append(parse(stream))
            except ValueError as problem:
                problems.append(problem)
                while stream.read(1 << 20):
                    """Let the program end by itself and say why."""

    pipe(["btrfs", "send", "-q", "--no-data", "-p", str(older), str(newer)], read)
    if problems:
        raise SnaprootError(f"cannot compare {older} with {newer}: {problems[0]}")
    return found[0]


def _whole(tree: Tree, path: bytes) -> Iterator[bytes]:
    found = tree.status(path)
    if found is not None and stat.S_ISDIR(found.st_mode):
        yield from walk(tree.root, path)
    else:
        yield path


def _other_names(tree: Tree, path: bytes) -> Iterator[bytes]:
    """Find the other names of a changed file: the stream says only one of them."""
    found = tree.status(path)
    if found is None or stat.S_ISDIR(found.st_mode) or found.st_nlink == 1:
        return
    names = binding.names_of_inode(tree.root, found.st_ino)
    if names is not None:
        yield from names
    else:
        yield from (name for name in walk(tree.root) if _is_inode(tree, name, found.st_ino))


def _is_inode(tree: Tree, path: bytes, inode: int) -> bool:
    found = tree.status(path)
    return found is not None and found.st_ino == inode


def _change(older: Tree, newer: Tree, path: bytes) -> Change | None:
    before, after = older.status(path), newer.status(path)
    if before is None or after is None:
        if before is after:
            return None
        return Change.ADDED if before is None else Change.REMOVED
    if stat.S_ISREG(before.st_mode) and before.st_size != after.st_size:
        return Change.CHANGED
    return None if older.state(path) == newer.state(path) else Change.CHANGED
