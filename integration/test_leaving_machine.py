"""A booting machine that leaves: by the distribution's own boot setup, as before adoption."""

import json

import pytest

from integration.vm.guest import Guest
from integration.vm.off import Off
from integration.vm.trials import CHANGE, adopted, off, served

pytestmark = pytest.mark.machine

LINE = " ro rootflags=subvol=@ console=ttyS0"
"""The end of the kernel's command line on the stock machine."""


def test_a_machine_that_leaves_boots_as_it_did_before() -> None:
    """p: `deinit`, reboot, the rest and the package go, reboot; a kernel's tools work as ever."""
    with adopted() as machine:
        with off(machine) as disk, served(disk) as archive:
            archive.publish("mawk", "tree")
            stub = (disk.home / "stub.saved").read_bytes()
            base = disk.record.base
        with machine.boot() as guest:
            guest.ready()
            guest.run("echo kept | tee /var/lib/kept /home/kept /root/kept >/etc/kept")
            guest.run("! dpkg --purge snaproot && test -x /usr/bin/snaproot")
            answer = guest.run("snaproot deinit -y --json 2>/dev/null", seconds=400)
            told = json.loads(answer.output)
            assert (told["left"], told["plan"]["base"]) == (True, base)
            assert "not adopted any more" in guest.run("snaproot status", status=3).output
            restarted(guest)
            guest.run("grep -q 'BEGIN /etc/grub.d/10_linux' /boot/grub/grub.cfg")
            guest.run("snaproot deinit -y", seconds=400)
            guest.run("apt-get -q purge -y snaproot", seconds=300)
            guest.run("! systemctl list-unit-files --no-legend | grep snaproot")
            guest.run("test ! -e /etc/snaproot -a ! -e /boot/efi/EFI/snaproot")
            guest.run("apt-get -q update && apt-get -q upgrade -y && apt-get -q install -y tree")
            guest.run("test -s /var/lib/mawk-demo/upgraded-from && dpkg --audit")
            guest.run("update-initramfs -u && update-grub", seconds=400)
            restarted(guest)
            guest.off()
        with machine.opened() as (top, files):
            assert not (top / "@snaproot").exists()
            assert (top / "@.before-snaproot/etc/fstab").is_file()
            assert (top / "@home/kept").read_text() == "kept\n"
            assert (files / "EFI/debian/grub.cfg").read_bytes() == stub


def restarted(guest: Guest) -> None:
    """Reboot, and find the machine as its installer left it, with what was written since."""
    guest.start("systemctl reboot")
    guest.ready()
    assert guest.boots[-1].endswith(LINE), guest.boots[-1]
    assert guest.run("findmnt -no FSROOT /").output == "/@\n"
    guest.run("touch /usr/x /boot/x /x && rm /usr/x /boot/x /x")
    kept = "kept\n" * 4
    assert guest.run("cat /var/lib/kept /home/kept /root/kept /etc/kept").output == kept
    assert guest.run("systemctl --failed --no-legend").output == ""
    guest.run("! journalctl -b --no-pager | grep -v kernel: | grep 'Read-only file system'")


def test_a_machine_that_leaves_offline_boots_by_a_menu_of_ours() -> None:
    """GRUB reads what was written on another machine, until the distribution's tool runs."""
    with adopted() as machine:
        with off(machine) as disk:
            disk(*CHANGE)
            disk("promote")
        with machine.opened() as (top, files):
            disk = Off(top, files)
            disk("deinit")
        with machine.boot() as guest:
            guest.ready()
            assert guest.boots[-1].endswith(LINE), guest.boots[-1]
            assert guest.run("cat /usr/lib/changed").output == "changed\n"
            guest.run("update-grub && snaproot deinit -y", seconds=400)
            guest.start("systemctl reboot")
            guest.ready()
            assert guest.boots[-1].endswith(LINE), guest.boots[-1]
            assert guest.run("systemctl --failed --no-legend").output == ""
            guest.off()
