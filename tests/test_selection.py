"""Which boot environment `rollback` and `activate` mean."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from snaproot.environment import Environment, Standing
from snaproot.errors import NothingToDo, Refused
from snaproot.selection import (
    Choices,
    Step,
    for_abandoning,
    for_activation,
    for_one_boot,
    for_rejection,
    for_rollback,
)
from snaproot.state import Deployment, Kind, Phase, Record


def proven(id: str) -> Environment:
    return Environment(id=id, standing=Standing.PROVEN, sealed=True)


def deployment(target: str, phase: Phase = Phase.ARMED) -> Deployment:
    return Deployment(
        id="d1",
        kind=Kind.UPGRADE,
        parent="b3",
        base="b3",
        target=target,
        created_target=True,
        phase=phase,
    )


IDLE = Choices(
    environments=[proven("b1"), proven("b2"), proven("b3")],
    record=Record(base="b3"),
    booted="b3",
    default="b3",
)
UNPROVEN = Environment(id="b4", sealed=True)


def pending(phase: Phase = Phase.ARMED, booted: str | None = "b3") -> Choices:
    """A target b4 waits; the filesystem's pointer follows it once it is armed."""
    return Choices(
        environments=[*IDLE.environments, UNPROVEN],
        record=Record(base="b3", pending=deployment("b4", phase)),
        booted=booted,
        default="b3" if phase is Phase.STAGED else "b4",
    )


def steps(seen: Choices, wanted: str = "") -> list[tuple[Step, str]]:
    return [(chosen.step, chosen.target) for chosen in for_rollback(seen, wanted)]


def test_rollback_takes_the_newest_proven_one_before_the_default() -> None:
    assert steps(IDLE) == [(Step.CHOOSE, "b2")]


def test_rollback_never_goes_forward() -> None:
    seen = replace(IDLE, record=Record(base="b2"), booted="b2", default="b2")
    assert steps(seen) == [(Step.CHOOSE, "b1")]


@pytest.mark.parametrize("standing", [Standing.UNPROVEN, Standing.BAD, Standing.ORIGINAL])
def test_rollback_by_itself_passes_over_what_is_not_proven(standing: Standing) -> None:
    b1, b2, b3 = IDLE.environments
    seen = replace(IDLE, environments=[b1, replace(b2, standing=standing), b3])
    assert steps(seen) == [(Step.CHOOSE, "b1")]


OLD = "its ZFS does not know zstd_compress"


def beneath(*ids: str) -> Choices:
    """What of the three is beneath the rollback floor."""
    there = [replace(e, beneath=OLD if e.id in ids else "") for e in IDLE.environments]
    return replace(IDLE, environments=there)


def test_rollback_by_itself_passes_over_what_is_beneath_the_floor_and_says_so() -> None:
    assert steps(beneath("b2")) == [(Step.CHOOSE, "b1")]
    (chosen,) = for_rollback(beneath("b2"))
    assert chosen.why == f"it is the newest proven one before b3; b2 is passed over: {OLD}"
    assert "passed over" not in for_rollback(beneath("b1"))[0].why


def test_where_all_are_beneath_the_floor_the_newest_says_why() -> None:
    with pytest.raises(Refused, match=f"b2 is beneath the rollback floor: {OLD}"):
        for_rollback(beneath("b1", "b2"))


@pytest.mark.parametrize("choose", [for_activation, for_one_boot, for_rollback])
def test_what_is_beneath_the_floor_is_not_booted(
    choose: Callable[[Choices, str], object],
) -> None:
    with pytest.raises(Refused, match="b1 is beneath the rollback floor") as raised:
        choose(beneath("b1"), "b1")
    assert "snaproot list" in raised.value.hint
    assert choose(beneath("b2"), "b1")


@pytest.mark.parametrize("booted", ["b4", None])
def test_a_trial_is_not_rejected_into_a_base_beneath_the_floor(booted: str | None) -> None:
    waiting = pending(booted=booted)
    there = [*beneath("b3").environments, UNPROVEN]
    seen = replace(waiting, environments=there)
    with pytest.raises(Refused, match="b3 cannot be returned to") as raised:
        for_rejection(seen, "")
    assert "snaproot promote" in raised.value.hint
    if booted:
        with pytest.raises(Refused, match="b3 cannot be returned to"):
            for_rollback(seen)
    seen = replace(seen, environments=[*IDLE.environments, UNPROVEN])
    assert for_rejection(seen, "").step is Step.REJECT


