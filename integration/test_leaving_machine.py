"""A booting machine that leaves: by the distribution's own boot setup, as before adoption."""

import json

import pytest

from integration.vm.guest import Guest, Machine
from integration.vm.off import Off
from integration.vm.trials import CHANGE, adopted, archived, done, offered, on

pytestmark = pytest.mark.machine

LINES = (" ro rootflags=subvol=@ console=ttyS0", " root=ZFS=rpool/ROOT/debian ro console=ttyS0")
"""The end of the kernel's command line on the stock machine: on Btrfs, and on ZFS."""
ROOTS = (("FSROOT", "/@\n"), ("SOURCE", "rpool/ROOT/debian\n"))
"""What findmnt(8) says of `/` there, and in which column."""
LEFT = """\
rpool
rpool/ROOT
rpool/ROOT/debian
rpool/ROOT/debian.before-snaproot
rpool/home
rpool/root
rpool/srv
rpool/usr-local
rpool/var
"""


def prepared(disk: Off, archive: bytes) -> tuple[str, bytes]:
    """Offer an upgrade; name the base, and the stub from before adoption."""
    return offered(disk, archive), (disk.home / "stub.saved").read_bytes()


@pytest.mark.parametrize("zfs", on())
def test_a_machine_that_leaves_boots_as_it_did_before(zfs: bool) -> None:
    """p: `deinit`, reboot, the rest and the package go, reboot; a kernel's tools work as ever."""
    with adopted(zfs=zfs) as machine:
        base, stub = done(machine, prepared, archived("mawk", "tree"))
        with machine.boot() as guest:
            guest.ready()
            guest.run("echo kept | tee /var/lib/kept /home/kept /root/kept >/etc/kept")
            guest.run("! dpkg --purge snaproot && test -x /usr/bin/snaproot")
            answer = guest.run("snaproot deinit -y --json 2>/dev/null", seconds=400)
            told = json.loads(answer.output)
            assert (told["left"], told["plan"]["base"]) == (True, base)
            assert "not adopted any more" in guest.run("snaproot status", status=3).output
            restarted(guest, zfs)
            guest.run("grep -q 'BEGIN /etc/grub.d/10_linux' /boot/grub/grub.cfg")
            guest.run("snaproot deinit -y", seconds=400)
            guest.run("apt-get -q purge -y snaproot", seconds=300)
            guest.run("! systemctl list-unit-files --no-legend | grep snaproot")
            guest.run("test ! -e /etc/snaproot -a ! -e /boot/efi/EFI/snaproot")
            guest.run("apt-get -q update && apt-get -q upgrade -y && apt-get -q install -y tree")
            guest.run("test -s /var/lib/mawk-demo/upgraded-from && dpkg --audit")
            guest.run("update-initramfs -u && update-grub", seconds=400)
            restarted(guest, zfs)
            nothing_left(guest, stub, zfs)
            guest.off()
        if not zfs:
            beside(machine, stub)


def restarted(guest: Guest, zfs: bool) -> None:
    """Reboot, and find the machine as its installer left it, with what was written since."""
    guest.start("systemctl reboot")
    guest.ready()
    assert guest.boots[-1].endswith(LINES[zfs]), guest.boots[-1]
    column, root = ROOTS[zfs]
    assert guest.run(f"findmnt -no {column} /").output == root
    guest.run("touch /usr/x /boot/x /x && rm /usr/x /boot/x /x")
    kept = "kept\n" * 4
    assert guest.run("cat /var/lib/kept /home/kept /root/kept /etc/kept").output == kept
    assert guest.run("systemctl --failed --no-legend").output == ""
    guest.run("! journalctl -b --no-pager | grep -v kernel: | grep 'Read-only file system'")


def nothing_left(guest: Guest, stub: bytes, zfs: bool) -> None:
    """Assert that GRUB starts as before, and that a pool has nothing of snaproot's."""
    assert guest.run("cat /boot/efi/EFI/debian/grub.cfg").output.encode() == stub
    if zfs:
        assert guest.run("zfs list -H -o name -r rpool").output == LEFT
        guest.run("! zfs get -H -r all rpool | grep org.snaproot")
        guest.run("zfs destroy rpool/ROOT/debian.before-snaproot")
        assert guest.run("zfs list -H -t snapshot -r rpool").output == ""
        guest.run("zpool status -x rpool | grep 'is healthy'")


def beside(machine: Machine, stub: bytes) -> None:
    """Assert that what is shared and the original lie beside the root."""
    with machine.opened() as (top, files):
        assert not (top / "@snaproot").exists()
        assert (top / "@.before-snaproot/etc/fstab").is_file()
        assert (top / "@home/kept").read_text() == "kept\n"
        assert (files / "EFI/debian/grub.cfg").read_bytes() == stub


def left(disk: Off) -> None:
    """Leave with an upgrade as the base."""
    disk(*CHANGE)
    disk("promote")
    disk("deinit")


@pytest.mark.parametrize("zfs", on())
def test_a_machine_that_leaves_offline_boots_by_a_menu_of_ours(zfs: bool) -> None:
    """GRUB reads what was written on another machine, until the distribution's tool runs."""
    with adopted(zfs=zfs) as machine:
        done(machine, left)
        with machine.boot() as guest:
            guest.ready()
            assert guest.boots[-1].endswith(LINES[zfs]), guest.boots[-1]
            assert guest.run("cat /usr/lib/changed").output == "changed\n"
            guest.run("update-grub && snaproot deinit -y", seconds=400)
            guest.start("systemctl reboot")
            guest.ready()
            assert guest.boots[-1].endswith(LINES[zfs]), guest.boots[-1]
            assert guest.run("systemctl --failed --no-legend").output == ""
            guest.off()
