"""Roots of a chosen size, adopted: a tiny root, and as many files as a distribution would have."""

import math
import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integration import tinyroot
from integration.disk import disk
from snaproot.run import Completed, run

FILE = 25_000  # bytes on average: 12,000 files in the 0.3 GB of a small Debian
_SPREAD = 1.7  # of the logarithm: half of all files are below 6 kB, some are megabytes
_LARGEST = 8 << 20
_PER_DIRECTORY = 200
_COMMAND = (sys.executable, "-m", "snaproot")


def snaproot(top: Path, *words: str, check: bool = True) -> Completed:
    """Run the command line on the system whose top level is mounted at `top`."""
    return run(command(top, *words), check=check)


def command(top: Path, *words: str) -> list[str]:
    """Spell out the command line."""
    return [*_COMMAND, "--sysroot", str(top), "--yes", *words]


@contextmanager
def adopted(directory: Path, *, size: int = 0) -> Iterator[Path]:
    """Yield the top level of an adopted system whose root has at least `size` bytes."""
    with disk(directory, size=f"{2 * size + (1 << 30)}") as top:
        run(["btrfs", "-q", "subvolume", "create", str(top / "@")])
        tinyroot.build(top / "@")
        fill(top / "@/usr/share/filler", size)
        snaproot(top, "init")
        yield top


def fill(place: Path, size: int) -> None:
    """Make files of realistic sizes, `size` bytes altogether; the same in every run."""
    chance = random.Random(size)  # noqa: S311 - to be repeatable, not to hide
    pool = memoryview(os.urandom(2 * _LARGEST))
    made = written = 0
    while written < size:
        directory = place / str(made // _PER_DIRECTORY)
        if made % _PER_DIRECTORY == 0:
            directory.mkdir(parents=True)
        length = _length(chance)
        start = chance.randrange(_LARGEST)
        (directory / str(made)).write_bytes(pool[start : start + length])
        made, written = made + 1, written + length


def _length(chance: random.Random) -> int:
    middle = math.log(FILE) - _SPREAD**2 / 2
    return min(_LARGEST, round(chance.lognormvariate(middle, _SPREAD)))
