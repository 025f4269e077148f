"""What differs between two read-only subvolumes, at the cost of what differs."""

import os
from collections.abc import Mapping
from pathlib import Path

from snaproot.errors import SnaprootError
from snaproot.filesystem import Change
from snaproot.filesystem.btrfs import binding
from snaproot.filesystem.btrfs.sendstream import parse
from snaproot.filesystem.comparison import Difference, changes, paths
from snaproot.run import pipe


def candidates(older: Path, newer: Path) -> frozenset[bytes]:
    """Name every path that may differ, and few others. Both have to be read-only.

    Raises SnaprootError where `btrfs send` fails.
    """
    return paths(_sent(older, newer), older, newer, binding.names_of_inode)


def compare(older: Path, newer: Path) -> Mapping[bytes, Change]:
    """Tell what became of each path that really differs.

    Raises SnaprootError where something in them cannot be read.
    """
    return changes(older, newer, candidates(older, newer))


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
