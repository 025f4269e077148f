"""Real processes: whatever a probe does, there is an answer in time, and nothing is left of it."""

import ctypes
import faulthandler
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from snaproot.health import Finding, Outcome, Probe, Result, Severity
from snaproot.health.runner import check, insist
from tests.health.asking import answer, survivors, zombies

GOOD = Outcome(Result.GOOD, "yes")
BAD = Outcome(Result.BAD, "no")


def always(outcome: Outcome) -> Callable[[], Outcome]:
    return lambda: outcome


def hang() -> Outcome:
    time.sleep(60)
    return GOOD


def kill_self() -> Outcome:
    os.kill(os.getpid(), signal.SIGKILL)
    return GOOD


def abort() -> Outcome:
    faulthandler.disable()  # pytest's would print a page
    os.abort()


def leave() -> Outcome:
    sys.exit(0)


def by_turns(place: Path, *outcomes: Outcome) -> Callable[[], Outcome]:
    """Answer differently each time; what was asked before is remembered on disk."""

    def asked() -> Outcome:
        with place.open("a") as file:
            file.write("x")
        return outcomes[place.stat().st_size - 1]

    return asked


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (lambda: 1 // 0, "the probe crashed: ZeroDivisionError: "),
        (kill_self, r"ended without an answer (SIGKILL)"),
        (abort, "ended without an answer (SIGABRT)"),
        (leave, "the probe crashed: SystemExit: 0"),
        (lambda: os._exit(0), "ended without an answer (status 0)"),
        (
            lambda: Outcome(Result.GOOD, "x", {"x": object()}),
            "crashed: TypeError: Object of type object is not JSON",
        ),
        (lambda: None, "the probe crashed"),
    ],
    ids=["raises", "killed", "aborts", "exits", "exits at once", "no JSON", "nothing"],
)
def test_a_probe_that_breaks_is_unknown(run: Callable[[], Outcome], says: str) -> None:
    found = answer(run)
    assert found.result is Result.UNKNOWN
    assert says in found.reason


def test_an_answer_comes_back_whole() -> None:
    evidence = {"text": "ä\ud800\n" * 50_000, "numbers": [1, -2], "none": None}
    found = answer(lambda: Outcome(Result.BAD, "so", evidence))
    assert (found.result, found.reason, found.evidence) == (Result.BAD, "so", evidence)
    assert (found.attempts, found.severity) == (1, Severity.REQUIRED)


def test_a_probe_that_hangs_is_unknown_after_its_timeout() -> None:
    begun = time.monotonic()
    found = answer(hang, timeout=0.2)
    assert (found.result, found.reason) == (Result.UNKNOWN, "no answer in 0.2 s")
    assert 200 <= found.milliseconds < 3000
    assert time.monotonic() - begun < 3


def test_the_deadline_holds_whatever_the_probes_allow_themselves() -> None:
    begun = time.monotonic()
    probes = [Probe(f"p{n}", hang, timeout=50, retries=9) for n in range(6)]
    report = check([*probes, Probe("good", always(GOOD))], 0.5, parallel=2)
    assert time.monotonic() - begun < 2
    assert {f.reason for f in report.findings[:-1]} == {"no answer by the overall deadline"}
    assert report.result is Result.UNKNOWN


def test_an_answer_stands_when_the_deadline_cuts_asking_again() -> None:
    probe = Probe("p", always(BAD), retries=100, delay=0.15)
    (found,) = check([probe], 0.5).findings
    assert (found.result, found.reason) == (Result.BAD, "no")
    assert 2 <= found.attempts <= 4


@pytest.mark.parametrize("first", [BAD, Outcome(Result.UNKNOWN, "?")])
def test_what_is_not_good_is_asked_again(first: Outcome, tmp_path: Path) -> None:
    probe = Probe("p", by_turns(tmp_path / "n", first, first, GOOD, BAD), retries=5, delay=0.05)
    begun = time.monotonic()
    (found,) = check([probe], 20).findings
    assert (found.result, found.attempts) == (Result.GOOD, 3)
    assert time.monotonic() - begun >= 0.1


def test_the_last_answer_counts_when_the_attempts_are_used(tmp_path: Path) -> None:
    unknown = Outcome(Result.UNKNOWN, "?")
    probe = Probe("p", by_turns(tmp_path / "n", unknown, BAD, GOOD), retries=1)
    (found,) = check([probe], 20).findings
    assert (found.result, found.attempts) == (Result.BAD, 2)


UNKNOWN = Outcome(Result.UNKNOWN, "?")


def test_what_nobody_could_answer_is_asked_until_somebody_can(tmp_path: Path) -> None:
    slow = by_turns(tmp_path / "n", UNKNOWN, UNKNOWN, GOOD, BAD)
    probes = [Probe("good", always(GOOD)), Probe("slow", slow, after=("good",))]
    report = insist(probes, 20, pause=0.05)
    assert report.result is Result.GOOD
    assert [found.probe for found in report.findings] == ["good", "slow"]


def test_a_no_is_not_asked_again(tmp_path: Path) -> None:
    probes = [Probe("no", by_turns(tmp_path / "n", BAD, GOOD)), Probe("?", always(UNKNOWN))]
    assert insist(probes, 20, pause=0.05).result is Result.BAD


def test_at_the_deadline_unknown_is_what_it_is() -> None:
    begun = time.monotonic()
    assert insist([Probe("?", always(UNKNOWN))], 0.5, pause=0.1).result is Result.UNKNOWN
    assert 0.3 < time.monotonic() - begun < 2


def nap() -> Outcome:
    time.sleep(0.3)
    return GOOD


