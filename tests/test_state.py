"""The edges of DESIGN.md §4 can be taken, and no others."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest

from snaproot.state import EDGES, Deployment, Phase, Record, moved
from tests.deployments import (
    BASE,
    FIRST_BOOT,
    LAST,
    OTHER,
    OURS,
    SECOND_BOOT,
    STAGING,
    TARGET,
    deployment,
)


@pytest.mark.parametrize(("start", "end"), list(product(Phase, Phase)))
def test_only_the_edges_of_the_design_can_be_taken(start: Phase, end: Phase) -> None:
    drawn = {
        "staging": "staged arming reverting",
        "staged": "arming reverting",
        "arming": "armed staged reverting",
        "armed": "promoting staged reverting",
        "promoting": "reverting",
        "reverting": "",
    }
    if end == start or end in drawn[start].split():
        assert moved(deployment(start), end).phase is end
    else:
        with pytest.raises(RuntimeError, match=f"no edge from {start} to {end}"):
            moved(deployment(start), end)


def test_every_phase_can_reach_its_end() -> None:
    assert set(EDGES) == set(Phase)
    assert all(Phase.REVERTING in EDGES[phase] | {phase} for phase in Phase)


Move = Callable[[Record], Record]
MOVES: dict[str, Move] = {
    "working": lambda r: r.working(STAGING),
    "choosing": lambda r: r.choosing(deployment(Phase.STAGED)),
    "unchosen": lambda r: r.unchosen(),
    "staged": lambda r: r.staged(),
    "arming": lambda r: r.arming(FIRST_BOOT, 2),
    "armed": lambda r: r.armed(),
    "disarmed": lambda r: r.disarmed("why"),
    "restored": lambda r: r.restored(),
    "tried": lambda r: r.tried(FIRST_BOOT),
    "used": lambda r: r.used(1),
    "promoting": lambda r: r.promoting(),
    "promoted": lambda r: r.promoted(),
    "reverting": lambda r: r.reverting("why", bad=True),
    "reverted": lambda r: r.reverted(),
}
"""A move, and the pending phases ('' for none) in which it is allowed without and with work."""
ALLOWED: dict[str, tuple[str, str]] = {
    "working": ("- staged arming armed promoting reverting", ""),
    "choosing": ("-", "-"),
    "unchosen": ("", ""),
    "staged": ("", "- staged"),
    "arming": ("staged arming", "- staged armed"),
    "armed": ("arming armed", "arming armed"),
    "disarmed": ("staged arming armed", "staged arming armed"),
    "restored": ("", ""),
    "tried": ("staged arming armed promoting reverting",) * 2,
    "used": ("staged arming armed promoting reverting",) * 2,
    "promoting": ("armed promoting", "armed promoting"),
    "promoted": ("promoting", "promoting"),
    "reverting": ("staged arming armed promoting reverting",) * 2,
    "reverted": ("reverting", "reverting"),
}


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("phase", ["-", *(p for p in Phase if p is not Phase.STAGING)])
@pytest.mark.parametrize("work", [None, STAGING], ids=["", "work"])
def test_a_record_refuses_what_is_out_of_order(
    move: str, phase: str, work: Deployment | None
) -> None:
    pending = None if phase == "-" else deployment(Phase(phase))
    record = Record(base=BASE, work=work, pending=pending)
    if phase in ALLOWED[move][work is not None].split():
        MOVES[move](record)
    else:
        with pytest.raises(RuntimeError):
            MOVES[move](record)


def test_only_an_unfinished_deployment_is_work() -> None:
    with pytest.raises(RuntimeError):
        Record(base=BASE).working(deployment(Phase.STAGED))


@pytest.mark.parametrize("phase", set(Phase) - {Phase.STAGED, Phase.PROMOTING})
def test_only_a_complete_target_can_be_chosen(phase: Phase) -> None:
    with pytest.raises(RuntimeError):
        Record(base=BASE).choosing(deployment(phase))


# -- what the moves keep and change --------------------------------------------------------------


def test_what_was_only_chosen_can_be_forgotten() -> None:
    chosen = replace(deployment(Phase.STAGED), created_target=False)
    assert Record(base=BASE, pending=chosen).unchosen() == Record(base=BASE)


def test_finished_work_supersedes_what_is_staged() -> None:
    record = Record(base=BASE, work=STAGING, pending=deployment(Phase.STAGED)).staged()
    assert record == Record(base=BASE, pending=moved(STAGING, Phase.STAGED))


def test_an_armed_deployment_is_kept_until_ours_is_armed() -> None:
    record = Record(base=BASE, work=STAGING, pending=OTHER).arming(FIRST_BOOT, 3)
    assert record.work is None
    assert record.pending
    assert record.pending.replaces == OTHER
    assert (record.pending.boot_id, record.pending.tries) == (FIRST_BOOT, 3)
    assert record.arming(FIRST_BOOT, 3).pending == record.pending
    assert record.restored() == Record(base=BASE, pending=OTHER)
    done = record.armed().pending
    assert done
    assert done.replaces is None


def test_a_disarmed_deployment_starts_afresh() -> None:
    tried = Record(base=BASE, pending=deployment(Phase.ARMED, trial_boots=(FIRST_BOOT,)))
    back = tried.used(1).disarmed("by hand").pending
    assert back
    assert (back.phase, back.trial_boots, back.reason) == (Phase.STAGED, (), "by hand")
    again = tried.used(1).disarmed("by hand").arming(SECOND_BOOT, 2).pending
    assert again
    assert (again.attempts_used, again.reason) == (0, "")


def test_a_promotion_moves_the_base_and_remembers_the_deployment() -> None:
    record = Record(base=BASE, work=STAGING, pending=deployment(Phase.ARMED), extra={"new": 1})
    assert record.promoting().promoted() == Record(
        base=TARGET, last=OURS, work=STAGING, extra={"new": 1}
    )


def test_a_revert_keeps_the_base_and_says_why() -> None:
    record = Record(base=BASE, last=LAST, pending=deployment(Phase.ARMED))
    gone = record.reverting("red", bad=True)
    assert gone.pending
    assert (gone.pending.reason, gone.pending.bad) == ("red", True)
    assert gone.reverted() == Record(base=BASE, last=LAST)


def test_trial_boots_are_noted_in_their_order() -> None:
    record = Record(base=BASE, pending=deployment(Phase.ARMED))
    noted = record.tried(FIRST_BOOT).tried(SECOND_BOOT).pending
    assert noted
    assert noted.trial_boots == (FIRST_BOOT, SECOND_BOOT)
