"""Adopting a machine that runs: a trial of its own, and no byte of what is shared is lost."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration.vm import trials
from integration.vm.faults import panics
from integration.vm.guest import BOOT, Guest
from integration.vm.off import Off
from integration.vm.trials import (
    CHANGE,
    arguments,
    done,
    lefts,
    on,
    settled,
    status,
    unadopted,
)
from snaproot.adoption import note as notes
from snaproot.bootloader.entry import ORIGINAL

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


@dataclass(frozen=True, slots=True)
class Lies:
    """Where things are on a filesystem, as findmnt(8) ends: the original's, and after it."""

    root: str
    var: str
    home: str
    dpkg: str
    areas: str
    plan: str


ON_BTRFS = Lies(
    root="[/@]",
    var="[/@/var]",
    home="[/@home]",
    dpkg="/root/usr/lib/sysimage/dpkg]",
    areas="[/@snaproot/areas/{}]",
    plan="Snapshot @",
)
ON_ZFS = Lies(
    root="rpool/ROOT/debian",
    var="rpool/ROOT/debian[/var]",
    home="rpool/home",
    dpkg="[/usr/lib/sysimage/dpkg]",
    areas="rpool/snaproot/areas/{}",
    plan="Clone rpool/ROOT/debian",
)


def counts(guest: Guest) -> None:
    """Begin to count in all that will be shared, at this boot and at those that follow."""
    script = base64.b64encode(COUNTER.read_bytes()).decode()
    guest.run(f"mkdir -p /etc/testbed && echo {script} | base64 -d >/etc/testbed/counter.py")
    guest.run(f"cat >/etc/systemd/system/counter.service <<'END'\n{UNIT}END")
    guest.run("systemctl enable -q --now counter.service")


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
    return guest.run(f"findmnt -n -o SOURCE {place}").output.strip()


@pytest.mark.parametrize("zfs", on())
def test_a_running_machine_is_adopted_by_a_trial_and_loses_nothing(zfs: bool) -> None:
    """j: init, trial, promotion; the boot after that takes over what is shared."""
    lies = ON_ZFS if zfs else ON_BTRFS
    with unadopted(zfs=zfs) as found:
        with found.boot() as guest:
            first = typed(guest, lies)
            guest.ready()
            assert arguments(guest.boots[-1])["snaproot.trial"].endswith(".1")
            base, second = tried(guest, first, lies)
            guest.start("systemctl reboot")
            guest.ready()
            taken_over(guest, base, lies)
            grown(guest, second)
            guest.off()
        done(found, goes_on, base)


def goes_on(disk: Off, base: str) -> None:
    """Assert that nothing of the adoption is left to do, and that it can be upgraded."""
    assert disk.default == disk.record.base == base
    note = notes.load(disk.layout)
    assert note is not None
    assert note.shared is None
    disk(*CHANGE)
    disk("abandon")


def typed(guest: Guest, lies: Lies = ON_BTRFS) -> dict[str, int]:
    """Adopt as a person does, and reboot; return how far it has counted."""
    guest.ready()
    counts(guest)
    assert lies.plan in guest.run("snaproot init -n").output
    print(guest.run("snaproot init -y", seconds=INIT).output)
    assert status(guest)["booted"] == ORIGINAL
    first = counted(guest)
    guest.start("systemctl reboot")
    return first


def tried(
    guest: Guest, first: Mapping[str, int], lies: Lies = ON_BTRFS
) -> tuple[str, dict[str, int]]:
    """See a trial in the original's own directories, and its promotion."""
    assert mounted(guest, "/var").endswith(lies.var)
    assert mounted(guest, "/home").endswith(lies.home)
    assert mounted(guest, "/var/lib/dpkg").endswith(lies.dpkg)
    guest.run("! touch /var/lib/dpkg/x && dpkg --audit")
    base = str(settled(guest)["base"])
    assert base != ORIGINAL
    trials.sound(guest)
    second = grown(guest, first)
    assert "reboot once more" in guest.run("snaproot run true 2>&1", status=3).output
    guest.run("touch /var/lib/from-the-trial /root/from-the-trial")
    return base, second


def taken_over(guest: Guest, base: str, lies: Lies = ON_BTRFS) -> None:
    told = status(guest)
    assert told["booted"] == told["base"] == told["default"] == base
    for place in ("/var", "/root"):
        assert mounted(guest, place).endswith(lies.areas.format(place[1:]))
    guest.run("ls /var/lib/from-the-trial /root/from-the-trial")
    guest.run("dpkg --audit && dpkg -s snaproot && test -L /var/lib/dpkg")
    trials.sound(guest)


@pytest.mark.parametrize("zfs", on())
def test_an_adoption_that_panics_is_reverted_and_loses_nothing(zfs: bool) -> None:
    """j: a trial that panics; the original is back, has counted on, and may be adopted again."""
    lies = ON_ZFS if zfs else ON_BTRFS
    with unadopted(zfs=zfs) as found:
        with found.boot() as guest:
            guest.ready()
            counts(guest)
            guest.run("snaproot init -y", seconds=INIT)
            first = counted(guest)
            guest.off()
        target = done(found, spoilt)
        with found.boot() as guest:
            guest.ready(BOOT * 3, kernel=r"(rootflags=subvol=@|ROOT/debian) ")
            told = settled(guest)
            assert lefts(guest)[:2] == ["1", "0"]
            assert told["booted"] == told["base"] == told["default"] == ORIGINAL
            assert mounted(guest, "/").endswith(lies.root)
            second = grown(guest, first)
            guest.run("touch /usr/x && rm /usr/x")
            guest.run("snaproot init -y", seconds=INIT)
            guest.start("systemctl reboot")
            guest.ready(kernel=r"snaproot\.trial=")
            assert settled(guest)["base"] not in {ORIGINAL, target}
            grown(guest, second)
            guest.off()
        done(found, without, target)


def spoilt(disk: Off) -> str:
    target = disk.target
    panics(disk)
    return target


def without(disk: Off, target: str) -> None:
    assert target not in disk.environments
