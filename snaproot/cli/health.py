"""Verbs that ask how the running system is: health check, list, baseline."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from snaproot.cli.app import Call, grouped, verb
from snaproot.errors import ExitCode, NotAdopted, Refused

if TYPE_CHECKING:
    from snaproot.config import Config
    from snaproot.health import Finding, Probe, Report
    from snaproot.health.baseline import Baseline
    from snaproot.health.runner import Told
    from snaproot.output import Output, Table
    from snaproot.packages import Report as Progressing
    from snaproot.system import System

grouped(
    "health",
    "Ask the running system whether it is well.\n\nAs a trial boot is asked before it is promoted.",
    *("snaproot health check", "snaproot health list"),
)


@verb("snaproot health check", "snaproot health check --once --json", group="health")
def check(
    call: Call,
    *,
    once: Annotated[bool, typer.Option("--once", help="Ask every probe only once.")] = False,
) -> ExitCode | None:
    """Ask every health check now.

    The same checks decide whether a trial boot is promoted; there what nobody could answer is asked
    until the deadline, here they change nothing. Ends 3 if a required one is not good.
    """
    from snaproot.health import Result
    from snaproot.health.runner import check as ask
    from snaproot.health.suite import once as only_once

    with _probes(call) as (settings, probes):
        asked = only_once(probes) if once else probes
        with call.output.progress() as report:
            limits = settings.health
            told = _progress(asked, report)
            seconds, parallel = limits.deadline_seconds, limits.parallel
            found = ask(asked, seconds, parallel=parallel, told=told)
    call.output.result(found.shape(), lambda: _print(call.output, found))
    return None if found.result is Result.GOOD else ExitCode.REFUSED


@verb("snaproot health list", "snaproot health list --json", name="list", group="health")
def list_(call: Call) -> None:
    """List the health checks and how patient each is.

    Required ones decide whether a trial boot is promoted, wanted ones are only told.
    """
    from snaproot.cli import shapes

    with _probes(call) as (_, probes):
        shape = {"probes": [shapes.probe(probe) for probe in probes]}
        call.output.result(shape, lambda: call.output.table(_table(probes)))


@verb("snaproot health baseline", "snaproot health baseline --record -y", group="health")
def baseline(
    call: Call,
    *,
    record: Annotated[
        bool, typer.Option("--record", help="Record what is so now as what is usual.")
    ] = False,
) -> None:
    """Show what was wrong on the last good root already.

    It is no fault of the next one. Recorded when a root is promoted: the units that had failed,
    and the error counters of the disks.
    """
    from snaproot.health.baseline import load

    if record:
        _on_this_system(call)
        known = _recorded(call)
    else:
        with call.system() as system:
            known = load(system.records.directory)
    shape = {"baseline": known.shape(), "recorded_now": record}
    call.output.result(shape, lambda: _print_baseline(call.output, known))


def _recorded(call: Call) -> "Baseline":
    """Take the baseline, ask, and save it."""
    from snaproot.health.baseline import save
    from snaproot.health.suite import measure

    with call.locked("health baseline") as system:
        known = measure(system.filesystem.booted() or "")
        if not call.output.json:
            _print_baseline(call.output, known)
        call.agreed("Take this as what is usual on this system?")
        save(system.records.directory, known)
    return known


@contextmanager
def _probes(call: Call) -> "Iterator[tuple[Config, Sequence[Probe]]]":
    """Wire the probes of this system, adopted or not."""
    from snaproot import config
    from snaproot.health.baseline import Baseline, load
    from snaproot.health.suite import Places, probes

    _on_this_system(call)
    with ExitStack() as opened:
        system = _adopted(call, opened)
        if system is None:
            settings = config.load()
            yield settings, probes(settings.health, baseline=Baseline, record=None)
            return
        directory = system.records.directory
        places = Places(written=(*Places().written, directory))
        yield (
            system.config,
            probes(
                system.config.health,
                baseline=lambda: load(directory),
                record=system.records.load,
                places=places,
            ),
        )


def _adopted(call: Call, opened: ExitStack) -> "System | None":
    """Open the system; None where there is none yet, which is no reason not to look at the rest."""
    try:
        return opened.enter_context(call.system())
    except NotAdopted:
        return None


def _on_this_system(call: Call) -> None:
    if call.sysroot is not None:
        raise Refused(
            f"health is asked of the system that runs, not of one below {call.sysroot}; "
            "nothing was changed",
            hint="leave --sysroot out",
        )


def _progress(probes: "Sequence[Probe]", report: "Progressing") -> "Told":
    """Show what is being asked, and how many have answered."""
    from snaproot.packages import Progress

    asked: list[str] = []
    answered: list[str] = []

    def told(name: str, finding: "Finding | None") -> None:
        (asked if finding is None else answered).append(name)
        open_ones = [one for one in asked if one not in answered]
        if open_ones:
            report(Progress(f"asking {open_ones[0]}", len(answered) / len(probes)))

    return told


def _print(output: "Output", found: "Report") -> None:
    from snaproot.output import Table

    rows = [_row(one) for one in found.findings]
    headings = ("PROBE", "RESULT", "SECONDS", "WHY")
    output.table(Table(headings, rows, right=frozenset({"SECONDS"}), cut=("WHY", "PROBE")))
    output.say()
    output.paragraph(f"{found.result}: {found.reason}")


def _row(one: "Finding") -> tuple[str, ...]:
    from snaproot.health import Result, Severity

    result = str(one.result)
    if one.result is not Result.GOOD:
        result = result.upper() if one.severity is Severity.REQUIRED else f"{result} (wanted)"
    again = f" (asked {one.attempts} times)" if one.attempts > 1 else ""
    return one.probe, result, f"{one.milliseconds / 1000:.1f}", one.reason + again


def _table(probes: "Sequence[Probe]") -> "Table":
    from snaproot.output import Table

    headings = ("PROBE", "SEVERITY", "TIMEOUT", "ATTEMPTS", "FROM")
    rows = [
        (p.name, str(p.severity), f"{p.timeout:g} s", str(p.retries + 1), p.source) for p in probes
    ]
    return Table(headings, rows, right=frozenset({"TIMEOUT", "ATTEMPTS"}), cut=("PROBE",))


def _print_baseline(output: "Output", known: "Baseline") -> None:
    if not known.recorded:
        output.paragraph("No baseline has been recorded: every failed unit counts as new.")
        return
    on = f" on {known.environment}" if known.environment else ""
    output.say(f"recorded       {known.recorded}{on}")
    output.say(f"failed units   {', '.join(known.failed_units) or 'none'}")
    for device, counts in known.device_errors.items():
        seen = ", ".join(f"{name.removesuffix('_errs')} {n}" for name, n in counts.items() if n)
        output.say(f"device {device:<7} {seen or 'no errors'}")
