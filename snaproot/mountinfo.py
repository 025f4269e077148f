"""What the kernel says of mounts: proc_pid_mountinfo(5)."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from snaproot.errors import SnaprootError

_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPE = re.compile(rb"\\([0-3][0-7]{2})")
_FROZEN = {"emergency_ro", "shutdown"}  # what ext4 and xfs add after an error


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount: where, of what, its options, and those of the whole filesystem."""

    point: Path
    source: str
    kind: str
    options: str
    super_options: str

    @property
    def frozen_by_error(self) -> bool:
        """Tell whether the filesystem itself has become read-only.

        Btrfs has no word for it: its superblock is just read-only, which a sealed root's is not,
        because areas are mounted writable from it. Of others a read-only one may be meant.
        """
        options = {*self.super_options.split(",")}
        return bool(_FROZEN & options) or (self.kind == "btrfs" and "ro" in options)


def mount_of(path: Path) -> Mount:
    """Find the mount that a path is on. Raises SnaprootError where there is none."""
    found = holding(_MOUNTS.read_bytes(), path.resolve())
    if found is None:
        raise SnaprootError(f"{path} is on no mount that can be seen")
    return found


def points_of(device: Path) -> list[Path]:
    """Name where a device is mounted, whatever name of it was used."""
    wanted = device.resolve()
    found = parse(_MOUNTS.read_bytes())
    return [m.point for m in found if m.source[:1] == "/" and Path(m.source).resolve() == wanted]


def mounted_from(place: Path) -> list[Path]:
    """Name the mount points at and below a place, each before those below it."""
    return [mount.point for mount in mounts_in(place)]


def mounts_in(place: Path) -> list[Mount]:
    """List the mounts at and below a place, each before those below it."""
    found = [m for m in parse(_MOUNTS.read_bytes()) if m.point.is_relative_to(place)]
    return sorted(found, key=lambda mount: len(mount.point.parts))


def mounted_as(source: str) -> list[Path]:
    """Name where something is mounted that is called by this very name, as a dataset is."""
    return [m.point for m in parse(_MOUNTS.read_bytes()) if m.source == source]


def holding(mountinfo: bytes, path: Path) -> Mount | None:
    """Find the last mount of the deepest mount point above a path. Pure."""
    best: Mount | None = None
    for mount in parse(mountinfo):
        deeper = best is None or mount.point.is_relative_to(best.point)
        if deeper and path.is_relative_to(mount.point):
            best = mount
    return best


def parse(mountinfo: bytes) -> Iterator[Mount]:
    """Read every mount. Mount points are bytes of any user's choice, with octal escapes. Pure."""
    for line in mountinfo.split(b"\n"):
        fields = line.split(b" ")
        if b"-" not in fields:
            continue
        kind, source, super_options = fields[fields.index(b"-") + 1 :][:3]
        yield Mount(
            point=unescaped(fields[4]),
            source=str(unescaped(source)),
            kind=os.fsdecode(kind),
            options=os.fsdecode(fields[5]),
            super_options=os.fsdecode(super_options),
        )


def unescaped(name: bytes) -> Path:
    """Undo the octal escapes. Pure."""
    raw = _ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), name)
    return Path(os.fsdecode(raw))
