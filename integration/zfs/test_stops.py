"""The transaction stopped after each call of a protocol on a real pool. Runs in a bench.

The process is killed, the pool exported by force and imported, and what is there is looked at,
recovered, and looked at again.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from integration.test_powercut import BaseRemovedBeforeIdle, StagedBeforeSealed
from integration.zfs import recoveries, stops
from integration.zfs.stops import CODE, Calls, Place
from integration.zfs.test_adoption import POOL
from snaproot.environment import Environment
from snaproot.filesystem import Workspace
from snaproot.filesystem.zfs import commands
from snaproot.run import run
from snaproot.state import Deployment, Kind
from snaproot.transaction import Build, Transaction
from tests.test_crash import DefaultBeforePromotingIsRecorded

BEGINS = {"stage": "adopted", "promote": "stage", "reject": "stage", "come up": "reject"}
"""What each step begins with: the end of another."""

MOST = 36
"""With the four of a host that cuts the power it is forty."""


@dataclass(frozen=True)
class States:
    """A pool and an ESP as each step left them, and the calls that it was made of."""

    home: Path
    place: Place
    calls: Mapping[str, list[str]] = field(default_factory=dict)

    def keep(self, name: str) -> None:
        stops.exported()
        kept = self.home / name
        run(["cp", "-a", "--sparse=always", str(self.home / "now"), str(kept)])

    def put(self, name: str) -> None:
        if run(["zpool", "list", POOL], check=False).status == 0:
            stops.exported()
        run(["rm", "-rf", str(self.home / "now")])
        run(["cp", "-a", "--sparse=always", str(self.home / name), str(self.home / "now")])
        stops.imported(self.place)


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[States]:
    home = tmp_path_factory.mktemp("stops")
    now = home / "now"
    place = Place(now / "pool.img", now, now / "esp", home / "altroot")
    now.mkdir()
    run(["truncate", "-s", "512M", str(place.device)])
    found = States(home, place, calls := {})
    try:
        stops.made(place)
        found.keep("adopted")
        for step, begin in BEGINS.items():
            found.put(begin)
            calls[step] = (stops.alone(partial(stops.taken, place, step)) or "").split(";")
            found.keep(step)
        yield found
    finally:
        run(["zpool", "destroy", "-f", POOL], check=False)
        run(["rm", "-rf", str(home)])


@pytest.mark.parametrize("step", BEGINS)
def test_stopped_after_any_call_it_recovers(
    states: States, step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, call in enumerate(states.calls[step], 1):
        began = time.monotonic()
        states.put(BEGINS[step])
        ended = stops.alone(partial(stops.taken, states.place, step, Calls(number)))
        assert ended is None, f"{step} was not stopped after {call}"
        stops.again(states.place)
        ways = ", ".join(recoveries.recovered(states.place))
        took = time.monotonic() - began
        with capsys.disabled():
            print(f"\n{step}, {number}: {call}: {ways}, {took:.1f} s", end="")


def test_no_call_is_left_out(states: States) -> None:
    made = [call for calls in states.calls.values() for call in calls]
    wanted = {"create", "collect", "seal", "arm", "settle", "leave", "withdraw", "save"}
    assert wanted | {"set_default", "describe", "discard", "flush"} == {*made}
    assert len(made) <= MOST
    assert states.calls["promote"].count("discard") == 1, "no root went by retention"


class DefaultBeforeSealed(Transaction):
    """Points the pool at a root that is not sealed yet."""

    def stage(self, kind: Kind, build: Build, *, arm: bool) -> Deployment:
        def hasty(workspace: Workspace, parent: str) -> Environment:
            environment = build(workspace, parent)
            commands.put_pool(POOL, "bootfs", f"{POOL}/ROOT/{workspace.id}")
            return environment

        return Transaction.stage(self, kind, hasty, arm=arm)


@pytest.mark.parametrize(
    ("bug", "step", "call", "reason"),
    [
        (DefaultBeforeSealed, "stage", "seal", "moved before the verdict"),
        (StagedBeforeSealed, "stage", 4, "half made"),
        (DefaultBeforePromotingIsRecorded, "promote", "set_default", "moved before the verdict"),
        (BaseRemovedBeforeIdle, "promote", "discard", "does not exist"),
    ],
)
def test_planted_bug_is_caught(
    states: States, bug: type[Transaction], step: str, call: int | str, reason: str
) -> None:
    code = replace(CODE, transactions=bug)
    states.put(BEGINS[step])
    assert stops.alone(partial(stops.taken, states.place, step, Calls(call), code)) is None
    stops.again(states.place)
    with pytest.raises(AssertionError, match=reason):
        recoveries.recovered(states.place)
