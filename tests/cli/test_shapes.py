"""The JSON shapes, key by key: a script may rely on them."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import snaproot.cli
from snaproot.backoff import Failure
from snaproot.boot import login
from snaproot.bootloader import Capability
from snaproot.cli import shapes
from snaproot.environment import Environment, PackageChange, Standing
from snaproot.errors import NeedsRecovery
from snaproot.filesystem import Change, PathChange
from snaproot.health import Finding, Outcome, Probe, Result, Severity, judge
from snaproot.health.baseline import Baseline
from snaproot.overview import Overview
from snaproot.packages import Plan
from snaproot.recovery import Decision, Do
from snaproot.room import Going, Place
from snaproot.selection import Chosen, Step
from snaproot.state import Deployment, Kind, LoaderView, Phase, Record
from snaproot.verdicts import Verdict

MANUAL = (Path(snaproot.cli.__file__).parent / "JSON.md").read_text(encoding="utf-8")
BASE = Environment(
    id="b1",
    origin="adopt",
    command="init",
    created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    kernel="6.1",
    standing=Standing.PROVEN,
    sealed=True,
)
DEPLOYMENT = Deployment(
    id="d2",
    kind=Kind.UPGRADE,
    parent="b1",
    base="b1",
    target="b2",
    created_target=True,
    phase=Phase.ARMED,
    tries=2,
)
SEEN = Overview(
    environments=[BASE, Environment(id="b2", parent="b1", damage="torn", unverified=("b0",))],
    booted="b1",
    default="b2",
    loader=LoaderView(good="b2"),
    capability=Capability(counts=False, one_shot=False, summary="cannot count"),
    record=Record(base="b1", pending=DEPLOYMENT),
    trouble=None,
    next_step=Decision(Do.REPORT, "b2 is armed"),
    at_work="",
    edits=(PathChange("/etc/motd", Change.CHANGED),),
    verdict=Verdict(
        time="2026-01-02T03:04:05+00:00",
        boot_id="boot0",
        deployment="d1",
        kind="upgrade",
        target="b0",
        base="b1",
        result="bad",
        by="health",
        reason="services.failed: app.service failed",
    ),
    left_behind={"b0": ["/var/lib/app"]},
)


def test_what_failed_in_the_background() -> None:
    last = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    failure = Failure("c1", 2, last, "apt-get exited 100")
    assert shapes.background(failure) == {
        "times": 2,
        "last": "2026-01-02T03:04:05+00:00",
        "again": "2026-01-02T15:04:05+00:00",
        "reason": "apt-get exited 100",
    }
    assert "failed 2 times in a row" in [*login.lines(replace(SEEN, failure=failure))][-1]


def test_status() -> None:
    assert shapes.status(SEEN) == {
        "restricted": False,
        "booted": "b1",
        "default": "b2",
        "base": "b1",
        "pending": {
            "id": "d2",
            "kind": "upgrade",
            "phase": "armed",
            "parent": "b1",
            "base": "b1",
            "target": "b2",
            "created_target": True,
            "tries": 2,
            "attempts_used": 0,
            "attempts_given_back": 0,
            "reason": None,
        },
        "loader": {
            "counts": False,
            "one_shot": False,
            "summary": "cannot count",
            "obstacle": None,
        },
        "at_work": None,
        "interrupted": None,
        "stranded": None,
        "unfinished": None,
        "tries_left": None,
        "verdict": {
            "time": "2026-01-02T03:04:05+00:00",
            "deployment": "d1",
            "target": "b0",
            "result": "bad",
            "by": "health",
            "reason": "services.failed: app.service failed",
        },
        "edits": [{"path": "/etc/motd", "change": "changed"}],
        "left_behind": {"b0": ["/var/lib/app"]},
        "background": None,
        "environments": [
            {
                "id": "b1",
                "parent": None,
                "origin": "adopt",
                "command": "init",
                "created": "2026-01-02T03:04:05+00:00",
                "kernel": "6.1",
                "standing": "proven",
                "sealed": True,
                "pinned": False,
                "roles": ["running", "base"],
                "damage": None,
                "beneath": None,
                "unverified": [],
            },
            {
                "id": "b2",
                "parent": "b1",
                "origin": None,
                "command": None,
                "created": None,
                "kernel": None,
                "standing": "unproven",
                "sealed": False,
                "pinned": False,
                "roles": ["default", "armed"],
                "damage": "torn",
                "beneath": None,
                "unverified": ["b0"],
            },
        ],
    }


def test_space_is_only_there_where_it_was_asked_for() -> None:
    with_space = shapes.listing(SEEN, {"b1": 7, "b2": 0})["environments"]
    assert isinstance(with_space, list)
    assert [one["exclusive_bytes"] for one in with_space] == [7, 0]


@pytest.mark.parametrize(
    ("changed", "interrupted"),
    [
        ({"next_step": Decision(Do.DISCARD_WORK, "staging was cut")}, "staging was cut"),
        ({"next_step": Decision(Do.SPEND, "given up", reboot=True)}, "given up"),
        ({"next_step": Decision(Do.DISCARD_WORK, "cut"), "at_work": "snaproot run"}, None),
        ({"record": None, "trouble": NeedsRecovery("torn"), "next_step": None}, "torn"),
    ],
)
def test_interrupted_is_what_recover_would_settle(
    changed: dict[str, object], interrupted: str | None
) -> None:
    seen = Overview(**{f.name: getattr(SEEN, f.name) for f in fields(Overview)} | changed)
    assert shapes.status(seen)["interrupted"] == interrupted


def test_what_only_a_reboot_settles_says_so() -> None:
    assert replace(SEEN, next_step=Decision(Do.SPEND, "given up", reboot=True)).remedy == "reboot"
    assert replace(SEEN, next_step=Decision(Do.DISCARD_WORK, "cut")).remedy == "snaproot recover"


def test_a_plan() -> None:
    plan = Plan((PackageChange("new", "", "1"), PackageChange("gone", "1", "")), 10, -5)
    assert shapes.plan(plan) == {
        "packages": [
            {"name": "new", "before": None, "after": "1"},
            {"name": "gone", "before": "1", "after": None},
        ],
        "download_bytes": 10,
        "disk_bytes": -5,
    }


def test_paths_steps_and_decisions() -> None:
    assert shapes.paths([PathChange("/a", Change.ADDED)]) == [{"path": "/a", "change": "added"}]
    assert shapes.chosen(Chosen(Step.POINT_BACK, "b1", "so")) == {
        "step": "point back",
        "target": "b1",
        "why": "so",
    }
    assert shapes.decisions([Decision(Do.JUDGE, "this is it")]) == [
        {"did": "judge", "why": "this is it", "reboot": False}
    ]


def test_the_manual_names_every_key_and_every_word() -> None:
    status = shapes.status(replace(SEEN, at_work="x"))
    pieces = [shapes.environment(BASE, ()), shapes.deployment(DEPLOYMENT) or {}, status]
    words = {key for piece in pieces for key in piece}
    words |= {*Standing, *Step, *Phase, *Change}
    probe = Probe("p", lambda: Outcome(Result.GOOD, ""))
    finding = Finding("p", Severity.WANTED, Result.GOOD, "", {}, 0, 1)
    words |= {*finding.shape(), *judge([finding]).shape(), *Baseline().shape(), *Result, *Severity}
    words |= {*shapes.probe(probe), "probes", "baseline", "recorded_now"}
    place, going = Place("the ESP", Path("/esp"), 1, 1, 1), Going("b1", "old", 1, 1)
    words |= {*place.shape(), *going.shape(), "room", "places", "going", "by_hand"}
    assert not [word for word in words if f"`{word}`" not in MANUAL]
