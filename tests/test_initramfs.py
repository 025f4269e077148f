"""What an initramfs had and has no more."""

import pytest

from snaproot.initramfs import lost, missing, paths

DEBIAN = """\
.
conf
conf/initramfs.conf
cryptroot/crypttab
scripts/local-top/cryptroot
usr/lib/modules/6.1.0-18-amd64/kernel/fs/btrfs/btrfs.ko
usr/lib/modules/6.1.0-18-amd64/kernel/drivers/md/dm-crypt.ko
usr/sbin/cryptsetup
usr/sbin/lvm
"""
DRACUT = """\
Image: /boot/initramfs-6.11.img: 38M
========================================================================
Version: dracut-103

Arguments: --kver '6.11'

drwxr-xr-x  12 root     root            0 Jan  1  1970 .
crw-r--r--   1 root     root       5,   1 Jan  1  1970 dev/console
lrwxrwxrwx   1 root     root            7 Jan  1  1970 bin -> usr/bin
-rwxr-xr-x   1 root     root       172456 Jan  1  1970 usr/bin/mdadm
-rwxr-xr-x   1 root     root        66088 Jan  1  1970 usr/bin/systemd-cryptsetup
lrwxrwxrwx   1 root     root           22 Jan  1  1970 usr/bin/lvs -> lvm
-rw-r--r--   1 root     root       572456 Jan  1  1970 usr/lib/modules/6.11/kernel/fs/btrfs/btrfs.ko.xz
"""  # noqa: E501 - as lsinitrd prints it


def test_plain_lists_are_read() -> None:
    assert "cryptroot/crypttab" in paths(DEBIAN)
    assert "." not in paths(DEBIAN)
    assert paths("./usr\n/usr/bin\n") == {"usr", "usr/bin"}


def test_long_lists_are_read() -> None:
    found = paths(DRACUT)
    assert {"usr/bin/mdadm", "bin", "dev/console", "usr/bin/lvs"} <= found
    assert "usr/lib/modules/6.11/kernel/fs/btrfs/btrfs.ko.xz" in found


def test_nothing_is_lost_between_equals() -> None:
    assert lost(paths(DEBIAN), [], paths(DEBIAN), []) == []
    assert lost(paths(DRACUT), [], paths(DRACUT), []) == []


@pytest.mark.parametrize(
    ("had", "what"),
    [
        ("usr/sbin/cryptsetup", "cryptsetup"),
        ("usr/bin/systemd-cryptsetup", "cryptsetup"),
        ("cryptroot/crypttab", "the list of encrypted devices"),
        ("etc/crypttab", "the list of encrypted devices"),
        ("scripts/local-top/cryptroot", "the hook that unlocks the root"),
        ("sbin/mdadm", "mdadm"),
        ("usr/bin/lvm", "lvm"),
        ("usr/sbin/zpool", "zfs"),
        ("scripts/local-bottom/snaproot", "snaproot's own hook"),
        ("usr/lib/dracut/hooks/pre-pivot/50-snaproot.sh", "snaproot's own hook"),
        ("usr/lib/modules/6.1/kernel/fs/btrfs/btrfs.ko.zst", "the module btrfs"),
        ("usr/lib/modules/6.1/extra/zfs.ko", "the module zfs"),
        ("usr/lib/modules/6.1/kernel/drivers/md/dm_crypt.ko", "the module dm-crypt"),
    ],
)
def test_what_booting_may_need_is_missed(had: str, what: str) -> None:
    assert lost([had, "usr/bin/ls"], [], ["usr/bin/ls"], []) == [what]


def test_what_is_only_named_alike_is_not_missed() -> None:
    had = ["etc/mdadm", "etc/lvm/lvm.conf", "usr/share/doc/cryptsetup/README", "lib/zfs.txt"]
    assert lost(had, [], [], []) == []


def test_a_module_that_is_now_built_in_is_not_lost() -> None:
    had = ["usr/lib/modules/6.1/kernel/fs/btrfs/btrfs.ko"]
    assert lost(had, [], [], ["kernel/fs/btrfs/btrfs.ko"]) == []


def test_a_root_filesystem_that_was_built_in_must_now_be_a_module() -> None:
    builtin = ["kernel/fs/btrfs/btrfs.ko", "kernel/drivers/md/dm-mod.ko"]
    assert lost(["init"], builtin, ["init"], []) == ["the module btrfs"]
    assert lost(["init"], builtin, ["lib/modules/7/btrfs.ko.xz"], []) == []


def test_a_tool_may_move() -> None:
    assert lost(["sbin/lvm", "usr/sbin/zfs"], [], ["usr/bin/lvm", "usr/bin/zpool"], []) == []


ZFS = (
    "usr/sbin/zpool",
    "usr/sbin/zfs",
    "usr/sbin/mount.zfs",
    "var/lib/dracut/hooks/mount/98-mount-zfs.sh",
    "var/lib/dracut/hooks/pre-pivot/00-snaproot-etc.sh",
    "usr/lib/modules/6.12/extra/zfs.ko.xz",
)


def test_dracuts_names_will_do() -> None:
    assert missing("zfs", ZFS, []) == []
    assert missing("btrfs", [], []) == []


def test_what_is_only_named_alike_will_not_do() -> None:
    alike = (
        "etc/zfs/zpool.cache",
        "lib/zfs",
        "usr/lib/snaproot",
        "bin/zfs_ids_to_path",
        "zfs.ko.c",
    )
    assert len(missing("zfs", alike, [])) == len(ZFS)
