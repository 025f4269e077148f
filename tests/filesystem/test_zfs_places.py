"""Areas that stayed where they were, found by the mark on them, by a zfs(8) that prints marks."""

import os
from pathlib import Path

import pytest

from snaproot.areas import Area
from snaproot.filesystem.zfs.places import AREA, named

OURS = Area(name="var", subvolume="@snaproot/areas/var", mount="/var")
STAYED = Area(name="home", subvolume="rpool/ROOT/debian/home", mount="/home")


@pytest.fixture
def zfs(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Put a zfs(8) in front that insists on its words, and notes that it was asked."""
    rows = "".join(f"{area}\\t{dataset}\\n" for area, dataset in request.param)
    program = tmp_path / "zfs"
    program.write_text(
        f'#!/bin/sh\n[ "$*" = "get -Hp -r -t filesystem -s local -o value,name {AREA} rpool" ]'
        f" || exit 2\ntouch {tmp_path}/asked\nprintf '{rows}'\n"
    )
    program.chmod(0o755)
    return tmp_path


def seen(zfs: Path, *areas: Area) -> list[str]:
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{zfs}:{before}"
    try:
        return [area.subvolume for area in named(areas, "rpool")]
    finally:
        os.environ["PATH"] = before


@pytest.mark.parametrize(
    ("zfs", "there"),
    [
        ([], "rpool/ROOT/debian/home"),
        ([("home", "rpool/home")], "rpool/home"),
        ([("home", "rpool/copy"), ("home", "rpool/ROOT/debian/home")], "rpool/ROOT/debian/home"),
        ([("other", "rpool/other")], "rpool/ROOT/debian/home"),
    ],
    indirect=["zfs"],
)
def test_an_area_is_where_its_mark_is(zfs: Path, there: str) -> None:
    assert seen(zfs, OURS, STAYED) == ["@snaproot/areas/var", there]


@pytest.mark.parametrize("zfs", [[("var", "rpool/elsewhere")]], indirect=True)
def test_our_own_lie_together_and_nobody_is_asked(zfs: Path) -> None:
    assert seen(zfs, OURS) == ["@snaproot/areas/var"]
    assert not (zfs / "asked").exists()
