"""Scenarios go red where the snaproot of the trial was sabotaged."""

from functools import partial

import pytest

from integration.test_trials_cut import (
    AFTER_THE_LOADER,
    BEFORE_SPENDING,
    BEFORE_THE_LOADER,
    promotion_is_cut,
    revert_is_cut,
)
from integration.vm.faults import patched, red, stops, written
from integration.vm.off import Off
from integration.vm.stream import Unheard
from integration.vm.trials import adopted, armed, reboots

pytestmark = pytest.mark.machine


def test_without_its_failure_path_a_rejected_trial_goes_on() -> None:
    with adopted() as machine:
        armed(machine, red, aimless)
        with machine.boot() as guest, pytest.raises(Unheard):
            reboots(guest)


def aimless(disk: Off) -> None:
    """Take the failure path away from the trial's boot-complete.target."""
    path = disk.layout.root(disk.target) / "usr/lib/snaproot/trial.conf"
    kept = [line for line in path.read_text().splitlines() if not line.startswith("OnFailure=")]
    written(disk, str(path.relative_to(disk.top)), "\n".join(kept).encode())


def test_with_the_default_moved_first_a_cut_promotion_is_caught() -> None:
    sound = "self.bootloader.settle(target)\n        self.filesystem.set_default(target)\n"
    lines = sound.split("\n")
    first = f"{lines[1].strip()}\n        {lines[0]}\n"
    with adopted() as machine:
        halt = partial(stops, verb="promote", where=BEFORE_THE_LOADER)
        sabotage = partial(patched, module="steps.py", old=sound, new=first)
        what = armed(machine, sabotage, halt)
        with pytest.raises(AssertionError):
            promotion_is_cut(machine, what)


def test_with_the_record_after_the_loader_a_cut_promotion_is_caught() -> None:
    intent = "self.ledger.save(record.promoting())\n        return self._finish"
    effect = f"self.bootloader.settle(pending_in(record).target)\n        {intent}"
    with adopted() as machine:
        halt = partial(stops, verb="promote", where=AFTER_THE_LOADER)
        sabotage = partial(patched, module="transaction.py", old=intent, new=effect)
        what = armed(machine, sabotage, halt)
        with pytest.raises(AssertionError):
            promotion_is_cut(machine, what, good=what.target)


def test_with_the_record_after_the_counter_a_cut_revert_is_caught() -> None:
    intent = "self.ledger.save(record.reverting(verdict.reason, bad=True))"
    effect = f"self.bootloader.leave(0, record.base)\n        {intent}"
    with adopted() as machine:
        halt = partial(stops, verb="health", where=BEFORE_SPENDING)
        sabotage = partial(patched, module="transaction.py", old=intent, new=effect)
        what = armed(machine, red, sabotage, halt, tries=2)
        with pytest.raises(AssertionError):
            revert_is_cut(machine, what)
