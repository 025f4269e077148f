"""What the kernel says of the mount that a path is on."""

import os
from dataclasses import dataclass
from pathlib import Path

from snaproot.devices import unescaped
from snaproot.errors import SnaprootError

_MOUNTS = Path("/proc/self/mountinfo")
_FROZEN = {"emergency_ro", "shutdown"}  # what ext4 and xfs add after an error


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount: its options, and those of the whole filesystem, from proc_pid_mountinfo(5)."""

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
    found = parse(_MOUNTS.read_bytes(), path.resolve())
    if found is None:
        raise SnaprootError(f"{path} is on no mount that can be seen")
    return found


def parse(mountinfo: bytes, path: Path) -> Mount | None:
    """Find the last mount of the deepest mount point above a path."""
    found, best = None, Path("/")
    for line in mountinfo.splitlines():
        fields = line.split()
        point = unescaped(fields[4])
        if path.is_relative_to(point) and point.is_relative_to(best):
            kind, _, options = fields[fields.index(b"-") + 1 :][:3]
            best = point
            found = Mount(*(os.fsdecode(word) for word in (kind, fields[5], options)))
    return found
