"""Adoption of plain ZFS roots that do not run, each in a real pool. Runs in a bench."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration import layouts, tinyroot
from integration.machine import REPOSITORY, Machine
from integration.zfs.bed import created
from integration.zfs.bench import SCRATCH
from snaproot.adoption.carving import flags, set_flags
from snaproot.run import run

POOL = "rpool"
HOME = f"{POOL}/home"
ROOT = f"{POOL}/ROOT/debian"
INITRAMFS = (
    *tinyroot.INITRAMFS,
    *("sbin/zpool", "sbin/zfs", "sbin/mount.zfs", "scripts/zfs", "scripts/local-bottom/snaproot"),
    f"usr/lib/modules/{tinyroot.KERNEL}/extra/zfs.ko",
)
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

    def again(self, *options: str) -> None:
        """Export and import, as another machine would find it."""
        run(["zpool", "export", POOL])
        run(["zpool", "import", "-N", "-R", str(self.altroot), *options, POOL])


def stock(place: Path) -> None:
    """Fill a root as a Debian on ZFS has it: no line for / in fstab."""
    tinyroot.build(place, subvolume="", initramfs=INITRAMFS)
    (place / "etc/fstab").write_text("# nothing\n")
    (place / "root").chmod(0o700)
    os.chown(place / "srv", 33, 33)
    os.setxattr(place / "srv", "user.note", b"kept")


@contextmanager
def pool(altroot: Path, *options: str) -> Iterator[Disk]:
    """Lend a pool with a stock root, `/home` in a dataset of its own."""
    altroot.mkdir(exist_ok=True)
    words = (*_OPTIONS, *_POSIX, *options, "-R", str(altroot))
    created("zpool", "create", "-f", *words, POOL, SCRATCH)
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
    listed = disk.machine("list", "--json").json["environments"]
    assert isinstance(listed, list)
    assert {one["id"] for one in listed} == {id, "original"}
    root, areas = f"{POOL}/ROOT/{id}", f"{POOL}/snaproot/areas"
    assert disk.digest() == digest
    assert disk.bootfs == root
    assert disk.value(root, "readonly") == "on"
    assert disk.value(f"{root}/etc", "readonly") == "off"
    assert {disk.value(name, "canmount") for name in (root, f"{root}/etc")} == {"noauto"}
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
    left = (*disk.datasets(), *disk.snapshots())
    assert not [name for name in left if "partial" in name or "seed" in name]
    disk.machine("init", "-y", status=77)


def test_an_adopted_root_is_changed_and_the_original_goes(disk: Disk) -> None:
    """Targets are made and proven, the original goes, and what was shared is still there."""
    first = adopted(disk)
    machine = disk.machine
    machine("run", "touch", "/usr/lib/marker")
    machine("promote")
    second = str(machine.status()["base"])
    assert machine.ids() == [first, second]
    assert disk.bootfs == f"{POOL}/ROOT/{second}"
    machine("cleanup", "--original", "-y")
    assert ROOT not in disk.datasets()
    assert not [name for name in disk.snapshots() if "adopt-" in name]
    disk.again()
    assert machine.ids() == [first, second]
    assert json.loads(machine("verify", first, "--json").out)
    with disk.mounted(f"{POOL}/ROOT/{first}", f"{POOL}/ROOT/{first}/etc:/etc") as place:
        assert (place / "etc/hostname").read_text() == "tiny\n"
        assert (place / "usr/bin/busybox").is_file()
    machine("rollback", first, "-y")
    machine("promote")
    assert disk.bootfs == f"{POOL}/ROOT/{first}"
    with disk.mounted(HOME) as place:
        assert (place / "user/letter").read_text() == "Dear all\n"


def test_what_lies_in_the_original_keeps_it(disk: Disk) -> None:
    """A dataset inside the original's stays an area; the original cannot go before it is moved."""
    log = f"{ROOT}/log"
    run(["zfs", "create", "-o", "mountpoint=/var/log", log])
    run(["zfs", "unmount", log], check=False)
    with disk.mounted(log) as place:
        (place / "messages").write_text("of its own\n")
    id = adopted(disk)
    etc = f"{POOL}/ROOT/{id}/etc"
    with disk.mounted(etc) as place:
        order = place / "systemd/system/zfs-mount.service.d/50snaproot.conf"
        assert order.read_text() == "[Unit]\nRequiresMountsFor=/var\n"
    disk.machine("run", "touch", "/usr/lib/marker")
    disk.machine("promote")
    assert log in disk.machine.refused("cleanup", "--original", "-y", status=3)
    run(["zfs", "rename", "-u", log, f"{POOL}/log"])
    disk.machine("cleanup", "--original", "-y")
    assert ROOT not in disk.datasets()
    disk.machine("run", "sh", "-c", "test -f /var/log/messages && echo new >/var/log/added")
    pending = disk.machine.status()["pending"]
    assert isinstance(pending, dict)
    assert f"{POOL}/log@{pending['target']}" not in disk.snapshots()
    disk.machine("promote")
    with disk.mounted(f"{POOL}/log") as place:
        assert (place / "messages").read_text() == "of its own\n"


