"""The story of a deployment. With `steps`, its lower half, all that changes the system.

Every operation: record the intent, take steps that may be repeated, record the result. What is on
disk if the plug is pulled between any two lines is what `recover` finds and finishes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from snaproot import drafts, recovery
from snaproot.bootloader import Trial
from snaproot.environment import Environment
from snaproot.errors import NothingToDo, Refused, SnaprootError
from snaproot.filesystem import Workspace
from snaproot.recovery import may_give_back
from snaproot.state import Deployment, Judge, Kind, Phase, Record, Result, Verdict
from snaproot.steps import Steps, pending_in

Build = Callable[[Workspace, str], Environment]
"""Change the writable target (second argument: its parent), prove it, and describe it."""

Create = Callable[[str, str], Workspace]
"""Make a writable target (its id) of a parent."""


@dataclass(frozen=True, slots=True)
class Transaction(Steps):
    """The operations, each of them whole. The caller holds the lock."""

    # -- forward ---------------------------------------------------------------------------------

    def ready(self, *, arm: bool) -> Record:
        """Recover, and return the record if a target may be staged now (and armed, if asked to).

        Raises Refused inside a trial, for staging without arming on top of an armed target, and
        for arming where the loader cannot be believed.
        """
        record = self.settled()
        drafts.refuse_to_stack(record, arm=arm)
        if arm:
            self._refuse_obstacle()
        return record

    def stage(self, kind: Kind, build: Build, *, arm: bool) -> Deployment:
        """Build a target on top of what is pending, or of the base; arm it if asked to.

        Whatever goes wrong before it is sealed, the target is discarded and nothing else changed.
        Raises Refused where `ready` does.
        """
        work = self._build(self.ready(arm=arm), kind, self.filesystem.create, build)
        if arm:
            return self.arm()
        self.ledger.save(self.ledger.load().staged())
        return replace(work, phase=Phase.STAGED)

    def adopt(self, create: Create, build: Build) -> Deployment:
        """Build a root of ours beside the original, and arm it.

        Nothing was booted through the loader's home yet, so that nobody knows whether it counts:
        one that cannot boots the original.
        """
        record = self.settled()
        if record.pending is not None:
            raise Refused(
                f"{record.pending.target} is pending already; nothing was changed",
                hint="reboot to try it, or give it up with snaproot abandon",
            )
        self._build(record, Kind.ADOPT, create, build)
        return self._arm(self.tries)

    def choose(self, kind: Kind, target: str) -> Deployment:
        """Arm a boot environment that exists already (rollback, activate)."""
        record = self.settled()
        if target == record.base:
            raise NothingToDo(f"{target} is the default already")
        self._refuse_obstacle()
        self._refuse_beneath(target)
        self.filesystem.intact(target)
        self.ledger.save(record.choosing(self._choice(kind, target, record, Phase.STAGED)))
        try:
            return self.arm()
        except SnaprootError:
            # What is only chosen must not become what the next upgrade builds on.
            record = self.ledger.load()
            if pending_in(record).phase is Phase.STAGED:
                self.ledger.save(record.unchosen())
            raise

    def arm(self) -> Deployment:
        """Make finished work, or what is staged, the next boot.

        Raises Refused where nothing is staged, or the target changed since it was sealed.
        """
        record = self.ledger.load()
        ready = record.work or record.pending
        if ready is None or ready.phase not in {Phase.STAGING, Phase.STAGED}:
            raise Refused("nothing is staged; nothing was changed", hint="snaproot status")
        self._refuse_obstacle()
        self._refuse_beneath(ready.target)
        self.filesystem.intact(ready.target)
        return self._arm(self.tries if self.bootloader.capability().counts else 1)

    def _build(self, record: Record, kind: Kind, create: Create, build: Build) -> Deployment:
        known = [environment.id for environment in self.filesystem.environments()]
        work = drafts.staging(kind, record, known, self.now())
        self.ledger.save(record.working(work))
        try:
            workspace = create(work.target, work.parent)
            self.filesystem.seal(build(workspace, work.parent))
            self.filesystem.intact(work.target)
        except BaseException as error:
            self._give_up_work(error)
            raise
        return work

    def _arm(self, tries: int) -> Deployment:
        """Make finished work, or what is staged, the next boot; it was looked at already."""
        record = self.ledger.load()
        ready = record.work or pending_in(record)
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

    def promote(self, verdict: Verdict) -> Record:
        """Make the armed target the base, on a good verdict.

        Raises Refused while it has not been booted, unless nothing boots here (`--sysroot`).
        """
        record = self._judgeable()
        self.log(pending_in(record), verdict)
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
        choice = self._choice(kind, booted, record, Phase.PROMOTING)
        self.log(choice, Verdict(Result.GOOD, Judge.HAND, "it runs, and was judged by hand"))
        self.ledger.save(record.choosing(choice))
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
        self._refuse_beneath(id)
        self.bootloader.boot_once(id)
        return record

    # -- backward --------------------------------------------------------------------------------

    def reject(self, verdict: Verdict) -> Record:
        """Give the pending target up, on a bad verdict. In the trial itself a reboot follows."""
        record = self._judgeable()
        recovery.check_fallback(record, self.filesystem.environments())
        self.log(pending_in(record), verdict)
        self.ledger.save(record.reverting(verdict.reason, bad=True))
        self.recover()
        return self.ledger.load()

    def has_fallback(self) -> bool:
        """Tell whether the base could be booted, as far as that is known."""
        return not self.filesystem.environment(self.ledger.load().base).beneath

    def in_trial(self) -> bool:
        """Tell whether this boot is a trial that nobody has judged yet."""
        pending, situation = self.ledger.load().pending, self.situation()
        if pending is None or pending.phase is not Phase.ARMED:
            return False
        return situation.in_trial_of(pending) or self.boot.id in pending.trial_boots

    def note(self, verdict: Verdict) -> None:
        """Log a verdict about the pending target that is not carried out."""
        self.log(pending_in(self.ledger.load()), verdict)

    def give_back(self) -> bool:
        """Give the attempt back that this boot was, unless a verdict or too many stand against it.

        Called when somebody shuts an unjudged trial down. Tells whether it was given back.
        """
        pending = self.ledger.load().pending
        if pending is None or not self.in_trial():
            return False
        if not may_give_back(pending, self.boot.id, self.bootloader.view()):
            return False
        self._give_back()
        return True

    def abandon(self) -> str:
        """Give the pending target up without a verdict; return its id."""
        self.recover()
        record = self.ledger.load()
        if record.pending is None:
            raise NothingToDo("no deployment is pending")
        target = record.pending.target
        if self.filesystem.booted() == target:
            raise Refused(
                f"{target} is running; nothing was changed",
                hint="in its trial: snaproot reject. Chosen by hand: reboot first",
            )
        self.ledger.save(record.reverting("abandoned", bad=False))
        self.recover()
        return target

    def remove(self, ids: Sequence[str]) -> None:
        """Delete boot environments that may go, chosen by the rules or by hand.

        Raises Refused, before any is deleted, where one of them may not.
        """
        self.settled()
        able = {one.id for one in self.dispensable()}
        kept = [id for id in ids if id not in able]
        if kept:
            raise Refused(f"{kept[0]} has to stay; nothing was removed", hint="snaproot status")
        self._remove(*ids)

    def remove_original(self, id: str) -> None:
        """Delete the root from before the adoption. Raises Refused where something needs it."""
        self.settled()
        if id in self.needed():
            raise Refused(f"{id} is in use; nothing was removed", hint="snaproot status")
        self._remove(id)

    # -- questions -------------------------------------------------------------------------------

    def _choice(self, kind: Kind, target: str, record: Record, phase: Phase) -> Deployment:
        boot_id = self.boot.id
        return drafts.choosing(kind, target, record, self.now(), phase=phase, boot_id=boot_id)

    def _refuse_beneath(self, id: str) -> None:
        beneath = self.filesystem.environment(id).beneath
        if beneath:
            raise Refused(
                f"{id} is beneath the rollback floor: {beneath}; nothing was changed",
                hint="snaproot list names those that are not",
            )

    def _refuse_obstacle(self) -> None:
        capability = self.bootloader.capability()
        if capability.obstacle:
            raise Refused(
                f"nothing can be tried: {capability.obstacle}; nothing was changed",
                hint=capability.hint,
            )
