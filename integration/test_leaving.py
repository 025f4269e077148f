"""Leaving: the base becomes an ordinary root again, and nothing that people wrote is lost."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import pytest

from integration import grubemu, layouts, tinyroot
from integration.disk import disk
from integration.machine import Machine
from snaproot import fstab, leaving
from snaproot.adoption.carving import flags, set_flags
from snaproot.bootloader import envblock
from snaproot.errors import NotAdopted
from snaproot.filesystem.btrfs import binding
from snaproot.filesystem.btrfs.backend import Btrfs
from snaproot.filesystem.layout import Layout
from snaproot.mountinfo import mount_of
from snaproot.record import Records
from snaproot.run import run
from snaproot.state import Record

pytestmark = pytest.mark.real

STUB = (
    "search.fs_uuid {uuid} root hd0,gpt2 \n"
    "set prefix=($root)'/{root}boot/grub'\nconfigfile $prefix/grub.cfg\n"
)
MENU = """\
set timeout=3
terminal_output console
menuentry 'Stock' {{
    linux /{root}boot/vmlinuz-{kernel} root=UUID={uuid} ro rootflags=subvol=@
    initrd /{root}boot/initrd.img-{kernel}
}}
"""
IMMUTABLE = 0x10
MASKED = "apt-daily-upgrade.timer"
CHANGE = ("run", "sh", "-c", "echo new >/usr/lib/changed; echo changed >/etc/hostname")


@dataclass(frozen=True)
class Bench:
    """An adopted machine that is off, upgraded once since; the files of its ESP."""

    machine: Machine
    esp: Path
    stub: str
    root: str

    @property
    def top(self) -> Path:
        return self.machine.top

    @property
    def home(self) -> Path:
        return self.esp / "EFI/snaproot"

    @property
    def led(self) -> str:
        return (self.esp / "EFI/debian/grub.cfg").read_text()

    @property
    def base(self) -> str:
        return str(self.machine.status()["base"])

    def upgrade(self) -> None:
        """Make a second boot environment the base, as by a good trial."""
        env = envblock.parse((self.home / "env").read_bytes())
        assert env is not None
        (self.home / "env").write_bytes(envblock.render(replace(env, canary="1")))
        self.machine(*CHANGE)
        self.machine("promote")

    def subvolumes(self) -> list[str]:
        return sorted(s.path for s in binding.subvolumes(self.top))

    def default(self) -> int:
        return binding.default_id(self.top)

    def grub(self, tmp_path: Path) -> grubemu.Outcome:
        """Let GRUB start this machine, from what is on the medium."""
        run(["sync", "-f", str(self.top)])
        image, device = tmp_path / "esp.img", mount_of(self.top).source
        grubemu.fat(image, self.esp, size="2M")
        backing = run(["losetup", "--noheadings", "--output", "BACK-FILE", device]).output.strip()
        return grubemu.boot("2.06", (image, Path(backing)), read_only=(Path(backing),))


def stock(top: Path, esp: Path, name: str = "@") -> Bench:
    """Make a machine as its installer leaves it."""
    root = top / name
    if name:
        layouts.subvolume(root)
    uuid = binding.information(top)[1]
    tinyroot.build(root, spec=f"UUID={uuid}", subvolume=name)
    words = {"uuid": uuid, "root": f"{name}/".lstrip("/"), "kernel": tinyroot.KERNEL}
    layouts.put(root / "boot/grub/grub.cfg", MENU.format(**words))
    layouts.put(root / "etc/default/grub", 'GRUB_CMDLINE_LINUX="console=ttyS0 quiet"\n')
    layouts.put(root / f"usr/lib/systemd/system/{MASKED}", "[Timer]\n")
    layouts.put(root / "etc/sub/deep/file", "kept\n")
    (root / "etc/sub/other").hardlink_to(root / "etc/sub/deep/file")
    os.setxattr(root / "etc/sub", "user.note", b"kept")
    os.chown(root / "etc/sub/deep", 12, 34)
    layouts.fstab(root, "UUID=1234-ABCD /boot/efi vfat umask=0077 0 1")
    layouts.put(esp / "EFI/debian/grub.cfg", STUB.format(**words))
    machine = Machine(top, options=("--sysroot", str(top), "--esp", str(esp)))
    return Bench(machine, esp, STUB.format(**words), name)


@contextmanager
def adopted(tmp_path: Path, name: str = "@") -> Iterator[Bench]:
    with disk(tmp_path, size="2G") as top:
        bench = stock(top, tmp_path / "esp", name)
        bench.machine("init", "-y")
        yield bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with adopted(tmp_path) as found:
        yield found


def mounts(text: str) -> dict[str, str | None]:
    return {entry.file: entry.subvolume for entry in fstab.parse(text)}


def mounted(bench: Bench, table: str) -> None:
    """Assert that every line of an fstab that mounts this filesystem does so."""
    place = bench.esp.parent / "mounted"
    place.mkdir(exist_ok=True)
    for entry in fstab.parse(table):
        if entry.type == "btrfs":
            options = ",".join(o for o in entry.options if o.startswith("subvol"))
            source = mount_of(bench.top).source
            run(["mount", "-t", "btrfs", "-o", f"{options},ro", source, str(place)])
            run(["umount", str(place)])


def test_the_base_is_an_ordinary_root_again_and_grub_boots_it(bench: Bench, tmp_path: Path) -> None:
    bench.upgrade()
    original = layouts.digest(bench.top / "@")
    said = bench.machine("deinit", "-y")
    assert "Once it has booted" in said.out
    assert "not adopted any more" in bench.machine.refused("status", status=3)
    assert "has left snaproot" in bench.machine.refused("init", "-y", status=3)
    root = bench.top / "@"
    assert not binding.subvolume(root).read_only
    assert (root / "usr/lib/changed").read_text() == "new\n"
    assert layouts.digest(bench.top / "@.before-snaproot") == original
    table = (root / "etc/fstab").read_text()
    assert mounts(table)["/"] == "@"
    assert mounts(table)["/home"] == "@snaproot/areas/home"
    mounted(bench, table)
    assert bench.led == bench.stub
    assert bench.default() == binding.TOP_LEVEL
    outcome = bench.grub(tmp_path)
    assert outcome.kernel == f"/@/boot/vmlinuz-{tinyroot.KERNEL}"
    assert "rootflags=subvol=@ " in f"{outcome.arguments} "
    assert "console=ttyS0 quiet" in outcome.arguments
    assert "snaproot" not in outcome.arguments


def test_etc_is_a_directory_again_with_all_that_was_set_there(bench: Bench) -> None:
    bench.upgrade()
    before = bench.machine.snaproot / f"environments/{bench.base}/root/etc"
    layouts.put(before / "edited", "since\n")
    set_flags(before / "edited", flags(before / "edited") | IMMUTABLE)
    bench.machine("deinit", "-y")
    etc = bench.top / "@/etc"
    assert not binding.is_subvolume(etc)
    assert (etc / "hostname").read_text() == "changed\n"
    assert flags(etc / "edited") & IMMUTABLE
    assert (etc / "sub/other").samefile(etc / "sub/deep/file")
    assert os.getxattr(etc / "sub", "user.note") == b"kept"
    assert ((etc / "sub/deep").stat().st_uid, (etc / "sub/deep").stat().st_gid) == (12, 34)
    assert (etc / "shadow").stat().st_mode & 0o777 == 0o640
    assert (etc / "sub").stat().st_mtime_ns == (before / "sub").stat().st_mtime_ns
    assert not os.path.lexists(etc / "systemd/system" / MASKED)
    set_flags(etc / "edited", 0)
    set_flags(before / "edited", 0)


def test_typed_again_it_leaves_nothing_but_what_is_shared(bench: Bench, tmp_path: Path) -> None:
    bench.upgrade()
    homes = bench.machine.snaproot / "areas/home"
    layouts.put(homes / "user/later", "written since\n")
    shared = layouts.digest(homes)
    bench.machine("deinit", "-y")
    assert bench.home.is_dir()
    assert "nothing of snaproot's is left" in bench.machine("deinit", "-y").out
    assert not bench.home.exists()
    assert bench.subvolumes() == [
        *("@", "@.before-snaproot", "@home", "@root", "@srv", "@usr-local", "@var"),
    ]
    assert layouts.digest(bench.top / "@home") == shared
    table = (bench.top / "@/etc/fstab").read_text()
    assert mounts(table)["/home"] == "@home"
    assert "subvolid" not in table
    mounted(bench, table)
    assert not bench.machine.snaproot.exists()
    assert "not adopted" in bench.machine.refused("deinit", "-y", status=3)
    assert "not adopted" in bench.machine.refused("status", status=3)
    assert bench.grub(tmp_path).kernel.startswith("/@/boot/")
    bench.machine("init", "-y")
    assert bench.machine.ids()


# -- cut anywhere --------------------------------------------------------------------------------

WRITES = {
    *("chown", "fork_exec", "fsync", "ioctl", "link", "mkdir", "open", "pwrite", "rename"),
    *("rmdir", "symlink", "unlink", "utime", "write"),
    *("create_snapshot", "delete_subvolume", "set_default_subvolume", "set_subvolume_read_only"),
    "sync",
}
"""The calls of `os`, of a file and of btrfsutil before any of which somebody may kill us."""


class CutError(BaseException):
    """We were killed before a write."""


@contextmanager
def cut_before(number: int) -> Iterator[None]:
    """Be killed before the `number`th write; an exchange of names is one of them."""
    left = number

    def watch(frame: FrameType, event: str, call: object) -> None:
        nonlocal left
        writes = event == "c_call" and getattr(call, "__name__", "") in WRITES
        if writes or (event == "call" and frame.f_code.co_name == "exchange"):
            left -= 1
            if left == 0:
                sys.setprofile(None)
                raise CutError

    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)


def leave(bench: Bench) -> None:
    with leaving.survey(bench.top, bench.esp, None) as facts:
        leaving.execute(leaving.plan(facts), facts, bench.top, lambda _: None)


@dataclass(frozen=True)
class Kept:
    """What has to be there whatever happens: the original, a shared place, a sealed base."""

    original: int
    home: int
    base: str

    def check(self, bench: Bench) -> str:
        """Say which way the machine boots, of the two that there are."""
        original = binding.subvolume_path(bench.top, self.original)
        home = binding.subvolume_path(bench.top, self.home)
        assert original in {"@", "@.before-snaproot"}
        assert (bench.top / original / "usr/bin/busybox").exists()
        assert not (bench.top / original / "usr/lib/changed").exists()
        assert home in {"@snaproot/areas/home", "@home"}
        assert (bench.top / home / "user/later").read_text() == "written since\n"
        if bench.led.startswith("source /EFI/snaproot/grub.cfg"):
            env = envblock.parse((bench.home / "env").read_bytes())
            assert env is not None
            assert env.good == self.base
            Btrfs(Layout(bench.top), None).intact(self.base)
            root = bench.machine.snaproot / f"environments/{self.base}/root"
        else:
            assert bench.led == bench.stub
            root = bench.top / "@"
            menu = (root / "boot/grub/grub.cfg").read_text()
            assert "    linux '/@/boot/" in menu
            kernel = menu.split("    linux '")[1].split("'")[0]
            assert (bench.top / kernel.lstrip("/")).stat().st_size
        assert (root / "usr/lib/changed").exists()
        mounted(bench, (root / "etc/fstab").read_text())
        return "root" if root == bench.top / "@" else "base"


def kept(bench: Bench) -> Kept:
    bench.upgrade()
    home = bench.machine.snaproot / "areas/home"
    layouts.put(home / "user/later", "written since\n")
    original = binding.subvolume_id(bench.top / "@")
    return Kept(original, binding.subvolume_id(home), bench.base)


def cuts(bench: Bench, told: Kept, stride: int) -> list[str]:
    """Type it again and again, each time cut later, until it ends; say what would boot each time.

    What a cut left is what the next one starts from.
    """
    seen = []
    for number in range(1, 5000, stride):
        try:
            with cut_before(number):
                leave(bench)
        except CutError:
            seen.append(told.check(bench))
        except NotAdopted:  # it was through but for a last sync
            return seen
        else:
            return [*seen, told.check(bench)]
    raise AssertionError("it does not end")


@pytest.mark.parametrize("stride", [11, pytest.param(1, marks=pytest.mark.slow)])
def test_cut_at_any_write_one_of_two_ways_boots_and_typed_again_it_ends(
    bench: Bench, stride: int, tmp_path: Path
) -> None:
    told = kept(bench)
    seen = cuts(bench, told, stride)
    assert seen[0] == "base"
    assert seen[-1] == "root"
    assert len(seen) > 100 // stride
    assert "base" not in seen[seen.index("root") :]
    assert bench.grub(tmp_path).kernel.startswith("/@/boot/")
    assert (bench.top / "@.before-snaproot").exists()
    assert {*cuts(bench, told, stride)} == {"root"}
    assert not bench.machine.snaproot.exists()
    assert not (bench.top / "@snaproot.partial").exists()
    assert bench.grub(tmp_path).kernel.startswith("/@/boot/")


def test_without_a_home_there_is_a_whole_root_at_its_name_at_every_instant(tmp_path: Path) -> None:
    """The stub leads there all the time: what changes places does so in one step."""
    with disk(tmp_path, size="2G") as top:
        bench = stock(top, tmp_path / "esp")
        Machine(top)("init", "-y")
        for number in range(1, 5000, 3):
            try:
                with cut_before(number):
                    leave(bench)
            except CutError:
                whole(bench)
            else:
                break
        assert number > 60
        whole(bench)
        assert (top / "@/boot/grub/grub.cfg").read_text() != MENU
        assert (top / "@.before-snaproot").is_dir()


def whole(bench: Bench) -> None:
    """Assert that the menu to which the stub leads boots what is there."""
    menu = (bench.top / "@/boot/grub/grub.cfg").read_text()
    kernel = menu.replace("'", "").split("linux ")[1].split()[0]
    assert (bench.top / kernel.lstrip("/")).stat().st_size
    assert "rootflags=subvol=@\n" in menu or "'rootflags=subvol=@'" in menu
    mounted(bench, (bench.top / "@/etc/fstab").read_text())


def test_one_that_was_cut_may_be_thought_better_of(bench: Bench) -> None:
    """Everything goes on through snaproot; later it leaves with what is the base then."""
    bench.upgrade()

    def report(step: str) -> None:
        if step == "give the stub back":
            raise CutError

    with leaving.survey(bench.top, bench.esp, None) as facts:
        made = leaving.plan(facts)
        with pytest.raises(CutError):
            leaving.execute(made, facts, bench.top, report)
    bench.machine("run", "touch", "/usr/lib/later")
    bench.machine("promote")
    bench.machine("deinit", "-y")
    assert (bench.top / "@/usr/lib/later").exists()
    kept = [path for path in bench.subvolumes() if "before-snaproot" in path]
    assert kept == ["@.before-snaproot"]


# -- other layouts, and what is refused ----------------------------------------------------------


def test_a_root_that_was_the_top_level_gets_a_subvolume(tmp_path: Path) -> None:
    with adopted(tmp_path, name="") as bench:
        before = layouts.digest(bench.top / "boot")
        bench.machine("deinit", "-y")
        assert "set prefix=($root)'/@/boot/grub'\n" in bench.led
        assert len(bench.led) == len(bench.stub)
        assert layouts.digest(bench.top / "boot") == before
        assert bench.grub(tmp_path).kernel.startswith("/@/boot/")
        bench.machine("deinit", "-y")
        assert "@" in bench.subvolumes()
        mounted(bench, (bench.top / "@/etc/fstab").read_text())


def test_where_the_original_is_gone_its_place_is_taken(bench: Bench, tmp_path: Path) -> None:
    run(["btrfs", "subvolume", "delete", str(bench.top / "@")])
    bench.machine("deinit", "-y")
    assert not [path for path in bench.subvolumes() if "before-snaproot" in path]
    assert bench.grub(tmp_path).kernel.startswith("/@/boot/")


def test_without_a_home_the_default_is_all_that_moves(tmp_path: Path) -> None:
    with disk(tmp_path, size="2G") as top:
        bench = stock(top, tmp_path / "esp")
        binding.set_default(top, binding.subvolume_id(top / "@"))
        plain = Machine(top)
        plain("init", "-y")
        plain("deinit", "-y")
        assert bench.default() == binding.subvolume_id(top / "@")
        assert (top / "@.before-snaproot").is_dir()
        assert bench.led == bench.stub
        assert bench.grub(tmp_path).kernel.startswith("/@/boot/")
        plain("deinit", "-y")
        assert not plain.snaproot.exists()


def test_an_adoption_that_was_never_promoted_is_taken_back(bench: Bench, tmp_path: Path) -> None:
    """The original is the base: it was never left, and is no byte different afterwards."""
    original = layouts.digest(bench.top / "@")
    layout = Layout(bench.top)
    Records(layout.record).save(Record(base="original"))
    Btrfs(layout, None).set_default("original")
    env = envblock.parse((bench.home / "env").read_bytes())
    assert env is not None
    (bench.home / "env").write_bytes(envblock.render(replace(env, good="original")))
    assert bench.grub(tmp_path).arguments.startswith("root=UUID=")
    bench.machine("deinit", "-y")
    assert layouts.digest(bench.top / "@") == original
    assert (bench.led, bench.default()) == (bench.stub, binding.TOP_LEVEL)
    assert not bench.home.exists()
    assert not bench.machine.snaproot.exists()
    assert "not adopted" in bench.machine.refused("status", status=3)


def test_units_that_the_admin_had_masked_stay_masked(tmp_path: Path) -> None:
    with disk(tmp_path, size="2G") as top:
        bench = stock(top, tmp_path / "esp")
        own = top / "@/etc/systemd/system" / MASKED
        own.parent.mkdir(parents=True, exist_ok=True)
        own.symlink_to("/dev/null")
        replaced = own.with_name("dkms.service")
        replaced.write_text("[Service]\nExecStart=/bin/mine\n")
        bench.machine("init", "-y")
        bench.machine("deinit", "-y")
        assert str(own.readlink()) == "/dev/null"
        assert "mine" in replaced.read_text()


def test_with_a_password_the_menu_has_it_still(tmp_path: Path) -> None:
    with disk(tmp_path, size="2G") as top:
        bench = stock(top, tmp_path / "esp")
        guard = 'set superusers="boss"\npassword boss secret\n'
        with (top / "@/boot/grub/grub.cfg").open("a") as menu:
            menu.write(guard)
        bench.machine("init", "-y")
        bench.machine("deinit", "-y")
        made = (top / "@/boot/grub/grub.cfg").read_text()
        assert guard in made
        assert made.count("--unrestricted") == 1
        assert bench.grub(tmp_path).kernel.startswith("/@/boot/")


def pending(bench: Bench) -> None:
    bench.machine("run", "--stage-only", "touch", "/usr/lib/x")


def unfinished(bench: Bench) -> None:
    noted(bench, unfinished="b1")


def waiting(bench: Bench) -> None:
    noted(bench, shared={"areas": [], "nested": [], "links": []})


def noted(bench: Bench, **said: object) -> None:
    path = bench.machine.snaproot / "record/adoption.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **said}))


def stranger(bench: Bench) -> None:
    saved, uuid = bench.home / "stub.saved", binding.information(bench.top)[1]
    saved.write_text(saved.read_text().replace(uuid, uuid.translate(str.maketrans("1234", "5678"))))


def within(bench: Bench) -> None:
    layouts.subvolume(bench.top / "@/data")
    table = bench.machine.snaproot / f"environments/{bench.base}/root/etc/fstab"
    with table.open("a") as file:
        file.write("LABEL=tiny /data btrfs subvol=@/data 0 0\n")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (pending, "is pending"),
        (unfinished, "adoption is not finished"),
        (waiting, "not areas yet"),
        (stranger, "does not lead to this filesystem"),
        (within, "which lies in @"),
    ],
)
def test_it_is_refused_and_nothing_is_changed(
    bench: Bench, spoil: Callable[[Bench], None], says: str
) -> None:
    spoil(bench)
    before = (bench.led, bench.default(), bench.subvolumes())
    for words in (("deinit", "-n"), ("deinit", "-y")):
        assert says in bench.machine.refused(*words, status=3)
    assert (bench.led, bench.default(), bench.subvolumes()) == before


def test_what_fails_while_it_is_built_leaves_nothing(bench: Bench) -> None:
    base = bench.base
    (bench.machine.snaproot / f"environments/{base}/root/etc/default/grub").write_text(
        'GRUB_CMDLINE_LINUX="dyndbg=\'file"\n'
    )
    before = bench.subvolumes()
    assert f"{base} boots as before" in bench.machine("deinit", "-y", status=3).err
    assert bench.subvolumes() == before
    assert bench.machine.status()["base"] == base


def test_it_asks_shows_its_plan_and_says_it_in_json(bench: Bench) -> None:
    before = bench.subvolumes()
    assert "Put it in place as @; what is there is kept" in bench.machine("deinit", "-n").out
    assert "-y" in bench.machine("deinit", status=2, stdin="").err
    assert bench.subvolumes() == before
    said = bench.machine("deinit", "-y", "--json").json
    assert said["left"] is True
    assert said["plan"]["way"] == "build"  # type: ignore[index]
