"""What is read of a machine, from directories laid out as the kernel lays them out."""

import shutil
from pathlib import Path

import pytest

from snaproot.errors import Refused
from snaproot.finding import Finding
from snaproot.machine import look, refusals, refuse
from snaproot.machine.facts import Binary, Device, Kind
from snaproot.run import run
from tests.laidout import Laid, esp_at, stock

PAGE = 4096


@pytest.fixture
def laid(tmp_path: Path) -> Laid:
    return stock(tmp_path)


def refused(laid: Laid, says: str) -> Finding:
    """Look, and insist on the one refusal."""
    found = [*refusals(look(laid.root))]
    assert [says in one.what for one in found] == [True], found
    assert found[0].bad
    assert found[0].hint
    with pytest.raises(Refused, match="nothing was changed") as error:
        refuse(look(laid.root))
    assert error.value.hint == found[0].hint
    return found[0]


def accepted(laid: Laid) -> None:
    assert [*refusals(look(laid.root))] == []
    refuse(look(laid.root))


def test_a_stock_machine_is_accepted(laid: Laid) -> None:
    accepted(laid)
    seen = look(laid.root)
    assert (seen.efi, seen.secure_boot, seen.shim_checks, seen.watchdog) == (True, True, True, "")
    assert seen.esp is not None
    assert (seen.esp.place, seen.esp.spec, seen.esp.kind) == ("/boot/efi", "/dev/sda1", "vfat")
    assert seen.esp.devices == (Device("sda1"), Device("sda"))
    assert seen.root_devices == (Device("sda2"), Device("sda"))
    assert seen.esp.free > 0


# -- firmware, and what is no machine --------------------------------------------------------------


def test_bios_is_refused(laid: Laid) -> None:
    (laid.root / "sys/firmware/efi/efivars").rename(laid.root / "gone")
    (laid.root / "sys/firmware/efi").rmdir()
    refused(laid, "started by BIOS")
    (laid.root / "boot/efi/EFI/debian/grub.cfg").unlink()
    laid.mounts()
    refused(laid, "started by BIOS")  # that there is no ESP goes without saying


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("run/systemd/container", "lxc\n", "a container (lxc)"),
        ("proc/1/environ", "HOME=/\0container=systemd-nspawn\0", "a container (systemd-nspawn)"),
        ("proc/cmdline", "boot=live components quiet", "a live system"),
        ("proc/cmdline", "root=live:CDLABEL=F rd.live.image", "a live system"),
    ],
)
def test_what_is_no_machine_is_refused(laid: Laid, name: str, content: str, says: str) -> None:
    laid.put(name, content)
    refused(laid, says)


def test_a_chroot_is_refused(laid: Laid) -> None:
    (laid.root / "proc/1/root").unlink()
    (laid.root / "rescue").mkdir()
    laid.link("proc/1/root", "../../rescue")
    refused(laid, "this is a chroot")


def test_a_root_on_an_overlay_is_refused(laid: Laid) -> None:
    laid.put("proc/self/mountinfo", "22 1 0:21 / / rw - overlay overlay rw,lowerdir=/a\n")
    refused(laid, "a live system, on overlay")


def test_what_docker_left_in_an_image_makes_no_container(laid: Laid) -> None:
    laid.put(".dockerenv")
    accepted(laid)
    (laid.root / "run/systemd/system/.keep").unlink()
    (laid.root / "run/systemd/system").rmdir()
    refused(laid, "this is a container")


# -- /boot and the ESP -----------------------------------------------------------------------------


def test_a_boot_of_its_own_is_refused(laid: Laid) -> None:
    laid.mounts("31 22 8:3 / /boot rw - ext4 /dev/sda3 rw", esp_at("/boot/efi"))
    refused(laid, "/boot is a filesystem of its own (/dev/sda3, ext4)")


def test_a_boot_that_is_an_esp_is_refused(laid: Laid) -> None:
    laid.mounts(esp_at("/boot"))
    laid.put("boot/EFI/debian/grub.cfg", "configfile $prefix/grub.cfg\n")
    refused(laid, "/boot is a filesystem of its own (/dev/sda1, vfat)")


def test_a_boot_that_is_not_mounted_is_refused_as_well(laid: Laid) -> None:
    laid.put("etc/fstab", "UUID=1-2 /boot ext4 noauto\n")
    refused(laid, "/boot is a filesystem of its own (UUID=1-2, ext4)")


