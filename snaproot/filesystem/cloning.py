"""Copies of single files that share their data with the original, where the filesystem can."""

import errno
import fcntl
import os
import shutil
import stat
from pathlib import Path

_FICLONE = 0x40049409  # linux/fs.h, ioctl_ficlone(2)
_CANNOT = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ETXTBSY, errno.EAGAIN}
"""The last of them on ZFS, of a file that is not on the disk yet."""
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def clone(source: Path, target: Path, *, mode: int = 0o600) -> None:
    """Make `target`, which must not exist, a file with the content of `source`."""
    with (
        source.open("rb") as reading,
        os.fdopen(os.open(target, _NEW, mode), "wb") as writing,
    ):
        try:
            fcntl.ioctl(writing.fileno(), _FICLONE, reading.fileno())
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            shutil.copyfileobj(reading, writing, 1 << 20)


def copy(source: Path, target: Path) -> bool:
    """Copy one entry with owner, mode, times and attributes; a directory without its content.

    False for a socket, which means nothing without the process that made it.
    """
    found = source.lstat()
    if stat.S_ISSOCK(found.st_mode):
        return False
    if stat.S_ISLNK(found.st_mode):
        target.symlink_to(source.readlink())
    elif stat.S_ISDIR(found.st_mode):
        target.mkdir(mode=0o700)
    elif stat.S_ISREG(found.st_mode):
        clone(source, target)
    else:
        os.mknod(target, stat.S_IFMT(found.st_mode) | 0o600, found.st_rdev)
    copy_attributes(source, target)
    return True


def copy_attributes(source: Path, target: Path) -> None:
    """Give `target` owner, extended attributes, mode and times of `source`, in that order.

    A change of owner clears set-user-id bits and capabilities (chown(2)), so it comes first.
    """
    found = source.lstat()
    os.chown(target, found.st_uid, found.st_gid, follow_symlinks=False)
    for name in os.listxattr(source, follow_symlinks=False):
        value = os.getxattr(source, name, follow_symlinks=False)
        os.setxattr(target, name, value, follow_symlinks=False)
    if not stat.S_ISLNK(found.st_mode):
        target.chmod(stat.S_IMODE(found.st_mode))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns), follow_symlinks=False)
