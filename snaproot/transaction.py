"""The story of a deployment. The only module that changes the system.

Every operation: record the intent, take steps that may be repeated, record the result. What is on
disk if the plug is pulled between any two lines is what `recover` finds and finishes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from snaproot import drafts, recovery
from snaproot.bootloader import Bootloader, Trial
from snaproot.environment import Environment, Standing
from snaproot.errors import NeedsRecovery, NothingToDo, Refused, SnaprootError
from snaproot.filesystem import Filesystem, Workspace
from snaproot.recovery import Decision, Do, Situation
from snaproot.retention import protected
from snaproot.state import Deployment, Kind, Phase, Record, TrialArgument

Build = Callable[[Workspace, str], Environment]
"""Change the writable target (second argument: its parent), prove it, and describe it."""

Notice = Callable[[str], None]
"""Told, in a sentence, what recovery found and did."""


class Ledger(Protocol):
    """Where the record is kept: on disk in `record.Records`."""

    def load(self) -> Record:
        """Read the record. Raises NeedsRecovery where it is missing or damaged."""

    def save(self, record: Record) -> None:
        """Replace the record atomically and durably."""


@dataclass(frozen=True, slots=True)
class Boot:
    """What the kernel says of this boot; all empty with `--sysroot`."""

    id: str = ""
    trial: TrialArgument | None = None
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Transaction:
    """One system: where its record is, its filesystem and its loader. The caller holds the lock."""

    ledger: Ledger
    filesystem: Filesystem
    bootloader: Bootloader
    boot: Boot
    now: Callable[[], datetime]
    notice: Notice
    tries: int = 2

    # -- forward ---------------------------------------------------------------------------------

    def stage(self, kind: Kind, build: Build, *, arm: bool) -> Deployment:
        """Build a target on top of what is pending, or of the base; arm it if asked to.

        Whatever goes wrong before it is sealed, the target is discarded and nothing else changed.
        Raises Refused inside a trial, and for staging without arming on top of an armed target.
        """
        record = self.settled()
        drafts.refuse_to_stack(record, arm=arm)
        known = [environment.id for environment in self.filesystem.environments()]
        work = drafts.staging(kind, record, known, self.now())
        self.ledger.save(record.working(work))
        try:
            workspace = self.filesystem.create(work.target, work.parent)
            self.filesystem.seal(build(workspace, work.parent))
            self.filesystem.intact(work.target)
        except BaseException as error:
            self._give_up_work(error)
            raise
        if arm:
            return self.arm()
        self.ledger.save(self.ledger.load().staged())
        return replace(work, phase=Phase.STAGED)

    def choose(self, kind: Kind, target: str) -> Deployment:
        """Arm a boot environment that exists already (rollback, activate)."""
        record = self.settled()
        if target == record.base:
            raise NothingToDo(f"{target} is the default already")
        self.filesystem.intact(target)
        self.ledger.save(record.choosing(self._choice(kind, target, record, Phase.STAGED)))
        return self.arm()

    def arm(self) -> Deployment:
        """Make finished work, or what is staged, the next boot.

        Raises Refused where nothing is staged, or the target changed since it was sealed.
        """
        record = self.ledger.load()
        ready = record.work or record.pending
        if ready is None or ready.phase not in {Phase.STAGING, Phase.STAGED}:
            raise Refused("nothing is staged; nothing was changed", hint="snaproot status")
        self.filesystem.intact(ready.target)
        tries = self.tries if self.bootloader.capability().counts else 1
        record = record.arming(self.boot.id, tries)
        self.ledger.save(record)
        try:
            self.bootloader.arm(Trial(ready.id, ready.target, record.base, tries))
        except SnaprootError:
            self.recover()
            raise
        record = record.armed()
        self.ledger.save(record)
        return replace(ready, phase=Phase.ARMED)

    def promote(self) -> Record:
        """Make the armed target the base, on a good verdict.

        Raises Refused while it has not been booted, unless nothing boots here (`--sysroot`).
        """
        record = self._judgeable()
        self.ledger.save(record.promoting())
        return self._finish_promotion()

    def promote_booted(self, kind: Kind) -> Record:
        """Make the boot environment that runs the base, judged where it runs.

        Raises Refused where it is not sealed (the original), or was changed since.
        """
        record = self.settled()
        booted = self.filesystem.booted()
        if booted is None or booted == record.base or record.pending is not None:
            raise RuntimeError("only another booted environment, with nothing pending")
        self.filesystem.intact(booted)
        self.ledger.save(record.choosing(self._choice(kind, booted, record, Phase.PROMOTING)))
        return self._finish_promotion()

    def point_back(self) -> Record:
        """Make the base the default again, where another hand moved it."""
        record = self.settled()
        if record.pending is not None:
            raise RuntimeError("a pending deployment may have moved it")
        self.bootloader.settle(record.base)
        self._point_at(record.base)
        return record

    def boot_once(self, id: str) -> Record:
        """Let the next boot alone be this one. Raises Refused where the loader cannot."""
        record = self.settled()
        self.bootloader.boot_once(id)
        return record

    # -- backward --------------------------------------------------------------------------------

    def reject(self, reason: str) -> Record:
        """Give the pending target up, on a bad verdict. In the trial itself a reboot follows."""
        self.ledger.save(self._judgeable().reverting(reason, bad=True))
        self.recover()
        return self.ledger.load()

    def abandon(self) -> str:
        """Give the pending target up without a verdict; return its id."""
        self.recover()
        record = self.ledger.load()
        if record.pending is None:
            raise NothingToDo("no deployment is pending")
        target = record.pending.target
        if self.filesystem.booted() == target:
            raise Refused(
                f"{target} is running; nothing was changed", hint="snaproot reject gives it up"
            )
        self.ledger.save(record.reverting("abandoned", bad=False))
        self.recover()
        return target

    def remove(self, ids: Iterable[str]) -> None:
        """Delete boot environments that nothing needs: the entry first, then the root."""
        record = self.settled()
        needed = self._protected(record)
        for id in ids:
            if id in needed:
                raise Refused(f"{id} is in use; it was not removed", hint="snaproot status")
            self._remove(id)

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
        return taken

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
        return Situation(
            record=self.ledger.load(),
            booted=self.filesystem.booted(),
            loader=self.bootloader.view(),
            default=self.filesystem.default(),
            boot_id=self.boot.id,
            trial=self.boot.trial,
            skipped=self.boot.skipped,
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
            Do.REVERT: lambda d: self.ledger.save(self.ledger.load().reverting(d.why, bad=d.bad)),
            Do.NOTE_TRIAL: lambda _: self.ledger.save(self.ledger.load().tried(self.boot.id)),
            Do.NOTE_ATTEMPTS: self._note_attempts,
        }

    def _finish_promotion(self) -> Record:
        record = self.ledger.load()
        target = _pending(record).target
        self.bootloader.settle(target)
        self.filesystem.set_default(target)
        self._stand(target, Standing.PROVEN)
        record = record.promoted()
        self.ledger.save(record)
        return record

    def _finish_revert(self) -> None:
        record = self.ledger.load()
        gone = _pending(record)
        self.bootloader.settle(record.base)
        self._point_at(record.base)
        if gone.created_target:
            self._remove(gone.target)
        elif gone.bad:
            self._stand(gone.target, Standing.BAD)
        self.ledger.save(record.reverted())

    def _spend(self, decision: Decision) -> None:
        self.bootloader.spend(decision.good)
        self._point_at(decision.good)

    def _rewrite_loader(self, decision: Decision) -> None:
        self.bootloader.settle(decision.good)
        record = self.ledger.load()
        if record.pending and record.pending.phase in {Phase.ARMING, Phase.ARMED}:
            self.ledger.save(record.disarmed(decision.why))

    def _note_attempts(self, _: Decision) -> None:
        record = self.ledger.load()
        pending, view = _pending(record), self.bootloader.view()
        used = pending.tries - view.tries if view.counts else len(pending.trial_boots)
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

    def _remove(self, id: str) -> None:
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

    def _choice(self, kind: Kind, target: str, record: Record, phase: Phase) -> Deployment:
        boot_id = self.boot.id
        return drafts.choosing(kind, target, record, self.now(), phase=phase, boot_id=boot_id)

    def _protected(self, record: Record) -> frozenset[str]:
        found = self.filesystem.environments()
        booted, default = self.filesystem.booted(), self.filesystem.default()
        return protected(record, booted, self.bootloader.view(), default, found)

    def _judgeable(self) -> Record:
        """Return the record if its pending target can get a verdict here and now."""
        last = self.recover()[-1]
        record = self.ledger.load()
        if record.pending is None or record.pending.phase is not Phase.ARMED:
            raise Refused("no trial is pending; nothing was changed", hint="snaproot status")
        booted = self.filesystem.booted()
        if last.do is not Do.JUDGE and booted is not None:
            raise Refused(
                f"{record.pending.target} has not been tried yet: {booted} is running",
                hint="reboot into it, or snaproot abandon",
            )
        return record


def _pending(record: Record) -> Deployment:
    if record.pending is None:
        raise RuntimeError("no deployment is pending")
    return record.pending
