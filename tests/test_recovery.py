"""The table of DESIGN.md §4, written a second time and compared over the whole domain."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice, product

import pytest

from snaproot.recovery import Decision, Do, Situation, attempts_used, recovered
from snaproot.state import Deployment, LoaderView, Phase, Record, TrialArgument
from tests.deployments import (
    ARMING_BOOT,
    BASE,
    FIRST_BOOT,
    LAST,
    OTHER,
    OURS,
    REPLACED,
    SECOND_BOOT,
    STAGING,
    STRANGER,
    TARGET,
    THEIRS,
    THIRD,
    WORK,
    deployment,
)


def records() -> list[Record]:
    boots: tuple[tuple[str, ...], ...] = ((), (FIRST_BOOT,))
    pending = [
        None,
        *(
            deployment(phase, trial_boots=tried, replaces=replaced)
            for phase, tried, replaced in product(Phase, boots, (None, OTHER))
        ),
    ]
    return [
        Record(base=BASE, last=LAST, work=work, pending=waiting)
        for work, waiting in product((None, STAGING), pending)
    ]


def loaders() -> list[LoaderView]:
    garbled = [LoaderView(present=False, counts=True)]
    followers = [LoaderView(good=good) for good in (BASE, TARGET)]
    counting = [
        LoaderView(counts=True, good=good, trial=TARGET, deployment=id, tries=tries)
        for good, id, tries in product((BASE, TARGET), ("", OURS, THEIRS, STRANGER), (0, 1))
    ]
    return [*garbled, *followers, *counting]


def situations() -> Iterator[Situation]:
    """The whole domain, with one value for each thing that makes a difference."""
    domain = product(
        records(),
        (None, BASE, TARGET, REPLACED, WORK, THIRD),
        loaders(),
        (None, BASE, TARGET, REPLACED),
        (ARMING_BOOT, FIRST_BOOT, SECOND_BOOT),
        (None, *(TrialArgument(id, 1) for id in (OURS, THEIRS, LAST, STRANGER))),
        (False, True),
    )
    for record, booted, loader, default, boot_id, trial, skipped in domain:
        yield Situation(
            record=record,
            booted=booted,
            loader=loader,
            default=default,
            boot_id=boot_id,
            trial=trial,
            skipped=skipped,
        )


# -- the table, row by row ---------------------------------------------------------------------

Expected = tuple[Do, str, bool, bool]
"""What to do, the loader's good, bad, reboot."""


def do(what: Do, good: str = "", *, bad: bool = False, reboot: bool = False) -> Expected:
    return what, good, bad, reboot


def table(s: Situation) -> Expected:
    work, pending, base = s.record.work, s.record.pending, s.record.base
    if work and s.booted != work.target:
        return do(Do.DISCARD_WORK)
    trial = s.trial.deployment if s.trial and s.trial.deployment != s.record.last else None
    expected = {p.id for p in (pending, pending.replaces if pending else None) if p}
    if trial and trial not in expected:
        return do(Do.CLEAR_TRIAL, base, reboot=True)
    if not s.loader.present:
        promoting = pending and pending.phase == "promoting" and s.booted == pending.target
        return do(Do.REWRITE_LOADER, TARGET if promoting else base)
    if pending is None:
        agree = s.loader.good == base == s.default
        return do(Do.NOTHING if agree else Do.REPORT)
    return PHASES[pending.phase](s, pending, trial)


def known_to_loader(s: Situation, d: Deployment) -> bool:
    return s.loader.deployment == d.id if s.loader.counts else s.default == d.target


def staged(_s: Situation, _d: Deployment, _trial: str | None) -> Expected:
    return do(Do.NOTHING)


def arming(s: Situation, d: Deployment, _trial: str | None) -> Expected:
    if known_to_loader(s, d):
        return do(Do.FINISH_ARMING)
    if d.replaces and known_to_loader(s, d.replaces):
        return do(Do.RESTORE_REPLACED)
    return do(Do.BACK_TO_STAGED)


def reverting(s: Situation, d: Deployment, _trial: str | None) -> Expected:
    if s.booted == d.target:
        return do(Do.SPEND, s.record.base, reboot=True)
    return do(Do.FINISH_REVERT)


def promoting(s: Situation, d: Deployment, _trial: str | None) -> Expected:
    if d.target in {s.booted, s.loader.good}:
        return do(Do.ROLL_FORWARD)
    return do(Do.REVERT)


def armed(s: Situation, d: Deployment, trial: str | None) -> Expected:
    target_booted, counts = s.booted == d.target, s.loader.counts
    if target_booted and trial == d.id:
        return do(Do.JUDGE if s.boot_id in d.trial_boots else Do.NOTE_TRIAL)
    if not counts and target_booted and s.boot_id != d.boot_id:
        if s.boot_id in d.trial_boots:
            return do(Do.JUDGE)
        return do(Do.REVERT, bad=True) if d.trial_boots else do(Do.NOTE_TRIAL)
    if not known_to_loader(s, d):
        return do(Do.BACK_TO_STAGED)
    if s.booted == s.record.base and counts and s.loader.tries == 0 and not s.skipped:
        return do(Do.REVERT, bad=True)
    if s.skipped and counts and s.loader.tries < 2:
        return do(Do.GIVE_BACK)
    used = 2 - s.loader.tries if counts else len(d.trial_boots)
    return do(Do.NOTE_ATTEMPTS if used > d.attempts_used else Do.REPORT)


def never_there(_s: Situation, _d: Deployment, _trial: str | None) -> Expected:
    """Staging has a slot of its own; such a record is given up step by step."""
    return do(Do.REVERT)


