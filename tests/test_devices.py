"""Which mount a place is on, whatever other users have mounted."""

import os
from pathlib import Path

from snaproot.devices import exists, mounted_from

MOUNTS = (
    b"21 1 0:19 / / rw - btrfs /dev/sda2 rw\n"
    b"22 21 0:20 / /home/eve/\xff rw - fuse.evil evil rw\n"
    b"23 21 0:21 / /mnt/my\\040d\xc3\xa4ta rw shared:1 - btrfs /dev/sdb rw\n"
    b"24 23 0:22 / /mnt/my\\040d\xc3\xa4ta rw shared:2 - btrfs /dev/mapper/a\\040b rw\n"
)


def test_the_last_of_the_deepest_mounts_counts() -> None:
    assert mounted_from(MOUNTS, Path("/usr")) == "/dev/sda2"
    assert mounted_from(MOUNTS, Path("/mnt/my däta/root")) == "/dev/mapper/a b"
    assert mounted_from(MOUNTS, Path(os.fsdecode(b"/home/eve/\xff/x"))) == "evil"


def test_a_path_to_nothing_is_no_device() -> None:
    assert exists("/dev/null")
    assert not exists("/dev/no-such-device")
    assert not exists("UUID=00000000-0000-0000-0000-000000000000")
