"""The fstab of a root that leaves."""

from snaproot import fstab
from snaproot.leaving.table import (
    loosened,
    named,
    numbered,
    respelled,
    rooted,
    tight,
    tightened,
    within,
)

TEXT = """\
# kept
UUID=x / btrfs noatime 0 0
UUID=x\t/home\tbtrfs\tnoatime,subvol=/@snaproot/areas/home\t0 0
UUID=x /data btrfs subvolid=77 0 0
UUID=y /boot/efi vfat umask=0077 0 1
"""


def test_the_root_is_named() -> None:
    lines = rooted(TEXT, "@").splitlines()
    assert lines[1].split() == ["UUID=x", "/", "btrfs", "noatime,subvol=@", "0", "0"]
    assert [*lines[:1], *lines[2:]] == [TEXT.splitlines()[0], *TEXT.splitlines()[2:]]


def test_areas_go_by_number_and_come_back_by_name() -> None:
    by_number = numbered(TEXT, {"@snaproot/areas/home": 259})
    assert by_number.splitlines()[2].split()[3] == "noatime,subvolid=259"
    assert "subvolid=77" in by_number
    by_name = named(by_number, {259: "@home"})
    assert by_name.splitlines()[2].split()[3] == "noatime,subvol=/@home"
    assert "subvolid=77" in by_name
    assert numbered(by_name, {"@snaproot/areas/home": 259}) == by_name


def test_what_lies_in_the_place_is_found() -> None:
    assert within(TEXT, "@") is None
    found = within(f"{TEXT}UUID=x /x btrfs subvol=@/x 0 0\n", "@")
    assert found is not None
    assert found.file == "/x"
    assert within("UUID=x / btrfs subvol=@ 0 0\nUUID=x /y btrfs subvol=@home 0 0\n", "@") is None


DATASETS = """\
rpool/snaproot/areas/var\t/var\tzfs\tnoatime\t0\t0
rpool/snaproot/areas/srv /srv zfs defaults,nofail 0 0
rpool/other /other zfs defaults 0 0
"""
AREAS = ("rpool/snaproot/areas/var", "rpool/snaproot/areas/srv")


def test_lines_of_datasets_may_fail_meanwhile_and_are_then_as_strict_as_before() -> None:
    held = tight(DATASETS, AREAS)
    assert held == ("/var",)
    loose = loosened(DATASETS, AREAS)
    assert "areas/var\t/var\tzfs\tnoatime,nofail\t" in loose
    assert "rpool/other /other zfs defaults 0 0\n" in loose
    assert loosened(loose, AREAS) == loose
    strict = fstab.parse(tightened(loose, AREAS, held))
    assert [one.options for one in strict] == [("noatime",), ("defaults", "nofail"), ("defaults",)]


def test_lines_of_datasets_get_other_names() -> None:
    named = respelled(DATASETS, {AREAS[0]: "rpool/var"})
    assert named.startswith("rpool/var\t/var\tzfs\tnoatime\t0\t0\n")
    assert named.splitlines()[1:] == DATASETS.splitlines()[1:]
    btrfs = "rpool/x /x btrfs defaults 0 0\n"
    assert respelled(btrfs, {"rpool/x": "rpool/y"}) == btrfs
