"""Leaving on ZFS: the base becomes an ordinary root again, in a real pool. Runs in a bench."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from integration import layouts, tinyroot
from integration.machine import REPOSITORY, Machine
from integration.zfs.test_adoption import HOME, POOL, ROOT, Disk, pool
from snaproot import fstab
from snaproot.bootloader import envblock
from snaproot.run import run

READABLE = ("-o", "compatibility=grub2")
ASIDE = f"{ROOT}.before-snaproot"
AREAS = ("root", "srv", "usr-local", "var")
STUB = (
    "search.fs_uuid {uuid:016x} root \nset prefix=($root)'/ROOT/debian@/boot/grub'\n"
    "configfile $prefix/grub.cfg\n"
)
CHANGE = ("run", "sh", "-c", "echo new >/usr/lib/changed; echo changed >/etc/hostname")


@dataclass(frozen=True)
class Found:
    """A filesystem of a pool."""

    name: str
    mountpoint: str
    canmount: str
    readonly: str


@dataclass(frozen=True)
class Bench:
    """An adopted machine that is off, upgraded once since; the files of its ESP."""

    disk: Disk
    esp: Path
    stub: str

    @property
    def machine(self) -> Machine:
        words = ("--sysroot", str(self.disk.altroot), "--esp", str(self.esp))
        return Machine(self.disk.altroot, options=words)

    @property
    def home(self) -> Path:
        return self.esp / "EFI/snaproot"

    @property
    def led(self) -> str:
        return (self.esp / "EFI/debian/grub.cfg").read_text()

    @property
    def env(self) -> envblock.Env:
        found = envblock.parse((self.home / "env").read_bytes())
        assert found is not None
        return found

    def upgrade(self) -> str:
        """Make a second boot environment the base, as by a good trial."""
        (self.home / "env").write_bytes(envblock.render(replace(self.env, canary="1")))
        self.machine(*CHANGE)
        self.machine("promote")
        return str(self.machine.status()["base"])

    def guid(self, name: str) -> str:
        return self.disk.value(name, "guid")

    def found(self) -> "dict[str, Found]":
        """Read what every filesystem is called now, and how it is mounted, by its guid."""
        columns = "guid,name,mountpoint,canmount,readonly"
        said = self.disk.zfs("list", "-Hp", "-o", columns, "-r", POOL)
        return {row[0]: Found(*row[1:]) for row in (line.split("\t") for line in said.splitlines())}

    def text(self, dataset: str, path: str) -> str:
        with self.disk.mounted(dataset) as place:
            return (place / path).read_text()

    def marks(self) -> list[str]:
        """Name everything that has a property of snaproot's."""
        kinds = ("-t", "filesystem,snapshot")
        said = self.disk.zfs("get", "-Hp", "-r", "-s", "local", *kinds, "-o", "all", "all", POOL)
        return [line for line in said.splitlines() if "org.snaproot" in line]


@contextmanager
def adopted(tmp_path: Path, *options: str) -> Iterator[Bench]:
    with pool(tmp_path / "altroot", *options) as disk:
        esp = tmp_path / "esp"
        layouts.put(esp / "EFI/debian/grub.cfg", stock(disk))
        bench = Bench(disk, esp, stock(disk))
        bench.machine("init", "-y")
        yield bench


def stock(disk: Disk) -> str:
    """Let GRUB have a menu of its own in the root, and return the stub that leads there."""
    with disk.mounted(ROOT) as root:
        layouts.put(root / "boot/grub/grub.cfg", "set timeout=3\nterminal_output console\n")
        layouts.put(root / "etc/default/grub", 'GRUB_CMDLINE_LINUX="console=ttyS0 quiet"\n')
        layouts.put(root / "etc/fstab", "UUID=1234-ABCD /boot/efi vfat umask=0077 0 1\n")
        layouts.put(root / "etc/sub/deep/file", "kept\n")
    guid = run(["zpool", "get", "-Hp", "-o", "value", "guid", POOL]).output
    return STUB.format(uuid=int(guid))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with adopted(tmp_path, *READABLE) as found:
        yield found


