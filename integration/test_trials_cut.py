"""The plug is pulled in a trial, in a promotion, in a revert: each boot after that is a good one.

That what must always hold does so on the disk as it was left, `done` asserts each time.
"""

from functools import partial

import pytest

from integration.vm.faults import STOPPED, WAITS, asked, goes_on, red, stops, typed
from integration.vm.guest import BOOT, Guest, Machine
from integration.vm.off import Off
from integration.vm.trials import (
    BACK,
    CHANGE,
    SETTLED,
    Armed,
    adopted,
    arguments,
    armed,
    back,
    done,
    lefts,
    on,
    returned,
    settled,
    settled_on,
    status,
)
from snaproot.state import Phase

pytestmark = pytest.mark.machine

KERNEL = r"\] Command line: .*snaproot\.trial=.*\n"


@pytest.mark.parametrize("zfs", on())
def test_a_power_cut_while_staging_or_arming_changes_nothing_or_all(zfs: bool) -> None:
    """g: what was being staged goes; of what is armed the loader knows nothing, or all."""
    backend = "zfs.backend Zfs" if zfs else "btrfs.backend Btrfs"
    with adopted(zfs=zfs) as machine:
        with machine.boot() as guest:
            base = booted(guest)
            typed(guest, f"before filesystem.{backend} seal 1", *CHANGE)
            guest.pull()
        done(machine, stages, base)
        with machine.boot() as guest:
            assert booted(guest) == base
            assert status(guest)["interrupted"] is None
            typed(guest, "before bootloader.grub Grub arm 1", *CHANGE)
            guest.pull()
        target = done(machine, arms, base, 0)
        with machine.boot() as guest:
            assert booted(guest) == base
            assert status(guest)["pending"]["phase"] == "staged"  # type: ignore[index]
            typed(guest, "after bootloader.grub Grub arm 1", "activate", target)
            guest.pull()
        assert done(machine, arms, base, 2) == target
        with machine.boot() as guest:
            guest.ready()
            assert settled(guest)["base"] == target
            assert lefts(guest) == ["1"]
            guest.off()
        done(machine, settled_on, target)


def booted(guest: Guest) -> str:
    """Wait for a boot that is no trial, and for what it has to finish; name what it is of."""
    guest.ready()
    guest.run("systemctl start snaproot-recover.service")
    assert lefts(guest) == [""]
    return str(status(guest)["booted"])


def stages(disk: Off, base: str) -> None:
    assert disk.record.work
    assert (disk.record.base, disk.record.pending) == (base, None)
    found = disk.environments.get(disk.record.work.target)
    assert not (found and found.complete)


def arms(disk: Off, base: str, tries: int) -> str:
    """Assert that arming was begun, and of how many tries the loader knows; name the target."""
    assert disk.record.pending
    assert (disk.record.base, disk.record.pending.phase) == (base, Phase.ARMING)
    assert disk.env
    assert (disk.env.good, disk.env.tries) == (base, tries)
    return disk.target


@pytest.mark.parametrize("zfs", on())
def test_a_power_cut_in_the_trial_counts(zfs: bool) -> None:
    """g: the plug is pulled as the kernel starts, and while the trial is judged."""
    with adopted(zfs=zfs) as machine:
        what = armed(machine, partial(asked, script=WAITS), tries=2)
        for left, place in ((1, KERNEL), (0, STOPPED)):
            pulled(machine, place)
            done(machine, stays_armed, what, left)
        ended = returned(machine, what, tries=0)
        assert "snaproot ran in 1 of its boots" in str(ended.verdict["reason"])


def stays_armed(disk: Off, what: Armed, left: int) -> None:
    assert disk.env
    assert (disk.env.good, disk.env.tries) == (what.base, left)
    assert disk.record.pending
    assert disk.record.pending.phase is Phase.ARMED


