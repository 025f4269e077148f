"""What was reverted is refused until it differs."""

from pathlib import Path

import pytest

from snaproot.environment import Digests, Environment, PackageChange
from snaproot.errors import ExitCode, NeedsRecovery, NewerFormat, Refused
from snaproot.quarantine import NAME, Quarantined, digest, parse, render

BAD = (PackageChange("app", "1", "2"), PackageChange("gone", "1", ""))


def reverted(id: str = "b1", changes: tuple[PackageChange, ...] = BAD) -> Environment:
    return Environment(id=id, digests=Digests(packages=digest(changes)))


def test_the_same_versions_are_refused_with_the_reason(tmp_path: Path) -> None:
    quarantine = Quarantined(tmp_path)
    quarantine.add(reverted(), "app.service failed")
    with pytest.raises(Refused, match=r"as b1: app\.service failed") as caught:
        quarantine.refuse(digest(BAD))
    assert caught.value.exit_code is ExitCode.REFUSED
    assert "--retry" in caught.value.hint


def test_what_was_installed_before_makes_no_difference() -> None:
    assert digest(BAD) == digest((BAD[1], PackageChange("app", "1.5", "2")))


@pytest.mark.parametrize(
    "changes",
    [
        (PackageChange("app", "1", "3"), BAD[1]),
        BAD[:1],
        (*BAD, PackageChange("more", "", "1")),
    ],
    ids=["another version", "one package less", "one more"],
)
def test_what_differs_is_let_in(tmp_path: Path, changes: tuple[PackageChange, ...]) -> None:
    quarantine = Quarantined(tmp_path)
    quarantine.add(reverted(), "red")
    quarantine.refuse(digest(changes))


def test_a_deployment_without_packages_is_never_quarantined(tmp_path: Path) -> None:
    quarantine = Quarantined(tmp_path)
    quarantine.add(reverted(changes=()), "red")
    assert digest(()) == ""
    assert not (tmp_path / NAME).exists()


def test_twice_is_once_and_the_newest_are_kept(tmp_path: Path) -> None:
    quarantine = Quarantined(tmp_path)
    for number in range(60):
        for _ in range(2):
            changes = (PackageChange("app", "1", str(number)),)
            quarantine.add(reverted(f"b{number}", changes), "red")
    assert [one.target for one in quarantine.load()] == [f"b{n}" for n in range(10, 60)]


def test_a_damaged_list_is_no_empty_one(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('{"format": 1, "reverted": [1]}')
    with pytest.raises(NeedsRecovery, match="cannot be read"):
        Quarantined(tmp_path).refuse(digest(BAD))


def test_a_newer_list_is_left_alone(tmp_path: Path) -> None:
    newer = b'{"format": 2, "reverted": []}'
    (tmp_path / NAME).write_bytes(newer)
    with pytest.raises(NewerFormat, match="format 2"):
        Quarantined(tmp_path).add(reverted(), "red")
    assert (tmp_path / NAME).read_bytes() == newer


def test_it_reads_what_it_writes(tmp_path: Path) -> None:
    quarantine = Quarantined(tmp_path)
    quarantine.add(reverted(), "red")
    assert parse(render(quarantine.load())) == quarantine.load()