def test_a_boot_that_is_a_subvolume_is_not(laid: Laid) -> None:
    laid.mounts("31 22 0:21 /@boot /boot rw - btrfs /dev/sda2 rw", esp_at("/boot/efi"))
    accepted(laid)


def test_without_an_esp_it_is_refused(laid: Laid) -> None:
    laid.mounts()
    laid.put("etc/fstab", "")
    refused(laid, "no EFI system partition is mounted")


def test_a_boot_of_its_own_is_no_esp_that_went_wrong(laid: Laid) -> None:
    laid.mounts("31 22 8:3 / /boot rw - ext4 /dev/sda3 rw")
    laid.put("etc/fstab", "")
    found = [one.what.split(" (")[0] for one in refusals(look(laid.root))]
    assert found[0] == "/boot is a filesystem of its own"
    assert found[1].startswith("no EFI system partition is mounted")


def test_what_is_hidden_by_another_mount_is_not_there(laid: Laid) -> None:
    laid.mounts(esp_at("/boot/efi"), "31 22 0:50 / /boot rw - tmpfs none rw")
    shutil.rmtree(laid.root / "boot/efi")
    found = [one.what.split(" (")[0] for one in refusals(look(laid.root))]
    assert found[0] == "/boot is a filesystem of its own"
    assert found[1].startswith("no EFI system partition is mounted")


def test_an_automount_is_no_esp_before_it_is_one(laid: Laid) -> None:
    autofs = "29 22 0:40 / /boot/efi rw - autofs systemd-1 rw,fd=44"
    laid.mounts(autofs)
    refused(laid, "no EFI system partition is mounted")
    laid.mounts(autofs, esp_at("/boot/efi"))
    accepted(laid)


def test_an_esp_that_is_no_fat_is_refused(laid: Laid) -> None:
    laid.mounts(esp_at("/boot/efi", kind="ext4"))
    refused(laid, "/boot/efi is ext4")


def test_an_esp_that_is_read_only_is_refused(laid: Laid) -> None:
    laid.mounts(esp_at("/boot/efi", options="ro"))
    assert "remount,rw /boot/efi" in refused(laid, "mounted read-only").hint


def test_an_esp_on_raid_is_refused_as_such(laid: Laid) -> None:
    laid.virtual("md127", {"md/level": "raid1", "md/metadata_version": "1.0"}, "sda1", "sda3")
    laid.mounts(esp_at("/boot/efi", "/dev/md127"))
    found = refused(laid, "the ESP is on RAID (md127)")
    assert "behind the array's back" in found.what
    assert "plain partition" in found.hint


def test_an_esp_on_a_partition_of_raid_is_refused_as_such(laid: Laid) -> None:
    laid.virtual("md0", {"md/level": "raid1"}, "sda1")
    laid.put("sys/devices/virtual/block/md0/md0p1/partition", "1\n")
    laid.link("sys/class/block/md0p1", "../../devices/virtual/block/md0/md0p1")
    laid.put("dev/md0p1")
    laid.mounts(esp_at("/boot/efi", "/dev/md0p1"))
    refused(laid, "the ESP is on RAID (md0)")


def test_an_esp_on_a_loop_on_raid_is_refused(laid: Laid) -> None:
    laid.virtual("md0", {"md/level": "raid1"}, "sda1")
    laid.virtual("loop0", {"loop/backing_file": "/dev/md0"})
    laid.mounts(esp_at("/boot/efi", "/dev/loop0"))
    refused(laid, "the ESP is on loop device (loop0)")
    seen = look(laid.root).esp
    assert seen is not None
    assert [device.name for device in seen.devices] == ["loop0", "md0", "sda1", "sda"]


@pytest.mark.parametrize(
    ("uuid", "name", "says"),
    [
        ("LVM-abcdef", "vg-esp", "the ESP is on LVM (vg-esp)"),
        ("CRYPT-LUKS2-0123-esp", "esp", "the ESP is on LUKS (esp)"),
        ("DMRAID-isw_x", "isw_x", "the ESP is on RAID (isw_x)"),
        ("", "linear", "the ESP is on device-mapper (linear)"),
    ],
)
def test_an_esp_where_grub_cannot_write_is_refused(
    laid: Laid, uuid: str, name: str, says: str
) -> None:
    laid.mounts(esp_at("/boot/efi", laid.mapped(uuid, name, "sda1")))
    refused(laid, says)


