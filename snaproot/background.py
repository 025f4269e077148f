"""An upgrade that nobody watches: it does what is configured, and does not repeat a failure.

Everything that is no failure raises NothingToDo: a timer that finds nothing new is not in trouble.
"""

from dataclasses import dataclass, replace

from snaproot.backoff import Failure, Notebook
from snaproot.config import Action
from snaproot.errors import NothingToDo, Refused, RevertedBefore, SnaprootError
from snaproot.packages import Plan, Report
from snaproot.renewing import renew
from snaproot.staging import Staging
from snaproot.state import Deployment, Kind, Phase
from snaproot.system import System, now

_CUT_SHORT = "it was cut short"


@dataclass(frozen=True, slots=True)
class Made:
    """What was staged, and what it brings."""

    plan: Plan
    deployment: Deployment


@dataclass(frozen=True, slots=True)
class Background:
    """One run on one system. The caller holds the lock."""

    system: System
    report: Report

    def upgrade(self) -> Made:
        """Stage what there is, and arm it if that is configured.

        Raises NothingToDo where all is up to date, something is pending, or what there is was
        reverted, or failed and is not due again. Any other error is a failure.
        """
        self._settle()
        staging = Staging(self.system)
        try:
            plan = self._planned(staging)
            return Made(plan, self._staged(staging, plan))
        except RevertedBefore as refused:
            raise self._told(refused) from refused

    @property
    def _arms(self) -> bool:
        return self.system.config.background.action is not Action.STAGE

    @property
    def _notebook(self) -> Notebook:
        return Notebook(self.system.records.directory)

    def _settle(self) -> None:
        """Recover, and find out whether anything may be staged now."""
        transaction = self.system.transaction
        transaction.recover()
        pending = self.system.records.load().pending
        if pending is not None and pending.phase is Phase.STAGED and pending.reason and self._arms:
            raise Refused(
                f"{pending.target} is not armed any more: {pending.reason}; nothing was changed",
                hint=f"snaproot activate {pending.target}, or snaproot abandon",
            )
        if pending is not None and pending.phase in {Phase.STAGED, Phase.ARMED}:
            raise NothingToDo(
                f"{pending.target} is {pending.phase} and waits; nothing more is staged until then",
                hint="snaproot status",
            )
        transaction.ready(arm=self._arms)
        counts = self.system.bootloader.capability().counts
        if self.system.config.background.action is Action.REBOOT and not counts:
            raise Refused(
                "this boot loader counts no boots: a trial that nobody watches might not come "
                "back; nothing was changed",
                hint='[background] action = "arm" leaves the reboot to you',
            )

    def _planned(self, staging: Staging) -> Plan:
        staging.check_room()
        renew(self.system, self.report)
        try:
            return staging.plan(self.report)
        except NothingToDo:
            self._notebook.forget_failure()
            raise

    def _staged(self, staging: Staging, plan: Plan) -> Deployment:
        """Stage a plan. It counts as failed before it begins: it may take the machine with it."""
        content, kept = staging.content(plan), self._notebook.load()
        if kept.failure and kept.failure.holds(content, now()):
            raise _held(kept.failure)
        staging.check_room(plan)
        staging.download(self.report)  # neither is the update's own failure
        self._notebook.save(kept.failing(content, now(), _CUT_SHORT))
        try:
            build = staging.upgrade(self.report)
            made = self.system.transaction.stage(Kind.UPGRADE, build, arm=self._arms)
        except RevertedBefore:
            self._notebook.save(kept)
            raise
        except SnaprootError as error:
            self._notebook.save(kept.failing(content, now(), str(error)))
            raise
        self._notebook.forget_failure()
        return made

    def _told(self, refused: RevertedBefore) -> NothingToDo:
        """Say once that this update was reverted, and only that it is still there from then on."""
        kept = self._notebook.load()
        if kept.told == refused.content:
            return NothingToDo("nothing is there but what was reverted before")
        self._notebook.save(replace(kept, told=refused.content))
        return NothingToDo(f"{refused}", hint=refused.hint)


def _held(failure: Failure) -> NothingToDo:
    return NothingToDo(
        f"{failure.said}; nothing was changed",
        hint="snaproot upgrade tries it now",
    )
