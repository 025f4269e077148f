"""Which boot environment `rollback` and `activate` mean, and why (DESIGN.md §7). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from snaproot import recovery
from snaproot.environment import Environment, Standing
from snaproot.errors import NothingToDo, Refused
from snaproot.state import Deployment, Phase, Record


class Step(StrEnum):
    """What one step of a choice asks of `transaction`; `told` says it in a sentence."""

    REJECT = "reject"
    ABANDON = "abandon"
    PROMOTE_BOOTED = "promote"
    POINT_BACK = "point back"
    CHOOSE = "choose"
    ARM = "arm"
    ONCE = "once"

    def told(self, target: str) -> str:
        """Say what becomes of the boot environment."""
        match self:
            case Step.REJECT | Step.ABANDON:
                return f"{target} is given up"
            case Step.PROMOTE_BOOTED:
                return f"{target} becomes the base and the default, without a reboot"
            case Step.POINT_BACK:
                return f"{target} becomes the default again"
            case Step.CHOOSE | Step.ARM:
                return f"{target} becomes the next boot, as a trial"
            case Step.ONCE:
                return f"{target} becomes the next boot, for that boot alone"


@dataclass(frozen=True, slots=True)
class Chosen:
    """One step, the boot environment that it is about, why, and whether it is deleted."""

    step: Step
    target: str
    why: str
    deleted: bool = False

    @property
    def sentence(self) -> str:
        """Say what is done, and why."""
        deleted = " and deleted" if self.deleted else ""
        return f"{self.step.told(self.target)}{deleted}: {self.why}."


@dataclass(frozen=True, slots=True)
class Choices:
    """What there is to choose from. `booted` is nothing with `--sysroot`.

    `revoked` says why by the ids of those that nobody is to go back to.
    """

    environments: Sequence[Environment]
    record: Record
    booted: str | None
    default: str | None
    revoked: Mapping[str, str] = field(default_factory=dict)


_LEAVING = "in its trial: snaproot reject. Chosen by hand: reboot first, then snaproot abandon"


def for_rollback(seen: Choices, wanted: str = "") -> tuple[Chosen, ...]:
    """Say what `rollback` (or `rollback ID`) does, step by step.

    Raises Refused where there is nothing to go back to, NothingToDo where it is the default.
    """
    if seen.record.pending is not None:
        return _given_up(seen, seen.record.pending, wanted)
    if seen.booted and seen.booted != seen.default and wanted in ("", seen.booted):
        return (_what_runs(seen, seen.booted),)
    return (_trial_of(seen, wanted or _newest_before_the_default(seen), asked=bool(wanted)),)


def for_activation(seen: Choices, wanted: str) -> Chosen:
    """Say what `activate ID` does: a trial of it, or arming what is staged.

    Raises Refused while another deployment is pending, NothingToDo where it is the next boot.
    """
    pending = seen.record.pending
    if pending is None:
        return _trial_of(seen, wanted)
    if pending.target != wanted:
        raise Refused(
            f"{pending.target} is {pending.phase} already; nothing was changed",
            hint="snaproot abandon gives it up, snaproot rollback ID does both",
        )
    if pending.phase is not Phase.STAGED:
        raise NothingToDo(f"{wanted} is {pending.phase} already")
    _refuse_revoked(seen, wanted)
    return Chosen(Step.ARM, wanted, f"{wanted} is staged")


def for_one_boot(seen: Choices, wanted: str) -> Chosen:
    """Say what `activate --once ID` does. Raises Refused for what is not complete."""
    found = {environment.id: environment for environment in seen.environments}[wanted]
    if not found.bootable:
        raise _unbootable(found)
    _refuse_revoked(seen, wanted)
    return Chosen(Step.ONCE, wanted, "no trial, and nothing is judged")


def for_abandoning(seen: Choices) -> Chosen:
    """Say what `abandon` does. Raises NothingToDo for nothing, Refused inside the trial."""
    pending = seen.record.pending
    if pending is None:
        raise NothingToDo("no deployment is pending")
    if pending.target == seen.booted:
        raise Refused(f"{pending.target} is running; nothing was changed", hint=_LEAVING)
    return Chosen(Step.ABANDON, pending.target, "abandoned by hand", pending.created_target)


def for_rejection(seen: Choices, reason: str) -> Chosen:
    """Say what `reject` does. Raises Refused where there is nothing that could be judged here."""
    pending = seen.record.pending
    if pending is None or pending.phase is not Phase.ARMED:
        raise Refused("no trial is pending; nothing was changed", hint="snaproot status")
    if seen.booted not in (None, pending.target):
        raise Refused(
            f"{pending.target} has not been tried yet: {seen.booted} is running; "
            "nothing was changed",
            hint="reboot into it, or snaproot abandon",
        )
    recovery.check_fallback(seen.record, seen.environments)
    why = reason or "rejected by hand"
    return Chosen(Step.REJECT, pending.target, why, pending.created_target)


def _given_up(seen: Choices, pending: Deployment, wanted: str) -> tuple[Chosen, ...]:
    target = pending.target
    if target == seen.booted:
        recovery.check_fallback(seen.record, seen.environments)
        why = "it is running unjudged, so going back means rejecting it"
        return (Chosen(Step.REJECT, target, why, pending.created_target),)
    if target == wanted:
        raise Refused(
            f"{wanted} is {pending.phase}, not behind us; nothing was changed",
            hint="snaproot abandon gives it up",
        )
    why = "it is pending and does not run, so going back means abandoning it"
    abandoned = Chosen(Step.ABANDON, target, why, pending.created_target)
    if seen.booted and _stays(seen, seen.booted, wanted):
        return (abandoned, _what_runs(seen, seen.booted))
    if wanted in ("", seen.record.base):
        return (abandoned,)
    return (abandoned, _trial_of(seen, wanted))


def _stays(seen: Choices, booted: str, wanted: str) -> bool:
    """Tell whether what somebody picked by hand is what they want to go back to."""
    if booted == seen.record.base:
        return False
    return wanted == booted or (not wanted and not _is_original(seen, booted))


def _is_original(seen: Choices, id: str) -> bool:
    return any(e.id == id and e.standing is Standing.ORIGINAL for e in seen.environments)


def _what_runs(seen: Choices, booted: str) -> Chosen:
    default = seen.default or "none of ours"
    if booted == seen.record.base:
        why = f"it is running and the base, but the default is {default}"
        return Chosen(Step.POINT_BACK, booted, why)
    if _is_original(seen, booted):
        raise Refused(
            f"{booted} is the root from before the adoption, and not sealed: it cannot be the "
            "base; nothing was changed",
            hint="snaproot rollback ID, with an ID that snaproot list shows",
        )
    _refuse_revoked(seen, booted)
    why = f"it is running and works, but the default is {default}"
    return Chosen(Step.PROMOTE_BOOTED, booted, why)


def _trial_of(seen: Choices, wanted: str, *, asked: bool = True) -> Chosen:
    if wanted == seen.record.base and wanted == seen.default:
        raise NothingToDo(f"{wanted} is the default already")
    if wanted == seen.record.base:
        return Chosen(Step.POINT_BACK, wanted, f"it is the base, the default is {seen.default}")
    found = {environment.id: environment for environment in seen.environments}[wanted]
    if found.standing is Standing.ORIGINAL:
        raise Refused(
            f"{wanted} is the root from before the adoption, and not sealed: it cannot be tried; "
            "nothing was changed",
            hint="choose it in the boot loader, by hand",
        )
    if not found.bootable:
        raise _unbootable(found)
    _refuse_revoked(seen, wanted)
    why = "as asked for" if asked else _newest(seen, wanted)
    return Chosen(Step.CHOOSE, wanted, why)


def _newest(seen: Choices, chosen: str) -> str:
    """Say why `rollback` by itself goes there, and what it had to pass over."""
    passed = [
        f"; {one.id} is passed over: {one.beneath or seen.revoked[one.id]}"
        for one in seen.environments
        if one.beneath or (one.id in seen.revoked and one.standing is Standing.PROVEN)
        if chosen < one.id < (seen.default or seen.record.base)
    ]
    return f"it is the newest proven one before {seen.default}{''.join(passed)}"


def _unbootable(found: Environment) -> Refused:
    if found.complete:
        return Refused(
            f"{found.id} is beneath the rollback floor: {found.beneath}; nothing was changed",
            hint="snaproot list names those that are not",
        )
    return Refused(
        f"{found.id} is not complete ({found.damage or 'never sealed'}); nothing was changed",
        hint="snaproot list shows which are",
    )


def _refuse_revoked(seen: Choices, wanted: str) -> None:
    if wanted in seen.revoked:
        raise Refused(
            f"{wanted} is not to be trusted any more: {seen.revoked[wanted]}; nothing was changed",
            hint="snaproot trust audit names all of them",
        )


def _refuse_passed_over(seen: Choices, newest: str) -> None:
    """Raise Refused where there is an older one that is beneath the floor, or revoked."""
    for one in reversed(seen.environments):
        if one.standing is Standing.PROVEN and one.id < newest:
            if one.beneath:
                raise _unbootable(one)
            _refuse_revoked(seen, one.id)


def _newest_before_the_default(seen: Choices) -> str:
    newest = seen.default or seen.record.base
    before = [
        environment.id
        for environment in seen.environments
        if environment.standing is Standing.PROVEN and environment.bootable
        if environment.id < newest and environment.id not in seen.revoked
    ]
    if not before:
        _refuse_passed_over(seen, newest)
        raise Refused(
            f"there is no proven boot environment older than {newest}; nothing was changed",
            hint="snaproot rollback ID, with an ID that snaproot list shows",
        )
    return max(before)
