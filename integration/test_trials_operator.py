"""Trials with somebody present: who edits, looks, switches reverting off, and restarts."""

from collections.abc import Mapping

import pytest

from integration.vm import trials
from integration.vm.faults import STOPPED, WAITS, asked, configured
from integration.vm.guest import Guest
from integration.vm.off import Off
from integration.vm.qemu import Hardware
from integration.vm.trials import SETTLED, Armed, adopted, armed, lefts, off, settled, status

pytestmark = pytest.mark.machine

UNREVERTED = """\
[trial]
revert = false
[health.scripts]
timeout_seconds = 600
"""
TRIAL = r"snaproot\.trial="
COST = """\
took() {
    local begun=$(date +%s%N)
    "$@" >/run/took 2>/dev/null
    echo $((($(date +%s%N) - begun) / 1000000))
}
export PYTHONPATH=/usr/lib/snaproot/python
for round in 1 2 3; do took python3 -c 'import typer, rich'; done | sort -n | head -1
unset PYTHONPATH
for round in 1 2 3; do took snaproot health check --once --json; done | sort -n | head -1
sed -n 's/^ *"milliseconds": \\([0-9]*\\).*/\\1/p' /run/took | sort -n | tail -1
"""


def test_edits_of_the_base_are_named_before_they_are_left() -> None:
    """By `status`, by the message at login and at the reboot; then the trial, and what it costs."""
    with adopted(Hardware(watchdog=True)) as machine:
        with off(machine) as disk:
            disk("run", "--stage-only", *trials.CHANGE[1:])
            target = disk.target
        with machine.boot() as guest:
            guest.ready()
            guest.run("echo here >/etc/edited; echo 192.0.2.1 other >>/etc/hosts")
            guest.run(f"snaproot -y activate {target}")
            found = status(guest)
            assert [edit["path"] for edit in listed(found, "edits")] == [
                "/etc/edited",
                "/etc/hosts",
            ]
            assert "/etc/edited, /etc/hosts" in guest.run("snaproot status").output
            assert "2 edits in /etc are not in the trial" in guest.login()
            since = guest.serial.now
            guest.start("systemctl reboot")
            guest.serial.wait(
                f"{target} is booted next, without these edits: /etc/edited", 60, since
            )
            guest.ready(kernel=TRIAL)
            watched = "systemctl show --value --property=RuntimeWatchdogUSec"
            assert guest.run(watched).output == "1min\n"
            guest.run("test ! -e /etc/edited")
            found = settled(guest)
            assert found["booted"] == found["base"] == target
            trials.sound(guest)
            costs(guest)
            guest.off()


def costs(guest: Guest) -> None:
    """Assert what a health check may cost beyond its slowest probe."""
    importing, checking, slowest = map(int, guest.run(COST, seconds=300).output.split())
    print(f"health check {checking} ms, its slowest probe {slowest} ms, imports {importing} ms")
    assert checking <= 3 * importing + slowest


def test_a_trial_may_be_left_unjudged_and_a_red_one_may_stay() -> None:
    """Restarted before its verdict; red, by configuration, then by the kernel's argument.

    A restart gives the attempt back, twice and no more.
    """
    with adopted() as machine:
        what = armed(machine, red_at_last, unreverted, tries=2)
        with machine.boot() as guest:
            guest.ready()
            guest.serial.wait(STOPPED, SETTLED)
            unjudged(guest, what)
            guest.run("rm /etc/snaproot/held")
            restarted(guest)
            stays(guest, what, 1)
            assert f"this is a trial of {what.target}, not judged yet" in guest.login()
            by_argument(guest, what.target)
            restarted(guest)
            stays(guest, what, 2)
            shown = guest.run("systemctl show --value --property=OnFailure boot-complete.target")
            assert shown.output.strip() == ""
            assert lefts(guest) == ["1", "1", "1"]
            guest.off()
        with off(machine) as disk:
            assert disk.record.pending
            assert disk.record.pending.attempts_given_back == 2
            assert disk.env
            assert disk.env.tries == 1
            disk("abandon")
            assert disk.env.good == what.base


def red_at_last(disk: Off) -> None:
    """Let the verdict not come while a file is there; without it, it is bad."""
    configured(disk, "snaproot/held", "")
    asked(disk, f"test ! -e /etc/snaproot/held || {WAITS}; echo the test says no; exit 1")


def unreverted(disk: Off) -> None:
    configured(disk, "snaproot/snaproot.toml", UNREVERTED)


def by_argument(guest: Guest, target: str) -> None:
    """Switch reverting off by the kernel's argument alone."""
    entry = f"/boot/efi/EFI/snaproot/entries/{target}.cfg"
    guest.run(
        f"rm /etc/snaproot/snaproot.toml; sed -i \"s/ 'root=/ 'snaproot.norevert'&/\" {entry}"
    )


def stays(guest: Guest, what: Armed, times: int) -> None:
    """Assert that the red trial is told, so often by now, and goes on."""
    guest.serial.wait(rf"(?s)(not reverted, as reverting is switched off.*){{{times}}}", SETTLED)
    unjudged(guest, what)
    guest.run("systemctl is-active boot-complete.target")


def unjudged(guest: Guest, what: Armed) -> None:
    found = status(guest)
    pending = found["pending"]
    assert isinstance(pending, dict)
    assert (found["booted"], found["base"]) == (what.target, what.base)
    assert (pending["phase"], found["tries_left"]) == ("armed", 1)


def restarted(guest: Guest) -> None:
    since = guest.serial.now
    guest.start("systemctl reboot")
    guest.serial.wait("this boot is not counted", 60, since)
    guest.ready(kernel=TRIAL)


def listed(found: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    value = found[name]
    assert isinstance(value, list)
    return value
