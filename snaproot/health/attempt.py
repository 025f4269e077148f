"""One attempt of one probe: a forked process with a session of its own, and the pipe it answers by.

Forking costs a millisecond where a new interpreter costs seconds, on a slow machine.
"""

import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from snaproot.health import Outcome, Probe, Result
from snaproot.health.processes import end, forked

GRACE = 1.0
"""Seconds beyond its timeout in which a probe that keeps time itself can still say what it saw."""

_MOST = 1 << 20  # bytes of an answer
_DEFAULT = dict.fromkeys((signal.SIGTERM, signal.SIGINT, signal.SIGHUP), signal.SIG_DFL)


@dataclass(slots=True)
class Attempt:
    """A probe that is being asked; times are `time.monotonic()`."""

    probe: Probe
    number: int
    pid: int
    reader: int
    begun: float
    until: float
    said: bytearray = field(default_factory=bytearray)

    def listen(self) -> bool:
        """Read what can be read; tell whether the answer is complete, or will not come."""
        chunk = os.read(self.reader, 1 << 16)
        self.said += chunk
        return not chunk or self.said.endswith(b"\n") or len(self.said) > _MOST

    def close(self) -> Outcome:
        """End the process, and say what it answered; the caller looks after orphans."""
        os.close(self.reader)
        if not self.said.endswith(b"\n"):
            return self._unanswered(end(self.pid))
        end(self.pid)
        return _read(json.loads(self.said))

    def _unanswered(self, status: int | None) -> Outcome:
        if time.monotonic() >= self.until:
            whole = self.until - self.begun >= self.probe.timeout
            when = f"in {self.probe.timeout:g} s" if whole else "by the overall deadline"
            return Outcome(Result.UNKNOWN, f"no answer {when}")
        return Outcome(Result.UNKNOWN, f"the probe ended without an answer ({_ended(status)})")


def _ended(status: int | None) -> str:
    if status is None:
        return "and the kernel does not let go of it"
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"status {os.WEXITSTATUS(status)}"


def start(probe: Probe, number: int, deadline: float) -> Attempt:
    """Ask a probe, until its timeout or the overall deadline, whichever comes first."""
    begun = time.monotonic()
    until = min(begun + probe.timeout + GRACE, deadline)
    reader, writer = os.pipe()
    pid = forked(lambda: _ask(probe, writer), end=signal.SIGKILL, handlers=_DEFAULT)
    os.close(writer)
    return Attempt(probe, number, pid, reader, begun, until)


def _ask(probe: Probe, writer: int) -> None:
    try:
        answer = _rendered(probe.run())
    except BaseException as error:  # noqa: BLE001 - a probe that breaks has not said no
        answer = _rendered(Outcome(Result.UNKNOWN, _first_line(error)))
    while answer:
        answer = answer[os.write(writer, answer) :]


def _first_line(error: BaseException) -> str:
    from snaproot.errors import SnaprootError

    said = (str(error).splitlines() or [""])[0]
    if isinstance(error, SnaprootError):
        return said
    return f"the probe crashed: {type(error).__name__}: {said}".removesuffix(": ")


def _rendered(outcome: Outcome) -> bytes:
    result, evidence = str(outcome.result), dict(outcome.evidence)
    shape = {"result": result, "reason": outcome.reason, "evidence": evidence}
    return json.dumps(shape).encode() + b"\n"


def _read(answer: Mapping[str, object]) -> Outcome:
    evidence = answer["evidence"]
    assert isinstance(evidence, dict)  # noqa: S101 - `_rendered` wrote it
    return Outcome(Result(str(answer["result"])), str(answer["reason"]), evidence)
