"""A disk with two partitions: the EFI system partition, and a Btrfs.

Nothing here needs a kernel that reads partition tables or FAT: what lies where is known.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integration import powercut
from integration.disk import unmounted
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
        for start, end in powercut.extents(source.fileno(), root.stat().st_size):
            _copied(source.fileno(), target.fileno(), start, end)


def uuid(disk: Path, at: int, size: int) -> str:
    """Return the UUID of the filesystem in a partition."""
    place = ["--offset", str(at), "--size", str(size), str(disk)]
    return run(["blkid", "-p", "-s", "UUID", "-o", "value", *place]).output.strip()


@contextmanager
def mounted(disk: Path, top: Path) -> Iterator[Path]:
    """Mount the top level of a disk's Btrfs. The loop device goes with the mount, however it ends.

    The kernel forgets it afterwards: of two devices with one UUID it refuses the older state.
    """
    top.mkdir(exist_ok=True)
    options = f"loop,offset={ROOT_AT},sizelimit={ROOT_SIZE},subvolid=5"
    run(["mount", "-t", "btrfs", "-o", options, str(disk), str(top)])
    device = run(["findmnt", "-n", "-o", "SOURCE", "-v", str(top)]).output.strip()
    try:
        yield top
    finally:
        unmounted(top)
        powercut.forget(device)


def _copied(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        start += os.copy_file_range(source, target, end - start, start, ROOT_AT + start)
