"""The verb that adopts a system: init."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snaproot.cli.app import Call, DryRun, verb
from snaproot.errors import NothingToDo, Refused, SnaprootError
from snaproot.output import Output, size

if TYPE_CHECKING:
    from snaproot.adoption import AdoptionPlan


@verb(
    "snaproot --sysroot /mnt init -n",
    "snaproot --sysroot /mnt --esp /mnt/esp init",
    "snaproot --sysroot /mnt init --boot /mnt/boot-partition",
)
def init(
    call: Call,
    boot: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            readable=False,
            help="Where its separate /boot is mounted, if it has one.",
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Adopt a system: give it boot environments.

    Nothing of the original root is changed: it stays a boot environment of its own. Only a system
    that is not running is adopted: mount its top level and name it with --sysroot. With --esp its
    GRUB is made to count trials: without, it boots whatever it booted before.
    """
    from snaproot.adoption import execute
    from snaproot.packages import Progress
    from snaproot.system import is_adopted, top_level

    with top_level(call.sysroot) as top:
        if call.sysroot is None and not (call.esp and is_adopted(top)):
            raise _running(top)
        plan = _planned(top, boot, call.esp)
        _print_plan(call.output, plan)
        if not dry_run:
            call.agreed("Adopt it like this?")
            with call.output.progress() as report:
                execute(plan, top, lambda step: report(Progress(step)))
    shape = {"plan": asdict(plan), "adopted": not dry_run}
    call.output.result(shape, lambda: None if dry_run else _print_result(call.output, plan))


def _running(top: Path) -> SnaprootError:
    from snaproot.system import is_adopted

    if is_adopted(top):
        return NothingToDo("this system is adopted already", hint="snaproot status shows it")
    return Refused(
        "only a system that is not running can be adopted so far; nothing was changed",
        hint="boot a rescue system, then: mount -o subvolid=5 DEVICE /mnt && "
        "snaproot --sysroot /mnt init",
    )


def _planned(top: Path, boot: Path | None, esp: Path | None) -> "AdoptionPlan":
    from datetime import UTC, datetime

    from snaproot.adoption import plan, survey
    from snaproot.ids import next_id

    return plan(survey(top, boot=boot, esp=esp), next_id("b", [], datetime.now(UTC)))


def _print_plan(output: Output, plan: "AdoptionPlan") -> None:
    if plan.resumes:
        output.say("This system is adopted already. What is left to do:")
        _print_steps(output, plan)
        return
    kernel = f", Linux {plan.kernel}" if plan.kernel else ""
    output.say(f"{plan.os or 'A root'}{kernel}, in {plan.root or 'the top level'}:")
    _print_steps(output, plan)
    for finding in plan.findings:
        output.paragraph(f"note: {finding}", indent=6)
    output.say(f"{size(plan.needed)} are needed.")


def _print_steps(output: Output, plan: "AdoptionPlan") -> None:
    for number, step in enumerate(plan.steps, 1):
        output.paragraph(f"{number:>3}. {step}", indent=5)


def _print_result(output: Output, plan: "AdoptionPlan") -> None:
    if plan.resumes:
        output.say("Done. Look around: snaproot status, snaproot doctor")
        return
    output.say(f"Adopted: {plan.id} is the base and the default, {plan.original} is kept.")
    output.say("Look around: snaproot status, snaproot list, snaproot doctor")
