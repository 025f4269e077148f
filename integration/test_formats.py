"""Two releases on one system: whatever a trial writes its base can read, until it is promoted."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from contrib.debian import build
from integration.machine import REPOSITORY, Machine
from integration.test_running import Hardware, hardware
from snaproot.run import run
from snaproot.state import FORMAT

pytestmark = pytest.mark.real
__all__ = ["hardware"]

NEWER = FORMAT + 1
RELEASE = "99.9"


@dataclass(frozen=True)
class Releases:
    """Where the Python of two packages was unpacked."""

    older: Path
    newer: Path


@pytest.fixture(scope="module")
def releases() -> Iterator[Releases]:
    """Build this release and a later one that writes another format, as packages."""
    (REPOSITORY / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=REPOSITORY / "build") as name:
        place = Path(name)
        later = place / "later"
        for part in ("snaproot", "contrib"):
            shutil.copytree(REPOSITORY / part, later / part, symlinks=True)
        _patch(later / "snaproot/state.py", "FORMAT, READER = ", f'{NEWER}, "{RELEASE}"')
        _patch(later / "snaproot/__init__.py", "__version__ = ", f'"{RELEASE}"')
        yield Releases(_unpacked(REPOSITORY, place / "a"), _unpacked(later, place / "b"))


def _patch(file: Path, begins: str, value: str) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    changed = [f"{begins}{value}" if line.startswith(begins) else line for line in lines]
    assert lines != changed
    file.write_text("\n".join(changed) + "\n", encoding="utf-8")


def _unpacked(source: Path, place: Path) -> Path:
    place.mkdir()
    builder = str(source / "contrib/debian/build.py")
    extra = {"SOURCE_DATE_EPOCH": "1700000000", "SNAPROOT_CACHE": str(build.cache().parent)}
    words = [sys.executable, builder, "--suite", "bookworm", "--output", str(place)]
    run(words, extra={**os.environ, **extra})
    run(["dpkg-deb", "--extract", str(next(place.glob("*.deb"))), str(place / "tree")])
    return place / "tree" / build.PRIVATE


def recorded(machine: Machine) -> dict[str, object]:
    text = (machine.snaproot / "record/record.json").read_text(encoding="utf-8")
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def test_a_newer_release_in_a_trial_writes_what_its_base_reads(
    hardware: Hardware, releases: Releases
) -> None:
    older = replace(hardware.boot("boot-1"), code=releases.older)
    older("run", "touch", "/usr/lib/marker")
    base, target = older.ids()

    newer = replace(hardware.boot("boot-2"), code=releases.newer)
    assert RELEASE in newer("--version").out
    newer("recover")
    assert recorded(hardware.offline)["format"] == FORMAT
    assert newer.status()["booted"] == target

    older = replace(hardware.by_hand("boot-3", base), code=releases.older)
    older("abandon", "-y")
    assert older.ids() == [base]
    assert recorded(hardware.offline)["format"] == FORMAT


def test_a_promotion_raises_the_format_and_an_older_release_changes_nothing(
    hardware: Hardware, releases: Releases
) -> None:
    older = replace(hardware.boot("boot-1"), code=releases.older)
    older("run", "touch", "/usr/lib/marker")
    base, target = older.ids()
    newer = replace(hardware.boot("boot-2"), code=releases.newer)
    newer("recover")
    newer("promote")
    raised = recorded(hardware.offline)
    assert (raised["format"], raised["reader"], raised["base"]) == (NEWER, RELEASE, target)

    older = replace(hardware.by_hand("boot-3", base), code=releases.older)
    for words in (
        ("status",),
        ("run", "true"),
        ("recover",),
        ("rollback", "-y"),
        ("cleanup", "-y"),
    ):
        said = older(*words, status=4)
        assert f"snaproot {RELEASE} or newer is needed" in said.err
    assert recorded(hardware.offline) == raised
