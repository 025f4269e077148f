"""Which probes there are, by the configuration."""

from dataclasses import replace
from pathlib import Path

import pytest

from snaproot.errors import NeedsRecovery, Refused, SnaprootError
from snaproot.health import Probe, Result, Severity
from snaproot.health.baseline import Baseline
from snaproot.health.scripts import Directories
from snaproot.health.settings import Disk, Health, Network, Services
from snaproot.health.suite import Places, once, probes, readable
from tests.health.asking import answer

NOWHERE = Places(directories=Directories((), (), ()))


def suite(settings: Health) -> dict[str, Probe]:
    listed = probes(settings, baseline=Baseline, record=lambda: None, places=NOWHERE)
    return {probe.name: probe for probe in listed}


def test_the_defaults() -> None:
    assert {name: str(probe.severity) for name, probe in suite(Health()).items()} == {
        "services.failed": "required",
        "disk.writable": "required",
        "disk.space": "required",
        "disk.errors": "required",
        "network.route": "wanted",
        "own.record": "required",
    }


def test_every_setting_reaches_its_probe() -> None:
    terms = {"severity": Severity.WANTED, "timeout_seconds": 7, "retries": 8, "delay_seconds": 9}
    settings = Health(
        services=Services(required_units=("a.service",), **terms),  # type: ignore[arg-type]
        network=Network(
            names=("n", "n"),
            tcp=("t:1",),
            http=("http://h/",),
            **terms,  # type: ignore[arg-type]
        ),
    )
    found = suite(settings)
    names = ["services.failed", "services.required", "network.route", "network.name n"]
    for name in (*names, "network.tcp t:1", "network.http http://h/"):
        one = found[name]
        assert (one.severity, one.timeout, one.retries, one.delay) == (Severity.WANTED, 7, 8, 9)
    assert once([*found.values()])[0].retries == 0


def test_a_table_can_be_switched_off() -> None:
    off = Health(
        services=Services(enabled=False),
        disk=Disk(enabled=False),
        network=Network(enabled=False, tcp=("t:1",)),
    )
    assert list(suite(off)) == ["own.record"]


def raising(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (NeedsRecovery("record.json cannot be read"), Result.BAD),
        (Refused("the record has format 9"), Result.BAD),
        (SnaprootError("it may not be read"), Result.UNKNOWN),
    ],
)
def test_a_record_that_cannot_be_read(error: SnaprootError, result: Result) -> None:
    found = answer(lambda: readable(lambda: raising(error)))
    assert (found.result, found.reason) == (result, str(error))


def test_a_record_that_can_be_read() -> None:
    assert answer(lambda: readable(lambda: None)).result is Result.GOOD


def test_without_any_record_that_is_only_told() -> None:
    listed = probes(Health(), baseline=Baseline, record=None, places=NOWHERE)
    own = next(probe for probe in listed if probe.name == "own.record")
    assert own.severity is Severity.WANTED
    assert answer(own.run).reason == "this system is not adopted: there is no record"


def test_a_baseline_that_cannot_be_read_is_the_answer_of_who_needs_it(tmp_path: Path) -> None:
    listed = probes(
        Health(),
        baseline=lambda: raising(SnaprootError("baseline.json cannot be read")),  # type: ignore[arg-type, return-value]
        record=lambda: None,
        places=replace(NOWHERE, root=Path("/"), written=(tmp_path,)),
    )
    asked = {probe.name: answer(probe.run) for probe in listed}
    assert asked["services.failed"].reason == "baseline.json cannot be read"
    assert asked["disk.writable"].result is Result.GOOD