def test_the_base_is_an_ordinary_root_again(bench: Bench) -> None:
    original, base = bench.disk.digest(), bench.upgrade()
    planned = bench.machine("deinit", "-n").out
    assert f"Put it in place as {ROOT}; what is there is kept as {ASIDE}" in planned
    said = bench.machine("deinit", "-y")
    assert f"The next boot is {ROOT}" in said.out
    assert "not adopted any more" in bench.machine.refused("status", status=3)
    assert "has left snaproot" in bench.machine.refused("init", "-y", status=3)
    assert bench.disk.bootfs == ROOT
    assert bench.led == bench.stub
    own = ("readonly", "canmount", "mountpoint", "sync")
    assert [bench.disk.value(ROOT, name) for name in own] == [
        *("off", "noauto", str(bench.disk.altroot), "standard"),
    ]
    with bench.disk.mounted(ROOT) as root:
        assert (root / "usr/lib/changed").read_text() == "new\n"
        assert (root / "etc/hostname").read_text() == "changed\n"
        assert (root / "etc/sub/deep/file").read_text() == "kept\n"
        menu = (root / "boot/grub/grub.cfg").read_text()
        assert f"{POOL}/snaproot/areas/var\t/var\tzfs\tdefaults" in (root / "etc/fstab").read_text()
        (root / "usr/x").touch()
    assert f"linux '/ROOT/debian@/boot/vmlinuz-{tinyroot.KERNEL}' 'root=ZFS={ROOT}' 'ro'" in menu
    assert "'console=ttyS0' 'quiet'" in menu
    assert "snaproot." not in menu
    with bench.disk.mounted(ASIDE) as place:
        assert layouts.digest(place) == original
    assert f"{POOL}/ROOT/{base}" in bench.disk.datasets()


def test_typed_again_it_leaves_nothing_but_what_is_shared(bench: Bench) -> None:
    run(["zfs", "set", "atime=off", f"{POOL}/snaproot"])
    run(["zfs", "set", "recordsize=16K", f"{POOL}/snaproot/areas/var"])
    bench.upgrade()
    with bench.disk.mounted(f"{POOL}/snaproot/areas/var") as var:
        layouts.put(var / "lib/later", "written since\n")
    bench.machine("deinit", "-y")
    assert bench.home.is_dir()
    assert "nothing of snaproot's is left" in bench.machine("deinit", "-y").out
    assert not bench.home.exists()
    left = {POOL, f"{POOL}/ROOT", ROOT, ASIDE, HOME, *(f"{POOL}/{area}" for area in AREAS)}
    assert bench.disk.datasets() == left
    assert bench.marks() == []
    assert bench.text(f"{POOL}/var", "lib/later") == "written since\n"
    table = fstab.parse(bench.text(ROOT, "etc/fstab"))
    lines = {one.file: (one.spec, one.options) for one in table if one.type == "zfs"}
    assert lines["/usr/local"] == (f"{POOL}/usr-local", ("defaults",))
    assert {spec for spec, _ in lines.values()} == {f"{POOL}/{area}" for area in AREAS}
    assert {bench.disk.value(spec, "mountpoint") for spec, _ in lines.values()} == {"legacy"}
    kept = [bench.disk.value(f"{POOL}/var", name) for name in ("atime", "recordsize")]
    assert kept == ["off", "16384"]
    bench.disk.zfs("destroy", ASIDE)
    assert bench.disk.snapshots() == set()
    assert bench.disk.value(ROOT, "origin") == "-"
    assert "not adopted" in bench.machine.refused("deinit", "-y", status=3)
    assert "not adopted" in bench.machine.refused("status", status=3)
    bench.disk.again()
    bench.machine("init", "-y")
    assert bench.machine.ids()