@pytest.mark.parametrize("zfs", on())
def test_a_power_cut_in_a_promotion_ends_in_a_proven_root(zfs: bool) -> None:
    """g: before the loader knows, it is reverted; after that, it is finished."""
    with adopted(zfs=zfs) as machine:
        what = armed(machine, partial(stops, verb="promote", where=BEFORE_THE_LOADER))
        promotion_is_cut(machine, what)
        ended = returned(machine, what, tries=0)
        assert "its promotion was not durable" in str(ended.verdict["reason"])

        what = armed(machine, partial(stops, verb="promote", where=AFTER_THE_LOADER))
        promotion_is_cut(machine, what, good=what.target)
        with machine.boot() as guest:
            guest.ready()
            found = settled(guest)
            assert found["booted"] == found["base"] == found["default"] == what.target
            assert "snaproot.trial" not in arguments(guest.boots[-1])
            guest.off()
        done(machine, promoted, what.target, found["verdict"]["deployment"])  # type: ignore[index]


def promoted(disk: Off, target: str, deployment: str) -> None:
    settled_on(disk, target)
    assert disk.record.last == deployment


BEFORE_THE_LOADER = "before bootloader.grub Grub settle 1"
AFTER_THE_LOADER = "after bootloader.grub Grub settle 1"


def promotion_is_cut(machine: Machine, what: Armed, good: str = "") -> None:
    """Pull the plug where the trial stops while it is promoted; look at what is there.

    `good` is what the loader boots then. The default has not moved yet.
    """
    pulled(machine, STOPPED)
    done(machine, promotes, what.base, good or what.base)


def promotes(disk: Off, base: str, good: str) -> None:
    pending = disk.record.pending
    assert pending
    assert pending.phase is Phase.PROMOTING
    assert disk.record.base == disk.default == base
    assert disk.env
    assert disk.env.good == good


@pytest.mark.parametrize("zfs", on())
def test_a_power_cut_in_a_revert_ends_on_the_base(zfs: bool) -> None:
    """g: before the counter is spent; on the base, before what was created is deleted."""
    with adopted(zfs=zfs) as machine:
        what = armed(machine, red, partial(stops, verb="health", where=BEFORE_SPENDING), tries=2)
        revert_is_cut(machine, what)
        halt = partial(stops, verb="recover", where="before FILESYSTEM discard 1", id=what.base)
        done(machine, halt)
        with machine.boot() as guest:
            guest.serial.wait(rf"{BACK}[^\r]*\n(.*\n)*.*{STOPPED}", 3 * BOOT)
            assert lefts(guest) == ["0", ""]
            guest.pull()
        done(machine, reverts_on_the_base, what)
        with machine.boot() as guest:
            guest.ready()
            found = settled(guest)
            assert found["booted"] == found["base"] == found["default"] == what.base
            assert found["verdict"]["result"] == "bad"  # type: ignore[index]
            guest.off()
        done(machine, back, what)


BEFORE_SPENDING = "before bootloader.grub Grub leave 1"


def revert_is_cut(machine: Machine, what: Armed) -> None:
    """Pull the plug where the trial stops before it spends its counter."""
    pulled(machine, STOPPED)
    done(machine, reverts, what)


def reverts(disk: Off, what: Armed) -> None:
    pending = disk.record.pending
    assert pending
    assert (pending.phase, pending.bad) == (Phase.REVERTING, True)
    assert disk.default == what.base
    assert disk.env
    assert (disk.env.good, disk.env.tries) == (what.base, 1)


def reverts_on_the_base(disk: Off, what: Armed) -> None:
    """Assert that its loader was told, and nothing else; let it go on."""
    assert disk.record.pending
    assert disk.record.pending.phase is Phase.REVERTING
    assert disk.env
    assert (disk.env.good, disk.env.trial) == (what.base, "")
    goes_on(disk, "recover", what.base)


def pulled(machine: Machine, place: str) -> None:
    """Pull the plug once a boot of the trial has said so."""
    with machine.boot() as guest:
        guest.serial.wait(place, BOOT + SETTLED)
        assert len(guest.boots) == 1
        guest.pull()
