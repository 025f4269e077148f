"""The verbs of the units: each is one step of a boot, or of its end.

`shared` runs in a root that is being adopted, `recover` in every boot, `additions`, `health`,
`promote` and `reject` in a trial, `shutdown` when a machine goes down in an orderly way, `window`
when it may reboot by itself. `removal` is asked by the package.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from snaproot import system as systems
from snaproot.boot.reboots import Reboots, reboots_itself, target_of
from snaproot.boot.removal import removal
from snaproot.boot.renewal import renew
from snaproot.config import Unknown
from snaproot.errors import ExitCode, NotAdopted, SnaprootError
from snaproot.health import baseline
from snaproot.judging import judgement, note_baseline, observe, run_scripts, stay
from snaproot.recovery import Decision, Do
from snaproot.run import restart, run
from snaproot.state import Judge, Phase, Result, Verdict
from snaproot.steps import Notice
from snaproot.system import System
from snaproot.wording import some

RUN = Path("/run/snaproot")
FAILED = RUN / "failed"
"""There once the failure path has asked for the reboot: then no attempt is given back."""
JUDGED = RUN / "judged"
"""There once a bad verdict is recorded and the counter spent: nothing is left but to reboot."""

_WAIT = {"health": 300.0, "promote": 240.0, "recover": 240.0, "window": 600.0}
"""Seconds; less than the unit has."""
_SHORT_WAIT = 20.0

Verb = Callable[[Notice], int]


def shared(tell: Notice) -> int:
    """Lend the original's shared places to the root that was made of it, or take them over."""
    from snaproot.adoption import lending

    with systems.top_level(None) as top:
        return lending.settle(top, tell)


def recover(tell: Notice) -> int:
    """Finish what was interrupted; renew what lasts for one boot; reboot if that has to be."""
    with _adopted(tell) as system:
        if system is None:
            return ExitCode.DONE
        with _locked(system, "recover"):
            taken = system.transaction.recover()
            if any(decision.do is Do.ROLL_FORWARD for decision in taken):
                note_baseline(system)
                stay()
            if not system.config.trial.revert or not _leads_back(system):
                stay()
            system.transaction.show_menu()
            renew(system)
        if taken[-1].do is Do.REPORT:
            tell(taken[-1].why)
    return _reboot_if(taken, tell)


def additions(tell: Notice) -> int:
    """Put what the target adds below /var in place, before anything looks for it."""
    with _opened(tell) as system, _locked(system, "additions"):
        booted = system.filesystem.booted()
        if booted is None:
            return ExitCode.DONE
        put = system.put_additions(booted)
        if put:
            tell(f"put in place: {some(put)}")
    return ExitCode.DONE


def health(tell: Notice) -> int:
    """Judge the trial: a bad verdict is recorded, the counter spent, and 3 returned.

    The lock is not held meanwhile: somebody may want to judge by hand, or to look.
    """
    with _opened(tell) as system:
        with _locked(system, "health"):
            taken = system.transaction.recover()
        if taken[-1].do is not Do.JUDGE:
            tell(taken[-1].why)
            return _reboot_if(taken, tell)
        verdict = observe(system, tell)
        if verdict.result is Result.GOOD:
            return ExitCode.DONE
        return carry_out(system, verdict, tell)


def promote(tell: Notice) -> int:
    """Make the trial the default, if this boot's verdict is good."""
    with _opened(tell) as system:
        verdict = judgement(system)
        if verdict is None or verdict.result is not Result.GOOD:
            tell("this boot has no good verdict; it stays a trial")
            return ExitCode.DONE
        with _locked(system, "promote"):
            if not system.transaction.in_trial():
                return _judged_already(tell)
            record = system.transaction.promote(verdict)
            note_baseline(system)
            stay()
            system.transaction.show_menu()
            renew(system)
        tell(f"{record.base} is proven: it is the base and the default")
    run_scripts(verdict.result, tell)
    return ExitCode.DONE


def reject(tell: Notice) -> int:
    """Reject a trial that did not reach boot-complete.target, whatever held it up."""
    listed = run(["systemctl", "--failed", "--plain", "--no-legend", "--no-pager"], check=False)
    failed = [line.split()[0] for line in listed.output.splitlines() if line.strip()]
    why = f"failed: {some(failed)}" if failed else "nothing says why"
    reason = f"boot-complete.target was not reached, {why}"
    with _opened(tell) as system:
        return carry_out(system, Verdict(Result.BAD, Judge.HEALTH, reason), tell)


