"""What zpool(8) says of a pool: its health, its devices and their errors, its properties.

Read from what 2.1 prints as 2.4 does: `-H` and `-p`, and of `zpool status` the table of devices.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from snaproot.errors import SnaprootError
from snaproot.run import run

_STATES = "ONLINE|DEGRADED|FAULTED|OFFLINE|REMOVED|UNAVAIL|SUSPENDED"
_ROW = re.compile(rf"\t( *)(\S.*?) +({_STATES}) +(\d+) +(\d+) +(\d+)(?: +(\S.*))?")
_NO_ERRORS = "No known data errors"
_LISTED = "Permanent errors have been detected"


@dataclass(frozen=True, slots=True)
class Vdev:
    """One line of the table: the pool itself, a group of devices, or a device; errors since import.

    `guid` stays the same when a device is found under another name. `note` is what zpool(8) adds,
    such as "too many errors".
    """

    guid: str
    name: str
    state: str
    read: int
    write: int
    checksum: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """A pool as zpool-status(8) shows it.

    `damaged` are files and objects whose data is lost, named as they are mounted now; `untold` is
    why they cannot be told.
    """

    pool: str
    health: str
    vdevs: tuple[Vdev, ...]
    damaged: tuple[str, ...] = ()
    untold: str = ""


def pool_of(dataset: str) -> str:
    """Name the pool of a dataset, as mountinfo has it for a filesystem on ZFS. Pure."""
    return dataset.split("/", 1)[0].split("@", 1)[0]


def status(pool: str) -> Status:
    """Ask for a pool's status. Raises SnaprootError where zpool(8) does not tell."""
    health = run(["zpool", "list", "-H", "-o", "health", pool]).output.strip()
    named = run(["zpool", "status", "-P", "-p", "-v", pool]).output
    numbered = run(["zpool", "status", "-g", "-p", pool]).output
    return parse(pool, health, named, numbered)


def parse(pool: str, health: str, named: str, numbered: str) -> Status:
    """Put the same table with names and with GUIDs together. Pure.

    Raises SnaprootError where there is none.
    """
    rows, guids = [*_rows(named)], [row[0] for row in _rows(numbered)]
    if not rows:
        raise SnaprootError(f"zpool status {pool} cannot be understood: it names no device")
    if len(guids) != len(rows):  # a device came or went in between
        guids = [row[0] for row in rows]
    vdevs = tuple(Vdev(guid, *row) for guid, row in zip(guids, rows, strict=True))
    damaged, untold = _damage(named)
    return Status(pool, health, vdevs, damaged, untold)


def properties(pool: str) -> Mapping[str, str]:
    """Read all properties of a pool, its features among them (`feature@NAME`).

    Raises SnaprootError where zpool(8) does not tell.
    """
    said = run(["zpool", "get", "-H", "-p", "-o", "property,value", "all", pool]).output
    return dict(line.split("\t", 1) for line in said.splitlines() if "\t" in line)


def in_use(properties: Mapping[str, str]) -> Iterator[str]:
    """Name the features that a pool's properties say are active. Pure."""
    for name, value in properties.items():
        if name.startswith("feature@") and value == "active":
            yield name.removeprefix("feature@")


def devices(pool: str) -> Sequence[str]:
    """Name the block devices and files of a pool by their real paths.

    Raises SnaprootError where zpool(8) does not tell.
    """
    said = run(["zpool", "list", "-v", "-H", "-P", "-L", pool]).output
    fields = (line.split("\t") for line in said.splitlines())
    return [field[1] for field in fields if len(field) > 1 and field[1].startswith("/")]


def _rows(said: str) -> Iterator[tuple[str, str, int, int, int, str]]:
    for line in said.splitlines():
        if found := _ROW.fullmatch(line):
            _, name, state, read, write, checksum, note = found.groups()
            yield name, state, int(read), int(write), int(checksum), note or ""


def _damage(said: str) -> tuple[tuple[str, ...], str]:
    """Read what follows `errors:`, which is the last there is of a pool."""
    _, _, end = said.rpartition("\nerrors: ")
    first, *rest = end.splitlines() or [""]
    if first.startswith(_LISTED):
        return tuple(line.strip() for line in rest if line.strip()), ""
    return (), "" if first.startswith(_NO_ERRORS) else first
