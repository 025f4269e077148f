"""The state machine of deployments. Pure: what to do is decided here, done in `transaction`.

The edges and the table of recovery are those of DESIGN.md §4, in its order.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Phase(StrEnum):
    """Where a deployment stands. IDLE is the absence of a deployment."""

    STAGING = "staging"
    STAGED = "staged"
    ARMING = "arming"
    ARMED = "armed"
    PROMOTING = "promoting"
    REVERTING = "reverting"


class Kind(StrEnum):
    """What a deployment is for."""

    UPGRADE = "upgrade"
    RUN = "run"
    SHELL = "shell"
    ROLLBACK = "rollback"
    ACTIVATE = "activate"
    ADOPT = "adopt"
    BUNDLE = "bundle"
    HOOK = "hook"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One attempt to make a target the proven root."""

    id: str
    kind: Kind
    parent: str
    base: str
    target: str
    created_target: bool
    phase: Phase
    boot_id: str = ""
    tries: int = 0
    attempts_used: int = 0
    attempts_given_back: int = 0
    trial_boots: tuple[str, ...] = ()
    reason: str = ""
    bad: bool = False
    replaces: "Deployment | None" = None
    extra: Mapping[str, object] = field(default_factory=dict)


EDGES: Mapping[Phase, frozenset[Phase]] = {
    Phase.STAGING: frozenset({Phase.STAGED, Phase.ARMING, Phase.REVERTING}),
    Phase.STAGED: frozenset({Phase.ARMING, Phase.REVERTING}),
    Phase.ARMING: frozenset({Phase.ARMED, Phase.STAGED, Phase.REVERTING}),
    Phase.ARMED: frozenset({Phase.PROMOTING, Phase.STAGED, Phase.REVERTING}),
    Phase.PROMOTING: frozenset({Phase.REVERTING}),
    Phase.REVERTING: frozenset(),
}


