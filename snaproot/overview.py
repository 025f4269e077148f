"""One look at a system, for `status`, `list` and `doctor`: nothing is changed, little is raised."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from snaproot import durable, verdicts
from snaproot.backoff import Failure, Notebook
from snaproot.bootloader import Capability
from snaproot.environment import Environment, Standing
from snaproot.errors import NeedsRecovery, NewerFormat, SnaprootError
from snaproot.filesystem import PathChange
from snaproot.recovery import Decision, Do, recovered
from snaproot.state import Deployment, LoaderView, Record, Result
from snaproot.system import System
from snaproot.verdicts import Verdict

_LOOKS, _PAUSE = 4, 0.3  # times, seconds
_BOOKKEEPING = {Do.NOTE_TRIAL, Do.NOTE_ATTEMPTS}
"""Steps that only write down what happened: nothing was interrupted."""


@dataclass(frozen=True, slots=True)
class Overview:
    """What is there. Where the record cannot be read, `trouble` is why, and it is None.

    `edits` are those of the parent's `/etc` that the pending target lacks, `verdict` is the last
    one, `left_behind` what reverted targets had put below `/var`, `unfinished` what is left of an
    adoption, `failure` what the background upgrade waits to try again.
    """

    environments: Sequence[Environment]
    booted: str | None
    default: str | None
    loader: LoaderView
    capability: Capability
    record: Record | None
    trouble: SnaprootError | None
    next_step: Decision | None
    at_work: str
    edits: Sequence[PathChange] = ()
    verdict: Verdict | None = None
    left_behind: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unfinished: str = ""
    failure: Failure | None = None

    @property
    def pending(self) -> Deployment | None:
        """The deployment that waits for its boot or its verdict."""
        return self.record.pending if self.record else None

    @property
    def in_trial(self) -> bool:
        """Tell whether this boot is a trial; what somebody picked in the loader's menu is none."""
        trial = {Do.JUDGE, Do.NOTE_TRIAL}
        return self.next_step is not None and self.next_step.do in trial

    @property
    def by_hand(self) -> str:
        """Say what can be done with a root that somebody picked; empty where none is."""
        booted, base = self.booted, self.record.base if self.record else None
        if None in (booted, base) or booted == base or self.in_trial:
            return ""
        if booted in {e.id for e in self.environments if e.standing is Standing.ORIGINAL}:
            return "it cannot be the base, what is written there stays there; a reboot leaves it"
        if self.pending and self.pending.target == booted:
            return "which is no trial; a reboot leaves it"
        return "to stay here: snaproot rollback"

    @property
    def stranded(self) -> str:
        """Say that no revert would lead anywhere; empty where the base can be booted."""
        base = self.record.base if self.record else ""
        found = next((e.beneath for e in self.environments if e.id == base and e.beneath), "")
        keeps = "snaproot promote" if self.in_trial else "snaproot rollback"
        what = f"makes {self.booted} the base" if self.booted else "ID tries another one"
        return f"{base} cannot be returned to: {found}; {keeps} {what}" if found else ""

    @property
    def interrupted(self) -> str:
        """Say what `recover` would have to settle; empty where nothing is, or while at work."""
        if self.trouble is not None:
            return str(self.trouble)
        step = self.next_step
        if step is None or self.at_work or (step.final and not step.reboot):
            return ""
        return "" if step.do in _BOOKKEEPING else step.why

    @property
    def remedy(self) -> str:
        """Say what settles that."""
        return "reboot" if self.next_step and self.next_step.reboot else "snaproot recover"

    def roles(self, id: str) -> tuple[str, ...]:
        """Say what a boot environment is right now, in the words of the manual."""
        pending = self.pending
        held = {
            "running": self.booted,
            "default": self.default,
            "base": self.record.base if self.record else None,
            str(pending.phase) if pending else "": pending.target if pending else None,
        }
        return tuple(role for role, who in held.items() if who == id)


def look(system: System) -> Overview:
    """Look at everything, and again where it changed under our eyes: no lock is taken to look."""
    for _ in range(_LOOKS - 1):
        try:
            return _look(system)
        except NewerFormat:
            raise
        except (RuntimeError, SnaprootError):  # such as: it was there, and is being removed
            time.sleep(_PAUSE)
    return _look(system)


def _look(system: System) -> Overview:
    record, trouble = _record(system)
    environments = sorted(system.filesystem.environments(), key=_age)
    pending = record.pending if record else None
    return Overview(
        environments=environments,
        booted=system.filesystem.booted(),
        default=system.filesystem.default(),
        loader=system.bootloader.view(),
        capability=system.bootloader.capability(),
        record=record,
        trouble=trouble,
        next_step=recovered(system.transaction.situation()) if record else None,
        at_work=durable.holder(system.records.directory / "lock"),
        edits=_edits(system, pending, environments),
        verdict=verdicts.last(system.log),
        left_behind=_left_behind(system, environments),
        unfinished=_unfinished(system, record),
        failure=_failure(system),
    )


def _unfinished(system: System, record: Record | None) -> str:
    """Say what is left of an adoption, and what ends it; nothing while its trial is pending."""
    from snaproot import adoption

    if record is None or record.pending is not None:
        return ""
    refused = adoption.unfinished(system.top, record.base)
    return (
        f"{str(refused).removesuffix('; nothing was changed')}: {refused.hint}" if refused else ""
    )


def _edits(
    system: System, pending: Deployment | None, environments: Sequence[Environment]
) -> Sequence[PathChange]:
    if pending is None or not pending.created_target:
        return ()
    if pending.target not in {one.id for one in environments}:
        return ()
    return system.filesystem.edits(pending.target)


def _left_behind(
    system: System, environments: Sequence[Environment]
) -> Mapping[str, Sequence[str]]:
    """Name what reverted targets had put below `/var`: services may have written to it.

    What was promoted once, and went later, has left nothing behind that is not in use.
    """
    gone = set(system.applied.ids()) - {one.id for one in environments}
    if not gone:
        return {}
    good = {one.target for one in verdicts.read(system.log).verdicts if one.result == Result.GOOD}
    return {id: sorted(system.applied.files(id)) for id in sorted(gone - good)}


def _failure(system: System) -> Failure | None:
    """Read what the background upgrade remembers; where it cannot be read, its next run says so."""
    try:
        return Notebook(system.records.directory).load().failure
    except NeedsRecovery:
        return None


def _age(one: Environment) -> tuple[bool, str]:
    """Order by age: the original was there before all others, whose ids can be sorted."""
    return one.standing is not Standing.ORIGINAL, one.id


def _record(system: System) -> tuple[Record | None, SnaprootError | None]:
    try:
        return system.records.load(), None
    except NewerFormat:
        raise
    except NeedsRecovery as error:
        return None, error