def test_independent_ones_run_at_once_up_to_the_bound() -> None:
    probes = [Probe(f"p{n}", nap) for n in range(4)]
    begun = time.monotonic()
    check(probes, 20, parallel=4)
    assert time.monotonic() - begun < 0.9
    begun = time.monotonic()
    check(probes, 20, parallel=2)
    assert 0.6 <= time.monotonic() - begun < 1.8


def test_one_waits_for_those_it_comes_after(tmp_path: Path) -> None:
    mark = tmp_path / "first"

    def first() -> Outcome:
        time.sleep(0.2)
        mark.touch()
        return GOOD

    def second() -> Outcome:
        return GOOD if mark.exists() else BAD

    report = check([Probe("second", second, after=("first",)), Probe("first", first)], 20)
    assert [f.result for f in report.findings] == [Result.GOOD, Result.GOOD]
    assert [f.probe for f in report.findings] == ["second", "first"]


def test_one_is_not_asked_if_what_it_comes_after_is_not_good() -> None:
    c, b = (Probe(name, always(GOOD), after=(first,)) for name, first in ("cb", "ba"))
    begun = time.monotonic()
    report = check([b, c, Probe("a", always(BAD))], 20)
    assert time.monotonic() - begun < 2
    assert [f.result for f in report.findings] == [Result.UNKNOWN, Result.UNKNOWN, Result.BAD]
    assert report.findings[0].reason == "not asked: a is not good"
    assert report.findings[0].attempts == 0


def test_a_wrong_order_is_misuse() -> None:
    a, b = Probe("a", always(GOOD), after=("b",)), Probe("b", always(GOOD), after=("a",))
    for probes, says in (([a, b], "wait for"), ([a], "no probe is named b"), ([b, b], "one name")):
        with pytest.raises(RuntimeError, match=says):
            check(probes, 1)


def test_what_is_told_on_the_way() -> None:
    told: list[tuple[str, Result | None]] = []

    def tell(name: str, finding: Finding | None) -> None:
        told.append((name, finding.result if finding else None))

    check([Probe("a", always(BAD), retries=1)], 20, told=tell)
    assert told == [("a", None), ("a", None), ("a", Result.BAD)]


def test_no_probes() -> None:
    assert check([], 5).result is Result.GOOD


# -- nothing is left -----------------------------------------------------------------------------

STAYS = 'trap "" TERM HUP; (setsid sh -c "sleep 60 & sleep 60" &) ; sleep 60 & exec sleep 60'


def spawning(mark: str, *, then: Callable[[], Outcome]) -> Callable[[], Outcome]:
    """Leave children, and grandchildren in sessions of their own, that ignore what they can."""

    def asked() -> Outcome:
        environment = {"PATH": os.environ["PATH"], "MARK": mark}
        subprocess.Popen(["/bin/sh", "-c", STAYS], env=environment)
        if os.fork() == 0:
            os.setsid()
            subprocess.Popen(["/bin/sleep", "60"], env=environment)
            os._exit(0)
        while len(survivors(mark)) < 5:
            time.sleep(0.01)
        return then()

    return asked


def parent_signal() -> int:
    value = ctypes.c_int()
    ctypes.CDLL(None).prctl(37, ctypes.byref(value), 0, 0, 0)  # PR_GET_CHILD_SUBREAPER
    return value.value


@pytest.mark.parametrize("then", [always(GOOD), hang, kill_self], ids=["good", "hangs", "killed"])
def test_grandchildren_end_with_their_probe(then: Callable[[], Outcome], tmp_path: Path) -> None:
    mark = f"snaproot-test-{os.getpid()}-{tmp_path.name}"
    answer(spawning(mark, then=then), timeout=2, deadline=4)
    assert survivors(mark) == []
    assert zombies() == []
    assert parent_signal() == 0, "the caller became a subreaper"


def test_those_of_one_probe_end_while_another_still_runs(tmp_path: Path) -> None:
    gone, stays = (f"snaproot-test-{os.getpid()}-{tmp_path.name}-{name}" for name in "ab")

    def look() -> Outcome:
        until = time.monotonic() + 5
        while survivors(gone + "x") or not (tmp_path / "through").exists():
            if time.monotonic() > until:
                return BAD
            time.sleep(0.02)
        return GOOD if survivors(stays) and not survivors(gone) else BAD

    first = Probe("first", spawning(gone, then=always(GOOD)))
    second = Probe("second", spawning(stays, then=look))

    def tell(_: str, finding: Finding | None) -> None:
        if finding and finding.probe == "first":
            (tmp_path / "through").touch()

    report = check([first, second], 20, told=tell)
    assert [f.result for f in report.findings] == [Result.GOOD, Result.GOOD]
    assert survivors(stays) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_survives_the_runner(number: signal.Signals, tmp_path: Path) -> None:
    mark = f"snaproot-test-{os.getpid()}-{tmp_path.name}"
    code = f"""
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever is started with & ignores it
from snaproot.health import Probe
from snaproot.health.runner import check, insist
from tests.health.test_runner import hang, spawning
check([Probe("p", spawning({mark!r}, then=hang), timeout=50)], 50)
"""
    runner = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 10
    while len(survivors(mark)) < 5 and time.monotonic() < until:
        time.sleep(0.02)
    assert len(survivors(mark)) >= 5
    runner.send_signal(number)
    runner.wait(10)
    until = time.monotonic() + 5
    while survivors(mark) and time.monotonic() < until:
        time.sleep(0.02)
    assert survivors(mark) == []


def test_probes_have_no_terminal_and_no_input() -> None:
    def look() -> Outcome:
        silent = all(os.fstat(n).st_rdev == Path(os.devnull).stat().st_rdev for n in (0, 1, 2))
        return GOOD if silent and os.getsid(0) == os.getpid() else BAD

    assert answer(look).result is Result.GOOD