def moved(deployment: Deployment, phase: Phase) -> Deployment:
    """Take one edge; a step may be repeated, any other move is misuse."""
    if phase is not deployment.phase and phase not in EDGES[deployment.phase]:
        raise RuntimeError(f"no edge from {deployment.phase} to {phase}")
    return replace(deployment, phase=phase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What snaproot remembers outside every boot environment."""

    base: str
    last: str = ""
    work: Deployment | None = None
    pending: Deployment | None = None
    extra: Mapping[str, object] = field(default_factory=dict)

    def working(self, deployment: Deployment) -> "Record":
        """Begin to stage; what a pending deployment holds stays as it is."""
        if self.work is not None or deployment.phase is not Phase.STAGING:
            raise RuntimeError("one deployment is staged at a time")
        return replace(self, work=deployment)

    def dropped(self) -> "Record":
        """Forget the work, once what it created is gone."""
        return replace(self, work=None)

    def choosing(self, deployment: Deployment) -> "Record":
        """Begin with a target that is already complete: to be armed, or promoted where it runs."""
        if self.pending is not None or deployment.phase not in {Phase.STAGED, Phase.PROMOTING}:
            raise RuntimeError("one deployment is pending at a time")
        return replace(self, pending=deployment)

    def staged(self) -> "Record":
        """Move finished work to `pending`; a STAGED one there is superseded."""
        if self.pending is not None and self.pending.phase is not Phase.STAGED:
            raise RuntimeError(f"cannot stage on top of a deployment that is {self.pending.phase}")
        return replace(self, work=None, pending=moved(self._working, Phase.STAGED))

    def arming(self, boot_id: str, tries: int) -> "Record":
        """Intend to arm: the finished work if there is any, else what is pending."""
        if self.work is None:
            ready = self._pending
            replaces = ready.replaces
        else:
            ready = self.work
            replaces = self._replaced()
        armed = replace(
            moved(ready, Phase.ARMING), boot_id=boot_id, tries=tries, replaces=replaces, reason=""
        )
        return replace(self, work=None, pending=armed)

    def armed(self) -> "Record":
        """Say that the loader has it; only now is the replaced deployment forgotten."""
        return replace(self, pending=replace(moved(self._pending, Phase.ARMED), replaces=None))

    def disarmed(self, reason: str) -> "Record":
        """Go back to STAGED without a verdict."""
        back = replace(
            moved(self._pending, Phase.STAGED), replaces=None, trial_boots=(), reason=reason
        )
        return replace(self, pending=back)

    def restored(self) -> "Record":
        """Make the replaced deployment pending again: the loader never left it."""
        if self._pending.replaces is None:
            raise RuntimeError("nothing was replaced")
        return replace(self, pending=self._pending.replaces)

    def tried(self, boot_id: str) -> "Record":
        """Note a boot of the trial before anything else happens in it."""
        boots = (*self._pending.trial_boots, boot_id)
        return replace(self, pending=replace(self._pending, trial_boots=boots))

    def used(self, attempts: int) -> "Record":
        """Note how many attempts the loader has counted."""
        return replace(self, pending=replace(self._pending, attempts_used=attempts))

    def promoting(self) -> "Record":
        """Intend to promote: the verdict is good."""
        return replace(self, pending=moved(self._pending, Phase.PROMOTING))

    def promoted(self) -> "Record":
        """Make the target the base."""
        if self._pending.phase is not Phase.PROMOTING:
            raise RuntimeError("only what is PROMOTING is promoted")
        return replace(self, base=self._pending.target, last=self._pending.id, pending=None)

    def reverting(self, reason: str, *, bad: bool) -> "Record":
        """Intend to revert; `bad` if it was judged, not merely given up."""
        gone = replace(moved(self._pending, Phase.REVERTING), reason=reason, bad=bad)
        return replace(self, pending=gone)

    def reverted(self) -> "Record":
        """Forget the deployment, once what it created is gone."""
        if self._pending.phase is not Phase.REVERTING:
            raise RuntimeError("only what is REVERTING is reverted")
        return replace(self, pending=None)

    def _replaced(self) -> Deployment | None:
        if self.pending is None or self.pending.phase is Phase.STAGED:
            return None
        if self.pending.phase is not Phase.ARMED:
            raise RuntimeError(f"cannot arm over a deployment that is {self.pending.phase}")
        return self.pending

    @property
    def _working(self) -> Deployment:
        if self.work is None:
            raise RuntimeError("nothing is being staged")
        return self.work

    @property
    def _pending(self) -> Deployment:
        if self.pending is None:
            raise RuntimeError("no deployment is pending")
        return self.pending


@dataclass(frozen=True, slots=True)
class LoaderView:
    """What the loader will read at the next boot.

    A loader that cannot count has no file: `counts` is false and `present` true.
    """

    present: bool = True
    counts: bool = False
    good: str = ""
    trial: str = ""
    deployment: str = ""
    tries: int = 0


@dataclass(frozen=True, slots=True)
class TrialArgument:
    """`snaproot.trial=` of this boot, as the kernel's command line has it."""

    deployment: str
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that recovery looks at. `booted` may be nothing, with `--sysroot`."""

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
    return Decision(Do.NOTHING, f"{pending.target} is staged; the loader does not know it")


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
    return Decision(Do.FINISH_REVERT, f"reverting {pending.target} was interrupted")


def _promoting(s: Situation, pending: Deployment) -> Decision:
    if pending.target in (s.booted, s.loader.good):
        return Decision(Do.ROLL_FORWARD, f"promoting {pending.target} was interrupted")
    return Decision(Do.REVERT, f"{pending.target} was green, but its promotion was not durable")


def _armed(s: Situation, pending: Deployment) -> Decision:
    if s.in_trial_of(pending):
        return Decision(Do.JUDGE, f"this boot is the trial of {pending.target}")
    if not s.loader.counts and s.booted == pending.target and s.boot_id != pending.boot_id:
        return _uncounted_boot(s, pending)
    if not s.has(pending):
        return Decision(Do.BACK_TO_STAGED, f"something else disarmed {pending.target}")
    spent = s.loader.counts and s.loader.tries == 0
    if spent and s.booted == s.record.base and not s.skipped:
        why = f"{pending.target} used all its tries without a verdict"
        return Decision(Do.REVERT, why, bad=True)
    return _still_armed(s, pending)


def _uncounted_boot(s: Situation, pending: Deployment) -> Decision:
    if s.boot_id in pending.trial_boots:
        return Decision(Do.JUDGE, f"this boot is the trial of {pending.target}")
    if not pending.trial_boots:
        return Decision(Do.NOTE_TRIAL, f"this is the first boot of {pending.target}")
    why = f"{pending.target} was booted a second time without a verdict"
    return Decision(Do.REVERT, why, bad=True)


def _still_armed(s: Situation, pending: Deployment) -> Decision:
    used = pending.tries - s.loader.tries if s.loader.counts else len(pending.trial_boots)
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
    Phase.STAGING: lambda _, d: Decision(Do.FINISH_REVERT, f"{d.target} was never finished"),
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
