"""Verbs that decide which boot environment comes next: rollback, activate, and the verdicts."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from snaproot.cli.app import Call, DryRun, verb
from snaproot.errors import NeedsRecovery, SnaprootError

if TYPE_CHECKING:
    from snaproot.environment import Environment
    from snaproot.selection import Choices, Chosen
    from snaproot.state import Kind
    from snaproot.system import System

Id = Annotated[str, typer.Argument(metavar="ID", help="A boot environment; its first letters do.")]
OptionalId = Annotated[
    str, typer.Argument(metavar="[ID]", help="A boot environment; its first letters do.")
]


@verb("snaproot rollback", "snaproot rollback b4k7q2x", "snaproot rollback -n")
def rollback(call: Call, id: OptionalId = "", dry_run: DryRun = False) -> None:
    """Go back to an older boot environment, as a trial.

    Says which one and why. Without ID: what runs, if it is not the default, and at once; else the
    newest proven one before the default. A pending deployment that does not run is abandoned
    instead, where the base runs, or before; one that runs unjudged is rejected.
    """
    from snaproot.ids import resolve
    from snaproot.selection import for_rollback
    from snaproot.state import Kind

    with call.locked("rollback") as system:
        seen = _choices(system, settle=not dry_run)
        wanted = resolve(id, [one.id for one in seen.environments]) if id else ""
        _carry_out(call, system, for_rollback(seen, wanted), Kind.ROLLBACK, dry_run=dry_run)


@verb("snaproot activate b4k7q2x", "snaproot activate b4k7 -y")
def activate(
    call: Call,
    id: Id,
    once: Annotated[bool, typer.Option("--once", help="For the next boot only; no trial.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Make a complete boot environment the next boot, as a trial.

    One that `upgrade --stage-only` has staged is armed.
    """
    from snaproot.ids import resolve
    from snaproot.selection import for_activation, for_one_boot
    from snaproot.state import Kind

    with call.locked("activate") as system:
        seen = _choices(system, settle=not dry_run)
        wanted = resolve(id, [one.id for one in seen.environments])
        chosen = for_one_boot(seen, wanted) if once else for_activation(seen, wanted)
        _carry_out(call, system, (chosen,), Kind.ACTIVATE, dry_run=dry_run)


@verb("snaproot abandon", "snaproot abandon -y")
def abandon(call: Call, dry_run: DryRun = False) -> None:
    """Give up the pending deployment, without a verdict.

    What the deployment made is deleted. Ends 77 if nothing is pending.
    """
    from snaproot.selection import for_abandoning
    from snaproot.state import Kind

    with call.locked("abandon") as system:
        step = for_abandoning(_choices(system, settle=not dry_run))
        _carry_out(call, system, (step,), Kind.ROLLBACK, dry_run=dry_run)


@verb("snaproot promote", "snaproot promote --reason 'looked at it myself'")
def promote(
    call: Call,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is recorded.")] = "",
) -> None:
    """Judge the trial good: it becomes the base and the default."""
    from snaproot.cli import shapes
    from snaproot.judging import promote_by_hand

    with call.locked("promote") as system:
        record = promote_by_hand(system, reason or "promoted by hand")
    call.output.result(
        shapes.deployed(record),
        lambda: call.output.say(f"{record.base} is proven: it is the base and the default."),
    )


@verb("snaproot reject", "snaproot reject -y --reason 'mail does not arrive'")
def reject(
    call: Call,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is recorded.")] = "",
    dry_run: DryRun = False,
) -> None:
    """Judge the trial bad: the base is the default again.

    What the deployment made is deleted, after a reboot if it is running.
    """
    from snaproot.selection import for_rejection
    from snaproot.state import Kind

    with call.locked("reject") as system:
        step = for_rejection(_choices(system, settle=not dry_run), reason)
        _carry_out(call, system, (step,), Kind.ROLLBACK, dry_run=dry_run)


def _choices(system: "System", *, settle: bool) -> "Choices":
    from snaproot.selection import Choices

    if settle:
        last = system.transaction.recover()[-1]
        if last.reboot:
            raise NeedsRecovery(f"{last.why}; a reboot has to come first", hint="reboot")
    environments, record = system.filesystem.environments(), system.records.load()
    return Choices(
        environments=environments,
        record=record,
        booted=system.filesystem.booted(),
        default=system.filesystem.default(),
        revoked=_revoked(system, environments, record.base),
    )


def _revoked(
    system: "System", environments: "Sequence[Environment]", base: str
) -> "Mapping[str, str]":
    """Say why by the ids of those that are revoked.

    The way back does not end at a configuration that cannot be read: that is said, and whoever goes
    back knows what they do.
    """
    from snaproot.trust.audit import barred

    try:
        believed = system.believed()
    except SnaprootError as error:
        system.announce(f"nobody can tell what has been revoked: {error}")
        return {}
    listed = believed.revocations
    return barred(listed, environments, base) if listed else {}


def _carry_out(
    call: Call, system: "System", steps: "Sequence[Chosen]", kind: "Kind", *, dry_run: bool
) -> None:
    from snaproot.cli import shapes

    for step in steps:
        call.output.paragraph(step.sentence)
    if not dry_run:
        call.agreed("Go on?")
        with call.output.without_notices():
            for step in steps:
                _take(system, step, kind)
    record = system.records.load()
    call.output.result(
        {"steps": [shapes.chosen(step) for step in steps], **shapes.deployed(record)},
        lambda: None if dry_run else _print_result(call, system),
    )


def _take(system: "System", chosen: "Chosen", kind: "Kind") -> object:
    from snaproot.judging import promote_what_runs
    from snaproot.selection import Step
    from snaproot.state import Judge, Result, Verdict

    transaction = system.transaction
    match chosen.step:
        case Step.REJECT:
            return transaction.reject(Verdict(Result.BAD, Judge.HAND, chosen.why))
        case Step.ABANDON:
            return transaction.abandon()
        case Step.PROMOTE_BOOTED:
            return promote_what_runs(system, kind)
        case Step.POINT_BACK:
            return transaction.point_back()
        case Step.ARM:
            return transaction.arm()
        case Step.ONCE:
            return transaction.boot_once(chosen.target)
        case Step.CHOOSE:
            return transaction.choose(kind, chosen.target)


def _print_result(call: Call, system: "System") -> None:
    from snaproot.outlook import Outlook
    from snaproot.state import Phase

    record = system.records.load()
    if record.pending is None:
        call.output.say(f"{record.base} is the base and the default.")
    elif record.pending.phase is Phase.REVERTING:
        gone = "is deleted after it" if record.pending.created_target else "stays, judged bad"
        call.output.say(
            f"Reboot now: {record.base} is the next boot, {record.pending.target} {gone}."
        )
    else:
        loader, tries = system.bootloader.capability(), system.config.trial.tries
        outlook = Outlook(record.pending, loader, tries, system.running, system.reverts)
        for line in outlook.after_arming():
            call.output.paragraph(line)
