"""Debian forky: GRUB 2.14, systemd 262, Linux 7.2, Python 3.14, and dracut's initramfs.

All of it could be installed, from forky's own archive; nothing is left out. dracut is put in the
place of initramfs-tools by apt, once grub-install and update-grub have run. What forky has besides
and no machine here has: an encrypted root, GRUB's blscfg (its signed image has none), systemd-boot.
"""

import pytest

from integration.test_adoption_machine import grown, mounted, taken_over, tried, typed
from integration.vm.faults import argued
from integration.vm.guest import Guest, Machine
from integration.vm.off import Off
from integration.vm.trials import arguments, armed, off, returned, settled, sound, unadopted
from snaproot.adoption import note as notes
from snaproot.filesystem.layout import Layout

pytestmark = pytest.mark.machine

SUITE = "forky"
SINCE = {"grub-efi-amd64-signed": "1+2.14", "systemd": "262", "dracut": "112", "python3": "3.14"}
MADE_ANEW = ("run", "sh", "-c", "update-initramfs -u && echo changed >/usr/lib/changed")
ENABLED = "etc/systemd/system/initrd.target.wants/dracut-cmdline.service"


def test_forky_is_adopted_by_a_trial_and_goes_on_from_there() -> None:
    """r: init, trial, promotion, conversion; an initramfs that dracut makes in the sandbox is tried
    and promoted; one that does not find its root restarts the machine, and is reverted."""
    with unadopted(SUITE) as found:
        base, counted = adopted(found)
        with off(found) as disk:
            note = notes.load(Layout(disk.top))
            assert note is not None
            assert note.shared is None
            disk(*MADE_ANEW)
            target, known = disk.target, disk.environments
            assert known[target].digests.initramfs != known[base].digests.initramfs
        with found.boot() as guest:
            guest.ready(kernel=r"snaproot\.trial=")
            promoted(guest, target)
            grown(guest, counted)
            guest.off()
        ended = returned(found, armed(found, lost))
        assert "Boot has failed." in ended.heard  # dracut's last word
        assert str(ended.verdict["reason"]).endswith("snaproot ran in none of its boots")


def adopted(found: Machine) -> tuple[str, dict[str, int]]:
    """See it adopted, and its shared places taken over; return the base, and the last counts."""
    with found.boot() as guest:
        first = typed(guest)
        guest.ready()
        assert arguments(guest.boots[-1])["snaproot.trial"].endswith(".1")
        facts(guest)
        base, second = tried(guest, first)
        guest.start("systemctl reboot")
        guest.ready()
        taken_over(guest, base)
        third = grown(guest, second)
        guest.off()
    return base, third


def promoted(guest: Guest, target: str) -> None:
    """See the trial of an initramfs that was made in the sandbox."""
    told = settled(guest)
    assert told["booted"] == told["base"] == told["default"] == target
    assert mounted(guest, "/").endswith(f"[/@snaproot/environments/{target}/root]")
    guest.run(f"lsinitrd /boot/initrd.img-$(uname -r) | grep {ENABLED}")
    sound(guest)


def facts(guest: Guest) -> None:
    """Assert that it is what it says it is, and that the initramfs knows nothing of snaproot."""
    for package, version in SINCE.items():
        there = f"$(dpkg-query -W -f '${{Version}}' {package})"
        guest.run(f"dpkg --compare-versions {there} ge {version}")
    guest.run("! dpkg -s initramfs-tools")
    found = guest.run("lsinitrd /boot/initrd.img-$(uname -r)").output
    assert "usr/lib/systemd/systemd" in found
    assert "snaproot" not in found


def lost(disk: Off) -> None:
    """Let the trial look for a root that is not there."""
    argued(disk, "'rootflags=subvol=", "'rootflags=subvol=missing/")
