"""What differs between a snapshot and what was cloned from it, by `zfs diff`; else by looking.

`zfs diff` tells each path as it is below the mount point of the newer one, with every byte that is
no visible ASCII as a backslash and four octal digits (libzfs_diff.c). Of a file with several names
it tells one: the others show in the directories that it tells of, or by looking.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from snaproot.errors import SnaprootError
from snaproot.filesystem import Change
from snaproot.filesystem.comparison import Difference, changes, paths
from snaproot.filesystem.manifest import Tree, walk
from snaproot.filesystem.zfs.commands import output
from snaproot.mountinfo import mounted_as

_ESCAPED = re.compile(rb"\\([0-7]{4})")
_Pair = tuple[Path, Path]
_State = tuple[int, ...] | None


def candidates(snapshot: str, newer: str, places: _Pair) -> frozenset[bytes]:
    """Name every path that may differ from `snapshot` to `newer`, a clone of it or a snapshot.

    `places` is where the two are mounted; the newer one's filesystem has to be mounted as well.
    """
    try:
        said = output(["zfs", "diff", "-H", snapshot, newer], f"compare {snapshot} with {newer}")
        difference = parse(said, mounted_as(newer.partition("@")[0]))
    except (SnaprootError, ValueError):
        return looked(*places)  # of two that are not related, or past what it can name
    older, later = Tree(places[0]), Tree(places[1])
    known = difference.touched | {old for old, _ in difference.moved}
    links = _Links(frozenset(_inodes(older, known)))
    found = paths(difference, *places, links.names_of)
    return found | {*_renamed(older, later, difference.touched)}


def compare(snapshot: str, newer: str, places: _Pair) -> Mapping[bytes, Change]:
    """Tell what became of each path that really differs."""
    return changes(*places, candidates(snapshot, newer, places))


def looked(older: Path, newer: Path) -> frozenset[bytes]:
    """Name every path that is not the very same file in both, by looking at all of them."""
    before, after = dict(_states(older)), dict(_states(newer))
    found = before.keys() | after.keys()
    return frozenset(path for path in found if before.get(path) != after.get(path))


def parse(said: str, points: Sequence[Path]) -> Difference:
    """Read what `zfs diff -H` prints. Raises ValueError for a line that is none. Pure."""
    lines = [line.split("\t") for line in said.split("\n") if line]
    shown = [line[-1] if line[0] == "R" else line[1] for line in lines if len(line) > 1]
    prefix = _prefix(shown, points)
    touched: set[bytes] = set()
    gone: set[bytes] = set()
    moved: list[tuple[bytes, bytes]] = []
    for line in lines:
        match line:
            case ["R", old, new]:
                moved.append((_inner(old, prefix), _inner(new, prefix)))
                touched.add(moved[-1][1])
            case ["M" | "+", path, *_]:
                touched.add(_inner(path, prefix))
            case ["-", path]:
                gone.add(_inner(path, prefix))
            case _:
                raise ValueError(f"zfs diff said {line}")
    return Difference(frozenset(touched), frozenset(gone), tuple(moved))


def _prefix(shown: Sequence[str], points: Sequence[Path]) -> Path:
    """Find out which of its mount points the paths are below."""
    raw = [_unescaped(path) for path in shown]
    for point in sorted(points, key=lambda point: len(point.parts), reverse=True):
        if all(Path(os.fsdecode(path)).is_relative_to(point) for path in raw):
            return point
    raise ValueError("zfs diff tells of another place")


def _inner(shown: str, prefix: Path) -> bytes:
    inner = os.fsencode(Path(os.fsdecode(_unescaped(shown))).relative_to(prefix))
    return b"" if inner == b"." else inner


def _unescaped(shown: str) -> bytes:
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), os.fsencode(shown))


@dataclass(slots=True)
class _Links:
    """The other names of files that were there before and changed; looked for once, for all."""

    before: frozenset[int]
    found: dict[int, list[bytes]] = field(default_factory=dict)

    def names_of(self, root: Path, inode: int) -> Sequence[bytes]:
        """Name a file that is new by none: directories that changed tell of it."""
        if inode not in self.before:
            return ()
        if not self.found:
            for path, state in _states(root):
                if state is not None:
                    self.found.setdefault(state[0], []).append(path)
        return self.found.get(inode, [])


def _inodes(tree: Tree, names: frozenset[bytes]) -> Iterator[int]:
    yield from (found.st_ino for name in names if (found := tree.status(name)) is not None)


def _renamed(older: Tree, newer: Tree, touched: frozenset[bytes]) -> Iterator[bytes]:
    """Name the entries of changed directories that are other files than before, or none."""
    for path in touched:
        before, after = _entries(older, path), _entries(newer, path)
        for name in before.keys() | after.keys():
            if before.get(name) != after.get(name):
                yield path + b"/" + name if path else name


def _entries(tree: Tree, path: bytes) -> dict[bytes, int]:
    found = tree.status(path)
    if found is None or not stat.S_ISDIR(found.st_mode):
        return {}
    with os.scandir(os.fsencode(tree.root) + b"/" + path) as entries:
        return {entry.name: entry.inode() for entry in entries}


def _states(root: Path) -> Iterator[tuple[bytes, _State]]:
    tree = Tree(root)
    yield from ((path, _state(tree.status(path))) for path in walk(root))


def _state(found: os.stat_result | None) -> _State:
    if found is None:
        return None
    owned = (found.st_ino, found.st_mode, found.st_uid, found.st_gid, found.st_nlink)
    return (*owned, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
