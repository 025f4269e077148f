"""Adoption of plain ZFS roots that do not run, each in a real pool. Runs in a bench."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration import layouts, tinyroot
from integration.machine import Machine
from integration.zfs.bench import SCRATCH
from snaproot.run import run

POOL = "rpool"
HOME = f"{POOL}/home"
ROOT = f"{POOL}/ROOT/debian"
_OPTIONS = ("-o", "cachefile=none", "-O", "canmount=off", "-O", "mountpoint=none")
_POSIX = ("-O", "acltype=posixacl", "-O", "xattr=sa")


@dataclass(frozen=True)
class Disk:
    """A pool that is imported below a directory, with a stock root in it."""

    altroot: Path
    machine: Machine

    def zfs(self, *words: str) -> str:
        return run(["zfs", *words]).output.strip()

    def value(self, dataset: str, name: str) -> str:
        return self.zfs("get", "-Hp", "-o", "value", name, dataset)

    @property
    def bootfs(self) -> str:
        return run(["zpool", "get", "-Hp", "-o", "value", "bootfs", POOL]).output.strip()

    def datasets(self) -> set[str]:
        return set(self.zfs("list", "-H", "-o", "name", "-r", POOL).split())

    def snapshots(self) -> set[str]:
        return set(self.zfs("list", "-H", "-o", "name", "-t", "snapshot", "-r", POOL).split())

    @contextmanager
    def mounted(self, *datasets: str) -> Iterator[Path]:
        """Mount datasets one into another, as a boot would: `NAME` or `NAME:/PLACE`."""
        place = self.altroot / "seen"
        place.mkdir(exist_ok=True)
        try:
            for one in datasets:
                name, _, at = one.partition(":")
                run(["mount", "-i", "-t", "zfs", name, f"{place}{at}"])
            yield place
        finally:
            run(["umount", "-R", str(place)])

    def digest(self) -> str:
        with self.mounted(ROOT) as place:
            return layouts.digest(place)

    def again(self) -> None:
        """Export and import, as another machine would find it."""
        run(["zpool", "export", POOL])
        run(["zpool", "import", "-N", "-R", str(self.altroot), POOL])


def stock(place: Path) -> None:
    """Fill a root as a Debian on ZFS has it: no line for / in fstab."""
    tinyroot.build(place, subvolume="")
    (place / "etc/fstab").write_text("# nothing\n")
    (place / "root").chmod(0o700)
    os.chown(place / "srv", 33, 33)
    os.setxattr(place / "srv", "user.note", b"kept")


@contextmanager
def pool(altroot: Path, *options: str) -> Iterator[Disk]:
    """Lend a pool with a stock root, `/home` in a dataset of its own."""
    altroot.mkdir(exist_ok=True)
    words = (*_OPTIONS, *_POSIX, *options, "-R", str(altroot))
    run(["zpool", "create", "-f", *words, POOL, SCRATCH])
    try:
        run(["zfs", "create", "-o", "canmount=off", "-o", "mountpoint=none", f"{POOL}/ROOT"])
        run(["zfs", "create", "-o", "canmount=noauto", "-o", "mountpoint=/", ROOT])
        run(["zfs", "mount", ROOT])
        stock(altroot)
        run(["mv", f"{altroot}/home/user", f"{altroot}/user"])
        run(["zfs", "create", "-o", "mountpoint=/home", HOME])
        run(["mv", f"{altroot}/user", f"{altroot}/home/user"])
        run(["zpool", "set", f"bootfs={ROOT}", POOL])
        disk = Disk(altroot, Machine(altroot))
        disk.again()
        yield disk
    finally:
        run(["zpool", "destroy", "-f", POOL])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with pool(tmp_path / "altroot") as lent:
        yield lent


def adopted(disk: Disk) -> str:
    """Adopt, and name what that made."""
    shape = disk.machine("init", "-y", "--json").json
    assert shape["adopted"] is True
    plan = shape["plan"]
    assert isinstance(plan, dict)
    return str(plan["id"])


def test_a_plan_changes_nothing(disk: Disk) -> None:
    before, digest = disk.datasets(), disk.digest()
    shape = disk.machine("init", "-n", "--json").json
    plan = shape["plan"]
    assert isinstance(plan, dict)
    assert (plan["pool"], plan["root"], plan["kernel"]) == (POOL, ROOT, tinyroot.KERNEL)
    hows = {one["area"]["mount"]: (one["how"], one["area"]["subvolume"]) for one in plan["areas"]}
    assert hows["/home"] == ("stays", HOME)
    assert hows["/var"] == ("carved", "@snaproot/areas/var")
    assert set(hows) == {"/var", "/home", "/root", "/srv", "/usr/local"}
    assert disk.datasets() == before
    assert disk.digest() == digest
    assert json.dumps(shape)


def test_a_root_is_adopted_beside_itself(disk: Disk) -> None:
    digest = disk.digest()
    id = adopted(disk)
    root, areas = f"{POOL}/ROOT/{id}", f"{POOL}/snaproot/areas"
    assert disk.digest() == digest
    assert disk.bootfs == root
    assert disk.value(root, "readonly") == "on"
    assert disk.value(f"{root}/etc", "readonly") == "off"
    assert (disk.value(root, "canmount"), disk.value(f"{root}/etc", "canmount")) == (
        "noauto",
        "noauto",
    )
    disk.again()
    assert disk.machine.ids() == [id]
    with disk.mounted(root, f"{root}/etc:/etc", f"{areas}/var:/var") as place:
        assert (place / "var/log/messages").read_text() == "something happened\n"
        assert (place / "var/lib/dpkg").readlink() == Path("../../usr/lib/sysimage/dpkg")
        assert "tiny" in (place / "var/lib/dpkg/status").read_text()
        table = (place / "etc/fstab").read_text()
        assert f"{areas}/var\t/var\tzfs\tdefaults\t0\t0\n" in table
        assert "/home" not in table
        assert (place / "etc/machine-id").exists()
        with pytest.raises(OSError, match="Read-only"):
            (place / "written").touch()
        (place / "etc/written").touch()
    with disk.mounted(f"{areas}/srv") as place:
        assert place.stat().st_uid == 33
        assert os.getxattr(place, "user.note") == b"kept"
    with disk.mounted(f"{areas}/root") as place:
        assert place.stat().st_mode & 0o777 == 0o700
    assert not [name for name in disk.datasets() if "partial" in name]
    assert not [name for name in disk.snapshots() if "seed" in name]
    disk.machine("init", "-y", status=77)