def test_without_the_original_it_takes_its_name(bench: Bench) -> None:
    bench.upgrade()
    bench.machine("cleanup", "--original", "-y")
    bench.machine("deinit", "-y")
    assert (bench.disk.bootfs, bench.led) == (ROOT, bench.stub)
    bench.machine("deinit", "-y")
    assert bench.disk.snapshots() == set()
    assert bench.disk.value(ROOT, "origin") == "-"
    assert bench.text(ROOT, "usr/lib/changed") == "new\n"


def test_what_lies_in_the_original_stays_where_it_is(tmp_path: Path) -> None:
    log = f"{ROOT}/log"
    with pool(tmp_path / "altroot", *READABLE) as disk:
        run(["zfs", "create", "-u", "-o", "mountpoint=/var/log", log])
        layouts.put(tmp_path / "esp/EFI/debian/grub.cfg", stock(disk))
        bench = Bench(disk, tmp_path / "esp", stock(disk))
        bench.machine("init", "-y")
        bench.machine("deinit", "-y")
        assert disk.bootfs == f"{POOL}/ROOT/linux"
        assert "set prefix=($root)'/ROOT/linux@/boot/grub'\n" in bench.led
        assert len(bench.led) == len(bench.stub)
        bench.machine("deinit", "-y")
        assert {ROOT, log, f"{POOL}/ROOT/linux", f"{POOL}/var"} <= disk.datasets()
        assert disk.value(log, "mountpoint") == f"{disk.altroot}/var/log"


def test_others_datasets_in_snaproots_own_are_nothing_of_ours(bench: Bench) -> None:
    bench.machine("deinit", "-y")
    run(["zfs", "create", "-u", f"{POOL}/snaproot/mine"])
    before, home = bench.disk.datasets(), bench.home
    assert home.is_dir()
    told = bench.machine("deinit", "-y", status=3).err
    assert f"holds others' datasets: {POOL}/snaproot/mine" in told
    assert bench.disk.datasets() == before
    assert home.is_dir()
    run(["zfs", "rename", f"{POOL}/snaproot/mine", f"{POOL}/mine"])
    bench.machine("deinit", "-y")
    assert f"{POOL}/mine" in bench.disk.datasets()


def test_what_grub_could_not_read_is_refused(tmp_path: Path) -> None:
    with adopted(tmp_path) as bench:
        before = bench.disk.datasets()
        told = bench.machine("deinit", "-y", status=3).err
        assert f"GRUB could not read /boot in the pool {POOL}" in told
        assert "compatibility=grub2" in told
        assert bench.disk.datasets() == before
        assert bench.led != bench.stub


# -- cut anywhere --------------------------------------------------------------------------------

_CUT = """
import os, sys
from pathlib import Path
from snaproot import leaving
from snaproot.system import top_level
WRITES = {
    *("create", "clone", "snapshot", "zfs_promote", "rename", "destroy", "destroy_snapshots"),
    *("destroy_bookmarks", "put", "put_pool", "unset", "rewrite", "save", "set_in_use"),
    *("overwrite", "abolish"),
}
left = int(sys.argv[3])
def watch(frame, event, _):
    global left
    if event == "call" and frame.f_code.co_name in WRITES:
        if "/snaproot/" in frame.f_code.co_filename:
            left -= 1
            if left == 0:
                os._exit(9)
with top_level(Path(sys.argv[1])) as top:
    with leaving.survey(top, Path(sys.argv[2]), None) as facts:
        plan = leaving.plan(facts)
        sys.setprofile(watch)
        leaving.execute(plan, facts, top, lambda step: None)
        sys.setprofile(None)
print("through")
"""


