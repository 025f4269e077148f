"""Trials on booting machines: promoted if they are good, left if they are not, with nobody there.

Those marked `starred` are part of every CI run.
"""

from functools import partial
from pathlib import Path

import pytest

from integration.vm import trials
from integration.vm.faults import panics
from integration.vm.off import Off
from integration.vm.trials import (
    adopted,
    archived,
    arguments,
    armed,
    done,
    lefts,
    offered,
    on,
    reboots,
    settled,
    status,
)

pytestmark = pytest.mark.machine

BROKEN = """\
[Unit]
Description=Something that the upgrade brings
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/{ends}
[Install]
WantedBy=multi-user.target
"""
UNIT = "usr/lib/systemd/system"


def with_unit(tree: Path, ends: str) -> None:
    """Let a package bring a unit that runs /bin/true, or /bin/false."""
    place = tree / UNIT / "brought.service"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(BROKEN.format(ends=ends), encoding="ascii")
    wanted = tree / UNIT / "multi-user.target.wants/brought.service"
    wanted.parent.mkdir(exist_ok=True)
    wanted.symlink_to("../brought.service")


@pytest.mark.parametrize("zfs", on(starred="one machine"))
def test_a_typed_upgrade_is_tried_and_promoted(zfs: bool) -> None:
    """a: typed, tried, green, promoted; the boot after that is no trial."""
    with adopted(zfs=zfs) as machine:
        base = done(machine, offered, archived("mawk", "tree"))
        with machine.boot() as guest:
            guest.ready()
            guest.login()
            since = guest.type("snaproot upgrade")
            guest.serial.wait(r"\[y/N\] $", 300, since)
            since = guest.type("y")
            guest.serial.wait(r"To drop it before that boot: snaproot abandon", 600, since)
            assert arguments(guest.boots[-1]).get("snaproot.trial") is None
            guest.start("systemctl reboot")
            guest.ready()
            assert arguments(guest.boots[-1])["snaproot.trial"].endswith(".1")
            found = settled(guest)
            assert found["base"] == found["default"] == found["booted"] != base, found
            assert found["verdict"]["result"] == "good"  # type: ignore[index]
            trials.sound(guest)
            guest.run("test -s /var/lib/mawk-demo/upgraded-from")
            guest.start("systemctl reboot")
            guest.ready()
            assert "snaproot.trial" not in arguments(guest.boots[-1])
            assert status(guest)["booted"] == found["base"]
            guest.off()
        done(machine, trials.settled_on, found["base"])


@pytest.mark.parametrize("zfs", on(starred="the other"))
def test_an_upgrade_with_a_broken_unit_is_reverted_and_not_repeated(zfs: bool) -> None:
    """b: red, base, the reason; the same update is refused (3), a corrected one accepted."""
    with adopted(zfs=zfs) as machine:
        broken, mended = (partial(with_unit, ends=ends) for ends in ("false", "true"))
        base = done(machine, upgraded, archived("mawk", recipe=broken))
        with machine.boot() as guest:
            guest.ready()
            seconds = reboots(guest)
            print(f"from the verdict to the reboot request: {seconds:.1f} s")
            assert seconds < 5
            guest.ready(kernel=trials.BACK)
            found = settled(guest)
            assert found["booted"] == found["base"] == base
            assert "brought.service" in str(found["verdict"])
            assert len(guest.boots) == 2
            guest.off()
        done(machine, refused_then_accepted, archived("mawk", recipe=mended, revision=2))


def upgraded(disk: Off, archive: bytes) -> str:
    """Stage and arm what an archive offers; name the base."""
    base = offered(disk, archive)
    disk("upgrade")
    return base


def refused_then_accepted(disk: Off, archive: bytes) -> None:
    disk("upgrade", status=3)
    upgraded(disk, archive)
    disk("abandon")


@pytest.mark.parametrize("zfs", on(starred="the other", zfs_starred="one machine"))
def test_a_kernel_panic_is_counted_and_left(zfs: bool) -> None:
    """c: the kernel panics before there is any userspace; the counter alone brings the base."""
    with adopted(zfs=zfs) as machine:
        what = armed(machine, panics, tries=1)
        with machine.boot() as guest:
            guest.ready()
            found = settled(guest)
            assert found["booted"] == found["base"] == what.base
            assert lefts(guest) == ["0", ""]
            assert "snaproot ran in none of its boots" in str(found["verdict"])
            guest.off()
        done(machine, trials.back, what)
