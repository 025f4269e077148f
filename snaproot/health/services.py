"""Are the services up, as systemd sees them."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from snaproot.errors import SnaprootError
from snaproot.health import Outcome, Result
from snaproot.run import run

_TICK = 0.5  # seconds between two looks at something that starts
_QUIET = 3.0  # seconds
_AGAIN = ("auto-restart", "auto-restart-queued")
_SHOWN = ("Id", "LoadState", "ActiveState", "SubState", "Result", "Job")
_SYSTEMCTL = ("systemctl", "--no-pager", "--no-legend")
_COLUMNS = 4  # of list-jobs: number, unit, kind, state
_UP = ("active", "reloading", "refreshing")


def failed() -> tuple[str, ...]:
    """Name the units that have failed. Raises SnaprootError where systemd does not answer."""
    return troubled()[0]


def troubled() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name the units that have failed, and those that ended and will be started again.

    Raises SnaprootError where systemd does not answer.
    """
    wanted = f"--state=failed,{','.join(_AGAIN)}"
    said = run([*_SYSTEMCTL, "--output=json", "list-units", wanted]).output
    try:
        units = json.loads(said)
        if isinstance(units, list):
            again = {unit["unit"] for unit in units if unit["sub"] in _AGAIN}
            dead = {unit["unit"] for unit in units} - again
            return tuple(sorted(dead)), tuple(sorted(again))
    except (ValueError, TypeError, KeyError) as error:
        raise SnaprootError("systemctl list-units printed no list of units") from error
    raise SnaprootError("systemctl list-units printed no list of units")


def starting() -> tuple[str, ...]:
    """Name the units whose start job runs, without whoever asks; jobs that only wait are not.

    No JSON here: systemd 252 prints plain columns whatever is asked for.
    """
    lines = run([*_SYSTEMCTL, "--plain", "list-jobs"]).output.splitlines()
    jobs = (fields for line in lines if len(fields := line.split()) >= _COLUMNS)
    ours = _own_units(Path("/proc/self/cgroup").read_text(errors="replace"))
    running = {unit for _, unit, kind, state, *_ in jobs if (kind, state) == ("start", "running")}
    return tuple(sorted(running - ours))


def nothing_new_failed(before: Callable[[], Sequence[str]], seconds: float) -> Outcome:
    """Tell whether a unit failed that had not failed `before`, on the last good root.

    Waits for units that are starting, at most so long, and for a while in which none is: what dies
    at once has died by then. One that starts longer is told, but is not bad: systemd ends what
    hangs by the unit's own TimeoutStartSec=, and what must be up is named in `required_units`.
    One that ends and is started again all the time is bad.
    """
    known = {*before()}
    until = time.monotonic() + seconds
    quiet_since = time.monotonic()
    while True:
        dead, again = ([unit for unit in units if unit not in known] for units in troubled())
        on_the_way, now = starting(), time.monotonic()
        quiet_since = now if on_the_way or again else quiet_since
        if dead or now - quiet_since >= _QUIET or now + _TICK >= until:
            break
        time.sleep(_TICK)
    return _nothing_new(sorted(known), dead, again, on_the_way)


def _nothing_new(
    known: Sequence[str], dead: Sequence[str], again: Sequence[str], on_the_way: Sequence[str]
) -> Outcome:
    evidence = {
        "failed": [*dead],
        "failed_before": [*known],
        "restarting": [*again],
        "starting": [*on_the_way],
    }
    if dead:
        return Outcome(Result.BAD, f"{_list(dead)} failed", evidence)
    if again:
        return Outcome(Result.BAD, f"{_list(again)} ended, and is started again", evidence)
    said = "no unit failed" + (" that had not before" if known else "")
    late = f"; still starting: {_list(on_the_way)}" if on_the_way else ""
    return Outcome(Result.GOOD, said + late, evidence)


def all_active(units: Sequence[str], seconds: float) -> Outcome:
    """Tell whether the named units are active; waits for those that are starting."""
    until = time.monotonic() + seconds
    while True:
        states = _states(units)
        down = {unit: state for unit, state in states.items() if not state.up}
        settled = [unit for unit, state in down.items() if not state.on_the_way]
        if settled or not down or time.monotonic() + _TICK >= until:
            break
        time.sleep(_TICK)
    evidence = {unit: state.text for unit, state in states.items()}
    said = ", ".join(f"{unit} is {state.text}" for unit, state in down.items())
    if settled or any(state.dies for state in down.values()):
        return Outcome(Result.BAD, said, evidence)
    if down:
        return Outcome(Result.UNKNOWN, f"{said} after {seconds:g} s", evidence)
    return Outcome(Result.GOOD, f"{_list(units)} {'is' if len(units) == 1 else 'are'} up", evidence)


@dataclass(frozen=True, slots=True)
class State:
    """One unit's state, from `systemctl show`."""

    load: str
    active: str
    sub: str
    job: bool
    result: str

    @property
    def up(self) -> bool:
        return self.active in _UP

    @property
    def on_the_way(self) -> bool:
        """Tell whether it is starting, or a job for it is queued."""
        return self.active == "activating" or self.job

    @property
    def dies(self) -> bool:
        """Tell whether it ended, and systemd will start it again: only time tells it from good."""
        return self.sub.startswith("auto-restart")

    @property
    def text(self) -> str:
        """Say it as `systemctl status` does."""
        if self.load not in {"loaded", ""}:
            return self.load
        why = f", {self.result}" if self.active == "failed" and self.result else ""
        return f"{self.active} ({self.sub}{why})"


def parse(output: str) -> Mapping[str, State]:
    """Read what `systemctl show` prints: a block for each unit, under the name it is really."""
    blocks = (
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for block in output.split("\n\n")
    )
    return {
        block["Id"]: State(
            load=block.get("LoadState", ""),
            active=block["ActiveState"],
            sub=block.get("SubState", ""),
            job=block.get("Job", "") not in {"", "0"},
            result=block.get("Result", ""),
        )
        for block in blocks
        if "Id" in block
    }


def _states(units: Sequence[str]) -> Mapping[str, State]:
    """Ask for each unit by itself: what an alias stands for has another name in the answer."""
    words = [*_SYSTEMCTL, "show", f"--property={','.join(_SHOWN)}"]
    found: dict[str, State] = {}
    for unit in units:
        states = [*parse(run([*words, "--", unit]).output).values()]
        if not states:
            raise SnaprootError(f"systemctl says nothing about {unit}")
        found[unit] = states[0]
    return found


def _own_units(cgroups: str) -> frozenset[str]:
    """Name the units that we run in, from /proc/self/cgroup."""
    return frozenset(part for line in cgroups.splitlines() for part in line.split("/"))


def _list(units: Sequence[str]) -> str:
    return ", ".join(units)
