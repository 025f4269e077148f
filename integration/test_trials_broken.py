"""Trials that die of something: nobody touches the machine, and it is back on its base."""

import re

import pytest

from integration.vm.faults import argued, configured, removed
from integration.vm.off import Off
from integration.vm.trials import adopted, armed, returned

pytestmark = pytest.mark.machine

HANGS = """\
[Unit]
Description=Something that never ends
Before=snaproot-health.service boot-complete.target
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/bin/sleep infinity
"""
LIMIT = "[Unit]\nJobTimeoutSec=60s\n"
GENERATOR = """\
#!/bin/sh
read -r line </proc/cmdline
case $line in
*snaproot.trial=*.1*) ln -s /usr/lib/systemd/system/rescue.target "$2/default.target" ;;
*)
    mkdir "$1/local-fs.target.requires"
    printf '[Mount]\\nWhat=/dev/disk/by-label/missing\\nWhere=/mnt\\n' >"$1/mnt.mount"
    printf '[Unit]\\nJobTimeoutSec=5s\\n' >"$1/dev-disk-by\\\\x2dlabel-missing.device"
    ln -s ../mnt.mount "$1/local-fs.target.requires/mnt.mount"
    ;;
esac
"""
SPENT = "used all its tries without a verdict; snaproot ran in"


def test_an_initramfs_without_its_root_is_left() -> None:
    """d: it gives up, the kernel restarts the machine, the counter does the rest."""
    with adopted() as machine:
        ended = returned(machine, armed(machine, lost))
        assert "ALERT!" in ended.heard
        assert str(ended.verdict["reason"]).endswith(f"{SPENT} none of its boots")


def lost(disk: Off) -> None:
    """Let the trial look for a root that nobody has, and not for long."""
    argued(disk, "'root=UUID=", "'rootdelay=5' 'root=UUID=00000000-")


def test_userspace_that_hangs_is_left_when_its_time_is_up() -> None:
    """e: boot-complete.target is never reached, and has a limit."""
    with adopted() as machine:
        ended = returned(machine, armed(machine, hangs))
        assert str(ended.verdict["reason"]).endswith(f"{SPENT} 1 of its boots")


def hangs(disk: Off) -> None:
    configured(disk, "systemd/system/hangs.service", HANGS)
    configured(disk, "systemd/system/boot-complete.target.d/90-time.conf", LIMIT)
    wanted = disk.layout.etc(disk.target) / "systemd/system/boot-complete.target.requires"
    wanted.mkdir()
    (wanted / "hangs.service").symlink_to("../hangs.service")


def test_a_trial_without_python_is_left() -> None:
    """f: systemd alone brings the machine back, as often as the trial is tried."""
    with adopted() as machine:
        ended = returned(machine, armed(machine, dumb, tries=2), tries=2)
        assert str(ended.verdict["reason"]).endswith(f"{SPENT} none of its boots")


def dumb(disk: Off) -> None:
    removed(disk, "usr/bin/python3*")


def test_rescue_and_emergency_mode_are_left() -> None:
    """The first boot of the trial ends in rescue mode, the second one in emergency mode."""
    with adopted() as machine:
        ended = returned(machine, armed(machine, needs_somebody, tries=2), tries=2)
        rescue, emergency = re.split(r"\] Command line: ", ended.heard)[1:3]
        assert "default target rescue.target" in rescue
        assert "Timed out waiting for device" in emergency
        for heard in (rescue, emergency):
            assert "Finished snaproot-emergency." in heard
        assert str(ended.verdict["reason"]).endswith(f"{SPENT} none of its boots")


def needs_somebody(disk: Off) -> None:
    configured(disk, "systemd/system-generators/needs-somebody", GENERATOR)