def revoked(*ids: str) -> Choices:
    """What of the three rests on something that has been revoked since."""
    return replace(IDLE, revoked=dict.fromkeys(ids, "the signer is revoked"))


def test_rollback_by_itself_passes_over_what_is_revoked_and_says_so() -> None:
    (chosen,) = for_rollback(revoked("b2"))
    assert chosen.target == "b1"
    assert chosen.why.endswith("b2 is passed over: the signer is revoked")


def test_where_all_are_revoked_the_newest_says_why() -> None:
    with pytest.raises(Refused, match="b2 is not to be trusted any more: the signer is revoked"):
        for_rollback(revoked("b1", "b2"))


@pytest.mark.parametrize("choose", [for_activation, for_one_boot, for_rollback])
def test_what_is_revoked_is_not_booted(choose: Callable[[Choices, str], object]) -> None:
    with pytest.raises(Refused, match="b1 is not to be trusted any more") as raised:
        choose(revoked("b1"), "b1")
    assert "snaproot trust audit" in raised.value.hint
    assert choose(revoked("b2"), "b1")


def test_what_is_staged_and_revoked_is_not_armed() -> None:
    staged = replace(pending(Phase.STAGED), revoked={"b4": "the signer is revoked"})
    with pytest.raises(Refused, match="b4 is not to be trusted any more"):
        for_activation(staged, "b4")


def test_what_runs_and_is_revoked_does_not_become_the_base() -> None:
    seen = replace(revoked("b1"), booted="b1")
    for wanted in ("", "b1"):
        with pytest.raises(Refused, match="b1 is not to be trusted any more"):
            for_rollback(seen, wanted)


def test_the_way_back_to_the_base_stays() -> None:
    """It is what the loader falls back to in any case."""
    assert steps(replace(pending(), revoked={"b3": "the signer is revoked"})) == [
        (Step.ABANDON, "b4")
    ]


def test_rollback_by_itself_passes_over_what_is_damaged() -> None:
    b1, b2, b3 = IDLE.environments
    seen = replace(IDLE, environments=[b1, replace(b2, damage="torn"), b3])
    assert steps(seen) == [(Step.CHOOSE, "b1")]


def test_rollback_with_nothing_older_is_refused() -> None:
    with pytest.raises(Refused, match="no proven boot environment older than b3"):
        for_rollback(replace(IDLE, environments=[proven("b3")]))


def test_rollback_to_an_id_takes_even_an_unproven_one() -> None:
    seen = replace(IDLE, environments=[*IDLE.environments, UNPROVEN])
    assert steps(seen, "b4") == [(Step.CHOOSE, "b4")]


def test_rollback_to_what_is_not_complete_is_refused() -> None:
    seen = replace(IDLE, environments=[*IDLE.environments, Environment(id="b4")])
    with pytest.raises(Refused, match="b4 is not complete"):
        for_rollback(seen, "b4")


def test_rollback_to_the_default_has_nothing_to_do() -> None:
    with pytest.raises(NothingToDo):
        for_rollback(IDLE, "b3")


def test_what_runs_beside_the_default_is_judged_where_it_runs() -> None:
    assert steps(replace(IDLE, booted="b2")) == [(Step.PROMOTE_BOOTED, "b2")]
    assert steps(replace(IDLE, booted="b2"), "b2") == [(Step.PROMOTE_BOOTED, "b2")]


def test_another_id_wins_over_what_runs_beside_the_default() -> None:
    assert steps(replace(IDLE, booted="b2"), "b1") == [(Step.CHOOSE, "b1")]


def test_a_default_that_another_hand_moved_goes_back_to_the_base() -> None:
    assert steps(replace(IDLE, default="b1")) == [(Step.POINT_BACK, "b3")]
    assert steps(replace(IDLE, default=None)) == [(Step.POINT_BACK, "b3")]
    assert steps(replace(IDLE, default="b1", booted=None), "b3") == [(Step.POINT_BACK, "b3")]


@pytest.mark.parametrize("phase", [Phase.STAGED, Phase.ARMED])
@pytest.mark.parametrize("booted", ["b3", None])
def test_a_pending_one_that_does_not_run_is_abandoned(phase: Phase, booted: str | None) -> None:
    assert steps(pending(phase, booted)) == [(Step.ABANDON, "b4")]


