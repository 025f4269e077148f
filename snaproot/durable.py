"""Files that survive a power cut, and the lock.

A write is: temporary file in the same directory, mode before content, fsync, rename, fsync of the
directory (rename(2), fsync(2)). A reader sees the old content or the new one, nothing else.
"""

import ctypes
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from itertools import count
from pathlib import Path

from snaproot.errors import Busy, SnaprootError


def write(path: Path, content: bytes, *, mode: int | None = 0o600) -> None:
    """Replace `path` atomically and durably; without a mode where there are none, as on FAT.

    Raises SnaprootError where the directory cannot be written; the old content is then intact.
    """
    try:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        _replace(directory, path.name, content, mode)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        os.close(directory)


def overwrite(path: Path, content: bytes) -> None:
    """Overwrite a file in place, durably: one write of the same length, read back past the cache.

    For what a boot loader reads or writes by its sectors. Raises SnaprootError where it cannot be
    written or does not read back, RuntimeError for another length.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_size != len(content):
                raise RuntimeError(f"{path} has another length")
            os.pwrite(descriptor, content, 0)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            kept = os.pread(descriptor, len(content), 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unwritable(path, error) from error
    if kept != content:
        raise SnaprootError(
            f"{path} does not read back as it was written", hint="the medium may be failing"
        )


@contextmanager
def uncached(path: Path) -> Iterator[BufferedReader]:
    """Open what is on the medium, not what is cached, once it was synced. Raises OSError."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        yield file


def set_aside(path: Path) -> Path:
    """Give a damaged file a second name that nothing replaces, and return it.

    Raises SnaprootError where that cannot be done.
    """
    names = (path.with_name(f"{path.name}.damaged-{number}") for number in count(1))
    try:
        aside = next(name for name in names if _linked(path, name))
        sync_directory(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    return aside


def sync_directory(path: Path) -> None:
    """Make a directory's entries durable."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def sync_filesystem(path: Path) -> None:
    """Write out all of the filesystem that a path is on (syncfs(2)), which Python does not offer.

    Raises SnaprootError where the disk does not take it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unwritable(path, error) from error


def make_directory(path: Path, *, mode: int | None = 0o700) -> None:
    """Create a directory durably; there already is fine, and its mode then stays.

    Raises SnaprootError where it cannot be made, or is something else.
    """
    try:
        if not path.is_dir():
            path.mkdir(mode=0o700)
            if mode is not None:
                path.chmod(mode)  # whatever the umask is
            sync_directory(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error


@contextmanager
def locked(path: Path, what: str, *, wait: float = 60.0) -> Iterator[None]:
    """Hold the one lock; the file names the holder, for whoever has to wait.

    Raises Busy after `wait` seconds.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        _acquire(descriptor, time.monotonic() + wait)
        with suppress(OSError):  # a full disk must not keep anybody from cleaning up
            os.ftruncate(descriptor, 0)
            name = f"{what} (process {os.getpid()})"
            os.pwrite(descriptor, name.encode(errors="surrogateescape"), 0)
        yield
    finally:
        os.close(descriptor)


def holder(path: Path) -> str:
    """Name whoever holds the lock at this moment; empty if nobody does. Writes nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _named(descriptor)
    finally:
        os.close(descriptor)
    return ""


def _linked(path: Path, aside: Path) -> bool:
    with suppress(FileExistsError):
        os.link(path, aside)
    return aside.samefile(path)


def _named(descriptor: int) -> str:
    return os.pread(descriptor, 200, 0).decode(errors="replace") or "another snaproot"


def _acquire(descriptor: int, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise Busy(
                    f"{_named(descriptor)} is at work; nothing was changed",
                    hint="wait for it, or give it longer with --wait SECONDS",
                ) from None
            time.sleep(0.05)


def _replace(directory: int, name: str, content: bytes, mode: int | None) -> None:
    temporary = f".{name}.{os.urandom(8).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
            if mode is None:
                # On FAT a name holds where the file begins and how long it is, and the kernel
                # writes that with the file, not with the directory.
                os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise
    os.fsync(directory)


def _unwritable(path: Path, error: OSError) -> SnaprootError:
    reason = (error.strerror or str(error)).lower()
    return SnaprootError(
        f"cannot write {path}: {reason}; what was there is still there",
        hint="is the filesystem full, or mounted read-only?",
    )