def test_an_esp_on_a_multipath_is_on_a_disk(laid: Laid) -> None:
    laid.mapped("mpath-360000", "mpatha", "sda")
    laid.mounts(esp_at("/boot/efi", laid.mapped("part1-mpath-360", "mpatha1", "dm-0", number=1)))
    accepted(laid)


def test_a_directory_that_is_given_is_not_judged_as_a_device(laid: Laid) -> None:
    laid.mounts()
    laid.put("etc/fstab", "")
    laid.put("copy/EFI/debian/grub.cfg")
    seen = look(laid.root, esp=Path("/copy"))
    assert [*refusals(seen)] == []
    assert seen.esp is not None
    assert seen.esp.is_copy
    with pytest.raises(Refused, match="is no directory"):
        look(laid.root, esp=Path("/nowhere"))


def test_systemd_boot_is_refused(laid: Laid) -> None:
    laid.variable("LoaderInfo", "systemd-boot 257.9-1\0".encode("utf-16-le"))
    assert "grub-install" in refused(laid, "started by systemd-boot 257.9-1, not by GRUB").hint
    laid.variable("LoaderInfo", "GRUB 2.12\0".encode("utf-16-le"))
    laid.put("boot/efi/EFI/systemd/systemd-bootx64.efi", b"MZ")
    accepted(laid)
    (laid.root / "boot/efi/EFI/debian/grub.cfg").unlink()
    refused(laid, "started by systemd-boot, not by GRUB")


# -- the root --------------------------------------------------------------------------------------


def encrypted(laid: Laid) -> None:
    source = laid.mapped("CRYPT-LUKS2-0123456789-luks-root", "luks-root", "sda2")
    laid.root_on(source, "dm-0")


def test_luks_that_crypttab_does_not_name_is_refused(laid: Laid) -> None:
    encrypted(laid)
    laid.put("etc/crypttab", "# <target name> <source device>\nluks-swap UUID=1 none\n")
    laid.put("usr/share/initramfs-tools/hooks/cryptroot")
    assert "update-initramfs" in refused(laid, "(luks-root), and /etc/crypttab does not name").hint


def test_luks_that_no_initramfs_would_unlock_is_refused(laid: Laid) -> None:
    encrypted(laid)
    laid.put("etc/crypttab", "luks-root UUID=0 none luks,discard\n")
    assert "cryptsetup-initramfs" in refused(laid, "nothing here puts its unlocking").hint


def test_luks_that_the_menu_does_not_ask_for_is_refused(laid: Laid) -> None:
    encrypted(laid)
    laid.put("etc/crypttab", "luks-root UUID=0 none luks,discard\n")
    laid.put("usr/lib/dracut/modules.d/90crypt/module-setup.sh")
    refused(laid, "does not ask for a passphrase yet")
    laid.put("etc/crypttab", "")
    laid.put("proc/cmdline", "rd.luks.name=0123=luks-root")
    refused(laid, "does not ask for a passphrase yet")
    laid.put("proc/cmdline", "rd.luks.uuid=root")
    refused(laid, "does not ask for a passphrase yet")


def test_luks_below_lvm_is_found(laid: Laid) -> None:
    laid.mapped("CRYPT-LUKS2-1-pv", "pv", "sda2")
    laid.root_on(laid.mapped("LVM-xyz", "vg-root", "dm-0", number=1), "dm-1")
    refused(laid, "the root is on LUKS (pv)")


def test_the_second_device_of_a_btrfs_counts(laid: Laid) -> None:
    laid.mapped("CRYPT-LUKS2-1-second", "second", "sda3")
    laid.members("dm-0")
    refused(laid, "the root is on LUKS (second)")


def test_raid_and_lvm_below_the_root_are_allowed(laid: Laid) -> None:
    laid.virtual("md0", {"md/level": "raid1"}, "sda2", "sda3")
    laid.root_on(laid.mapped("LVM-xyz", "vg-root", "md0"), "dm-0")
    accepted(laid)
    assert [one.kind for one in look(laid.root).root_devices][:2] == [Kind.LVM, Kind.RAID]


def test_what_grub_cannot_read_is_refused(laid: Laid) -> None:
    laid.virtual("bcache0", {"bcache/state": "clean"}, "sda2")
    laid.root_on("/dev/bcache0", "bcache0")
    refused(laid, "the root is on bcache (bcache0)")


def test_another_device_mapper_below_the_root_is_refused(laid: Laid) -> None:
    laid.root_on(laid.mapped("INTEGRITY-1", "safe", "sda2"), "dm-0")
    refused(laid, "the root is on device-mapper (safe)")


