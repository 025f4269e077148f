"""What of the disk's probes needs no disk; the rest is in integration/test_health.py."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from snaproot.errors import SnaprootError
from snaproot.health import Result
from snaproot.health.disk import counters, roomy, unharmed, writable
from snaproot.mountinfo import Mount, holding
from tests.health.asking import answer, first_on_path, put

MOUNTS = b"""\
20 1 0:18 /root / ro,relatime - btrfs /dev/sda2 rw,subvolid=256,subvol=/root
21 20 0:18 /var /var rw - btrfs /dev/sda2 rw,subvol=/var
22 21 8:1 / /var/a\\040b rw - ext4 /dev/sda1 rw,emergency_ro
23 20 0:18 /x /srv rw - btrfs /dev/sdb ro,subvol=/x
24 23 0:40 / /srv rw - tmpfs tmpfs rw,size=4k
25 20 8:2 / /mnt ro - squashfs /dev/sda3 ro
"""


@pytest.mark.parametrize(
    ("path", "kind", "frozen"),
    [
        ("/", "btrfs", False),
        ("/usr/bin", "btrfs", False),
        ("/var/lib", "btrfs", False),
        ("/var/a b/c", "ext4", True),
        ("/variable", "btrfs", False),
        ("/srv/x", "tmpfs", False),
        ("/mnt", "squashfs", False),
    ],
)
def test_the_mount_of_a_path(path: str, kind: str, frozen: bool) -> None:
    found = holding(MOUNTS, Path(path))
    assert found is not None
    assert (found.kind, found.frozen_by_error) == (kind, frozen)


def test_a_btrfs_whose_superblock_is_read_only_is_frozen() -> None:
    root = Mount(Path("/"), "/dev/sda2", "btrfs", "rw,relatime", "ro,subvol=/x")
    assert root.frozen_by_error
    sealed = replace(root, options="ro,relatime", super_options="rw,errors=ro2")
    assert not sealed.frozen_by_error


def test_a_directory_that_can_be_written_is_good_and_left_as_it_was(tmp_path: Path) -> None:
    assert answer(lambda: writable(tmp_path, [tmp_path])).result is Result.GOOD
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_there_is_unknown(tmp_path: Path) -> None:
    found = answer(lambda: writable(tmp_path, [tmp_path / "gone"]))
    assert found.result is Result.UNKNOWN
    assert "cannot be written: no such file" in found.reason


def test_enough_room_is_good(tmp_path: Path) -> None:
    found = answer(lambda: roomy([tmp_path], 1))
    assert (found.result, found.reason) == (Result.GOOD, "at least 1 MiB are free")


def test_too_little_room_is_bad_and_told_in_mib(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize // (1 << 20)
    found = answer(lambda: roomy([tmp_path], 1 << 40))
    assert found.result is Result.BAD
    assert f"MiB are free on {tmp_path}, less than {1 << 40}" in found.reason
    assert found.evidence["least_mib"] == 1 << 40
    assert free > 0


def test_room_that_cannot_be_measured_is_unknown(tmp_path: Path) -> None:
    assert answer(lambda: roomy([tmp_path / "gone"], 1)).result is Result.UNKNOWN


def test_no_btrfs_has_no_counters() -> None:
    found = answer(lambda: unharmed(Path("/proc"), dict))
    assert (found.result, found.reason) == (Result.GOOD, "proc counts no device errors")


@pytest.mark.parametrize("text", ["", "{}", '{"device-stats": [{"write_io_errs": "x"}]}', "[]"])
def test_counters_that_cannot_be_understood(text: str, tmp_path: Path) -> None:
    put(tmp_path / "btrfs", f"#!/bin/sh\necho '{text}'\n")
    with first_on_path(tmp_path), pytest.raises(SnaprootError, match="cannot be understood"):
        counters(tmp_path)


def test_counters_as_texts_and_as_numbers(tmp_path: Path) -> None:
    device = '{"device":"/dev/x","devid":%s,"write_io_errs":%s}'
    both = f"{device % (1, 2)},{device % (chr(34) + '2' + chr(34), chr(34) + '3' + chr(34))}"
    put(tmp_path / "btrfs", f"#!/bin/sh\necho '{{\"device-stats\":[{both}]}}'\n")
    with first_on_path(tmp_path):
        assert counters(tmp_path) == {"1": {"write_io_errs": 2}, "2": {"write_io_errs": 3}}
