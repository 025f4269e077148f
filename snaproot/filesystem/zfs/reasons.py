"""Why OpenZFS refuses something, told in our words: by errno, or by what its programs print."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from snaproot.errors import SnaprootError
from snaproot.mountinfo import parse

NO_MODULE = "the ZFS module is not loaded (there is no /dev/zfs); nothing was changed"
LOAD = "modprobe zfs; it has to be built for the kernel that runs"

_REASONS = {
    errno.ENOSPC: ("the pool is full", "snaproot cleanup, or delete something large"),
    errno.EDQUOT: ("a quota is used up", "raise it (zfs set quota=…), or snaproot cleanup"),
    errno.EROFS: ("the pool is read-only", "is it imported read-only (zpool get readonly)?"),
    errno.EBUSY: ("it is busy", "end what uses it, or unmount it"),
    errno.ENAMETOOLONG: ("the name is too long", "a dataset's whole name has at most 255 bytes"),
    errno.EPERM: ("it is not permitted", "run it as root"),
    errno.EACCES: ("it is not permitted", "run it as root; is its encryption key loaded?"),
    errno.EAGAIN: ("the pool is suspended", "zpool status says why; then zpool clear"),
    errno.EIO: ("the pool has errors", "zpool status -v"),
    errno.ENOENT: ("there is no such dataset", "is its pool imported (zpool list)?"),
}
_PRINTED = {
    "/dev/zfs": errno.ENODEV,
    "modules": errno.ENODEV,
    "out of space": errno.ENOSPC,
    "No space left": errno.ENOSPC,
    "quota exceeded": errno.EDQUOT,
    "read-only": errno.EROFS,
    "Read-only": errno.EROFS,
    "busy": errno.EBUSY,
    "too long": errno.ENAMETOOLONG,
    "ermission denied": errno.EACCES,
    "suspended": errno.EAGAIN,
    "I/O error": errno.EIO,
    "no such pool": errno.ENOENT,
    "does not exist": errno.ENOENT,
}
"""Fragments of what zfs(8), zpool(8) and mount(8) print, and the errno that each one means."""


def failure(what: str, number: int, said: str = "", *, dataset: str = "") -> SnaprootError:
    """Say what could not be done, and why; of a busy dataset also who holds it."""
    if number == errno.ENODEV:
        return SnaprootError(NO_MODULE, hint=LOAD)
    reason, hint = _REASONS.get(number, (said or os.strerror(number).lower(), ""))
    if number == errno.EBUSY and dataset:
        users = ", ".join(holders(dataset))
        reason = f"{reason}, mounted for {users}" if users else reason
    return SnaprootError(f"cannot {what}: {reason}", hint=hint)


def printed(text: str) -> int:
    """Tell which errno a program's last words mean; 0 where that is not known."""
    return next((number for words, number in _PRINTED.items() if words in text), 0)


def holders(dataset: str) -> list[str]:
    """Name one process of each mount namespace that has the dataset mounted, and where.

    A dataset that is mounted anywhere cannot be destroyed, and a mount in a container or in a
    service's own namespace shows in none of ours (mount_namespaces(7)).
    """
    found: dict[str, str] = {}
    for process in sorted(Path("/proc").glob("[0-9]*")):
        try:
            namespace = os.readlink(process / "ns/mnt")  # noqa: PTH115 - no path at all
            if namespace not in found:
                found[namespace] = next(_uses(process, dataset), "")
        except OSError:
            continue  # it ended meanwhile
    return sorted(use for use in found.values() if use)


def _uses(process: Path, dataset: str) -> Iterator[str]:
    for mount in parse((process / "mountinfo").read_bytes()):
        if mount.kind == "zfs" and mount.source == dataset:
            name = (process / "comm").read_text(errors="replace").strip()
            yield f"{name} (process {process.name}) at {mount.point}"