# -- SELinux, hibernation --------------------------------------------------------------------------


def test_selinux_that_cannot_relabel_is_refused(laid: Laid) -> None:
    laid.put("sys/fs/selinux/enforce", "1")
    assert "policycoreutils" in refused(laid, "SELinux is enforcing").hint
    laid.put("usr/sbin/setfiles")
    accepted(laid)
    (laid.root / "usr/sbin/setfiles").unlink()
    laid.put("sys/fs/selinux/enforce", "0")
    accepted(laid)


def swap(path: Path, *, hibernated: bool) -> None:
    """Make a swap by mkswap, and write what the kernel writes into the one that it hibernates to.

    `swsusp_header`: the old signature moves before the new one, at the end of the first page.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(1 << 20))
    path.chmod(0o600)
    run(["mkswap", "-q", "-p", str(PAGE), str(path)])
    if hibernated:
        with path.open("r+b") as file:
            file.seek(PAGE - 10)
            assert file.read(10) == b"SWAPSPACE2"
            file.seek(PAGE - 20)
            file.write(b"SWAPSPACE2" + b"S1SUSPEND\0")


def test_a_hibernated_system_is_refused(laid: Laid) -> None:
    swap(laid.root / "dev/sda3", hibernated=True)
    accepted(laid)  # nobody uses it
    laid.link("dev/disk/by-uuid/0-1", "../../sda3")
    laid.put("etc/fstab", "UUID=0-1 none swap sw 0 0\n")
    assert "swapon UUID=0-1" in refused(laid, "UUID=0-1 holds a hibernated system").hint
    laid.put("etc/fstab", "")
    laid.put("proc/cmdline", 'root=/dev/sda2 resume="PARTUUID=7" quiet\n')
    laid.link("dev/disk/by-partuuid/7", "../../sda3")
    refused(laid, "PARTUUID=7 holds a hibernated system")
    swap(laid.root / "dev/sda3", hibernated=False)
    accepted(laid)


def test_a_swap_file_is_read_where_it_is(laid: Laid) -> None:
    swap(laid.root / "swap dir/file", hibernated=True)
    laid.put("proc/swaps", "Filename Type Size Used Priority\n/swap\\040dir/file file 1 0 -2\n")
    refused(laid, "/swap dir/file holds a hibernated system")
    laid.put("proc/swaps", "")
    laid.put("etc/fstab", "/swap\\040dir/file none swap sw 0 0\n")
    refused(laid, "/swap dir/file holds a hibernated system")


# -- what is only said -----------------------------------------------------------------------------


def test_the_watchdog_is_named_unless_it_is_software(laid: Laid) -> None:
    laid.put("sys/class/watchdog/watchdog0/identity", "Software Watchdog\n")
    assert look(laid.root).watchdog == ""
    laid.put("sys/class/watchdog/watchdog1/identity", "iTCO_wdt\n")
    assert look(laid.root).watchdog == "iTCO_wdt"


def test_secure_boot_is_what_the_firmware_says(laid: Laid) -> None:
    laid.variable("SecureBoot", b"\0")
    assert look(laid.root).secure_boot is False
    laid.variable("MokSBStateRT", b"\1")
    assert look(laid.root).shim_checks is False
    (
        laid.root / "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    ).unlink()
    assert look(laid.root).secure_boot is None


def signed(version: str) -> bytes:
    """Write what a signed GRUB is, as far as anybody looks: its SBAT section, within a program."""
    sbat = (
        "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n"
        "grub,5,Free Software Foundation,grub,2.12,https://www.gnu.org/software/grub/\n"
        f"grub.debian,5,Debian,grub2,{version},https://tracker.debian.org/pkg/grub2\n"
    )
    return b"MZ\x90\0" + bytes(512) + sbat.encode() + bytes(256)


def test_a_loader_that_is_not_the_packages_is_named(laid: Laid) -> None:
    packaged = "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
    laid.put("boot/efi/EFI/debian/grubx64.efi", signed("2.12-9+deb13u1"))
    assert look(laid.root).binaries == ()
    laid.put(packaged, signed("2.12-9+deb13u1"))
    assert look(laid.root).binaries == ()
    laid.put(packaged, signed("2.12-9+deb13u2"))
    seen = look(laid.root).binaries
    assert seen == (Binary("EFI/debian/grubx64.efi", "2.12-9+deb13u1", "2.12-9+deb13u2"),)
