"""A private view of the filesystem's top level: mounts that nobody else sees and a kill removes."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snaproot.errors import Refused, SnaprootError
from snaproot.mountinfo import mount_of, points_of
from snaproot.run import run

_CLONE_NEWNS = 0x00020000  # unshare(2)
_PRIVATE = 1 << 18 | 1 << 14  # MS_PRIVATE, MS_REC of mount(2)
_READ_ONLY, _NO_ATIME = 1 << 0, 1 << 10  # MS_RDONLY, MS_NOATIME
_TOP = Path("/run/snaproot/top")
_ESP = Path("/run/snaproot/esp")


@contextmanager
def top_level_of_root() -> Iterator[Path]:
    """Mount the top level of the filesystem that `/` is on, for this process alone.

    Raises SnaprootError where the kernel or the filesystem does not let us.
    """
    _leave_shared_mounts()
    device = mount_of(Path("/")).source
    _TOP.mkdir(mode=0o700, parents=True, exist_ok=True)
    run(["mount", "-t", "btrfs", "-o", "subvolid=5,noatime", device, str(_TOP)])
    try:
        yield _TOP
    finally:
        run(["umount", str(_TOP)])


@contextmanager
def empty_top(name: str) -> Iterator[Path]:
    """Lend an empty directory for mounts that this process alone sees; they go with it.

    `name` is what mountinfo calls it. Raises SnaprootError where the kernel does not let us.
    """
    _leave_shared_mounts()
    _TOP.mkdir(mode=0o700, parents=True, exist_ok=True)
    run(["mount", "-t", "tmpfs", "-o", "mode=0700,size=1m", name, str(_TOP)])
    try:
        yield _TOP
    finally:
        run(["umount", "-R", str(_TOP)])


def attach(kind: str, source: str, place: Path, *, read_only: bool) -> None:
    """Mount by mount(2), without a helper of the filesystem's. Raises OSError."""
    flags = _NO_ATIME | (_READ_ONLY if read_only else 0)
    names = (os.fsencode(text) for text in (source, str(place), kind))
    if _libc().mount(*names, ctypes.c_ulong(flags), None) != 0:
        raise _error()


def detach(place: Path) -> None:
    """Unmount by umount2(2). Raises OSError."""
    if _libc().umount2(os.fsencode(place), 0) != 0:
        raise _error()


@contextmanager
def esp(spec: str) -> Iterator[Path]:
    """Yield where the ESP is mounted that fstab(5) would name so; else mount it for us alone.

    Raises Refused where there is no such device.
    """
    found = run(["findfs", spec], check=False) if spec else None
    if found is None or found.status != 0:
        raise Refused(
            f"the ESP ({spec or 'not recorded'}) is not there; nothing was changed",
            hint="attach its disk, or name a directory with --esp DIR",
        )
    device = found.output.strip()
    points = points_of(Path(device))
    if points:
        yield points[0]
        return
    _leave_shared_mounts()
    _ESP.mkdir(mode=0o700, parents=True, exist_ok=True)
    run(["mount", "-t", "vfat", "-o", "umask=0077", device, str(_ESP)])
    try:
        yield _ESP
    finally:
        run(["umount", str(_ESP)])


def uuid_at(place: Path) -> str:
    """Name the UUID of the FAT filesystem that is mounted right here; empty if there is none."""
    found = run(["findmnt", "--noheadings", "--output", "FSTYPE,UUID", str(place)], check=False)
    kind, _, uuid = found.output.strip().partition(" ")
    return uuid.strip() if kind in {"vfat", "msdos"} else ""


def _leave_shared_mounts() -> None:
    libc = _libc()
    if libc.unshare(_CLONE_NEWNS) != 0 or libc.mount(None, b"/", None, _PRIVATE, None) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise SnaprootError(f"no private mount namespace: {reason}; nothing was changed")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
