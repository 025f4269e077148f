"""What to do with what a power cut left: the table of DESIGN.md §4, in its order. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from snaproot.environment import Environment, Standing
from snaproot.errors import NeedsRecovery, Refused
from snaproot.state import (
    GIVEN_BACK_AT_MOST,
    Deployment,
    LoaderView,
    Phase,
    Record,
    TrialArgument,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that recovery looks at. `booted` may be nothing, with `--sysroot`.

    `skipped`: the loader counted an attempt of the pending deployment, and booted something else.
    """

    record: Record
    booted: str | None
    loader: LoaderView
    default: str | None
    boot_id: str
    trial: TrialArgument | None = None
    skipped: bool = False

    def has(self, deployment: Deployment) -> bool:
        """Tell whether the loader would try this deployment."""
        if self.loader.counts:
            return self.loader.deployment == deployment.id
        return self.default == deployment.target

    def in_trial_of(self, deployment: Deployment) -> bool:
        """Tell whether this very boot is a counted trial of it."""
        return (
            self.booted == deployment.target
            and self.trial is not None
            and self.trial.deployment == deployment.id
        )


class Do(StrEnum):
    """What recovery can ask of `transaction`."""

    NOTHING = "nothing"
    REPORT = "report"
    JUDGE = "judge"
    DISCARD_WORK = "discard the unfinished target"
    CLEAR_TRIAL = "clear a stray trial"
    REWRITE_LOADER = "rewrite the loader's file"
    FINISH_ARMING = "finish arming"
    BACK_TO_STAGED = "back to staged"
    RESTORE_REPLACED = "restore the replaced deployment"
    SPEND = "spend the counter"
    FINISH_REVERT = "finish reverting"
    ROLL_FORWARD = "finish promoting"
    REVERT = "revert"
    NOTE_TRIAL = "note the trial boot"
    NOTE_ATTEMPTS = "note the attempts used"
    GIVE_BACK = "give the attempt back"


@dataclass(frozen=True, slots=True)
class Decision:
    """One step of recovery. `good` is what the loader is to boot, where it is to be written."""

    do: Do
    why: str
    good: str = ""
    bad: bool = False
    reboot: bool = False

    @property
    def final(self) -> bool:
        """Nothing follows from it but a message, a verdict or a reboot."""
        return self.do in {Do.NOTHING, Do.REPORT, Do.JUDGE} or self.reboot


Row = Callable[[Situation], Decision | None]


def recovered(situation: Situation) -> Decision:
    """Decide the next step of recovery: total, and the first row that matches wins."""
    seen = _without_ended_trial(situation)
    for row in _ROWS:
        decision = row(seen)
        if decision is not None:
            return decision
    raise RuntimeError("the last row matches everything")


def _without_ended_trial(s: Situation) -> Situation:
    if s.trial is not None and s.record.last and s.trial.deployment == s.record.last:
        return replace(s, trial=None)
    return s


def _unfinished_work(s: Situation) -> Decision | None:
    work = s.record.work
    if work is None or s.booted == work.target:
        return None
    return Decision(Do.DISCARD_WORK, f"staging of {work.target} was interrupted")


def _stray_trial(s: Situation) -> Decision | None:
    pending = s.record.pending
    known = {d.id for d in (pending, pending.replaces if pending else None) if d}
    if s.trial is None or s.trial.deployment in known:
        return None
    why = f"this boot is a trial of {s.trial.deployment}, which is not pending"
    return Decision(Do.CLEAR_TRIAL, why, good=s.record.base, reboot=True)


def _loader_unreadable(s: Situation) -> Decision | None:
    if s.loader.present:
        return None
    pending = s.record.pending
    if pending and pending.phase is Phase.PROMOTING and s.booted == pending.target:
        good = pending.target
    else:
        good = s.record.base
    return Decision(Do.REWRITE_LOADER, "the loader's file is missing or unreadable", good=good)


def _pending(s: Situation) -> Decision | None:
    pending = s.record.pending
    return _BY_PHASE[pending.phase](s, pending) if pending else None


def _staged(_: Situation, pending: Deployment) -> Decision:
    return Decision(Do.NOTHING, f"{pending.target} is staged; the loader does not try it")


def _arming(s: Situation, pending: Deployment) -> Decision:
    if s.has(pending):
        return Decision(Do.FINISH_ARMING, f"the loader already has {pending.target}")
    if pending.replaces and s.has(pending.replaces):
        why = f"the loader still has {pending.replaces.target}; {pending.target} stays, unproven"
        return Decision(Do.RESTORE_REPLACED, why)
    return Decision(Do.BACK_TO_STAGED, f"arming {pending.target} was interrupted")


def _reverting(s: Situation, pending: Deployment) -> Decision:
    if s.booted == pending.target:
        why = f"{pending.target} was given up and still runs"
        return Decision(Do.SPEND, why, good=s.record.base, reboot=True)
    return Decision(Do.FINISH_REVERT, f"{pending.target} was given up; its removal is finished")


def _promoting(s: Situation, pending: Deployment) -> Decision:
    if pending.target in (s.booted, s.loader.good):
        return Decision(Do.ROLL_FORWARD, f"promoting {pending.target} was interrupted")
    return Decision(Do.REVERT, f"{pending.target} was green, but its promotion was not durable")


