"""What is wrong with a pool, or with how it is reached, as the command line tells it.

Each time: an exit code, one line that says what is still true, and what helps. Runs in a bench.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from integration.machine import REPOSITORY, Machine
from integration.zfs.test_adoption import POOL, Disk, adopted, pool
from snaproot.run import run

NO_DEVICES = 'mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3; exec "$@"'
"""Without its device nothing speaks to the module, as where it is not loaded."""
NO_LIBRARIES = 'mount --bind /dev/null /etc/ld.so.cache; exec "$@"'


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    """Lend a pool that was adopted; whoever changes it puts it back."""
    with pool(tmp_path_factory.mktemp("bad") / "altroot") as lent:
        adopted(lent)
        yield lent


def told(machine: Machine, *words: str, status: int) -> tuple[str, str]:
    """Run what has to fail, and return its one line and its hint."""
    lines = machine(*words, status=status).err.splitlines()
    assert len(lines) == 2, lines
    assert lines[0].startswith("snaproot: ")
    return lines[0], lines[1].removeprefix("hint: ")


def apart(machine: Machine, script: str) -> Machine:
    """Start it where a script has changed what is there, for it alone."""
    return replace(machine, prefix=("unshare", "-m", "sh", "-e", "-c", script, "sh"))


@contextmanager
def imported(disk: Disk, *words: str) -> Iterator[None]:
    """Import the pool in another way, and as it was after."""
    run(["zpool", "export", POOL])
    try:
        if words:
            run(["zpool", "import", "-N", *words, "-R", str(disk.altroot), POOL])
        yield
    finally:
        run(["zpool", "export", POOL], check=False)
        run(["zpool", "import", "-N", "-R", str(disk.altroot), POOL])


def test_no_module(disk: Disk) -> None:
    for words in (("list",), ("run", "true"), ("init", "-n")):
        line, hint = told(apart(disk.machine, NO_DEVICES), *words, status=3)
        assert line.endswith("neither on Btrfs nor on ZFS; nothing was changed")
        assert hint.endswith("once the ZFS module is loaded (modprobe zfs)")
    ask = "from snaproot.filesystem.zfs import binding; binding.exists('rpool')"
    asking = (*apart(disk.machine, NO_DEVICES).prefix, sys.executable, "-c", ask)
    said = run(asking, extra={"PYTHONPATH": str(REPOSITORY)}, check=False).errors
    assert "the ZFS module is not loaded (there is no /dev/zfs); nothing was changed" in said


def test_no_pool(disk: Disk) -> None:
    with imported(disk):
        line, hint = told(disk.machine, "list", status=3)
        assert line.endswith("neither on Btrfs nor on ZFS; nothing was changed")
        assert hint.endswith("of a ZFS root: zpool import -N -R DIR POOL")


def test_a_pool_that_is_read_only(disk: Disk) -> None:
    (id,) = disk.machine.ids()
    with imported(disk, "-o", "readonly=on"):
        assert disk.machine.ids() == [id]
        disk.machine("status")
        for words in (("run", "true"), ("pin", id), ("cleanup", "-y"), ("recover",)):
            line, hint = told(disk.machine, *words, status=1)
            assert "read-only" in line
            assert "mounted read-only?" in hint
    disk.machine("recover", status=0)


def test_a_pool_that_is_full(disk: Disk) -> None:
    before, ballast = disk.datasets(), f"{POOL}/ballast"
    free = int(disk.value(POOL, "available"))
    disk.zfs("create", "-o", "canmount=off", "-o", f"reservation={free - (300 << 20)}", ballast)
    try:
        line, hint = told(disk.machine, "run", "true", status=3)
        assert "nothing was changed" in line
        assert "MiB" in line
        assert "delete something large" in hint
        disk.zfs("set", f"reservation={free - (600 << 20)}", ballast)
        fill = (
            "run",
            "sh",
            "-e",
            "-c",
            "dd if=/dev/urandom of=/usr/large bs=1M count=700 status=none",
        )
        said = disk.machine(*fill, status=1).err
        assert "No space left" in said
        assert "its target was discarded" in said
        assert disk.machine.status()["pending"] is None
    finally:
        disk.zfs("destroy", ballast)
    assert disk.datasets() - {f"{POOL}/snaproot/work"} == before - {f"{POOL}/snaproot/work"}
    assert len(disk.machine.ids()) == 1


def test_a_dataset_that_is_busy_or_held(disk: Disk, tmp_path: Path) -> None:
    disk.machine("run", "touch", "/usr/lib/marker")
    base, target = disk.machine.ids()
    root = f"{POOL}/ROOT/{target}"
    run(["mount", "-i", "-t", "zfs", "-o", "ro", root, str(tmp_path)])
    try:
        line, hint = told(disk.machine, "abandon", "-y", status=3)
        assert f"{root} is mounted at {tmp_path}" in line
        assert hint == f"umount {tmp_path}"
    finally:
        run(["umount", str(tmp_path)])
    disk.zfs("hold", "backup", f"{root}@{target}")
    try:
        line, hint = told(disk.machine, "recover", status=3)
        assert f"somebody holds {root}@{target}" in line
        assert hint.startswith(f"zfs holds {root}@{target}")
    finally:
        disk.zfs("release", "backup", f"{root}@{target}")
    disk.machine("recover")
    assert disk.machine.ids() == [base]


def test_the_pyzfs_of_pypi_and_none_at_all(disk: Disk, tmp_path: Path) -> None:
    package = tmp_path / "libzfs_core"
    package.mkdir()
    (package / "exceptions.py").touch()
    machine = replace(disk.machine, code=Path(f"{tmp_path}:{REPOSITORY}"))
    for content, said, helps in (
        ("def lzc_create(*_):\n raise SystemExit(9)\n", "is the pyzfs of PyPI", "pip uninstall"),
        ("raise ImportError('there is none')\n", "cannot be loaded (there is none)", "apt install"),
    ):
        (package / "__init__.py").write_text(content)
        line, hint = told(machine, "list", status=1)
        assert said in line
        assert line.endswith("nothing was changed")
        assert hint.startswith(helps)
        assert "python3-pyzfs" in hint


def test_a_library_that_is_not_listed(disk: Disk) -> None:
    line, hint = told(apart(disk.machine, NO_LIBRARIES), "list", status=1)
    assert "libzfs_core cannot be loaded" in line
    assert hint.startswith("ldconfig")
