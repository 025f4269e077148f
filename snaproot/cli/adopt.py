"""The verb that adopts a system: init."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snaproot.cli.app import Call, DryRun, verb
from snaproot.errors import NothingToDo, UsageError
from snaproot.output import Output, size

if TYPE_CHECKING:
    from snaproot.adoption import AdoptionPlan


@verb(
    "snaproot init -n",
    "snaproot init",
    "snaproot --sysroot /mnt --esp /mnt/esp init",
    "snaproot --sysroot /mnt init --boot /mnt/boot-partition",
    "snaproot init --trust-root 1.root.json",
)
def init(
    call: Call,
    boot: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            readable=False,
            help="Where its separate /boot is mounted, if it has one; with --sysroot.",
        ),
    ] = None,
    writable: Annotated[
        bool,
        typer.Option("--writable", help="Mark the root that runs as writable: nothing is sealed."),
    ] = False,
    trust_root: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The TUF root that will vouch for policies: it is pinned."
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Adopt a system: give it boot environments.

    Nothing of the original root is changed: it stays a boot environment of its own. On a running
    system the adopted root is tried at the next boot, and what is wrong with it brings the original
    back. With --sysroot, for a system that does not run, it is the base at once; with --esp its
    GRUB is made to count trials, without, it boots whatever it booted before.
    """
    _check_words(call, boot, writable=writable)
    root = None if trust_root is None else _read_root(trust_root)
    try:
        if call.sysroot is None:
            _adopt_running(call, writable=writable, dry_run=dry_run)
        else:
            _adopt_elsewhere(call, call.sysroot, boot, dry_run=dry_run)
    except NothingToDo:
        if root is None or dry_run:  # a cut may have come between adopting and pinning
            raise
    if root is not None and not dry_run:
        _pin(call, root)


def _check_words(call: Call, boot: Path | None, *, writable: bool) -> None:
    if boot is not None and call.sysroot is None:
        raise UsageError("--boot goes with --sysroot; nothing was changed", hint="leave it out")
    if writable and call.sysroot is not None:
        raise UsageError(
            "--writable is for the root that runs; nothing was changed", hint="leave it out"
        )


def _read_root(path: Path) -> bytes:
    """Read a root before anything is done. Raises Distrusted for a file that is none."""
    from snaproot.trust import tufclient
    from snaproot.trust.artifact import content
    from snaproot.trust.store import LIMIT

    read = content(path, LIMIT)
    tufclient.signed_root(read)
    return read


def _pin(call: Call, root: bytes) -> None:
    """Pin a root in what was adopted; the same once more is fine."""
    from snaproot.trust import delivery

    with call.locked("init") as system:
        delivery.pin(system.trust, root)
    call.output.announce("the root is pinned; fetch what it vouches for: snaproot trust update")


def _adopt_elsewhere(call: Call, sysroot: Path, boot: Path | None, *, dry_run: bool) -> None:
    from snaproot.adoption import execute
    from snaproot.packages import Progress
    from snaproot.system import top_level

    with top_level(sysroot) as top:
        plan = _planned(top, boot, call.esp)
        _print_plan(call.output, plan)
        if not dry_run:
            call.agreed("Adopt it like this?")
            with call.output.progress() as report:
                execute(plan, top, lambda step: report(Progress(step)))
    shape = {"plan": asdict(plan), "adopted": not dry_run}
    call.output.result(shape, lambda: None if dry_run else _print_result(call.output, plan))


def _adopt_running(call: Call, *, writable: bool, dry_run: bool) -> None:
    """Adopt what runs: a tree and a loader's home that change nothing, then a trial."""
    from snaproot.adoption import is_taken, running
    from snaproot.packages import Progress
    from snaproot.system import top_level

    with top_level(None) as top, ExitStack() as held:
        esp = None if is_taken(top) else held.enter_context(_usable_esp(call.esp))
        plan = _planned(top, None, esp or call.esp, booted=True, writable=writable)
        _print_plan(call.output, plan)
        if not dry_run:
            call.agreed("Adopt it like this?")
            with call.output.progress() as report:
                running.prepare(plan, top, lambda step: report(Progress(step)))
    armed = not (dry_run or plan.resumes or plan.writable)
    shape = {"plan": asdict(plan), "adopted": not dry_run and not armed}
    if armed:
        shape |= _staged(call, plan)
    call.output.result(shape, lambda: None if dry_run else _print_adopted(call.output, plan))


def _staged(call: Call, plan: "AdoptionPlan") -> dict[str, object]:
    from snaproot.adoption import running
    from snaproot.cli import shapes
    from snaproot.packages import Progress

    with call.locked("init") as system, call.output.progress() as report:
        create, build = running.steps(plan, system.top, lambda step: report(Progress(step)))
        made = system.transaction.adopt(create, build)
        recorded = system.records.load().pending or made
    return {"deployment": shapes.deployment(recorded)}


@contextmanager
def _usable_esp(given: Path | None) -> Iterator[Path]:
    """Yield the ESP of a machine that can be adopted. Raises Refused where it cannot."""
    from snaproot import machine

    seen = machine.look(esp=given)
    machine.refuse(seen)
    if seen.esp is None:
        raise RuntimeError("a machine without an ESP is refused")
    with machine.mounted(seen.esp) as place:
        yield place


def _planned(
    top: Path,
    boot: Path | None,
    esp: Path | None,
    *,
    booted: bool = False,
    writable: bool = False,
) -> "AdoptionPlan":
    from datetime import UTC, datetime

    from snaproot.adoption import plan, survey
    from snaproot.ids import next_id

    found = survey(top, boot=boot, esp=esp, booted=Path("/") if booted else None)
    id, bootmenu = next_id("b", [], datetime.now(UTC)), _has_bootmenu()
    return plan(found, id, writable=writable, bootmenu=bootmenu)


def _has_bootmenu() -> bool:
    """Tell whether ZFSBootMenu was chosen; nothing finds that out by itself."""
    from snaproot import config

    return config.load().bootloader.backend is config.Backend.ZFSBOOTMENU


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


def _print_adopted(output: Output, plan: "AdoptionPlan") -> None:
    root = plan.root or "the top level"
    if plan.resumes:
        output.say("Done. Look around: snaproot status, snaproot doctor")
        return
    if plan.writable:
        output.paragraph(f"{root} is marked as writable, and boots through snaproot's menu.")
        return
    output.paragraph(
        "The next boot tries the adopted root. If it is good it is kept; if not, the machine comes "
        f"back to {root} as it is, by itself."
    )
    output.paragraph(
        "Until the boot after that, what is shared stays in the original's own directories. "
        "Packages and /etc are as of now: what changes before the reboot is not in it. "
        "To drop it before the next boot: snaproot abandon"
    )