def shutdown(tell: Notice) -> int:
    """Give a trial's attempt back that somebody ends, and name edits that the next boot lacks."""
    if FAILED.exists():
        return ExitCode.DONE
    with _adopted(tell) as system:
        if system is not None:
            with _locked(system, "shutdown"):
                _shut_down(system, tell)
    return ExitCode.DONE


def window(tell: Notice) -> int:
    """Reboot into what is armed, if this is still wanted, and the time for it.

    The lock is waited for, and kept while the reboot is announced: nobody's work is cut short, and
    what is abandoned later calls the reboot off.
    """
    with _adopted(tell) as system:
        if system is None:
            return ExitCode.DONE
        with _locked(system, "window"):
            system.transaction.recover()
            renew(system)
            target = target_of(system)
            if not target or not reboots_itself(system):
                tell("nothing is armed, or it is not to be rebooted into: no reboot")
                return ExitCode.DONE
            tell(Reboots().in_window(system.config.background, target, systems.now()))
    return ExitCode.DONE


VERBS: Mapping[str, Verb] = {
    "shared": shared,
    "recover": recover,
    "additions": additions,
    "health": health,
    "promote": promote,
    "reject": reject,
    "shutdown": shutdown,
    "window": window,
    "removal": removal,
}


def _shut_down(system: System, tell: Notice) -> None:
    if _is_unknown(system):
        note_baseline(system)
    if system.transaction.give_back():
        tell("this boot is not counted: it was shut down before a verdict")
    pending, booted = system.records.load().pending, system.filesystem.booted()
    if pending and pending.phase is Phase.ARMED and booted != pending.target:
        edits = [one.path for one in system.filesystem.edits(pending.target)]
        if edits:
            tell(f"{pending.target} is booted next, without these edits: {some(edits)}")


def _is_unknown(system: System) -> bool:
    """Tell whether the base runs, and nobody has looked yet what is usual on it."""
    try:
        known = baseline.load(system.records.directory).recorded
    except SnaprootError:
        known = ""
    return not known and system.filesystem.booted() == system.records.load().base


def _judged_already(tell: Notice) -> int:
    tell("somebody has judged this trial by hand meanwhile")
    return ExitCode.DONE


def carry_out(system: System, verdict: Verdict, tell: Notice) -> int:
    """Carry out a verdict that is not good: 3 if that means to leave this boot."""
    with _locked(system, "reject"):
        if not system.transaction.in_trial():
            return _judged_already(tell)
        if not _reverts(system, verdict):
            system.transaction.note(verdict)
            tell(f"not reverted, as reverting is switched off: {verdict.reason}")
            return ExitCode.DONE
        if not _leads_back(system):
            stay()
            system.transaction.note(verdict)
            tell(f"not reverted, as the base could not be booted any more: {verdict.reason}")
            return ExitCode.DONE
        record = system.transaction.reject(verdict)
    JUDGED.mkdir(parents=True, exist_ok=True)
    tell(f"this trial is rejected, {record.base} is booted next: {verdict.reason}")
    run_scripts(verdict.result, tell)
    return ExitCode.REFUSED


def _leads_back(system: System) -> bool:
    """Tell whether leaving a trial ends in a root that can be booted.

    What a trial has done to the pool may keep the base from it for ever; then it is better to have
    a machine that is up and not well than one that does not come up.
    """
    return not system.transaction.in_trial() or system.transaction.has_fallback()


def _reverts(system: System, verdict: Verdict) -> bool:
    """Tell whether a verdict that is not good is to be carried out."""
    unknown = verdict.result is Result.UNKNOWN
    return system.reverts and not (unknown and system.config.trial.unknown is Unknown.STAY)


def _reboot_if(taken: list[Decision], tell: Notice) -> int:
    if not taken[-1].reboot:
        return ExitCode.DONE
    tell(f"{taken[-1].why}: rebooting")
    FAILED.mkdir(parents=True, exist_ok=True)
    restart()
    return ExitCode.DONE


@contextmanager
def _opened(tell: Notice) -> Iterator[System]:
    with systems.opened(None, notice=tell) as system:
        yield system


@contextmanager
def _adopted(tell: Notice) -> Iterator[System | None]:
    """Open the system; None where it is none of ours: the package may be installed anywhere."""
    with ExitStack() as held:
        try:
            system = held.enter_context(_opened(tell))
        except NotAdopted as error:
            tell(f"nothing to do: {error}")
            yield None
            return
        yield system


def _locked(system: System, verb: str) -> AbstractContextManager[None]:
    return system.locked(f"snaproot boot {verb}", _WAIT.get(verb, _SHORT_WAIT))
