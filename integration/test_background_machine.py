"""o: a machine that upgrades by its timer, and reboots in its window, with nobody there."""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from integration.test_trials import with_unit
from integration.vm import trials
from integration.vm.faults import configured
from integration.vm.guest import BOOT, Guest
from integration.vm.off import Off
from integration.vm.trials import SETTLED, adopted, arguments, off, served, settled, status

pytestmark = pytest.mark.machine

STAGED = 900.0  # seconds that an upgrade may take on a slow machine, at idle priority
TRIAL = r"snaproot\.trial="
SOON = "[Timer]\nOnCalendar=\nOnActiveSec=5\nRandomizedDelaySec=0\nAccuracySec=1s\n"
SCHEDULED = "/run/systemd/shutdown/scheduled"
UPGRADE, WINDOW = "snaproot-upgrade.service", "snaproot-window"


def test_the_timer_stages_reboots_in_its_window_and_does_not_repeat_what_was_reverted() -> None:
    with adopted() as machine:
        with off(machine) as disk, served(disk) as archive:
            archive.publish("mawk")
            base = disk.record.base
            background(disk, begins=timedelta(hours=3))
        with machine.boot() as guest:
            guest.ready()
            called_off(guest)
            good(guest, base)
            guest.off()
        with off(machine) as disk, served(disk) as archive:
            archive.publish("mawk", recipe=partial(with_unit, ends="false"), revision=2)
            base = disk.record.base
            background(disk, begins=-timedelta(minutes=30))
        with machine.boot() as guest:
            bad(guest, base)
            guest.off()
        with off(machine) as disk:
            assert disk.default == disk.record.base == base
            assert disk.record.pending is None


def background(disk: Off, *, begins: timedelta) -> None:
    """Configure a base: a window of four hours that begins so far from now, in UTC."""
    at = datetime.now(UTC) + begins
    window = f"{at:%H:%M}-{at + timedelta(hours=4):%H:%M}"
    text = f'[background]\naction = "reboot"\nwindow = "{window}"\nwarning_minutes = 1\n'
    configured(disk, "snaproot/snaproot.toml", text, disk.record.base)
    soon = "systemd/system/snaproot-upgrade.timer.d/soon.conf"
    configured(disk, soon, SOON, disk.record.base)


def called_off(guest: Guest) -> None:
    """A typed upgrade schedules its reboot by systemd; abandoning it calls that off."""
    guest.run("snaproot -y upgrade --reboot=+90", seconds=STAGED)
    assert "MODE=reboot" in guest.run(f"cat {SCHEDULED}").output
    assert guest.run("cat /run/reboot-required.pkgs").output.split() == ["mawk"]
    guest.run("snaproot -y abandon")
    guest.run(f"test ! -e {SCHEDULED}")
    guest.run("test ! -e /run/reboot-required -a ! -e /run/reboot-required.pkgs")


def good(guest: Guest, base: str) -> None:
    """The timer stages and arms; the window is waited for; then the good trial is promoted."""
    guest.run("systemctl is-enabled snaproot-upgrade.timer", status=1)
    guest.run("systemctl enable --now snaproot-upgrade.timer")
    target = armed(guest)
    ended(guest, "0")
    guest.run(f"systemctl is-active {WINDOW}.timer")
    assert "mawk" in guest.run("cat /run/reboot-required.pkgs").output
    assert f"{target} is tried at the next boot" in guest.run("cat /run/motd.d/snaproot").output
    guest.run(f"systemctl start {UPGRADE} {WINDOW}.service", seconds=STAGED)  # nothing changes
    guest.run(f"test ! -e {SCHEDULED}")
    guest.run(f"systemctl is-active {WINDOW}.timer")

    guest.run("date -s '2 hours 59 minutes 50 seconds'")
    guest.run(f"until test -e {SCHEDULED}; do sleep 1; done")
    told = guest.run(f"cat {SCHEDULED}").output.replace(r"\x20", " ")  # as logind escapes it
    assert "WARN_WALL=1" in told
    assert f"{target} is tried then" in told
    guest.ready(BOOT + SETTLED, kernel=TRIAL)
    found = settled(guest)
    assert found["base"] == found["default"] == found["booted"] == target != base
    ended(guest, "77")  # the timer went off in the trial, and waited for the verdict
    assert f"{target} is up to date" in journal(guest)
    assert "waits" not in journal(guest)
    trials.sound(guest)


def bad(guest: Guest, base: str) -> None:
    """Staged by the timer at boot, rebooted into at once, for it is time; reverted, and left."""
    guest.ready()
    target = armed(guest)
    guest.ready(BOOT + SETTLED, kernel=TRIAL)
    guest.ready(BOOT + SETTLED, kernel=trials.BACK)
    found = settled(guest)
    assert found["booted"] == found["base"] == base
    assert "brought.service" in str(found["verdict"])
    ended(guest, "77")
    assert f"these very package versions were reverted, as {target}" in journal(guest)
    guest.run(f"systemctl start {UPGRADE}", seconds=STAGED)
    ended(guest, "77")
    assert "nothing is there but what was reverted before" in journal(guest)
    found = status(guest)
    assert found["pending"] is None
    assert target not in str(found["environments"])
    guest.run(f"test ! -e {SCHEDULED} -a ! -e /run/reboot-required")
    assert guest.run("systemctl --failed --no-legend").output == ""
    assert [bool(arguments(line).get("snaproot.trial")) for line in guest.boots] == [
        *(False, True, False)
    ]


def armed(guest: Guest) -> str:
    """Wait until something is armed, and return its name."""
    end = time.monotonic() + STAGED
    while True:
        pending = status(guest)["pending"]
        if isinstance(pending, Mapping) and pending["phase"] == "armed":
            return str(pending["target"])
        assert time.monotonic() < end, journal(guest)
        time.sleep(5)


def ended(guest: Guest, code: str) -> None:
    """Wait until the upgrade's unit has run, and assert how: in success, with this exit status."""
    shown = "systemctl show --property=ActiveState,Result,ExecMainStatus,ExecMainExitTimestamp"
    end = time.monotonic() + STAGED
    while True:
        said = guest.run(f"{shown} {UPGRADE}").output
        if "ActiveState=inactive" in said and re.search(r"ExecMainExitTimestamp=.", said):
            assert f"ExecMainStatus={code}\n" in said, journal(guest)
            assert "Result=success" in said
            return
        assert time.monotonic() < end, said
        time.sleep(2)


def journal(guest: Guest) -> str:
    return guest.run(f"journalctl -b --no-pager -u {UPGRADE} -u {WINDOW}.service").output
