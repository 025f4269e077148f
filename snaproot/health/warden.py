"""The process between snaproot and its probes: it starts them, bounds them and buries them.

It has no other children, so whatever its probes leave behind it can find; and when snaproot is
killed, by whatever signal, the kernel tells it and it takes everything down with itself.
"""

import json
import os
import select
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType

from snaproot.health import Finding, Outcome, Probe, Result
from snaproot.health.attempt import Attempt, start
from snaproot.health.processes import Handler, end_all_but, forked


class Stopped(BaseException):
    """Somebody wants the warden to end."""


@dataclass(slots=True)
class Asked:
    """How far one probe is. Times are `time.monotonic()`."""

    probe: Probe
    attempts: int = 0
    spent: float = 0.0
    due: float = 0.0
    answer: Outcome | None = None

    def finding(self, outcome: Outcome) -> Finding:
        """Sum up."""
        probe, milliseconds = self.probe, round(self.spent * 1000)
        told = (outcome.result, outcome.reason, outcome.evidence, milliseconds, self.attempts)
        return Finding(probe.name, probe.severity, *told)


@dataclass(slots=True)
class Warden:
    """Asks all probes, at most `parallel` at a time, and writes each finding to a pipe."""

    waiting: list[Asked]
    deadline: float
    parallel: int
    writer: int
    running: dict[int, tuple[Asked, Attempt]] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)

    def work(self) -> None:
        """Ask until every probe is through, or the deadline is there."""
        try:
            while (self.waiting or self.running) and time.monotonic() < self.deadline:
                if not self._begin():
                    self._listen()
            self._give_up()
        finally:
            end_all_but(set())

    def _begin(self) -> bool:
        """Start what may start; tell whether one was settled unasked, and others may be by that."""
        settled = False
        for asked in [*self.waiting]:
            blocked = [name for name in asked.probe.after if self._settled_badly(name)]
            if blocked:
                self._settle(asked, Outcome(Result.UNKNOWN, f"not asked: {blocked[0]} is not good"))
                settled = True
            elif len(self.running) < self.parallel and self._ready(asked):
                self._start(asked)
        return settled

    def _settled_badly(self, name: str) -> bool:
        return self.results.get(name, Result.GOOD) is not Result.GOOD

    def _ready(self, asked: Asked) -> bool:
        first = all(name in self.results for name in asked.probe.after)
        return first and asked.due <= time.monotonic()

    def _start(self, asked: Asked) -> None:
        asked.attempts += 1
        self.waiting.remove(asked)
        self._tell({"probe": asked.probe.name, "attempt": asked.attempts})
        attempt = start(asked.probe, asked.attempts, self.deadline)
        self.running[attempt.reader] = asked, attempt

    def _listen(self) -> None:
        """Wait for an answer, for a time that is up, or for a probe that may be asked again."""
        poll = select.poll()
        for reader in self.running:
            poll.register(reader, select.POLLIN)
        ended = [r for r, _ in poll.poll(self._patience()) if self.running[r][1].listen()]
        now = time.monotonic()
        late = [r for r, (_, one) in self.running.items() if one.until <= now and r not in ended]
        for reader in (*ended, *late):
            self._end(*self.running.pop(reader))

    def _patience(self) -> int:
        """Say for how many milliseconds nothing has to be done."""
        full = len(self.running) >= self.parallel
        due = [one.due for one in self.waiting if one.due and not full]
        next_one = min([one.until for _, one in self.running.values()] + due + [self.deadline])
        return max(round((next_one - time.monotonic()) * 1000) + 1, 0)

    def _end(self, asked: Asked, attempt: Attempt) -> None:
        """Take an answer, or that none came; ask again if that may help."""
        outcome = attempt.close()
        end_all_but({one.pid for _, one in self.running.values()})
        now = time.monotonic()
        asked.spent += now - attempt.begun
        if now < self.deadline or asked.answer is None:
            asked.answer = outcome
        asked.due = now + asked.probe.delay
        again = outcome.result is not Result.GOOD and asked.attempts <= asked.probe.retries
        if again and asked.due < self.deadline:
            self.waiting.append(asked)
        else:
            self._settle(asked, asked.answer)

    def _give_up(self) -> None:
        """Settle what has not been by the deadline: by its last answer, if it gave one."""
        left = [asked for asked, _ in self.running.values()]
        for _, attempt in self.running.values():
            attempt.close()
        for asked in (*left, *self.waiting):
            none = Outcome(Result.UNKNOWN, "no answer by the overall deadline")
            self._settle(asked, asked.answer or none)
        self.running.clear()

    def _settle(self, asked: Asked, outcome: Outcome) -> None:
        if asked in self.waiting:
            self.waiting.remove(asked)
        self.results[asked.probe.name] = outcome.result
        self._tell({"finding": asked.finding(outcome).shape()})

    def _tell(self, event: object) -> None:
        line = json.dumps(event).encode() + b"\n"
        while line:
            line = line[os.write(self.writer, line) :]


def start_warden(probes: Sequence[Probe], deadline: float, parallel: int, writer: int) -> int:
    """Start the warden, which writes to `writer`; return its process id."""
    warden = Warden([Asked(probe) for probe in probes], deadline, parallel, writer)
    ignored = signal.SIG_IGN
    handlers: dict[signal.Signals, Handler] = {
        signal.SIGTERM: _stop,
        signal.SIGINT: ignored,
        signal.SIGHUP: ignored,
    }
    return forked(lambda: _live(warden), end=signal.SIGTERM, handlers=handlers)


def _live(warden: Warden) -> None:
    try:
        warden.work()
    finally:
        end_all_but(set())  # if we were stopped in the middle of doing so


def _stop(_: int, __: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what follows is short, and must not be cut
    raise Stopped
