"""Adopting a machine that runs: a trial of its own, and no byte of what is shared is lost."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from integration.vm import images, trials
from integration.vm.faults import panics
from integration.vm.guest import BOOT, Guest, Machine, machine
from integration.vm.trials import CHANGE, arguments, lefts, off, settled, status
from snaproot.adoption import note as notes
from snaproot.bootloader.entry import ORIGINAL
from snaproot.filesystem.layout import Layout

pytestmark = pytest.mark.machine

COUNTER = Path(__file__).with_name("vm") / "counter.py"
UNIT = """\
[Unit]
Description=Count in every shared place
RequiresMountsFor=/var/lib /home /root
[Service]
ExecStart=/usr/bin/python3 /etc/testbed/counter.py
[Install]
WantedBy=multi-user.target
"""
PLACES = ("/var/lib", "/home", "/root")
INIT = 600.0  # seconds


@contextmanager
def counting(suite: str = images.SUITE) -> Iterator[Machine]:
    """Lend a stock machine with snaproot's package, in which a service counts from the start."""
    with machine(images.packaged(suite)) as found:
        with found.opened() as (top, _):
            etc = top / "@/etc"
            (etc / "testbed/counter.py").write_text(COUNTER.read_text())
            (etc / "systemd/system/counter.service").write_text(UNIT)
            wanted = etc / "systemd/system/multi-user.target.wants/counter.service"
            wanted.symlink_to("../counter.service")
        yield found


def counted(guest: Guest) -> dict[str, int]:
    """Return how far each place has counted; no number is missing, and none is there twice."""
    found = {}
    for place in PLACES:
        numbers = guest.run(f"cat {place}/counter").output.split()
        assert numbers == [str(number) for number in range(1, len(numbers) + 1)], place
        found[place] = len(numbers)
    return found


def grown(guest: Guest, before: Mapping[str, int]) -> dict[str, int]:
    """Assert that what was counted is still there, and that it goes on."""
    after = counted(guest)
    assert all(after[place] > before[place] for place in PLACES), (before, after)
    return after


def mounted(guest: Guest, place: str) -> str:
    return guest.run(f"findmnt -n -o FSROOT {place}").output.strip()


def test_a_running_machine_is_adopted_by_a_trial_and_loses_nothing() -> None:
    """j: init, trial, promotion; the boot after that takes over what is shared."""
    with counting() as found:
        with found.boot() as guest:
            first = typed(guest)
            guest.ready()
            assert arguments(guest.boots[-1])["snaproot.trial"].endswith(".1")
            base, second = tried(guest, first)
            guest.start("systemctl reboot")
            guest.ready()
            taken_over(guest, base)
            grown(guest, second)
            guest.off()
        with off(found) as disk:
            assert disk.default == disk.record.base == base
            note = notes.load(Layout(disk.top))
            assert note is not None
            assert note.shared is None
            disk(*CHANGE)
            disk("abandon")


def typed(guest: Guest) -> dict[str, int]:
    """Adopt as a person does, and reboot; return how far it has counted."""
    guest.ready()
    guest.run("systemctl is-active counter.service")
    assert "Snapshot @" in guest.run("snaproot init -n").output
    print(guest.run("snaproot init -y", seconds=INIT).output)
    assert status(guest)["booted"] == ORIGINAL
    first = counted(guest)
    guest.start("systemctl reboot")
    return first


def tried(guest: Guest, first: Mapping[str, int]) -> tuple[str, dict[str, int]]:
    """See a trial in the original's own directories, and its promotion."""
    assert mounted(guest, "/var") == "/@/var"
    assert mounted(guest, "/home") == "/@home"
    own = mounted(guest, "/var/lib/dpkg")
    assert own.endswith("/root/usr/lib/sysimage/dpkg")
    guest.run("! touch /var/lib/dpkg/x && dpkg --audit")
    base = str(settled(guest)["base"])
    assert base != ORIGINAL
    trials.sound(guest)
    second = grown(guest, first)
    assert "reboot once more" in guest.run("snaproot run true 2>&1", status=3).output
    guest.run("touch /var/lib/from-the-trial /root/from-the-trial")
    return base, second


def taken_over(guest: Guest, base: str) -> None:
    told = status(guest)
    assert told["booted"] == told["base"] == told["default"] == base
    assert mounted(guest, "/var") == "/@snaproot/areas/var"
    assert mounted(guest, "/root") == "/@snaproot/areas/root"
    guest.run("ls /var/lib/from-the-trial /root/from-the-trial")
    guest.run("dpkg --audit && dpkg -s snaproot && test -L /var/lib/dpkg")
    trials.sound(guest)


def test_an_adoption_that_panics_is_reverted_and_loses_nothing() -> None:
    """j: a trial that panics; the original is back, has counted on, and may be adopted again."""
    with counting() as found:
        with found.boot() as guest:
            guest.ready()
            guest.run("snaproot init -y", seconds=INIT)
            first = counted(guest)
            guest.off()
        with off(found) as disk:
            target = disk.target
            panics(disk)
        with found.boot() as guest:
            guest.ready(BOOT * 3, kernel=r"rootflags=subvol=@ ")
            told = settled(guest)
            assert lefts(guest)[:2] == ["1", "0"]
            assert told["booted"] == told["base"] == told["default"] == ORIGINAL
            assert mounted(guest, "/") == "/@"
            second = grown(guest, first)
            guest.run("touch /usr/x && rm /usr/x")
            guest.run("snaproot init -y", seconds=INIT)
            guest.start("systemctl reboot")
            guest.ready(kernel=r"snaproot\.trial=")
            assert settled(guest)["base"] not in {ORIGINAL, target}
            grown(guest, second)
            guest.off()
        with off(found) as disk:
            assert target not in disk.environments
