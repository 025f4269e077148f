"""libbtrfsutil, typed, with its errors told in our words; the one importer of `btrfsutil`.

The old function names are used, which every version of the binding since 6.10 has.
"""

import ctypes
import errno
import fcntl
import os
import struct
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from snaproot.errors import SnaprootError
from snaproot.filesystem.faults import failure, translated

try:
    import btrfsutil
except ImportError as missing:
    raise SnaprootError(
        f"the Btrfs binding cannot be loaded ({missing}); nothing was changed",
        hint="btrfsutil has to match the installed libbtrfsutil: below 6.14 for one older than 1.3",
    ) from missing

TOP_LEVEL = 5
_READ_ONLY = 1
_FS_INFO = 0x8400941F  # BTRFS_IOC_FS_INFO of linux/btrfs.h
_INO_PATHS = 0xC0389423  # BTRFS_IOC_INO_PATHS of linux/btrfs.h
_INO_PATHS_SIZE = 4096  # the kernel fills no more


@dataclass(frozen=True, slots=True)
class Subvolume:
    """One subvolume: `path` from the top level, `changed` the transaction that last wrote in it.

    Making it read-only, snapshotting it, renaming it and writing in nested subvolumes do not move
    `changed` (ctransid of btrfs_root_item); writing in it does.
    """

    path: str
    id: int
    uuid: bytes
    changed: int
    read_only: bool


def subvolumes(top: Path) -> Sequence[Subvolume]:
    """List every subvolume below the top level, in one pass."""
    with (
        translated(f"list the subvolumes of {top}"),
        btrfsutil.SubvolumeIterator(top, TOP_LEVEL, info=True) as found,
    ):
        return [_subvolume(path, info) for path, info in found]


def subvolume(path: Path) -> Subvolume:
    """Describe the subvolume that a path lies in; its own path is left empty."""
    with translated(f"look at {path}"):
        return _subvolume("", btrfsutil.subvolume_info(path))


def subvolume_id(path: Path) -> int:
    """Tell the number of the subvolume that a path lies in."""
    with translated(f"look at {path}"):
        return int(btrfsutil.subvolume_id(path))


def information(top: Path) -> tuple[int, str]:
    """Tell the number of devices and the UUID: struct btrfs_ioctl_fs_info_args."""
    descriptor = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with translated(f"look at {top}"):
            answer = fcntl.ioctl(descriptor, _FS_INFO, bytes(1024))
    finally:
        os.close(descriptor)
    return int.from_bytes(answer[8:16], "little"), str(uuid.UUID(bytes=answer[16:32]))


def subvolume_path(top: Path, id: int) -> str | None:
    """Name the subvolume of that number from the top level; None if there is none."""
    if id == TOP_LEVEL:
        return ""
    try:
        return str(btrfsutil.subvolume_path(top, id))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise failure(f"look for subvolume {id}", error) from error


def is_subvolume(path: Path) -> bool:
    """Tell whether there is a subvolume at exactly this path."""
    try:
        return bool(btrfsutil.is_subvolume(path))
    except OSError:
        return False


def create(path: Path) -> None:
    """Make an empty subvolume."""
    with translated(f"make {path}"):
        btrfsutil.create_subvolume(path)


def snapshot(source: Path, path: Path, *, read_only: bool = False) -> None:
    """Snapshot one subvolume, without what is nested in it."""
    with translated(f"snapshot {source}"):
        btrfsutil.create_snapshot(source, path, read_only=read_only)


def delete(path: Path) -> None:
    """Delete one writable subvolume with nothing nested in it; durable with the next sync."""
    with translated(f"delete {path}"):
        btrfsutil.delete_subvolume(path)


def set_read_only(path: Path, *, read_only: bool) -> None:
    """Seal a subvolume, or open it again; unwritten data is written out first by the caller."""
    with translated(f"make {path} {'read-only' if read_only else 'writable'}"):
        btrfsutil.set_subvolume_read_only(path, read_only)


def default_id(top: Path) -> int:
    """Tell the number of the default subvolume."""
    with translated(f"read the default subvolume of {top}"):
        return int(btrfsutil.get_default_subvolume(top))


def set_default(top: Path, id: int) -> None:
    """Move the default subvolume; durable with the next sync."""
    with translated("move the default subvolume"):
        btrfsutil.set_default_subvolume(top, id)


def sync(path: Path) -> None:
    """Write out the whole filesystem and commit, the log tree's content included."""
    with translated(f"sync {path}"):
        btrfsutil.sync(path)


def reclaim(top: Path, *, seconds: float) -> None:
    """Wait until deleted subvolumes have given their space back, as `btrfs subvolume sync` does.

    The kernel deletes in the background: right after a deletion a full disk is still full.
    """
    deadline = time.monotonic() + seconds
    with translated(f"reclaim deleted subvolumes below {top}"):
        while btrfsutil.deleted_subvolumes(top) and time.monotonic() < deadline:
            btrfsutil.sync(top)
            time.sleep(0.01)


def names_of_inode(directory: Path, inode: int) -> Sequence[bytes] | None:
    """List every path of an inode, from the root of the subvolume `directory`; needs root.

    None where there are more than the kernel tells (struct btrfs_ioctl_ino_path_args of
    linux/btrfs.h).
    """
    container = ctypes.create_string_buffer(_INO_PATHS_SIZE)
    asked = struct.pack("=QQ4QQ", inode, _INO_PATHS_SIZE, 0, 0, 0, 0, ctypes.addressof(container))
    with translated(f"find the names of inode {inode} in {directory}"):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, _INO_PATHS, asked)
        finally:
            os.close(descriptor)
    return _names(container.raw)


def _names(raw: bytes) -> Sequence[bytes] | None:
    _, missing, count, missed = struct.unpack_from("=4I", raw)
    if missing or missed:
        return None
    starts = [16 + start for start in struct.unpack_from(f"={count}Q", raw, 16)]
    return [raw[start : raw.index(b"\0", start)] for start in starts]


def _subvolume(path: str, info: "btrfsutil.SubvolumeInfo") -> Subvolume:
    return Subvolume(path, info.id, info.uuid, info.ctransid, bool(info.flags & _READ_ONLY))