def test_rollback_to_an_id_abandons_the_pending_one_first() -> None:
    assert steps(pending(), "b1") == [(Step.ABANDON, "b4"), (Step.CHOOSE, "b1")]


def test_rollback_to_the_base_of_a_pending_one_is_only_abandoning() -> None:
    assert steps(pending(), "b3") == [(Step.ABANDON, "b4")]


@pytest.mark.parametrize("wanted", ["", "b1", "b4"])
def test_inside_a_trial_both_mean_reject(wanted: str) -> None:
    assert steps(pending(booted="b4"), wanted) == [(Step.REJECT, "b4")]


def test_rollback_to_the_pending_one_itself_is_refused() -> None:
    with pytest.raises(Refused, match="b4 is armed"):
        for_rollback(pending(), "b4")


def test_every_choice_says_why() -> None:
    for seen in (IDLE, pending(), pending(booted="b4"), replace(IDLE, booted="b2")):
        assert all(chosen.why for chosen in for_rollback(seen))


def test_activating_what_is_staged_arms_it() -> None:
    chosen = for_activation(pending(Phase.STAGED), "b4")
    assert (chosen.step, chosen.target) == (Step.ARM, "b4")


def test_activating_what_is_armed_has_nothing_to_do() -> None:
    with pytest.raises(NothingToDo, match="b4 is armed already"):
        for_activation(pending(), "b4")


def test_activating_beside_a_pending_one_is_refused() -> None:
    with pytest.raises(Refused, match="b4 is armed") as refused:
        for_activation(pending(), "b1")
    assert "snaproot abandon" in refused.value.hint


def test_activating_takes_any_complete_one() -> None:
    seen = replace(IDLE, environments=[*IDLE.environments, UNPROVEN])
    chosen = for_activation(seen, "b4")
    assert (chosen.step, chosen.target) == (Step.CHOOSE, "b4")


def test_abandoning_is_refused_inside_the_trial_before_anybody_is_asked() -> None:
    assert for_abandoning(pending()).step is Step.ABANDON
    with pytest.raises(Refused, match="b4 is running"):
        for_abandoning(pending(booted="b4"))
    with pytest.raises(NothingToDo):
        for_abandoning(IDLE)


@pytest.mark.parametrize("seen", [IDLE, pending(Phase.STAGED), pending(booted="b3")])
def test_only_a_trial_that_runs_or_that_nothing_runs_beside_can_be_rejected(seen: Choices) -> None:
    with pytest.raises(Refused, match="nothing was changed"):
        for_rejection(seen, "")


def test_a_rejection_carries_its_reason() -> None:
    assert for_rejection(pending(booted="b4"), "no mail").why == "no mail"
    assert for_rejection(pending(booted=None), "").why == "rejected by hand"


def test_only_what_a_deployment_made_is_deleted_and_it_says_so() -> None:
    seen = pending(booted=None)
    assert "b4 is given up and deleted: " in for_abandoning(seen).sentence
    kept = replace(deployment("b2"), created_target=False)
    seen = replace(seen, record=Record(base="b3", pending=kept))
    assert "b2 is given up: " in for_abandoning(seen).sentence


@pytest.mark.parametrize("phase", [Phase.STAGED, Phase.ARMED])
@pytest.mark.parametrize("wanted", ["", "b2"])
def test_what_somebody_picked_by_hand_beside_a_pending_one_becomes_the_base(
    phase: Phase, wanted: str
) -> None:
    seen = replace(pending(phase, booted="b2"), default="b3")
    assert steps(seen, wanted) == [(Step.ABANDON, "b4"), (Step.PROMOTE_BOOTED, "b2")]
    assert steps(seen, "b3") == [(Step.ABANDON, "b4")]


def test_the_original_that_runs_is_not_promoted() -> None:
    old = Environment(id="original", standing=Standing.ORIGINAL)
    seen = replace(IDLE, environments=[*IDLE.environments, old], booted="original")
    with pytest.raises(Refused, match="not sealed"):
        for_rollback(seen)
    waits = replace(pending(booted="original"), environments=seen.environments, default="b3")
    assert steps(waits) == [(Step.ABANDON, "b4")]
