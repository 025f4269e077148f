"""The fstab of a root that leaves."""

from snaproot.leaving.table import named, numbered, rooted, within

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