def test_the_originals_own_settings_are_those_of_what_is_made(disk: Disk) -> None:
    run(["zfs", "set", "compression=zstd", "atime=off", ROOT])
    id = adopted(disk)
    for name in (f"{POOL}/ROOT/{id}", f"{POOL}/ROOT/{id}/etc", f"{POOL}/snaproot/areas/var"):
        assert disk.value(name, "compression") == "zstd"
        assert disk.value(name, "atime") == "off"


def test_locked_files_are_carried_over_locked(disk: Disk) -> None:
    with disk.mounted(ROOT) as place:
        layouts.put(place / "srv/vault/gold", "gold\n")
        set_flags(place / "srv/vault/gold", flags(place / "srv/vault/gold") | 0x10)
    adopted(disk)
    with disk.mounted(f"{POOL}/snaproot/areas/srv") as place:
        assert (place / "vault/gold").read_text() == "gold\n"
        assert flags(place / "vault/gold") & 0x10


def test_a_var_that_fstab_mounts_is_copied_and_its_line_changed(disk: Disk) -> None:
    var = f"{POOL}/var"
    run(["zfs", "create", "-o", "mountpoint=legacy", var])
    with disk.mounted(ROOT, f"{var}:/mnt") as place:
        run(["sh", "-c", f"cp -a {place}/var/. {place}/mnt"])
        layouts.put(place / "etc/fstab", f"{ROOT} / zfs defaults 0 0\n{var} /var zfs noatime 0 0\n")
    id = adopted(disk)
    with disk.mounted(f"{POOL}/ROOT/{id}/etc") as place:
        table = (place / "fstab").read_text()
        assert f"{POOL}/snaproot/areas/var\t/var\tzfs\tnoatime\t0\t0\n" in table
        assert ROOT not in table
    with disk.mounted(f"{POOL}/snaproot/areas/var") as place:
        assert (place / "log/messages").read_text() == "something happened\n"
    with disk.mounted(var) as place:
        assert (place / "lib/dpkg/status").is_file()


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (("-o", "mountpoint=/boot", f"{POOL}/boot"), "which mounts itself", "mountpoint=legacy"),
        (("-o", "mountpoint=/var", f"{POOL}/var"), "mounts itself at /var", "mountpoint=legacy"),
        (("-o", "mountpoint=/usr", f"{POOL}/usr"), "/usr is a dataset of its own", "into the root"),
    ],
)
def test_what_a_sealed_root_has_to_hold_is_refused(
    disk: Disk, words: tuple[str, ...], said: str, hint: str
) -> None:
    run(["zfs", "create", "-u", *words])
    before = disk.datasets()
    told = disk.machine("init", "-y", status=3).err
    assert said in told
    assert hint in told
    assert disk.datasets() == before


def test_several_roots_and_no_word_which_are_refused(disk: Disk) -> None:
    other = f"{POOL}/ROOT/other"
    run(["zfs", "create", "-u", "-o", "canmount=noauto", "-o", "mountpoint=/", other])
    with disk.mounted(other) as place:
        stock(place)
    run(["zpool", "set", "bootfs=", POOL])
    told = disk.machine("init", "-y", status=3).err
    assert "more than one looks like the root" in told
    assert f"zpool set bootfs=DATASET {POOL}" in told
    run(["zpool", "set", f"bootfs={ROOT}", POOL])
    adopted(disk)


