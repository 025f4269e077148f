"""The pool of a root on ZFS, by what zpool(8) prints."""

from pathlib import Path

import pytest

from snaproot.errors import SnaprootError
from snaproot.health import Finding, Outcome, Result
from snaproot.health.baseline import Baseline, parse, render
from snaproot.health.pool import Counters, counters, unharmed
from snaproot.zpool import pool_of, status
from tests.health.asking import answer
from tests.health.pools import (
    CLEAN,
    DAMAGED,
    DEGRADED,
    ERRORS,
    FAULTED_LEAF,
    HEALTHY,
    LATER,
    SUSPENDED,
    damaged,
    zpool,
)


def known(home: Path, said: str, health: str = "ONLINE") -> Counters:
    """Take a baseline, through its file."""
    with zpool(home, said, health):
        return parse(render(Baseline(device_errors=counters(status("tank"))))).device_errors


def asked(home: Path, said: str, before: Counters, health: str = "ONLINE") -> Finding:
    with zpool(home, said, health):
        return answer(lambda: unharmed("tank", lambda: before))


def test_a_healthy_pool_is_good(tmp_path: Path) -> None:
    found = asked(tmp_path, HEALTHY, {})
    assert (found.result, found.reason) == (Result.GOOD, "no device of tank has new errors")
    assert found.evidence["health"] == "ONLINE"


def test_every_device_is_read(tmp_path: Path) -> None:
    with zpool(tmp_path, DEGRADED, "DEGRADED"):
        seen = status("tank")
    assert [(one.guid, one.name, one.state) for one in seen.vdevs] == [
        ("10", "tank", "DEGRADED"),
        ("11", "mirror-0", "DEGRADED"),
        ("12", "/dev/sda3", "ONLINE"),
        ("13", "13544729673726364122", "UNAVAIL"),
        ("14", "/dev/sdc1", "ONLINE"),
    ]
    assert seen.vdevs[3].note == "was /dev/sdb3"


@pytest.mark.parametrize(
    ("said", "health", "reason"),
    [
        (
            DEGRADED,
            "DEGRADED",
            "tank is DEGRADED; mirror-0 is DEGRADED; "
            "13544729673726364122 is UNAVAIL (was /dev/sdb3)",
        ),
        (
            FAULTED_LEAF,
            "ONLINE",
            "read errors on /dev/sdb3: 4, were 0; write errors on /dev/sdb3: 372, were 0; "
            "/dev/sdb3 is FAULTED (too many errors)",
        ),
        (ERRORS, "ONLINE", "checksum errors on /dev/sda3: 24, were 0"),
        (
            damaged(DAMAGED),
            "ONLINE",
            "/usr/share/doc/x y is damaged; tank/ROOT/b1/etc:/passwd is damaged; "
            "tank/ROOT/b1:<0x1659> is damaged; <metadata>:<0x24> is damaged",
        ),
        (
            damaged("errors: 6 data errors, use '-v' for a list\n"),
            "ONLINE",
            "the pool tank has damage that cannot be listed: 6 data errors, use '-v' for a list",
        ),
    ],
    ids=["degraded", "a device", "errors", "data", "unlisted"],
)
def test_what_is_new_is_bad_and_what_was_there_is_told(
    tmp_path: Path, said: str, health: str, reason: str
) -> None:
    found = asked(tmp_path, said, known(tmp_path, HEALTHY), health)
    assert (found.result, found.reason) == (Result.BAD, reason)
    found = asked(tmp_path, said, known(tmp_path, said, health), health)
    assert found.result is Result.GOOD
    assert found.reason == f"no device of tank has new errors; as before: {reason}"
    assert asked(tmp_path, HEALTHY, known(tmp_path, said, health)).result is Result.GOOD


def test_what_gets_worse_is_bad(tmp_path: Path) -> None:
    before = known(tmp_path, DEGRADED, "DEGRADED")
    sda3 = "/dev/sda3             ONLINE       "
    worse = DEGRADED.replace(f"{sda3}0", f"{sda3}1")
    found = asked(tmp_path, worse, before, "DEGRADED")
    assert found.reason == "read errors on /dev/sda3: 1, were 0"
    faulted = DEGRADED.replace("UNAVAIL      0", "FAULTED      0")
    assert "13544729673726364122 is FAULTED" in asked(tmp_path, faulted, before, "DEGRADED").reason


def test_more_that_cannot_be_listed_is_bad(tmp_path: Path) -> None:
    before = known(tmp_path, damaged("errors: 6 data errors, use '-v' for a list\n"))
    assert asked(tmp_path, damaged("errors: 7 data errors, x\n"), before).result is Result.BAD
    assert asked(tmp_path, damaged("errors: 5 data errors, x\n"), before).result is Result.GOOD


def test_damage_is_the_same_in_a_clone_and_under_another_mount(tmp_path: Path) -> None:
    before = known(tmp_path, damaged(DAMAGED))
    assert asked(tmp_path, damaged(LATER), before).result is Result.GOOD
    more = damaged(LATER + "        /usr/bin/vi\n")
    found = asked(tmp_path, more, before)
    assert (found.result, found.reason) == (Result.BAD, "/usr/bin/vi is damaged")


@pytest.mark.parametrize("health", ["SUSPENDED", "FAULTED", "UNAVAIL"])
def test_a_pool_that_does_not_work_is_bad_whatever_was_before(tmp_path: Path, health: str) -> None:
    found = asked(tmp_path, SUSPENDED, known(tmp_path, SUSPENDED, health), health)
    assert (found.result, found.reason) == (Result.BAD, f"the pool tank is {health}")


def test_a_device_under_another_name_is_the_same(tmp_path: Path) -> None:
    before = known(tmp_path, ERRORS)
    assert asked(tmp_path, ERRORS.replace("/dev/sda3", "/dev/sdx3"), before).result is Result.GOOD


def test_a_pool_that_is_not_there_is_unknown(tmp_path: Path) -> None:
    with zpool(tmp_path, HEALTHY):
        assert answer(lambda: _of("gone")).result is Result.UNKNOWN


def _of(pool: str) -> Outcome:
    return unharmed(pool, dict)


@pytest.mark.parametrize("said", ["", "no pools available\n", HEALTHY.replace("ONLINE", "FINE")])
def test_what_cannot_be_understood_is_unknown(tmp_path: Path, said: str) -> None:
    assert asked(tmp_path, said, {}).result is Result.UNKNOWN
    with zpool(tmp_path, said), pytest.raises(SnaprootError, match="cannot be understood"):
        status("tank")


def test_a_table_that_changed_in_between_is_still_read(tmp_path: Path) -> None:
    with zpool(tmp_path, ERRORS):
        (tmp_path / "numbered").write_text(CLEAN)
        assert status("tank").vdevs[0].guid == "tank"


def test_the_pool_of_a_dataset() -> None:
    names = ("tank", "tank/ROOT/b1", "tank/a@b", "tank@s")
    assert {pool_of(name) for name in names} == {"tank"}
