"""A disk with two partitions: the EFI system partition, and a Btrfs.

Nothing here needs a kernel that reads partition tables or FAT: what lies where is known.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integration.powercut import extents, forget
from snaproot.run import run

MIB = 1 << 20
ESP_AT, ESP_SIZE = 1 * MIB, 200 * MIB
ROOT_AT, ROOT_SIZE = ESP_AT + ESP_SIZE, 6 << 30
SIZE = ROOT_AT + ROOT_SIZE + MIB
_SECTOR = 512
_TABLE = f"""\
label: gpt
start={ESP_AT // _SECTOR}, size={ESP_SIZE // _SECTOR}, type=U
start={ROOT_AT // _SECTOR}, size={ROOT_SIZE // _SECTOR}, type=L
"""


def partitioned(disk: Path, root: Path) -> None:
    """Make a sparse disk: an empty EFI system partition, and a copy of a Btrfs image."""
    run(["truncate", "-s", str(SIZE), str(disk)])
    table = disk.with_suffix(".sfdisk")
    table.write_text(_TABLE, encoding="ascii")
    run(["sh", "-c", 'exec sfdisk --quiet --no-reread "$1" <"$2"', "sh", str(disk), str(table)])
    table.unlink()
    place = [f"--offset={ESP_AT // _SECTOR}", str(disk), str(ESP_SIZE // 1024)]
    run(["mkfs.vfat", "-F", "32", "-s", "2", "-n", "ESP", *place])
    with root.open("rb") as source, disk.open("r+b") as target:
        for start, end in extents(source.fileno(), root.stat().st_size):
            _copied(source.fileno(), target.fileno(), start, end)


def uuid(disk: Path, at: int, size: int) -> str:
    """Return the UUID of the filesystem in a partition."""
    place = ["--offset", str(at), "--size", str(size), str(disk)]
    return run(["blkid", "-p", "-s", "UUID", "-o", "value", *place]).output.strip()


@contextmanager
def attached(disk: Path) -> Iterator[str]:
    """Yield a loop device on the Btrfs of a disk; the kernel forgets it afterwards."""
    place = ["--offset", str(ROOT_AT), "--sizelimit", str(ROOT_SIZE)]
    device = run(["losetup", "--find", "--show", *place, str(disk)]).output.strip()
    try:
        yield device
    finally:
        forget(device)
        run(["losetup", "--detach", device], check=False)


def _copied(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        start += os.copy_file_range(source, target, end - start, start, ROOT_AT + start)
