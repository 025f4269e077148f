"""The verb that undoes adoption: deinit."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from snaproot.cli.app import Call, DryRun, verb

if TYPE_CHECKING:
    from snaproot.leaving import LeavingPlan


@verb(
    "snaproot deinit -n",
    "snaproot deinit",
    "snaproot --sysroot /mnt --esp /mnt/esp deinit",
)
def deinit(call: Call, dry_run: DryRun = False) -> None:
    """Give the machine back to the distribution's own boot setup.

    The base becomes an ordinary, writable root where the original was, which is kept beside it;
    what /home, /var and the other shared places hold stays there. GRUB starts as before adoption.
    Typed again after the reboot, it removes what is left over: boot environments, record and log.
    Then the package can go. Refused while a deployment is pending, or if the base does not run.
    """
    from snaproot.leaving import execute, held, plan, survey
    from snaproot.packages import Progress
    from snaproot.system import top_level

    booted = Path("/") if call.sysroot is None else None
    with (
        top_level(call.sysroot) as top,
        held(top, call.wait) as unlock,
        survey(top, call.esp, booted) as facts,
    ):
        made = plan(facts)
        for number, step in enumerate(made.steps, 1):
            call.output.paragraph(f"{number:>3}. {step}", indent=5)
        for finding in made.findings:
            call.output.paragraph(f"note: {finding}", indent=6)
        if not dry_run:
            call.agreed("Leave snaproot like this?")
            with call.output.progress() as report:
                execute(made, facts, top, lambda step: report(Progress(step)), unlock)
    if booted and not dry_run:
        _forget_message()
    shape = {"plan": asdict(made), "left": not dry_run}
    call.output.result(shape, lambda: None if dry_run else _print_result(call, made))


def _forget_message() -> None:
    """Say nothing at login any more."""
    from snaproot.boot.login import PLACE

    PLACE.unlink(missing_ok=True)


def _print_result(call: Call, made: "LeavingPlan") -> None:
    say = call.output.say
    if made.finishes:
        say("Done: nothing of snaproot's is left on this filesystem but its package.")
        return
    say(f"The next boot is {made.place}, by the distribution's own boot setup.")
    if made.aside:
        say(f"The root from before adoption is {made.aside}; delete it when you like.")
    if made.running:
        say(f"Reboot now: what changes in /etc until then stays in {made.base}.")
    say("Once it has booted, remove what is left over: snaproot deinit")
