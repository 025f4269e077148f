"""Record what a real Btrfs writes, and mount the disks that a power cut would have left.

QEMU's storage daemon serves an image as a file through FUSE and logs every request; a loop device
on that file carries the filesystem. The log is `writelog`'s; here are the daemon and the mounts.
"""

import ctypes
import fcntl
import mmap
import os
import select
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from integration.disk import unmounted
from integration.writelog import BLOCK, Entry, Image, parse
from snaproot.run import run

MARK = "snaproot-powercut-"
_LOG_SIZE = 1 << 30
_MEMORY = Path("/dev/shm")  # noqa: S108 - a file system; the directory in it is made by mkdtemp
_FORGET_DEVICE = 0x50009405  # BTRFS_IOC_FORGET_DEV, linux/btrfs.h
_PATIENCE = 20.0  # seconds
_CLONE_NEWNS = 0x00020000
_PRIVATE = 1 << 18 | 1 << 14  # MS_PRIVATE, MS_REC
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Tape:
    """A recording that goes on: the device to mount, and what was written to it so far."""

    device: str
    base: Image
    log: Path

    def entries(self) -> list[Entry]:
        """Read the log as far as it is."""
        with (
            self.log.open("rb") as file,
            mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as log,
            memoryview(log) as view,
        ):
            return parse(view)


@contextmanager
def workplace() -> Iterator[Path]:
    """Make a directory for images, in memory where there is enough; nothing of it stays.

    What a killed run left is found by its name and removed first. Mounts made meanwhile are seen
    by nobody else: in another's namespace a disk would live on, and meet the next of its UUID.
    """
    clean()
    home = Path(tempfile.mkdtemp(prefix=f"{MARK}{os.getpid()}-", dir=_roomy()))
    with private_mounts():
        try:
            yield home
        finally:
            _remove(home)


@contextmanager
def recorded(home: Path, image: Path) -> Iterator[Tape]:
    """Attach an image so that every write to it is logged. The image itself changes."""
    base = read(image)
    log, served = home / "log.img", home / "disk.img"
    log.unlink(missing_ok=True)
    log.touch(mode=0o600)
    os.truncate(log, _LOG_SIZE)
    served.touch(mode=0o600)
    with _daemon(home, image, log, served), attached(served) as device:
        yield Tape(device, base, log)


@contextmanager
def rebuilt(home: Path, image: Image) -> Iterator[str]:
    """Attach a disk as a power cut left it."""
    file = home / "cut.img"
    write(image, file)
    with attached(file) as device:
        yield device


@contextmanager
def attached(file: Path) -> Iterator[str]:
    """Yield a loop device on a file.

    The kernel forgets it afterwards: of two devices with one UUID it refuses the older state.
    """
    device = run(["losetup", "--find", "--show", str(file)]).output.strip()
    try:
        yield device
    finally:
        forget(device)
        run(["losetup", "--detach", device], check=False)


@contextmanager
def mounted(device: str, top: Path, data: str = "subvolid=5") -> Iterator[Path]:
    """Mount a Btrfs by the system call itself (mount(2)): hundreds of times, programs are slow."""
    top.mkdir(exist_ok=True)
    _call("mount", device.encode(), os.fsencode(top), b"btrfs", 0, data.encode())
    try:
        yield top
    finally:
        if _LIBC.umount2(os.fsencode(top), 0) != 0:
            unmounted(top)


def read(path: Path) -> Image:
    """Read a sparse image file."""
    with path.open("rb") as file:
        image = Image(os.fstat(file.fileno()).st_size)
        for start, end in extents(file.fileno(), image.size):
            for at in range(start - start % BLOCK, end, BLOCK):
                image.put(at // BLOCK, os.pread(file.fileno(), BLOCK, at).ljust(BLOCK, b"\0"))
    return image


def write(image: Image, path: Path) -> None:
    """Write an image as a sparse file: a new one, as the old one may not be closed yet."""
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        os.ftruncate(file.fileno(), image.size)
        for number in sorted(image.blocks):
            os.pwrite(file.fileno(), image.blocks[number], number * BLOCK)


def clean() -> None:
    """Remove mounts, loop devices, daemons and images of runs whose process is gone."""
    for parent in {_MEMORY, Path(tempfile.gettempdir())}:
        for home in parent.glob(f"{MARK}*"):
            owner = home.name.removeprefix(MARK).split("-")[0]
            if owner.isdigit() and not Path("/proc", owner).exists():
                _remove(home)


def _remove(home: Path) -> None:
    for top in home.iterdir():
        if top.is_dir():
            unmounted(top)
    for device in Path("/sys/block").glob("loop*"):
        with suppress(OSError):
            backing = (device / "loop/backing_file").read_text(encoding="utf-8")
            if backing.startswith(f"{home}/"):
                run(["losetup", "--detach", f"/dev/{device.name}"], check=False)
    stop(home / "daemon.pid")
    unmounted(home)
    shutil.rmtree(home)


@contextmanager
def private_mounts() -> Iterator[None]:
    """Work in a mount namespace of our own, and come back (unshare(2), setns(2))."""
    here = Path.cwd()
    with Path("/proc/thread-self/ns/mnt").open("rb") as before:
        _call("unshare", _CLONE_NEWNS)
        _call("mount", b"none", b"/", None, _PRIVATE, None)
        try:
            yield
        finally:
            _call("setns", before.fileno(), _CLONE_NEWNS)
            os.chdir(here)


def _call(name: str, *words: bytes | int | None) -> None:
    if getattr(_LIBC, name)(*words) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}{words}: {os.strerror(number)}")


@contextmanager
def _daemon(home: Path, image: Path, log: Path, served: Path) -> Iterator[None]:
    """Run the storage daemon; it returns from its start once the export is there."""
    pidfile = home / "daemon.pid"
    argv = ["qemu-storage-daemon", "--daemonize", "--pidfile", str(pidfile)]
    for node in (
        f"driver=file,node-name=f,filename={image}",
        f"driver=file,node-name=l,filename={log}",
        "driver=blklogwrites,node-name=w,file=f,log=l,log-sector-size=512",
    ):
        argv += ["--blockdev", node]
    run([*argv, "--export", f"type=fuse,id=e,node-name=w,mountpoint={served},writable=on"])
    try:
        yield
    finally:
        stop(pidfile)


def stop(pidfile: Path) -> None:
    """End the daemon by its id, and wait until it is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        pid = int(pidfile.read_text(encoding="ascii"))
        if str(pidfile) not in Path("/proc", str(pid), "cmdline").read_text(encoding="utf-8"):
            return
        handle = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            if not select.select([handle], [], [], _PATIENCE)[0]:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)


def _roomy() -> Path:
    with suppress(OSError):
        if shutil.disk_usage(_MEMORY).free > _LOG_SIZE and os.access(_MEMORY, os.W_OK):
            return _MEMORY
    return Path(tempfile.gettempdir())


def extents(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Find the parts of a sparse file that hold data (lseek(2))."""
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError:
            return
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, end


def forget(device: str) -> None:
    volume = bytearray(8) + bytearray(device.encode().ljust(4088, b"\0"))
    with suppress(OSError), Path("/dev/btrfs-control").open("rb") as control:
        fcntl.ioctl(control, _FORGET_DEVICE, volume)
