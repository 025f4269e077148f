"""The probes of services, against a systemctl that takes exactly what the real one does.

The real one is asked in integration/test_health.py.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from snaproot.health import Finding, Result
from snaproot.health.services import all_active, nothing_new_failed, parse
from tests.health.asking import answer, first_on_path, put

SYSTEMCTL = """\
#!/bin/sh
# Prints files: `failed`, `jobs`, and one for each unit; after a look, `NAME.next` replaces NAME.
cd "{place}" || exit 9
show() {{
    cat "$1" || exit 1
    if [ -e "$1.next" ]; then mv "$1.next" "$1"; fi
}}
SHOWN=Id,LoadState,ActiveState,SubState,Result,Job
TROUBLED=failed,auto-restart,auto-restart-queued
[ -e down ] && {{ echo "Failed to connect to bus: Host is down" >&2; exit 1; }}
case "$*" in
"--no-pager --no-legend --output=json list-units --state=$TROUBLED") show failed ;;
"--no-pager --no-legend --plain list-jobs") show jobs ;;
"--no-pager --no-legend show --property="$SHOWN" -- "*.service) show "$6" ;;
*) echo "systemctl: strange words: $*" >&2; exit 2 ;;
esac
"""


class Systemd:
    """What the fake systemctl answers."""

    def __init__(self, place: Path) -> None:
        self.place = place
        put(place / "bin/systemctl", SYSTEMCTL.format(place=place))
        self.failed()
        self.jobs()

    def failed(self, *units: str, later: bool = False, again: str = "") -> None:
        shown = [{"unit": unit, "load": "loaded", "sub": "failed"} for unit in units]
        shown += [{"unit": again, "load": "loaded", "sub": "auto-restart"}] if again else []
        self._put("failed", json.dumps(shown), later)

    def jobs(self, *jobs: Mapping[str, object], later: bool = False) -> None:
        lines = [f"{j['job']:>5} {j['unit']} {j['type']} {j['state']}\n" for j in jobs]
        self._put("jobs", "".join(lines), later)

    def unit(self, name: str, *, later: bool = False, **properties: str) -> None:
        said = {"Id": name, "LoadState": "loaded", "Result": "success", **properties}
        text = "".join(f"{key}={value}\n" for key, value in said.items())
        self._put(name, text, later)

    def _put(self, name: str, text: str, later: bool) -> None:
        (self.place / (f"{name}.next" if later else name)).write_text(text)


STARTS = {"job": 7, "unit": "db.service", "type": "start", "state": "running"}


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    fake = Systemd(tmp_path)
    with first_on_path(tmp_path / "bin"):
        yield fake


pytestmark = pytest.mark.usefixtures("systemd")


def failures(*before: str, seconds: float = 5) -> Finding:
    return answer(lambda: nothing_new_failed(lambda: before, seconds))


def up(*units: str, seconds: float = 5) -> Finding:
    return answer(lambda: all_active(units, seconds))


def test_no_failed_unit_is_good() -> None:
    assert failures().result is Result.GOOD


def test_a_failed_unit_is_bad_and_named(systemd: Systemd) -> None:
    systemd.failed("web.service", "db.service")
    found = failures()
    assert (found.result, found.reason) == (Result.BAD, "db.service, web.service failed")


def test_what_had_failed_before_is_no_fault_of_this_root(systemd: Systemd) -> None:
    systemd.failed("web.service", "db.service")
    assert failures("web.service", "db.service", "other.service").result is Result.GOOD
    found = failures("web.service")
    assert (found.result, found.reason) == (Result.BAD, "db.service failed")
    assert found.evidence["failed_before"] == ["web.service"]


def test_what_still_starts_may_still_fail(systemd: Systemd) -> None:
    systemd.jobs(STARTS)
    systemd.jobs(later=True)
    systemd.failed()
    systemd.failed("db.service", later=True)
    assert failures().result is Result.BAD


def test_what_starts_for_ever_is_told_and_no_failure(systemd: Systemd) -> None:
    systemd.jobs(STARTS)
    found = failures(seconds=1)
    assert found.result is Result.GOOD
    assert found.reason.endswith("still starting: db.service")


def test_what_dies_again_and_again_is_bad_and_what_dies_once_is_not(systemd: Systemd) -> None:
    systemd.failed(again="web.service")
    found = failures(seconds=1)
    assert found.result is Result.BAD
    assert found.reason == "web.service ended, and is started again"
    systemd.failed(again="web.service")
    systemd.failed(later=True)
    assert failures(seconds=8).result is Result.GOOD


@pytest.mark.parametrize("job", [{"state": "waiting"}, {"type": "stop"}])
def test_jobs_that_wait_for_us_are_not_waited_for(systemd: Systemd, job: dict[str, str]) -> None:
    systemd.jobs({**STARTS, **job})
    found = failures(seconds=20)
    assert (found.result, found.evidence["starting"]) == (Result.GOOD, [])
    assert 3000 <= found.milliseconds < 5000


def test_our_own_unit_is_not_waited_for(systemd: Systemd) -> None:
    ours = Path("/proc/self/cgroup").read_text().split("/")[-1].strip()
    systemd.jobs({**STARTS, "unit": ours})
    assert failures(seconds=20).evidence["starting"] == []


@pytest.mark.parametrize("broken", ["", "{}", "3", "[1]", "Unit\n"])
def test_an_answer_that_is_none_is_unknown(systemd: Systemd, broken: str) -> None:
    (systemd.place / "failed").write_text(broken)
    found = failures()
    assert found.result is Result.UNKNOWN
    assert "systemctl list-units printed no" in found.reason


def test_no_systemd_is_unknown(systemd: Systemd) -> None:
    (systemd.place / "down").touch()
    for found in (failures(), up("web.service")):
        assert found.result is Result.UNKNOWN
        assert found.reason == "systemctl exited 1: Failed to connect to bus: Host is down"


def test_active_units_are_good(systemd: Systemd) -> None:
    systemd.unit("web.service", ActiveState="active", SubState="running")
    systemd.unit("db.service", ActiveState="reloading", SubState="reload")
    found = up("web.service", "db.service")
    assert (found.result, found.reason) == (Result.GOOD, "web.service, db.service are up")


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"ActiveState": "inactive", "SubState": "dead"}, "inactive (dead)"),
        (
            {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code"},
            "failed (failed, exit-code)",
        ),
        ({"LoadState": "not-found", "ActiveState": "inactive", "SubState": "dead"}, "not-found"),
        ({"LoadState": "masked", "ActiveState": "inactive", "SubState": "dead"}, "masked"),
        ({"ActiveState": "deactivating", "SubState": "stop"}, "deactivating (stop)"),
    ],
)
def test_units_that_are_not_up_are_bad(
    systemd: Systemd, properties: dict[str, str], says: str
) -> None:
    systemd.unit("web.service", later=False, **properties)
    found = up("web.service", seconds=20)
    assert (found.result, found.reason) == (Result.BAD, f"web.service is {says}")
    assert found.milliseconds < 2000


@pytest.mark.parametrize(
    "first",
    [
        {"ActiveState": "activating", "SubState": "start"},
        {"ActiveState": "inactive", "SubState": "dead", "Job": "17"},
        {"ActiveState": "activating", "SubState": "auto-restart"},
    ],
)
def test_a_unit_on_its_way_is_waited_for(systemd: Systemd, first: dict[str, str]) -> None:
    systemd.unit("web.service", later=False, **first)
    systemd.unit("web.service", later=True, ActiveState="active", SubState="running")
    assert up("web.service").result is Result.GOOD


def test_a_unit_that_never_arrives_is_unknown(systemd: Systemd) -> None:
    systemd.unit("web.service", ActiveState="activating", SubState="start")
    found = up("web.service", seconds=1)
    assert found.result is Result.UNKNOWN
    assert found.reason == "web.service is activating (start) after 1 s"


def test_a_unit_that_dies_again_and_again_is_bad(systemd: Systemd) -> None:
    systemd.unit("web.service", ActiveState="activating", SubState="auto-restart")
    assert up("web.service", seconds=1).result is Result.BAD


def test_properties_with_equals_signs_and_aliases() -> None:
    said = "Id=dbus-broker.service\nActiveState=active\nSubState=a=b\nJob=\n"
    (state,) = parse(said).values()
    assert (state.sub, state.job, state.up) == ("a=b", False, True)