PHASES: dict[Phase, Callable[[Situation, Deployment, str | None], Expected]] = {
    Phase.STAGING: never_there,
    Phase.STAGED: staged,
    Phase.ARMING: arming,
    Phase.ARMED: armed,
    Phase.PROMOTING: promoting,
    Phase.REVERTING: reverting,
}


def test_recovery_is_total_and_follows_the_table() -> None:
    for situation in situations():
        decision = recovered(situation)
        found = (decision.do, decision.good, decision.bad, decision.reboot)
        assert found == table(situation), situation


def test_every_answer_is_given_somewhere() -> None:
    assert {recovered(s).do for s in islice(situations(), 0, None, 7)} == set(Do)


@pytest.mark.parametrize("do", Do)
@pytest.mark.parametrize("reboot", [False, True])
def test_only_messages_verdicts_and_reboots_are_final(do: Do, reboot: bool) -> None:
    said = do in {Do.NOTHING, Do.REPORT, Do.JUDGE}
    assert Decision(do, "why", reboot=reboot).final == (said or reboot)


# -- recovery repeated until it ends -------------------------------------------------------------


def after(s: Situation, d: Decision) -> Situation:
    """Take one step as it is meant; a step that the record does not allow raises."""
    base, pending = s.record.base, s.record.pending
    used = attempts_used(pending, s.loader) if pending else 0
    steps: dict[Do, Callable[[Record], Record]] = {
        Do.DISCARD_WORK: lambda r: r.dropped(),
        Do.REWRITE_LOADER: lambda r: r.disarmed(d.why) if is_armed(pending) else r,
        Do.FINISH_ARMING: lambda r: r.armed(),
        Do.BACK_TO_STAGED: lambda r: r.disarmed(d.why),
        Do.RESTORE_REPLACED: lambda r: r.restored(),
        Do.FINISH_REVERT: lambda r: r.reverted(),
        Do.ROLL_FORWARD: lambda r: r.promoted(),
        Do.REVERT: lambda r: r.reverting(d.why, bad=d.bad),
        Do.NOTE_TRIAL: lambda r: r.tried(s.boot_id),
        Do.NOTE_ATTEMPTS: lambda r: r.used(used),
        Do.GIVE_BACK: lambda r: r.gave_back(s.boot_id),
    }
    if d.do is Do.GIVE_BACK:
        s = replace(s, loader=replace(s.loader, tries=s.loader.tries + 1))
    goods = {Do.REWRITE_LOADER: d.good, Do.FINISH_REVERT: base, Do.ROLL_FORWARD: TARGET}
    record = steps[d.do](s.record)
    return settled(s, goods[d.do], record) if d.do in goods else replace(s, record=record)


@pytest.mark.parametrize(
    ("boots", "said"),
    [((), "none of its boots"), ((FIRST_BOOT,), "1 of its boots")],
)
def test_a_spent_counter_says_how_far_the_boots_came(boots: tuple[str, ...], said: str) -> None:
    pending = deployment(Phase.ARMED, trial_boots=boots)
    situation = Situation(
        record=Record(base=BASE, pending=pending),
        booted=BASE,
        loader=LoaderView(counts=True, good=BASE, trial=TARGET, deployment=OURS),
        default=BASE,
        boot_id=SECOND_BOOT,
    )
    assert recovered(situation).why.endswith(f"without a verdict; snaproot ran in {said}")


def is_armed(d: Deployment | None) -> bool:
    return d is not None and d.phase in {Phase.ARMING, Phase.ARMED}


def settled(s: Situation, good: str, record: Record) -> Situation:
    loader = LoaderView(counts=s.loader.counts, good=good)
    return replace(s, record=record, loader=loader, default=good)


def run_to_the_end(s: Situation) -> tuple[Situation, list[Decision]]:
    taken: list[Decision] = []
    while not taken or not taken[-1].final:
        if taken:
            s = after(s, taken[-1])
        taken.append(recovered(s))
        assert len(taken) <= len(Do), taken
    return s, taken


@pytest.fixture(scope="module")
def ends() -> list[tuple[Situation, Situation, list[Decision]]]:
    return [(s, *run_to_the_end(s)) for s in islice(situations(), 0, None, 31)]


Ends = list[tuple[Situation, Situation, list[Decision]]]


def test_recovery_ends_and_leaves_no_step_half_done(ends: Ends) -> None:
    for _, end, taken in ends:
        if end.record.work:
            assert end.booted == end.record.work.target
        if taken[-1].reboot or end.record.pending is None:
            continue
        assert end.record.pending.phase in {Phase.STAGED, Phase.ARMED}


def test_nothing_that_runs_is_discarded(ends: Ends) -> None:
    for start, _, taken in ends:
        steps = {decision.do for decision in taken}
        pending, work = start.record.pending, start.record.work
        assert not (Do.DISCARD_WORK in steps and work and start.booted == work.target)
        assert not (Do.FINISH_REVERT in steps and pending and start.booted == pending.target)


def test_only_a_green_target_becomes_the_base(ends: Ends) -> None:
    for start, end, _ in ends:
        if end.record.base != BASE:
            pending = start.record.pending
            assert pending
            assert pending.phase is Phase.PROMOTING
            assert TARGET in (start.booted, start.loader.good)
            assert end.record.last == OURS


def test_a_second_recovery_finds_nothing_to_do(ends: Ends) -> None:
    for _, end, taken in ends:
        assert recovered(end) == taken[-1]
