"""Whole deployments cut at every write, and their recovery cut at every one of its own.

`check_always` is asserted on every disk as it is found, `check_settled` once recovery is through.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from snaproot import drafts
from snaproot.bootloader import Shown, Trial
from snaproot.environment import Environment, Standing
from snaproot.errors import NeedsRecovery, Refused
from snaproot.filesystem import Workspace
from snaproot.recovery import Do
from snaproot.retention import Policy
from snaproot.state import Deployment, Kind, LoaderView, Phase, Record, Verdict
from snaproot.transaction import Build, Transaction
from tests.fakes import (
    Broken,
    CountingLoader,
    Disk,
    Env,
    FakeFilesystem,
    FakeLedger,
    FakeLog,
    FakeQuarantine,
    adopted,
)
from tests.machine import (
    BASE,
    GREEN,
    RED,
    Machine,
    Scenario,
    check_always,
    check_reverts_by_itself,
    check_settled,
    cuts,
)

STRICT = Policy(proven=1, unproven=0, total=1)


def good(machine: Machine) -> None:
    machine.stage()
    machine.come_up()
    machine.transaction.promote(GREEN)
    machine.come_up()


def bad(machine: Machine) -> None:
    machine.stage()
    machine.come_up()
    machine.transaction.reject(RED)
    machine.boot()
    assert machine.running == BASE, "a rejected target was tried once more"
    machine.transaction.recover()


def unjudged(machine: Machine) -> None:
    machine.stage()
    unjudged_from_here(machine)


def stacked(machine: Machine) -> None:
    machine.stage()
    machine.stage()
    machine.come_up()
    machine.transaction.promote(GREEN)


def superseded(machine: Machine) -> None:
    machine.stage(arm=False)
    machine.stage(arm=False)
    machine.transaction.arm()
    machine.transaction.abandon()


def abandoned(machine: Machine) -> None:
    machine.stage()
    machine.transaction.abandon()
    machine.stage(arm=False)
    machine.transaction.abandon()


def rolled_back(machine: Machine) -> None:
    good(machine)
    machine.transaction.choose(Kind.ROLLBACK, BASE)
    machine.come_up()
    machine.transaction.promote(GREEN)


def rollback_rejected(machine: Machine) -> None:
    good(machine)
    machine.transaction.choose(Kind.ROLLBACK, BASE)
    machine.come_up()
    machine.transaction.reject(RED)
    machine.come_up()


def skipped(machine: Machine) -> None:
    """Somebody picks the base in the menu, then nobody is there."""
    machine.stage()
    machine.by_hand = BASE
    machine.come_up()
    machine.by_hand = ""
    unjudged_from_here(machine)


def shut_down(machine: Machine) -> None:
    """Somebody reboots the trial again and again, and never judges it."""
    machine.stage()
    for _ in range(6):
        machine.come_up()
        machine.transaction.give_back()


def unjudged_from_here(machine: Machine) -> None:
    for _ in range(4):
        machine.come_up()


def failed(machine: Machine) -> None:
    def build(workspace: Workspace, _: str) -> Environment:
        machine.filesystem.write(workspace.id, "/usr/bin/half", "1")
        raise Broken("the upgrade failed")

    with pytest.raises(Broken):
        machine.transaction.stage(Kind.UPGRADE, build, arm=True)


def stays(machine: Machine) -> None:
    """Somebody picks an older one in the menu beside what is armed, and it becomes the base."""
    good(machine)
    machine.stage()
    machine.by_hand = BASE
    machine.come_up()
    machine.by_hand = ""
    machine.transaction.abandon()
    machine.transaction.promote_booted(Kind.ROLLBACK)
    machine.come_up()


def removed(machine: Machine) -> None:
    good(machine)
    machine.transaction.remove([BASE])


def retained(machine: Machine) -> None:
    """The rules keep one: with the promotion go the base before it, and what was superseded."""
    machine.policy = STRICT
    machine.stage(arm=False)
    machine.stage()
    machine.come_up()
    machine.transaction.promote(GREEN)
    assert [e.id for e in machine.filesystem.environments()] == [machine.record.base]


def offline(machine: Machine) -> None:
    machine.running = None
    machine.stage()
    machine.transaction.promote(GREEN)
    machine.transaction.choose(Kind.ROLLBACK, BASE)
    machine.transaction.promote(GREEN)


SCENARIOS: tuple[Scenario, ...] = (
    good,
    bad,
    unjudged,
    stacked,
    superseded,
    abandoned,
    rolled_back,
    rollback_rejected,
    skipped,
    shut_down,
    failed,
    offline,
    removed,
    stays,
    retained,
)

KEEP_UNPROVEN = {stacked, superseded, retained}
"""Scenarios that leave a boot environment which was superseded, and nobody judged."""

Plant = Callable[[Machine], Machine]


def machine(*, counts: bool, plant: Plant = lambda m: m) -> Callable[[], Machine]:
    def fresh() -> Machine:
        disk = Disk()
        adopted(disk)
        return plant(Machine(disk, counts=counts))

    return fresh


def sweep(scenario: Scenario, fresh: Callable[[], Machine]) -> int:
    """Cut the scenario everywhere, its recovery everywhere, and assert; return the disks seen."""
    check_nothing_left(scenario, fresh())  # first of all it has to work
    seen: set[str] = set()
    for cut in cuts(scenario, fresh):
        check_always(cut)
        for again in cuts(come_up, partial(copied, cut), seen):
            check_always(again)
            last = again.come_up()
            check_settled(again)
            assert scenario in KEEP_UNPROVEN or not forgotten(again), "a reverted target stays"
            if last.do is not Do.NOTHING or again.record.pending:
                check_reverts_by_itself(again)
    return len(seen)


def check_nothing_left(scenario: Scenario, found: Machine) -> None:
    scenario(found)
    assert found.filesystem.left() == []


def forgotten(found: Machine) -> set[str]:
    """Name what was never proven and is not pending either."""
    pending = found.record.pending
    unproven = {e.id for e in found.filesystem.environments() if e.standing is Standing.UNPROVEN}
    return unproven - ({pending.target} if pending else set())


def come_up(found: Machine) -> None:
    found.come_up()


def copied(found: Machine) -> Machine:
    return replace(found, disk=found.disk.copy(), clock=copy.copy(found.clock))


@pytest.mark.parametrize("counts", [True, False], ids=["counting", "pointer"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
def test_cut_anywhere_a_proven_root_comes_up(scenario: Scenario, counts: bool) -> None:
    assert sweep(scenario, machine(counts=counts)) > 20


# -- what is left of a verdict -------------------------------------------------------------------


def log_of(found: Machine) -> list[tuple[str, ...]]:
    return [line[1:3] for line in FakeLog(found.disk).lines()]


def test_a_verdict_is_logged_before_it_is_carried_out() -> None:
    for scenario, said in ((good, ("good", "health")), (bad, ("bad", "health"))):
        for cut in cuts(scenario, machine(counts=True)):
            pending = cut.record.pending
            if cut.record.base != BASE or (pending and pending.phase in CARRIED_OUT):
                assert log_of(cut) == [said]


CARRIED_OUT = {Phase.PROMOTING, Phase.REVERTING}


@pytest.mark.parametrize("counts", [True, False], ids=["counting", "pointer"])
@pytest.mark.parametrize(
    ("scenario", "quarantined"),
    [(bad, 1), (unjudged, 1), (good, 0), (abandoned, 0), (rollback_rejected, 0), (superseded, 0)],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_only_what_a_verdict_reverted_is_quarantined(
    scenario: Scenario, quarantined: int, counts: bool
) -> None:
    found = machine(counts=counts)()
    scenario(found)
    assert len(FakeQuarantine(found.disk).contents()) == quarantined


def test_what_a_verdict_reverts_is_quarantined_before_it_is_gone() -> None:
    for cut in cuts(bad, machine(counts=True)):
        staged = {e.id for e in cut.filesystem.environments()} - {BASE}
        reverting = cut.record.pending and cut.record.pending.phase is Phase.REVERTING
        if (reverting and not staged) or (not staged and log_of(cut)):
            assert FakeQuarantine(cut.disk).contents()


def test_a_boot_of_something_else_gives_its_attempt_back_twice_at_most() -> None:
    found = machine(counts=True)()
    found.stage()
    found.by_hand = BASE
    left = []
    for _ in range(5):
        found.come_up()
        left.append(found.counter.tries)
    assert left == [2, 2, 1, 0, 0]
    assert found.record.pending is None or found.record.pending.attempts_given_back == 2


def test_a_shutdown_before_the_verdict_gives_the_attempt_back_once_a_boot() -> None:
    found = machine(counts=True)()
    found.stage()
    found.come_up()
    assert [found.transaction.give_back() for _ in range(2)] == [True, False]
    assert found.counter.tries == 2
    found.transaction.reject(RED)
    assert not found.transaction.give_back()


@pytest.mark.parametrize(
    ("reaches", "said"),
    [(True, "snaproot ran in 2 of its boots"), (False, "snaproot ran in none of its")],
)
def test_a_spent_counter_tells_how_far_the_trial_came(reaches: bool, said: str) -> None:
    found = machine(counts=True)()
    found.stage()
    for _ in range(3):
        found.boot()
        if reaches or found.trial is None:
            found.transaction.recover()
            found.transaction.recover()
    assert found.running == BASE
    assert any(said in line[3] for line in FakeLog(found.disk).lines())


def test_without_a_loader_that_counts_nothing_is_given_back() -> None:
    found = machine(counts=False)()
    found.stage()
    found.come_up()
    assert not found.transaction.give_back()


# -- retention, with which promotion ends ---------------------------------------------------------


def promoted(found: Machine) -> Machine:
    found.policy = STRICT
    found.stage()
    found.come_up()
    found.transaction.promote(GREEN)
    return found


def test_a_promotion_that_was_cut_ends_with_retention_too() -> None:
    for cut in cuts(retained, machine(counts=True)):
        pending = cut.record.pending
        if pending and pending.phase is Phase.PROMOTING:
            cut.come_up()
            assert [e.id for e in cut.filesystem.environments()] == [pending.target]


def test_what_retention_cannot_remove_is_told_and_undoes_nothing() -> None:
    found = machine(counts=True)()
    found.filesystems = NothingGoes
    promoted(found)
    assert found.record.pending is None
    assert found.running == found.record.base == found.filesystem.default() != BASE
    told = [line for line in found.notices if "cannot be removed" in line]
    assert len(told) == 1
    assert told[0].startswith(f"{BASE} (more than 1 boot environments) is still there")
    assert BASE in {e.id for e in found.filesystem.environments()}


def test_where_retention_cannot_tell_what_is_needed_nothing_goes() -> None:
    found = machine(counts=True)()
    found.counters = BlindOnceIdle
    promoted(found)
    assert found.record.base != BASE
    assert any("nothing was cleaned up" in line for line in found.notices)
    assert BASE in {e.id for e in found.filesystem.environments()}


def test_what_is_removed_is_told_with_the_rule() -> None:
    found = promoted(machine(counts=True)())
    assert f"{BASE} is removed: more than 1 boot environments" in found.notices


def test_a_hand_removes_what_the_rules_keep_and_nothing_that_is_needed() -> None:
    found = machine(counts=True)()
    good(found)
    (_, base) = before = [e.id for e in found.filesystem.environments()]
    with pytest.raises(Refused, match=f"{base} has to stay; nothing was removed"):
        found.transaction.remove([BASE, base])
    assert [e.id for e in found.filesystem.environments()] == before
    found.transaction.remove([BASE])
    assert [e.id for e in found.filesystem.environments()] == [base]


class NothingGoes(FakeFilesystem):
    def discard(self, id: str) -> None:
        raise Broken(f"{id} cannot be removed")


class BlindOnceIdle(CountingLoader):
    """A loader whose file goes the moment the promotion is recorded."""

    def view(self) -> LoaderView:
        record = FakeLedger(self.disk).load()
        if record.pending is None and record.base != BASE:
            return LoaderView(present=False, counts=True)
        return super().view()


# -- planted bugs: each must be caught, or the sweep above proves nothing -----------------------


def test_what_is_not_sealed_is_not_promoted_where_it_runs() -> None:
    found = machine(counts=False)()
    original = Environment(id="a1", standing=Standing.ORIGINAL)
    for key, value in {("where", "a1"): "environments", ("meta", "a1"): original}.items():
        found.disk.put(key, value)
    found.running = "a1"
    before = found.record
    with pytest.raises(Refused, match="not sealed"):
        found.transaction.promote_booted(Kind.ROLLBACK)
    assert found.record == before
    assert found.filesystem.default() == BASE


def test_a_base_that_somebody_deleted_is_for_recover_to_settle() -> None:
    found = machine(counts=False)()
    FakeLedger(found.disk).save(replace(found.record, base="b999999"))
    with pytest.raises(NeedsRecovery, match="b999999 does not exist"):
        found.stage()
    assert found.record.work is None


def drafted(transaction: Transaction, kind: Kind) -> Deployment:
    known = [environment.id for environment in transaction.filesystem.environments()]
    return drafts.staging(kind, transaction.settled(), known, transaction.now())


class IdleBeforeTheDefaultMoves(Transaction):
    def _finish_promotion(self) -> Record:
        record = self.ledger.load()
        target = record.pending.target if record.pending else ""
        self.ledger.save(record.promoted())
        self.bootloader.settle(target)
        self.filesystem.set_default(target)
        self._stand(target, Standing.PROVEN)
        return self.ledger.load()


class BaseRemovedBeforeIdle(Transaction):
    def _finish_promotion(self) -> Record:
        record = self.ledger.load()
        target = record.pending.target if record.pending else ""
        self.bootloader.settle(target)
        self.filesystem.set_default(target)
        self._stand(target, Standing.PROVEN)
        self._remove(record.base)
        self.ledger.save(record.promoted())
        return self.ledger.load()


class RemovedBeforeItsEntry(Transaction):
    def _delete(self, id: str) -> None:
        self.filesystem.discard(id)
        self.bootloader.withdraw(id)


class DefaultBeforePromotingIsRecorded(Transaction):
    def promote(self, verdict: Verdict) -> Record:
        pending = self.ledger.load().pending
        self.filesystem.set_default(pending.target if pending else "")
        return Transaction.promote(self, verdict)


class StagingNotRecorded(Transaction):
    def stage(self, kind: Kind, build: Build, *, arm: bool) -> Deployment:
        work = drafted(self, kind)
        workspace = self.filesystem.create(work.target, work.parent)
        self.filesystem.seal(build(workspace, work.parent))
        self.ledger.save(self.ledger.load().working(work))
        return self.arm() if arm else work


class StagedIsShownWhileItIsMade(Transaction):
    def stage(self, kind: Kind, build: Build, *, arm: bool) -> Deployment:
        def shown(workspace: Workspace, parent: str) -> Environment:
            self.bootloader.show([Shown(workspace.id, "soon")])
            return build(workspace, parent)

        return Transaction.stage(self, kind, shown, arm=arm)


class StagedBeforeSealed(Transaction):
    def stage(self, kind: Kind, build: Build, *, arm: bool) -> Deployment:
        work = drafted(self, kind)
        self.ledger.save(self.ledger.load().working(work))
        environment = build(self.filesystem.create(work.target, work.parent), work.parent)
        self.ledger.save(self.ledger.load().staged())
        self.filesystem.seal(environment)
        return self.arm() if arm else work


class ArmedBeforeRecorded(Transaction):
    def arm(self) -> Deployment:
        record = self.ledger.load()
        ready = record.work or record.pending
        if ready is None:
            raise Refused("nothing is staged")
        self.bootloader.arm(Trial(ready.id, ready.target, record.base, self.tries))
        self.ledger.save(record.arming(self.boot.id, self.tries))
        self.ledger.save(self.ledger.load().armed())
        return replace(ready, phase=Phase.ARMED)


class IdleBeforeDiscarded(Transaction):
    def _finish_revert(self) -> None:
        record = self.ledger.load()
        gone = record.pending.target if record.pending else ""
        created = record.pending.created_target if record.pending else False
        self.bootloader.settle(record.base)
        self._point_at(record.base)
        self.ledger.save(record.reverted())
        if created:
            self._remove(gone)


class DiscardedBeforeDisarmed(Transaction):
    def _finish_revert(self) -> None:
        record = self.ledger.load()
        if record.pending and record.pending.created_target:
            self.filesystem.discard(record.pending.target)
        Transaction._finish_revert(self)


class LeavesWhatWasShared(Transaction):
    def _remove(self, *ids: str) -> None:
        for id in ids:
            self._delete(id)


class RetentionLeavesWhatWasShared(Transaction):
    def _retain(self) -> None:
        for one in self.dispensable():
            if one.why:
                self._let_go(one)


class RunningTargetDiscarded(Transaction):
    def reject(self, verdict: Verdict) -> Record:
        self.ledger.save(self.ledger.load().reverting(verdict.reason, bad=True))
        self._finish_revert()
        return self.ledger.load()


class WorkForgottenBeforeDiscarded(Transaction):
    def _discard_work(self) -> None:
        record = self.ledger.load()
        if record.work is not None:
            self.ledger.save(record.dropped())
            self._remove(record.work.target)


class ReplacedForgottenWhileArming(Transaction):
    def arm(self) -> Deployment:
        record = self.ledger.load()
        if record.work and record.pending:
            self.ledger.save(replace(record, pending=None))
        return Transaction.arm(self)


class PromotedWithoutVerdict(Transaction):
    def recover(self) -> list:  # type: ignore[type-arg]
        taken = Transaction.recover(self)
        if taken[-1].do is Do.JUDGE:
            self.ledger.save(self.ledger.load().promoting())
            self._finish_promotion()
        return taken


class DefaultNotSynced(FakeFilesystem):
    def set_default(self, id: str) -> None:
        self.disk.put(("default",), id)


class SealNotSynced(FakeFilesystem):
    def seal(self, environment: Environment) -> Environment:
        sealed = replace(environment, sealed=True)
        self.disk.put(("etc.pristine", environment.id), {})
        self.disk.put(("meta", environment.id), sealed)
        self.disk.put(("sealed", environment.id), True)
        return sealed


class DeletedInPlace(FakeFilesystem):
    def discard(self, id: str) -> None:
        self.disk.put(("sealed", id), False)
        for part in ("additions", "areas", "etc.parent", "etc.pristine", "etc", "root", "meta"):
            self.disk.drop((part, id))
        self.disk.drop(("sealed", id))
        self.disk.drop(("where", id))
        self.disk.sync()


class RecordNotSynced(FakeLedger):
    def _sync_file(self) -> None:
        """The rename reaches the disk, the content may not."""


class GoodMovesWithTheTrial(CountingLoader):
    def arm(self, trial: Trial) -> None:
        super().arm(replace(trial, good=trial.target))


class TrialBeforeItsEntry(CountingLoader):
    def arm(self, trial: Trial) -> None:
        self._write(Env(trial.good, trial.target, trial.deployment, trial.tries))
        self._publish(trial.target)


class CounterNotSpent(CountingLoader):
    def leave(self, tries: int, good: str) -> None:
        """The next boot tries the rejected target once more."""


PLANTED: tuple[tuple[type, str, Scenario], ...] = (
    (IdleBeforeTheDefaultMoves, "transactions", good),
    (DefaultBeforePromotingIsRecorded, "transactions", good),
    (BaseRemovedBeforeIdle, "transactions", retained),
    (RemovedBeforeItsEntry, "transactions", retained),
    (StagingNotRecorded, "transactions", bad),
    (StagedBeforeSealed, "transactions", stacked),
    (ArmedBeforeRecorded, "transactions", good),
    (IdleBeforeDiscarded, "transactions", bad),
    (DiscardedBeforeDisarmed, "transactions", abandoned),
    (RemovedBeforeItsEntry, "transactions", removed),
    (LeavesWhatWasShared, "transactions", removed),
    (LeavesWhatWasShared, "transactions", failed),
    (RetentionLeavesWhatWasShared, "transactions", retained),
    (StagedIsShownWhileItIsMade, "transactions", bad),
    (RunningTargetDiscarded, "transactions", bad),
    (WorkForgottenBeforeDiscarded, "transactions", bad),
    (ReplacedForgottenWhileArming, "transactions", stacked),
    (PromotedWithoutVerdict, "transactions", bad),
    (DefaultNotSynced, "filesystems", abandoned),
    (SealNotSynced, "filesystems", unjudged),
    (DeletedInPlace, "filesystems", removed),
    (RecordNotSynced, "ledgers", bad),
    (GoodMovesWithTheTrial, "counters", bad),
    (TrialBeforeItsEntry, "counters", good),
    (CounterNotSpent, "counters", bad),
)


@pytest.mark.parametrize(
    ("bug", "place", "scenario"), PLANTED, ids=lambda p: getattr(p, "__name__", None)
)
def test_planted_bug_is_caught(bug: type, place: str, scenario: Scenario) -> None:
    def plant(found: Machine) -> Machine:
        setattr(found, place, bug)
        return found

    assert not all(_survives(scenario, counts, plant) for counts in (True, False))


def _survives(scenario: Scenario, counts: bool, plant: Plant) -> bool:
    try:
        sweep(scenario, machine(counts=counts, plant=plant))
    except Exception:  # noqa: BLE001 - whatever goes wrong first is the catch
        return False
    return True
