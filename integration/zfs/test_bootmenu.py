"""What ZFSBootMenu is told, as zfs(8) reads it back from a real pool. Runs in a bench.

No boot by it is tried here, nor anywhere else.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.zfs.test_adoption import POOL, Disk, adopted, pool
from snaproot.bootloader.zfsbootmenu import ACTIVE, COMMAND_LINE
from snaproot.run import run

CONFIG = Path("/etc/snaproot/snaproot.toml")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    with pool(tmp_path_factory.mktemp("bootmenu") / "altroot") as lent:
        yield lent


@pytest.fixture
def configured() -> Iterator[Path]:
    CONFIG.parent.mkdir(parents=True, exist_ok=True)
    CONFIG.write_text('[bootloader]\nbackend = "zfsbootmenu"\n')
    try:
        yield CONFIG
    finally:
        CONFIG.unlink(missing_ok=True)


def test_a_root_that_zfsbootmenu_boots(disk: Disk, configured: Path) -> None:
    """Adopted, upgraded, given up, upgraded and promoted: what it follows is what is meant."""
    machine = disk.machine
    assert "Tell ZFSBootMenu" in machine("init", "-n").out
    id = adopted(disk)
    first = f"{POOL}/ROOT/{id}"
    configured.unlink()  # what was chosen is remembered
    assert disk.value(first, ACTIVE) == "on"
    words = disk.value(first, COMMAND_LINE).split()
    assert words
    assert not [word for word in words if word.startswith("root=")]
    _check_untested(disk)

    target = _changed(disk)
    assert (disk.bootfs, disk.value(target, ACTIVE)) == (target, "on")
    assert disk.value(target, COMMAND_LINE).split() == words
    machine("abandon", "-y")
    assert disk.bootfs == first
    assert target not in disk.datasets()

    target = _changed(disk)
    machine("promote")
    disk.again()
    assert (disk.bootfs, disk.value(target, ACTIVE)) == (target, "on")
    assert disk.value(first, ACTIVE) == "on"
    said = machine.refused("activate", "--once", id, "-y", status=3)
    assert "the firmware does not say what started" in said


def _check_untested(disk: Disk) -> None:
    """Whoever asks what boots learns that it was never tried."""
    loader = disk.machine("status", "--json").json["loader"]
    assert isinstance(loader, dict)
    assert (loader["counts"], loader["one_shot"]) == (False, False)
    assert "untested" in loader["summary"]
    words = [sys.executable, "-m", "snaproot", "--sysroot", str(disk.altroot), "doctor"]
    assert "it is ZFSBootMenu" in (said := " ".join(run(words, check=False).output.split()))
    assert "untested" in said


def _changed(disk: Disk) -> str:
    """Run something in a target, and name its dataset."""
    disk.machine("run", "touch", "/usr/lib/marker")
    pending = disk.machine("status", "--json").json["pending"]
    assert isinstance(pending, dict)
    return f"{POOL}/ROOT/{pending['target']}"
