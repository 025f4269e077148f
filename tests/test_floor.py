"""What the operations do about boot environments beneath the rollback floor."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from snaproot.errors import Refused, SnaprootError
from snaproot.recovery import Do
from snaproot.state import Judge, Kind, Phase, Result, Verdict
from tests.fakes import Disk, FakeFilesystem, adopted
from tests.machine import BASE, Machine

OLD = "its ZFS does not know zstd_compress"
GREEN, RED = Verdict(Result.GOOD, Judge.HAND), Verdict(Result.BAD, Judge.HEALTH)


@pytest.fixture
def machine() -> Machine:
    disk = Disk()
    adopted(disk)
    return Machine(disk)


def outgrow(machine: Machine, id: str) -> None:
    """Let the pool be upgraded beyond what a root's kernel knows."""
    filesystem = machine.filesystem
    filesystem.describe(replace(filesystem.environment(id), beneath=OLD))


@pytest.mark.parametrize(
    "choose",
    [
        lambda machine: machine.transaction.choose(Kind.ROLLBACK, BASE),
        lambda machine: machine.transaction.boot_once(BASE),
    ],
)
def test_what_is_beneath_the_floor_is_not_armed(
    machine: Machine, choose: Callable[[Machine], object]
) -> None:
    machine.stage()
    machine.come_up()
    machine.transaction.promote(GREEN)
    before = machine.record, machine.counter
    outgrow(machine, BASE)
    with pytest.raises(Refused, match="beneath the rollback floor"):
        choose(machine)
    assert (machine.record, machine.counter) == before


def test_what_was_staged_and_is_beneath_the_floor_is_not_armed(machine: Machine) -> None:
    target = machine.stage(arm=False)
    outgrow(machine, target)
    with pytest.raises(Refused, match=f"{target} is beneath"):
        machine.transaction.arm()
    assert machine.record.pending is not None
    assert machine.record.pending.phase is Phase.STAGED


def test_a_trial_that_upgraded_the_pool_is_not_left_for_a_base_that_cannot_be_booted(
    machine: Machine,
) -> None:
    target = machine.stage()
    machine.come_up()
    assert machine.transaction.has_fallback()
    outgrow(machine, BASE)
    assert not machine.transaction.has_fallback()
    before = machine.record, machine.counter
    with pytest.raises(Refused, match=f"{BASE} cannot be returned to"):
        machine.transaction.reject(RED)
    assert (machine.record, machine.counter) == before
    assert machine.transaction.recover()[-1].do is Do.JUDGE
    assert machine.transaction.promote(GREEN).base == target


def test_the_menu_does_not_offer_it(machine: Machine) -> None:
    target = machine.stage()
    machine.come_up()
    machine.transaction.promote(GREEN)
    outgrow(machine, BASE)
    machine.transaction.show_menu()
    assert machine.disk.get(("index",)) == (target,)


class Forgetful(FakeFilesystem):
    """A filesystem whose record is full."""

    def note_boot(self, now: datetime) -> None:
        raise SnaprootError(f"no space left at {now.year}")


def test_a_floor_that_cannot_be_noted_is_told_and_stops_nothing(machine: Machine) -> None:
    machine.filesystems = Forgetful
    assert machine.transaction.recover()[-1].do is Do.NOTHING
    assert [one for one in machine.notices if "not remembered: no space left" in one]
