"""What a scenario does to a disk while its machine is off: an overlay, opened as directories."""

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integration import debian
from integration.disk import unmounted
from integration.powercut import private_mounts, stop
from integration.vm import esp, parts
from integration.vm.qemu import ALIVE
from snaproot.errors import SnaprootError
from snaproot.run import environment, run

MARK = "snaproot-machine-"
_PATIENCE = 20.0  # seconds


@contextmanager
def home() -> Iterator[Path]:
    """Make a directory for a machine beside the images; nothing of it stays.

    What a killed run left is found by its name and removed first.
    """
    clean()
    place = Path(tempfile.mkdtemp(prefix=f"{MARK}{os.getpid()}-", dir=debian.cache()))
    try:
        yield place
    finally:
        shutil.rmtree(place)


def clean() -> None:
    """Remove what runs whose process is gone have left: files; the rest died with them."""
    for left in debian.cache().glob(f"{MARK}*"):
        owner = left.name.removeprefix(MARK).split("-")[0]
        # Who is dead and not yet buried has no program.
        if owner.isdigit() and not Path("/proc", owner, "exe").exists():
            shutil.rmtree(left, ignore_errors=True)


def overlay(image: Path, place: Path) -> Path:
    """Make a disk that begins as an image and keeps what is written to it for itself.

    The image gets a second name beside it, which stays as long as the overlay.
    """
    below = place / "below.img"
    os.link(image, below)
    disk = place / "disk.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(below), str(disk)])
    return disk


@contextmanager
def opened(disk: Path) -> Iterator[tuple[Path, Path]]:
    """Yield a switched-off disk's top level, mounted, and a directory with its ESP's files.

    Both are for writing. One at a time on this machine: all disks of one image have one UUID.
    """
    place = disk.parent
    with (
        alone(),
        private_mounts(),
        served(disk, place / "served.img") as raw,
        esp.directory(raw, place / "esp") as files,
        parts.mounted(raw, place / "top") as top,
    ):
        yield top, files


@contextmanager
def alone() -> Iterator[None]:
    """Keep others of this machine from mounting disks with the same UUID meanwhile."""
    with (debian.cache() / "mounting.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def served(disk: Path, raw: Path) -> Iterator[Path]:
    """Serve an overlay as a raw file (qemu-storage-daemon(1))."""
    raw.touch(mode=0o600)
    pidfile = raw.with_suffix(".pid")
    pidfile.unlink(missing_ok=True)
    export = f"type=fuse,id=e,node-name=disk,mountpoint={raw},writable=on"
    node = (
        "driver=qcow2,node-name=disk,discard=unmap,cache.no-flush=on,"
        f"file.driver=file,file.filename={disk}"
    )
    argv = [
        "qemu-storage-daemon",
        "--pidfile",
        str(pidfile),
        "--blockdev",
        node,
        "--export",
        export,
    ]
    with subprocess.Popen([*ALIVE, *argv], env=environment(), stdin=subprocess.DEVNULL) as daemon:
        try:
            _there(pidfile, daemon)
            yield raw
        finally:
            stop(pidfile)
            unmounted(raw)


def _there(pidfile: Path, daemon: "subprocess.Popen[bytes]") -> None:
    """Wait for what the daemon writes once its export is there."""
    end = time.monotonic() + _PATIENCE
    while not (pidfile.exists() and pidfile.read_text(encoding="ascii")):
        if daemon.poll() is not None or time.monotonic() > end:
            raise SnaprootError(f"{pidfile}: the storage daemon did not start")
        time.sleep(0.01)
