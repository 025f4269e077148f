"""Which mount a place is on, whatever other users have mounted."""

import os
from pathlib import Path

from snaproot.mountinfo import holding, mount_of, points_of

MOUNTS = (
    b"21 1 0:19 / / rw - btrfs /dev/sda2 rw\n"
    b"22 21 0:20 / /home/eve/\xff rw - fuse.evil evil rw\n"
    b"23 21 0:21 / /mnt/my\\040d\xc3\xa4ta rw shared:1 - btrfs /dev/sdb rw\n"
    b"24 23 0:22 / /mnt/my\\040d\xc3\xa4ta rw shared:2 - btrfs /dev/mapper/a\\040b rw\n"
)


def source(path: Path) -> str:
    found = holding(MOUNTS, path)
    assert found is not None
    return found.source


def test_the_last_of_the_deepest_mounts_counts() -> None:
    assert source(Path("/usr")) == "/dev/sda2"
    assert source(Path("/mnt/my däta/root")) == "/dev/mapper/a b"
    assert source(Path(os.fsdecode(b"/home/eve/\xff/x"))) == "evil"


def test_what_is_mounted_here_is_found_by_its_device() -> None:
    root = mount_of(Path("/"))
    if root.source.startswith("/dev/"):
        assert Path("/") in points_of(Path(root.source))
    assert points_of(Path("/dev/null")) == []
