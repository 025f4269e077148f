"""What differs between two trees, out of the paths that may. Shared by the backends."""

import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from snaproot.filesystem import Change
from snaproot.filesystem.faults import translated
from snaproot.filesystem.manifest import Tree, walk

NamesOf = Callable[[Path, int], Sequence[bytes] | None]
"""Lists every path of an inode in a tree; None where that cannot be told but by looking."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What may differ, by paths without a leading slash; the root itself is empty.

    `touched` and `gone` are single paths of the newer and the older snapshot; of `moved` (older,
    newer), everything below moved along. Timestamps alone are no difference.
    """

    touched: frozenset[bytes] = frozenset()
    gone: frozenset[bytes] = frozenset()
    moved: tuple[tuple[bytes, bytes], ...] = ()


def paths(difference: Difference, older: Path, newer: Path, names_of: NamesOf) -> frozenset[bytes]:
    """Name every path that a difference means, what moved along and other names included."""
    before, after = Tree(older), Tree(newer)
    found = {*difference.touched, *difference.gone}
    for old, new in difference.moved:
        found |= {*_whole(before, old), *_whole(after, new)}
    for path in difference.touched:
        found |= {*_other_names(after, path, names_of)}
    return frozenset(found)


def changes(older: Path, newer: Path, candidates: Iterable[bytes]) -> Mapping[bytes, Change]:
    """Tell what became of each candidate that really differs; a new timestamp alone is no change.

    Raises SnaprootError where something in them cannot be read.
    """
    before, after = Tree(older), Tree(newer)
    with translated(f"compare {older} with {newer}"):
        told = {path: _change(before, after, path) for path in candidates}
    return {path: change for path, change in told.items() if change is not None}


def _whole(tree: Tree, path: bytes) -> Iterator[bytes]:
    found = tree.status(path)
    if found is not None and stat.S_ISDIR(found.st_mode):
        yield from walk(tree.root, path)
    else:
        yield path


def _other_names(tree: Tree, path: bytes, names_of: NamesOf) -> Iterator[bytes]:
    """Find the other names of a changed file: a difference says only one of them."""
    found = tree.status(path)
    if found is None or stat.S_ISDIR(found.st_mode) or found.st_nlink == 1:
        return
    names = names_of(tree.root, found.st_ino)
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
