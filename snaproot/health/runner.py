"""Ask all probes, and judge."""

import json
import os
import select
import signal
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from snaproot.health import Finding, Probe, Report, Result, Severity, judge
from snaproot.health.warden import start_warden

Told = Callable[[str, Finding | None], None]
"""Is told a probe's name whenever it is asked, and with what came of it in the end."""

_GRACE = 3.0  # seconds beyond the deadline for the warden to bury what it started


def check(
    probes: Sequence[Probe],
    deadline: float,
    *,
    parallel: int = 4,
    told: Told = lambda _name, _finding: None,
) -> Report:
    """Ask every probe, `parallel` at a time, for at most `deadline` seconds, and judge.

    Returns soon after the deadline whatever the probes do; what has no answer by then is unknown.
    Nothing that a probe started is left. Raises RuntimeError for two probes of one name, or an
    order that cannot be.
    """
    _check_order(probes)
    until = time.monotonic() + deadline
    found: dict[str, Finding] = {}
    with closing(_events(probes, until, parallel)) as events:
        for event in events:
            if "finding" in event:
                finding = _finding(event["finding"])
                found[finding.probe] = finding
                told(finding.probe, finding)
            else:
                told(str(event["probe"]), None)
    return judge([found.get(probe.name) or _lost(probe) for probe in probes])


def insist(
    probes: Sequence[Probe], deadline: float, *, parallel: int = 4, pause: float = 5.0
) -> Report:
    """Ask, and ask again what nobody could answer, for `deadline` seconds, every `pause` of them.

    A no is a no at once; only time tells silence from a machine that is slow.
    """
    until = time.monotonic() + deadline
    report = check(probes, deadline, parallel=parallel)
    while report.result is Result.UNKNOWN and until - time.monotonic() > pause:
        time.sleep(pause)
        silent = {found.probe for found in report.findings if found.result is Result.UNKNOWN}
        again = [replace(probe, after=()) for probe in probes if probe.name in silent]
        asked = check(again, until - time.monotonic(), parallel=parallel)
        later = {found.probe: found for found in asked.findings}
        report = judge([later.get(found.probe, found) for found in report.findings])
    return report


def _check_order(probes: Sequence[Probe]) -> None:
    order = {probe.name: probe.after for probe in probes}
    if len(order) != len(probes):
        raise RuntimeError("two probes have one name")
    missing = {name for after in order.values() for name in after} - {*order}
    if missing:
        raise RuntimeError(f"no probe is named {min(missing)}")
    try:
        TopologicalSorter(order).prepare()
    except CycleError as error:
        raise RuntimeError(f"probes wait for each other: {error.args[1]}") from error


def _events(
    probes: Sequence[Probe], until: float, parallel: int
) -> Generator[Mapping[str, object], None, None]:
    reader, writer = os.pipe()
    pid = start_warden(probes, until, parallel, writer)
    os.close(writer)
    try:
        for line in _lines(reader, until + _GRACE):
            yield json.loads(line)
    finally:
        os.close(reader)
        _dismiss(pid)


def _lines(reader: int, until: float) -> Iterator[bytes]:
    """Yield whole lines until the other end is closed, or time is up."""
    poll, rest = select.poll(), b""
    poll.register(reader, select.POLLIN)
    while poll.poll(max(round((until - time.monotonic()) * 1000), 0)):
        chunk = os.read(reader, 1 << 16)
        if not chunk:
            return
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole


def _dismiss(pid: int) -> None:
    """See the warden off: at its end, or before it if somebody interrupts us."""
    os.kill(pid, signal.SIGTERM)  # ended already: it is still ours to wait for, so the id is its
    until = time.monotonic() + _GRACE
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() >= until:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return
        time.sleep(0.002)


def _finding(shape: object) -> Finding:
    assert isinstance(shape, dict)  # noqa: S101 - the warden wrote it
    severity, result = Severity(shape.pop("severity")), Result(shape.pop("result"))
    return Finding(severity=severity, result=result, **shape)


def _lost(probe: Probe) -> Finding:
    reason = "the runner was killed before there was an answer"
    return Finding(probe.name, probe.severity, Result.UNKNOWN, reason, {}, 0, 0)
