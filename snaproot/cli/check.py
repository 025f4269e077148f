"""Verbs that check and mend: verify, doctor, recover."""

import os
from typing import TYPE_CHECKING

from snaproot.cli.app import Call, verb
from snaproot.cli.choose import OptionalId
from snaproot.errors import ExitCode, NotAdopted, SnaprootError
from snaproot.output import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snaproot.finding import Finding
    from snaproot.system import System


@verb("snaproot recover")
def recover(call: Call) -> ExitCode | None:
    """Finish what was interrupted, and rebuild what cannot be read.

    May run at any time, any number of times. Says what it found and did; ends 4 where a reboot has
    to come first. A damaged record or environment.toml is kept beside the one that replaces it.
    """
    from snaproot.cli import shapes
    from snaproot.mending import mend

    said: list[str] = []
    with call.locked("recover") as system, call.output.without_notices():
        taken = mend(system, said.append)
    last = taken[-1]
    shape = {"mended": said, "decisions": shapes.decisions(taken)}

    def text() -> None:
        for line in said:
            call.output.paragraph(line)
        for decision in taken[:-1]:
            call.output.paragraph(f"{decision.why}: {decision.do}")
        call.output.paragraph(last.why)

    call.output.result(shape, text)
    if not last.reboot:
        return None
    call.output.notice("a reboot has to come first")
    return ExitCode.RECOVER


@verb("snaproot verify", "snaproot verify b4k7q2x")
def verify(call: Call, id: OptionalId = "") -> ExitCode | None:
    """Compare every file with what sealing recorded.

    Without ID: the one that runs, else the default. Ends 3 if anything differs.
    """
    from snaproot.cli import shapes
    from snaproot.packages import Progress

    with call.system() as system, call.output.progress() as report:
        chosen = _meant(system, id)
        found = system.filesystem.verify(chosen, lambda f: report(Progress(f"reading {chosen}", f)))
    shape = {"id": chosen, "differing": shapes.paths(found)}

    def text() -> None:
        for one in found:
            call.output.say(f"{one.change} {one.path}")
        number = "1 file differs" if len(found) == 1 else f"{len(found) or 'no'} files differ"
        call.output.say(f"{chosen}: {number} from what was sealed.")

    call.output.result(shape, text)
    return ExitCode.REFUSED if found else None


@verb("snaproot doctor", "snaproot doctor --json")
def doctor(call: Call) -> ExitCode | None:
    """Examine the system, and say what can go wrong.

    Ends 3 if something is wrong, not for what snaproot or the loader cannot do. Before a system is
    adopted: what the machine is like, and whatever init would refuse it for.
    """
    from snaproot import unadopted
    from snaproot.doctor import examine, unopened

    try:
        with call.system() as system:
            findings = examine(system)
    except NotAdopted as error:
        findings = unadopted.examine(call.sysroot, call.esp, error)
    except SnaprootError as error:
        if os.geteuid() != 0:
            raise
        findings = [unopened(error)]
    shape = {"findings": [one.shape() for one in findings]}
    call.output.result(shape, lambda: _print(call.output, findings))
    return ExitCode.REFUSED if any(one.bad for one in findings) else None


def _meant(system: "System", typed: str) -> str:
    from snaproot.ids import resolve

    known = [one.id for one in system.filesystem.environments()]
    if typed:
        return resolve(typed, known)
    return system.filesystem.booted() or system.filesystem.default() or system.records.load().base


def _print(output: Output, findings: "Sequence[Finding]") -> None:
    for one in findings:
        output.paragraph(f"{one.mark:<5} {one.subject}: {one.what}", indent=6)
        if one.hint:
            output.paragraph(f"      hint: {one.hint}", indent=12)
    bad = sum(one.bad for one in findings)
    output.say(f"{bad} to be settled." if bad else "Nothing is wrong.")
