"""Masks come and go with an armed trial, and those of others stay."""

from pathlib import Path

import pytest

from snaproot.boot import masks


@pytest.fixture
def units(tmp_path: Path) -> Path:
    (tmp_path / "systemd").mkdir()
    return tmp_path / "systemd/system"


def settle(units: Path, *, armed: bool) -> int:
    """Settle, and return how often systemd was told."""
    told: list[None] = []
    masks.settle(
        armed=armed,
        units=units,
        ours=units.parent.parent / "run/masked",
        reload=lambda: told.append(None),
    )
    return len(told)


def names(units: Path) -> set[str]:
    return {path.name for path in units.iterdir()} if units.exists() else set()


def test_while_armed_nothing_goes_round_the_loader(units: Path) -> None:
    assert settle(units, armed=False) == 0
    assert settle(units, armed=True) == 1
    assert names(units) >= {"hibernate.target", "kexec.target"}
    assert all(path.readlink() == Path("/dev/null") for path in units.iterdir())
    assert settle(units, armed=True) == 0
    assert settle(units, armed=False) == 1
    assert names(units) == set()


def test_where_no_systemd_runs_nothing_is_made(tmp_path: Path) -> None:
    assert settle(tmp_path / "none/system", armed=True) == 0
    assert not (tmp_path / "none").exists()


def test_masks_of_others_stay(units: Path) -> None:
    units.mkdir()
    (units / "hibernate.target").symlink_to("/dev/null")
    settle(units, armed=True)
    settle(units, armed=False)
    assert names(units) == {"hibernate.target"}


def test_what_replaced_ours_stays(units: Path) -> None:
    settle(units, armed=True)
    (units / "kexec.target").unlink()
    (units / "kexec.target").write_text("[Unit]\n")
    settle(units, armed=False)
    assert names(units) == {"kexec.target"}
