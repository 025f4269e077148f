"""Real Btrfs on loop devices, for tests.

Image names carry a mark, so that what a killed run left is found by it and nothing else is touched.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from snaproot.errors import CommandFailed
from snaproot.run import run

MARK = "snaproot-test-"
_PATIENCE = 10.0  # seconds


@contextmanager
def disk(directory: Path, *, size: str = "512M") -> Iterator[Path]:
    """Make a Btrfs in `directory` and yield its mounted top level; nothing of it stays.

    `size` is as truncate(1) has it. Two in one directory do not meet.
    """
    home = Path(tempfile.mkdtemp(prefix=f"{MARK}{os.getpid()}-", dir=directory))
    image, top = home / f"{MARK}{home.name[-8:]}.img", home / "top"
    try:
        with attached(image, size) as device:
            run(["mkfs.btrfs", "-q", "-f", device])
            with mounted(device, top):
                yield top
    finally:
        image.unlink(missing_ok=True)
        with suppress(OSError):
            home.rmdir()


@contextmanager
def attached(image: Path, size: str) -> Iterator[str]:
    """Create an image of that size and yield the loop device that serves it.

    The name of the image has to carry the mark, its directory's the mark and our process id.
    """
    if MARK not in image.name or not _alive(image):
        raise RuntimeError(f"{image} would be taken for what a killed run left")
    run(["truncate", "-s", size, str(image)])
    device = run(["losetup", "--find", "--show", str(image)]).output.strip()
    try:
        yield device
    finally:
        run(["losetup", "--detach", device], check=False)
        _let_go(device, image)


def _let_go(device: str, image: Path) -> None:
    """Wait until a device has let go of its image: whoever looks at it for a moment keeps it so.

    losetup(8) returns at once then, and the image's filesystem cannot be unmounted yet.
    """
    backing = Path("/sys/block", Path(device).name, "loop/backing_file")
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        try:
            if backing.read_text().strip() != str(image):
                return
        except OSError:  # there is none
            return
        time.sleep(0.05)


@contextmanager
def mounted(device: str, top: Path, *, options: str = "subvolid=5") -> Iterator[Path]:
    """Mount a device for as long as the block lasts, wherever nested mounts are by then."""
    top.mkdir(exist_ok=True)
    run(["mount", "-t", "btrfs", "-o", options, device, str(top)])
    try:
        yield top
    finally:
        unmounted(top)
        with suppress(OSError):
            top.rmdir()


@contextmanager
def memory(place: Path, size: str) -> Iterator[Path]:
    """Mount a filesystem of that size in memory, whose figures are exact; nothing of it stays."""
    place.mkdir()
    words = ("-t", "tmpfs", "-o", f"size={size}", f"{MARK}{os.getpid()}-memory", str(place))
    run(["mount", *words])
    try:
        yield place
    finally:
        unmounted(place)
        place.rmdir()


def unmounted(place: Path) -> None:
    """Unmount what is mounted at and below a place, deepest first."""
    for point in sorted(_mounts_below(place), key=len, reverse=True):
        run(["umount", "--", point], check=False)
    for point in sorted(_mounts_below(place), key=len, reverse=True):
        run(["umount", "--lazy", "--", point])


def clean() -> None:
    """Remove loop devices, mounts and images of runs whose process is gone."""
    listed = run(["losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE"]).output
    for line in listed.splitlines():
        device, _, name = line.strip().partition(" ")
        image = Path(name.strip().removesuffix(" (deleted)"))
        if MARK in image.name and not _alive(image):
            _drop(device, image)
    for source, point in _mounts():
        if source.startswith(MARK) and not _alive(Path(source, "memory")):
            unmounted(Path(point))


def _drop(device: str, image: Path) -> None:
    for source, point in _mounts():
        if source == device:
            unmounted(Path(point))
    with suppress(CommandFailed):
        run(["losetup", "--detach", device])
    image.unlink(missing_ok=True)
    for directory in (image.parent / "top", image.parent):
        with suppress(OSError):
            directory.rmdir()


def _alive(image: Path) -> bool:
    """Tell whether the run that made the image still lives: its process id is in the name."""
    owner = image.parent.name.removeprefix(MARK).split("-")[0]
    return owner.isdigit() and Path("/proc", owner).exists()


def _mounts() -> list[tuple[str, str]]:
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    pairs = [line.split(" ")[:2] for line in lines.splitlines()]
    return [(source, _unescaped(point)) for source, point in pairs]


def _mounts_below(place: Path) -> list[str]:
    below = str(place.resolve())
    return [p for _, p in _mounts() if p == below or p.startswith(f"{below}/")]


def _unescaped(text: str) -> str:
    """Undo the octal escapes of proc_mounts(5)."""
    for octal in ("040", "011", "012", "134"):
        text = text.replace(f"\\{octal}", chr(int(octal, 8)))
    return text