def test_a_root_whose_key_is_not_loaded_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("a long enough key\n")
    encrypted = (f"keylocation=file://{key}", "keyformat=passphrase", "encryption=on")
    options = [word for one in encrypted for word in ("-O", one)]
    with pool(tmp_path / "altroot", *options) as disk:
        told = disk.machine("init", "-y", status=3).err
        assert f"{ROOT} is encrypted, and its key is not loaded" in told
        assert f"zfs load-key {POOL}" in told
        run(["zfs", "load-key", POOL])
        id = adopted(disk)
        assert disk.value(f"{POOL}/snaproot/areas/root", "encryptionroot") == POOL
        assert disk.value(f"{POOL}/ROOT/{id}/etc", "encryptionroot") == POOL


def test_a_pool_that_is_not_whole_or_not_writable_is_refused(disk: Disk) -> None:
    run(["zpool", "export", POOL])
    run(["zpool", "import", "-N", "-R", str(disk.altroot), "-o", "readonly=on", POOL])
    assert "imported read-only" in disk.machine.refused("init", "-y", status=3)


def test_names_that_would_be_too_long_are_refused(disk: Disk) -> None:
    name = "p" * 216  # where bootfs is longer still, zpool-import(8) panics the kernel (2.3.9)
    run(["zpool", "export", POOL])
    run(["zpool", "import", "-N", "-R", str(disk.altroot), POOL, name])
    try:
        before = run(["zfs", "list", "-H", "-o", "name", "-r", name]).output
        for words in (("init", "-n"), ("init", "-y")):
            said = disk.machine(*words, status=3).err
            assert "at most 255; nothing was changed" in said
            assert "zpool import POOL NAME" in said
        assert run(["zfs", "list", "-H", "-o", "name", "-r", name]).output == before
    finally:
        run(["zpool", "export", name])
        run(["zpool", "import", "-N", name, POOL])


def test_a_root_that_could_not_be_mounted_is_refused(disk: Disk) -> None:
    with disk.mounted(ROOT) as place:
        image = place / f"boot/initrd.img-{tinyroot.KERNEL}"
        image.write_bytes(tinyroot.cpio(INITRAMFS[:-2]))
    told = disk.machine("init", "-y", status=3).err
    assert "lacks" in told
    assert "the module zfs" in told
    assert "snaproot's own hook" in told


_CUT = """
import os, sys
from pathlib import Path
from snaproot import adoption
from snaproot.system import top_level
with top_level(Path(sys.argv[1])) as top:
    plan = adoption.plan(adoption.survey(top), "b4k7q2x")
    adoption.execute(plan, top, lambda step: os._exit(9) if step == sys.argv[2] else print(step))
"""


def test_a_run_stopped_anywhere_is_taken_up_again(disk: Disk) -> None:
    """Stop before each step in turn, in one pool: every run meets the last one's ruins."""
    digest = disk.digest()
    run(["zpool", "checkpoint", POOL])
    names = cut(disk, "").splitlines()
    disk.again("--rewind-to-checkpoint")
    pristine = disk.datasets()
    for name in names:
        cut(disk, name, status=9)
        assert disk.digest() == digest
        moved = names.index(name) > names.index("make b4k7q2x bootfs")
        assert (disk.bootfs == ROOT) is not moved
        disk.again()
    id = adopted(disk) if f"{POOL}/snaproot" not in disk.datasets() else "b4k7q2x"
    if id == "b4k7q2x":
        disk.machine("init", "-y")
    assert disk.bootfs == f"{POOL}/ROOT/{id}"
    made = {name for name in disk.datasets() - pristine if "/snaproot" not in name}
    assert made == {f"{POOL}/ROOT/{id}", f"{POOL}/ROOT/{id}/etc"}
    assert {name for name in disk.snapshots() if name.startswith(f"{ROOT}@")} == {
        f"{ROOT}@adopt-{id}"
    }


def cut(disk: Disk, step: str, status: int = 0) -> str:
    words = (sys.executable, "-c", _CUT, str(disk.altroot), step)
    done = run(words, extra={"PYTHONPATH": str(REPOSITORY)}, check=False)
    assert done.status == status, done
    return done.output


def test_a_full_pool_leaves_nothing_behind(disk: Disk) -> None:
    run(["zfs", "create", "-o", "reservation=3400M", "-o", "canmount=off", f"{POOL}/ballast"])
    before, digest = disk.datasets(), disk.digest()
    with disk.mounted(ROOT) as place:
        run(["sh", "-c", f"head -c 300000000 /dev/urandom >{place}/srv/large"])
    told = disk.machine("init", "-y", status=3).err
    assert "MiB are needed" in told
    assert disk.datasets() == before
    assert disk.digest() != digest
