"""The steps that every operation is made of, and recovery, which repeats them.

The lower half of `transaction`: each step may run twice, and what a cut between two of them leaves
is decided on in `recovery`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from snaproot import menu, recovery
from snaproot.bootloader import Bootloader
from snaproot.environment import Environment, Standing
from snaproot.errors import NeedsRecovery, Refused, SnaprootError
from snaproot.filesystem import Filesystem
from snaproot.recovery import Decision, Do, Situation
from snaproot.retention import Policy, Removal, dispensable, protected
from snaproot.state import (
    Deployment,
    Judge,
    Phase,
    Record,
    Result,
    TrialArgument,
    Verdict,
)

Notice = Callable[[str], None]
"""Told, in a sentence, what recovery found and did."""

Log = Callable[[Deployment, Verdict], None]
"""Appends a verdict durably, outside every boot environment; the same twice in a row is one."""


class Ledger(Protocol):
    """Where the record is kept: on disk in `record.Records`."""

    def load(self) -> Record:
        """Read the record. Raises NeedsRecovery where it is missing or damaged."""

    def save(self, record: Record) -> None:
        """Replace the record atomically and durably."""


class Quarantine(Protocol):
    """What was reverted, and is refused until it differs: on disk in `quarantine.Quarantined`."""

    def add(self, environment: Environment, reason: str) -> None:
        """Refuse the content of a reverted boot environment from now on; durable, idempotent."""


@dataclass(frozen=True, slots=True)
class Boot:
    """What the kernel says of this boot; all empty with `--sysroot`."""

    id: str = ""
    trial: TrialArgument | None = None
    skipped: TrialArgument | None = None


@dataclass(frozen=True, slots=True)
class Steps:
    """One system: where its record is, its filesystem and its loader. The caller holds the lock.

    `announce` is told what nobody asked for and everybody has to know: what retention removed, and
    what it could not.
    """

    ledger: Ledger
    filesystem: Filesystem
    bootloader: Bootloader
    boot: Boot
    now: Callable[[], datetime]
    notice: Notice
    log: Log
    quarantine: Quarantine
    retention: Policy
    announce: Notice
    tries: int = 2

    # -- recovery --------------------------------------------------------------------------------

    def recover(self) -> list[Decision]:
        """Finish what was interrupted; return the decisions taken, the last of them final.

        Raises NeedsRecovery where the record is damaged, or its base is gone.
        """
        recovery.check_base(self.ledger.load(), self.filesystem.environments())
        taken: list[Decision] = []
        while not taken or not taken[-1].final:
            if len(taken) > len(Do):
                raise RuntimeError(f"recovery does not end: {taken}")
            decision = recovery.recovered(self.situation())
            self._apply(decision)
            taken.append(decision)
        self.filesystem.empty_trash()
        self._note_boot()
        return taken

    def _note_boot(self) -> None:
        """Remember what this kernel can read; a floor that is not noted is told, and no more."""
        try:
            self.filesystem.note_boot(self.now())
        except (SnaprootError, OSError) as error:
            self.notice(f"what this kernel can read of the filesystem is not remembered: {error}")

    def rebuild(self) -> Record:
        """Make a record from what the filesystem shows, where the old one is lost.

        Raises NeedsRecovery where no proven boot environment can be found.
        """
        base = recovery.believable_base(self.filesystem.environments(), self.filesystem.default())
        self.bootloader.settle(base)
        self.filesystem.set_default(base)
        record = Record(base=base)
        self.ledger.save(record)
        return record

    def situation(self) -> Situation:
        """Look at everything that recovery decides on."""
        record = self.ledger.load()
        return Situation(
            record=record,
            booted=self.filesystem.booted(),
            loader=self.bootloader.view(),
            default=self.filesystem.default(),
            boot_id=self.boot.id,
            trial=self.boot.trial,
            skipped=_is_of(self.boot.skipped, record.pending),
        )

    def settled(self) -> Record:
        """Recover, and return the record if the system may be changed now.

        Raises NeedsRecovery before a reboot that recovery wants, Refused inside a trial and
        where the pending target is gone.
        """
        last = self.recover()[-1]
        if last.reboot:
            raise NeedsRecovery(f"{last.why}; a reboot has to come first", hint="reboot")
        if last.do is Do.JUDGE:
            raise Refused(
                f"{last.why}, not judged yet; nothing was changed",
                hint="snaproot promote or snaproot reject",
            )
        record = self.ledger.load()
        recovery.check_pending(record, self.filesystem.environments())
        return record

    def show_menu(self) -> None:
        """Let the loader's menu say what is so now.

        Called when a change is through, and at every boot: what a cut leaves is an older menu.
        """
        try:
            shown = menu.shown(self.filesystem.environments(), self.ledger.load())
            self.bootloader.show(shown)
        except (SnaprootError, OSError) as error:
            self.notice(f"the boot loader's menu is not up to date: {error}")

    # -- steps -----------------------------------------------------------------------------------

    def _apply(self, decision: Decision) -> None:
        step = self._steps().get(decision.do)
        if step is not None:
            step(decision)
            if not decision.reboot:  # what a reboot settles, the caller says
                self.notice(decision.why)

    def _steps(self) -> dict[Do, Callable[[Decision], object]]:
        return {
            Do.DISCARD_WORK: lambda _: self._discard_work(),
            Do.CLEAR_TRIAL: lambda d: self.bootloader.settle(d.good),
            Do.REWRITE_LOADER: self._rewrite_loader,
            Do.FINISH_ARMING: lambda _: self.ledger.save(self.ledger.load().armed()),
            Do.BACK_TO_STAGED: lambda d: self.ledger.save(self.ledger.load().disarmed(d.why)),
            Do.RESTORE_REPLACED: lambda _: self.ledger.save(self.ledger.load().restored()),
            Do.SPEND: self._spend,
            Do.FINISH_REVERT: lambda _: self._finish_revert(),
            Do.ROLL_FORWARD: lambda _: self._finish_promotion(),
            Do.REVERT: self._revert,
            Do.NOTE_TRIAL: lambda _: self.ledger.save(self.ledger.load().tried(self.boot.id)),
            Do.NOTE_ATTEMPTS: self._note_attempts,
            Do.GIVE_BACK: lambda _: self._give_back(),
        }

    def _finish_promotion(self) -> Record:
        record = self.ledger.load()
        target = pending_in(record).target
        self.bootloader.settle(target)
        self.filesystem.set_default(target)
        self._stand(target, Standing.PROVEN)
        record = record.promoted()
        self.ledger.save(record)
        self._retain()
        return record

    def _retain(self) -> None:
        """Remove what the rules no longer keep. What fails is told, and undoes no promotion.

        Last of all: until the record is IDLE the old base is what everything falls back to.
        """
        with self._told("nothing was cleaned up"):
            gone = [one for one in self.dispensable() if one.why]
            for one in gone:
                self._let_go(one)
            if gone:
                with self._told("something of what is removed is still there"):
                    self.filesystem.empty_trash()

    def _let_go(self, one: Removal) -> None:
        with self._told(f"{one.id} ({one.why}) is still there"):
            self._delete(one.id)
            self.announce(f"{one.id} is removed: {one.why}")

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except (SnaprootError, OSError) as error:
            self.announce(f"{what}: {error}; snaproot cleanup tries again")

    def _finish_revert(self) -> None:
        record = self.ledger.load()
        gone = pending_in(record)
        self.bootloader.settle(record.base)
        self._point_at(record.base)
        if gone.created_target:
            self._give_up_created(gone)
        elif gone.bad:
            self._stand(gone.target, Standing.BAD)
        self.ledger.save(record.reverted())

    def _give_up_created(self, gone: Deployment) -> None:
        """Remember what was in it, for its metadata goes with it, and delete it."""
        for found in self.filesystem.environments():
            if gone.bad and found.id == gone.target and not found.damage:
                self.quarantine.add(found, gone.reason)
        self._remove(gone.target)

    def _revert(self, decision: Decision) -> None:
        record = self.ledger.load()
        verdict = Verdict(Result.UNKNOWN, Judge.RECOVERY, decision.why)
        self.log(pending_in(record), verdict)
        self.ledger.save(record.reverting(decision.why, bad=decision.bad))

    def _spend(self, decision: Decision) -> None:
        self.bootloader.leave(0, decision.good)
        self._point_at(decision.good)

    def _give_back(self) -> None:
        """Give an attempt back: recorded first, so that no cut gives it back twice."""
        record, left = self.ledger.load(), self.bootloader.view().tries
        self.ledger.save(record.gave_back(self.boot.id))
        self.bootloader.leave(left + 1, record.base)

    def _rewrite_loader(self, decision: Decision) -> None:
        self.bootloader.settle(decision.good)
        record = self.ledger.load()
        if record.pending and record.pending.phase in {Phase.ARMING, Phase.ARMED}:
            self.ledger.save(record.disarmed(decision.why))

    def _note_attempts(self, _: Decision) -> None:
        record = self.ledger.load()
        used = recovery.attempts_used(pending_in(record), self.bootloader.view())
        self.ledger.save(record.used(used))

    def _give_up_work(self, cause: BaseException) -> None:
        try:
            self._discard_work()
        except (SnaprootError, OSError) as error:
            raise NeedsRecovery(
                f"{cause}; what was staged could not be removed ({error}), the base is untouched",
                hint="snaproot recover removes it",
            ) from cause

    def _discard_work(self) -> None:
        record = self.ledger.load()
        if record.work is None:
            return
        if record.work.created_target:
            self._remove(record.work.target)
        self.ledger.save(record.dropped())

    def _remove(self, *ids: str) -> None:
        """Delete some, and at the end, whatever came of it, what they shared with others."""
        try:
            for id in ids:
                self._delete(id)
        finally:
            self.filesystem.empty_trash()

    def _delete(self, id: str) -> None:
        """Delete one: the entry first, so that no menu ever leads to what is half there."""
        self.filesystem.discardable(id)
        self.bootloader.withdraw(id)
        self.filesystem.discard(id)

    def _point_at(self, id: str) -> None:
        if self.filesystem.default() != id:
            self.filesystem.set_default(id)

    def _stand(self, id: str, standing: Standing) -> None:
        for found in self.filesystem.environments():
            if found.id == id and not found.damage and found.standing is not standing:
                self.filesystem.describe(replace(found, standing=standing))

    # -- questions -------------------------------------------------------------------------------

    def needed(self) -> frozenset[str]:
        """Name what something needs. Raises Refused where that cannot be determined."""
        record, found = self.ledger.load(), self.filesystem.environments()
        booted, default = self.filesystem.booted(), self.filesystem.default()
        return protected(record, booted, self.bootloader.view(), default, found)

    def dispensable(self) -> list[Removal]:
        """Name all that may go, and the rule that chose it, if one did. Raises as `needed`."""
        found = self.filesystem.environments()
        return dispensable(found, self.needed(), self.retention, self.now())

    def _judgeable(self) -> Record:
        """Return the record if its pending target can get a verdict here and now."""
        last = self.recover()[-1]
        record = self.ledger.load()
        if record.pending is None or record.pending.phase is not Phase.ARMED:
            raise Refused("no trial is pending; nothing was changed", hint="snaproot status")
        booted = self.filesystem.booted()
        if last.do is not Do.JUDGE and booted is not None:
            by_hand = booted == record.pending.target
            how = "it was chosen by hand, which is no trial" if by_hand else f"{booted} is running"
            raise Refused(
                f"{record.pending.target} has not been tried yet: {how}",
                hint="reboot and let the loader try it, or snaproot abandon from another one",
            )
        return record


def _is_of(argument: TrialArgument | None, pending: Deployment | None) -> bool:
    return bool(argument and pending and argument.deployment == pending.id)


def pending_in(record: Record) -> Deployment:
    """Return the pending deployment; there has to be one."""
    if record.pending is None:
        raise RuntimeError("no deployment is pending")
    return record.pending
