"""The state machine of deployments: phases, edges, the record (DESIGN.md §4). Pure.

What to do after a power cut is decided in `recovery`, done in `transaction`.
"""

from collections.abc import Mapping
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


class Result(StrEnum):
    """What a verdict says; unknown means that nobody could tell, and is never a false bad."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"


class Judge(StrEnum):
    """Who gave a verdict."""

    HEALTH = "health"
    HAND = "hand"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judgement of a trial, with the evidence as plain values."""

    result: Result
    by: Judge
    reason: str = ""
    findings: tuple[Mapping[str, object], ...] = ()


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
    given_back: tuple[str, ...] = ()
    reason: str = ""
    bad: bool = False
    replaces: "Deployment | None" = None
    extra: Mapping[str, object] = field(default_factory=dict)


FORMAT, READER = 1, "0.1"
"""Of the record, and the first snaproot that reads it. A system keeps the format that its base
reads until a newer root is promoted."""

GIVEN_BACK_AT_MOST = 2
"""How many attempts a deployment gets back, for boots that were not its own."""

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
    """What snaproot remembers outside every boot environment.

    `last` is the deployment that was promoted last, `newest` the newest that there ever was.
    """

    base: str
    format: int = FORMAT
    reader: str = READER
    last: str = ""
    newest: str = ""
    work: Deployment | None = None
    pending: Deployment | None = None
    extra: Mapping[str, object] = field(default_factory=dict)

    def working(self, deployment: Deployment) -> "Record":
        """Begin to stage; what a pending deployment holds stays as it is."""
        if self.work is not None or deployment.phase is not Phase.STAGING:
            raise RuntimeError("one deployment is staged at a time")
        return replace(self, work=deployment, newest=deployment.id)

    def dropped(self) -> "Record":
        """Forget the work, once what it created is gone."""
        return replace(self, work=None)

    def choosing(self, deployment: Deployment) -> "Record":
        """Begin with a target that is already complete: to be armed, or promoted where it runs."""
        if self.pending is not None or deployment.phase not in {Phase.STAGED, Phase.PROMOTING}:
            raise RuntimeError("one deployment is pending at a time")
        return replace(self, pending=deployment, newest=deployment.id)

    def unchosen(self) -> "Record":
        """Forget a choice that could not be armed."""
        pending = self._pending
        if pending.created_target or pending.phase is not Phase.STAGED:
            raise RuntimeError("only what was chosen, and is not armed, is forgotten")
        return replace(self, pending=None)

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
            moved(ready, Phase.ARMING),
            boot_id=boot_id,
            tries=tries,
            attempts_used=0,
            attempts_given_back=0,
            given_back=(),
            replaces=replaces,
            reason="",
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

    def gave_back(self, boot_id: str) -> "Record":
        """Note that this boot's attempt is given back, before the loader is told."""
        pending = self._pending
        boots = (*pending.given_back, boot_id)
        given = replace(pending, given_back=boots, attempts_given_back=len(boots))
        return replace(self, pending=given)

    def promoting(self) -> "Record":
        """Intend to promote: the verdict is good."""
        return replace(self, pending=moved(self._pending, Phase.PROMOTING))

    def promoted(self) -> "Record":
        """Make the target the base; from now on its snaproot's format is written."""
        gone = self._pending
        if gone.phase is not Phase.PROMOTING:
            raise RuntimeError("only what is PROMOTING is promoted")
        base = replace(self, base=gone.target, last=gone.id, pending=None)
        return replace(base, format=FORMAT, reader=READER)

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

    A loader that cannot count has no file: `counts` is false and `present` true. `fallback` is what
    it would boot if its file were lost.
    """

    present: bool = True
    counts: bool = False
    good: str = ""
    trial: str = ""
    deployment: str = ""
    tries: int = 0
    once: str = ""
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class TrialArgument:
    """`snaproot.trial=` of this boot, as the kernel's command line has it."""

    deployment: str
    left: int