def _armed(s: Situation, pending: Deployment) -> Decision:
    if s.in_trial_of(pending):
        why = f"this boot is the trial of {pending.target}"
        return Decision(Do.JUDGE if s.boot_id in pending.trial_boots else Do.NOTE_TRIAL, why)
    if not s.loader.counts and s.booted == pending.target and s.boot_id != pending.boot_id:
        return _uncounted_boot(s, pending)
    if not s.has(pending):
        return Decision(Do.BACK_TO_STAGED, f"something else disarmed {pending.target}")
    spent = s.loader.counts and s.loader.tries == 0
    if spent and s.booted == s.record.base and not s.skipped:
        ran = len(pending.trial_boots) or "none"
        why = f"used all its tries without a verdict; snaproot ran in {ran} of its boots"
        return Decision(Do.REVERT, f"{pending.target} {why}", bad=True)
    return _still_armed(s, pending)


def _uncounted_boot(s: Situation, pending: Deployment) -> Decision:
    if s.boot_id in pending.trial_boots:
        return Decision(Do.JUDGE, f"this boot is the trial of {pending.target}")
    if not pending.trial_boots:
        return Decision(Do.NOTE_TRIAL, f"this is the first boot of {pending.target}")
    why = f"{pending.target} was booted a second time without a verdict"
    return Decision(Do.REVERT, why, bad=True)


def attempts_used(pending: Deployment, loader: LoaderView) -> int:
    """Count the attempts that are gone, without those that were given back."""
    if not loader.counts:
        return len(pending.trial_boots)
    return max(pending.tries - loader.tries, 0)


def may_give_back(pending: Deployment, boot_id: str, loader: LoaderView) -> bool:
    """Tell whether the attempt that the loader counted for this boot can be given back."""
    used = loader.counts and loader.tries < pending.tries
    left = len(pending.given_back) < GIVEN_BACK_AT_MOST
    return used and left and boot_id not in pending.given_back


def _still_armed(s: Situation, pending: Deployment) -> Decision:
    if s.skipped and may_give_back(pending, s.boot_id, s.loader):
        why = f"the loader counted an attempt of {pending.target}, and booted something else"
        return Decision(Do.GIVE_BACK, why)
    used = attempts_used(pending, s.loader)
    if used > pending.attempts_used:
        why = f"{pending.target} was tried {used} of {pending.tries} times"
        return Decision(Do.NOTE_ATTEMPTS, why)
    return Decision(Do.REPORT, f"{pending.target} is armed for the next boot")


def _pointers_differ(s: Situation) -> Decision | None:
    wrong = [
        f"{what} is {value or 'not one of ours'}"
        for what, value in (("the loader's good entry", s.loader.good), ("default", s.default))
        if value != s.record.base
    ]
    if not wrong:
        return None
    return Decision(Do.REPORT, f"{' and '.join(wrong)}, but the base is {s.record.base}")


def _idle(_: Situation) -> Decision:
    return Decision(Do.NOTHING, "nothing was interrupted")


_BY_PHASE: Mapping[Phase, Callable[[Situation, Deployment], Decision]] = {
    # Work has a slot of its own: a STAGING record in `pending` was put there by no version of us.
    Phase.STAGING: lambda _, d: Decision(Do.REVERT, f"{d.target} was never finished"),
    Phase.STAGED: _staged,
    Phase.ARMING: _arming,
    Phase.ARMED: _armed,
    Phase.PROMOTING: _promoting,
    Phase.REVERTING: _reverting,
}

_ROWS: tuple[Row, ...] = (
    _unfinished_work,
    _stray_trial,
    _loader_unreadable,
    _pending,
    _pointers_differ,
    _idle,
)


def check_base(record: Record, environments: Sequence[Environment]) -> None:
    """Raise NeedsRecovery where the record's base is gone: somebody deleted it."""
    if record.base not in {environment.id for environment in environments}:
        raise NeedsRecovery(
            f"the base {record.base} does not exist; no root was touched",
            hint="snaproot recover finds another one",
        )


def check_pending(record: Record, environments: Sequence[Environment]) -> None:
    """Raise Refused where the pending target is gone: nothing can be built on it or armed."""
    pending = record.pending
    if pending and pending.target not in {environment.id for environment in environments}:
        raise Refused(
            f"{pending.target} is pending and does not exist; nothing was changed",
            hint="snaproot abandon forgets it",
        )


def check_fallback(record: Record, environments: Sequence[Environment]) -> None:
    """Raise Refused where going back to the base would lead to a root that cannot be mounted."""
    beneath = {environment.id: environment.beneath for environment in environments}
    if beneath.get(record.base):
        raise Refused(
            f"{record.base} cannot be returned to: {beneath[record.base]}; nothing was changed",
            hint="snaproot promote makes what runs the base; without that a reboot ends nowhere",
        )


def believable_base(environments: Sequence[Environment], default: str | None) -> str:
    """Say which one is the base where the record is lost: the default if it is proven.

    Raises NeedsRecovery where there is neither a proven boot environment nor an original one.
    """
    complete = [environment for environment in environments if environment.bootable]
    proven = [e.id for e in complete if e.standing is Standing.PROVEN]
    if default in proven:
        return default
    originals = [e.id for e in complete if e.standing is Standing.ORIGINAL]
    if not proven and not originals:
        raise NeedsRecovery(
            "no proven boot environment was found; nothing was changed",
            hint="snaproot list shows what there is",
        )
    return max(proven or originals)