@dataclass(frozen=True)
class Kept:
    """What has to be there whatever happens, by its guid: the original, what is shared, a base."""

    original: str
    areas: dict[str, str]
    base: str

    def check(self, bench: Bench) -> str:
        """Say which way the machine boots, of the two that there are."""
        found = bench.found()
        original = found[self.original].name
        assert original in {ROOT, ASIDE}
        with bench.disk.mounted(original) as place:
            assert (place / "usr/bin/busybox").exists()
            assert not (place / "usr/lib/changed").exists()
        led, root = bench.led.startswith("source /EFI/snaproot/grub.cfg"), ROOT
        if led:
            assert bench.env.good == self.base
            root = f"{POOL}/ROOT/{self.base}"
            assert [one.readonly for one in found.values() if one.name == root] == ["on"]
        else:
            assert bench.led == bench.stub
            assert bench.disk.bootfs == ROOT
        var = found[self.areas["/var"]].name
        with bench.disk.mounted(root, *([f"{root}/etc:/etc"] if led else []), f"{var}:/var") as at:
            assert (at / "usr/lib/changed").read_text() == "new\n"
            assert (at / "etc/hostname").read_text() == "changed\n"
            assert (at / "var/lib/later").read_text() == "written since\n"
            assert led or "'/ROOT/debian@/boot/vml" in (at / "boot/grub/grub.cfg").read_text()
            self.mounts(bench, found, (at / "etc/fstab").read_text())
        return "base" if led else "root"

    def mounts(self, bench: Bench, found: dict[str, Found], table: str) -> None:
        """Assert that everything shared is mounted at a boot: by its line, or by itself."""
        lines = {one.file: one for one in fstab.parse(table) if one.type == "zfs"}
        for point, guid in self.areas.items():
            one, line = found[guid], lines[point]
            if one.mountpoint == "legacy":
                assert line.spec == one.name
            else:
                assert one.mountpoint == f"{bench.disk.altroot}{point}"
                assert one.canmount == "on"
                assert line.option("nofail") is not None


def kept(bench: Bench) -> Kept:
    base = bench.upgrade()
    areas = {f"/{area.replace('-', '/')}": f"{POOL}/snaproot/areas/{area}" for area in AREAS}
    with bench.disk.mounted(areas["/var"]) as var:
        layouts.put(var / "lib/later", "written since\n")
    numbers = {point: bench.guid(name) for point, name in areas.items()}
    return Kept(bench.guid(ROOT), numbers, base)


def cuts(bench: Bench, told: Kept, stride: int) -> list[str]:
    """Type it again and again, each time cut later, until it ends; say what would boot each time.

    What a cut left is what the next one starts from.
    """
    seen: list[str] = []
    for number in range(1, 500, stride):
        where = (str(bench.disk.altroot), str(bench.esp), str(number))
        done = run(
            [sys.executable, "-c", _CUT, *where],
            extra={"PYTHONPATH": str(REPOSITORY)},
            check=False,
        )
        if "NotAdopted" in done.errors:  # it was through but for a last sync
            return seen
        assert done.status in {0, 9}, done
        seen.append(told.check(bench))
        if done.status == 0:
            return seen
        if number % 5 == 1:
            bench.disk.again()
    raise AssertionError("it does not end")


def test_cut_at_any_write_one_of_two_ways_boots_and_typed_again_it_ends(bench: Bench) -> None:
    told = kept(bench)
    seen = cuts(bench, told, 3)
    assert seen[0] == "base"
    assert seen[-1] == "root"
    assert "base" not in seen[seen.index("root") :]
    assert {*cuts(bench, told, 3)} == {"root"}
    left = {POOL, f"{POOL}/ROOT", ROOT, ASIDE, HOME, *(f"{POOL}/{area}" for area in AREAS)}
    assert bench.disk.datasets() == left
    assert bench.marks() == []
    table = bench.text(ROOT, "etc/fstab")
    assert "nofail" not in table
    assert f"{POOL}/var\t/var\tzfs\tdefaults\t0\t0\n" in table
    bench.disk.zfs("destroy", ASIDE)
    assert bench.disk.snapshots() == set()
