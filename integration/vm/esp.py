"""The EFI system partition of a disk as a directory, by mtools: no kernel has to read FAT."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integration.vm.parts import ESP_AT
from snaproot.errors import SnaprootError
from snaproot.run import run

_QUIET = {"MTOOLS_SKIP_CHECK": "1"}


@contextmanager
def directory(disk: Path, place: Path) -> Iterator[Path]:
    """Copy it out; what was changed, made or removed there is so on the disk afterwards.

    A file is written as a whole, as a new one; one that stays as it was keeps its clusters. If
    the block is left by an exception, nothing is brought over.
    """
    place.mkdir()
    try:
        _mtools("mcopy", disk, "-s", "-m", "-n", "::/*", str(place))
        before = _digests(place)
        yield place
        _written(disk, place, before, _digests(place))
    finally:
        shutil.rmtree(place)


def _written(disk: Path, place: Path, before: dict[str, str], after: dict[str, str]) -> None:
    """Bring over what differs: removals deepest first, then directories, then files."""
    for name in sorted(set(before) - set(after), reverse=True):
        _mtools("mdeltree" if before[name] == "" else "mdel", disk, f"::/{name}")
    for name in sorted(set(after) - set(before)):
        if after[name] == "":
            _mtools("mmd", disk, f"::/{name}")
    for name, digest in after.items():
        if digest and before.get(name) != digest:
            _mtools("mcopy", disk, "-m", "-o", str(place / name), f"::/{name}")


def _digests(place: Path) -> dict[str, str]:
    """Map every path to a digest of its content, a directory to nothing."""
    found = {}
    for path in place.rglob("*"):
        content = "" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(place))] = content
    return found


def _mtools(program: str, disk: Path, *words: str) -> str:
    zone = {"TZ": os.environ["TZ"]} if "TZ" in os.environ else {}
    argv = [program, "-i", _image(disk), *words]
    done = run(argv, extra={**_QUIET, **zone}, check=False)
    if done.status:
        raise SnaprootError(f"{argv}: {done.errors}")  # the cause is not the last line
    return done.output


def _image(disk: Path) -> str:
    return f"{disk}@@{ESP_AT}"
