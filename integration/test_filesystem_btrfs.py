"""The filesystem's contract on real Btrfs, and what only Btrfs can get wrong."""

import mmap
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

import pytest

from integration.bed import AREAS, BtrfsBench, bed
from snaproot import areas
from snaproot.areas import Area
from snaproot.environment import Environment, Standing
from snaproot.errors import NeedsRecovery, Refused, SnaprootError
from snaproot.filesystem import Change, PathChange, manifest
from snaproot.filesystem.btrfs import binding
from snaproot.filesystem.btrfs.listing import SUBVOLUME
from snaproot.filesystem.btrfs.originals import take_in
from snaproot.run import run
from tests.contract.filesystem import (
    BASE,
    CREATED,
    NEW,
    FilesystemContract,
    described,
    found,
    staged,
)

pytestmark = pytest.mark.real


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[BtrfsBench]:
    with bed(tmp_path) as made:
        yield made


def snapshot_of(bench: BtrfsBench, id: str) -> object:
    """Everything of a boot environment that anybody could have touched, times included."""
    return [
        (str(path), *_facts(path))
        for place in (bench.layout.home(id), bench.layout.areas)
        for path in sorted(place.rglob("*"))
    ]


def _facts(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
    numbers = (status.st_mode, status.st_uid, status.st_gid, status.st_ino, status.st_nlink)
    return (*numbers, status.st_mtime_ns, status.st_ctime_ns, content, os.listxattr(path))


def subvolumes(bench: BtrfsBench) -> list[str]:
    return sorted(subvolume.path for subvolume in binding.subvolumes(bench.layout.top))


class TestBtrfs(FilesystemContract):
    """Everything that the fake has to do, too."""


class TestStaging:
    def test_leaves_the_parent_and_the_areas_as_they_were(self, bench: BtrfsBench) -> None:
        before = snapshot_of(bench, BASE)
        generation = binding.subvolume(bench.layout.root(BASE))
        staged(bench)
        bench.filesystem().discard(NEW)
        assert snapshot_of(bench, BASE) == before
        assert binding.subvolume(bench.layout.root(BASE)) == generation

    def test_etc_is_nested_writable_and_three_of_it_are_kept(self, bench: BtrfsBench) -> None:
        workspace = bench.create(NEW)
        assert binding.is_subvolume(bench.layout.etc(NEW))
        bench.write(NEW, "/etc/host.conf", "staged")
        bench.filesystem().collect(workspace)
        bench.filesystem().seal(described(NEW))
        bench.write(NEW, "/etc/host.conf", "edited later")
        kept = (bench.layout.etc_parent(NEW), bench.layout.etc_pristine(NEW))
        assert [(p / "host.conf").read_text() for p in kept] == ["/etc/host.conf", "staged"]
        assert all(binding.subvolume(path).read_only for path in kept)

    def test_areas_inside_areas_are_copies_of_their_own(self, bench: BtrfsBench) -> None:
        workspace = bench.create(NEW)
        assert set(workspace.areas) == {"/var", "/var/log", "/home"}
        assert bench.filesystem().place(NEW).areas["/swap"] == bench.layout.areas / "swap"

    def test_an_active_swap_file_is_named(self, bench: BtrfsBench) -> None:
        swap = bench.layout.areas / "var/swapfile"
        run(["truncate", "-s", "0", str(swap)])
        run(["chattr", "+C", str(swap)])
        run(["dd", "if=/dev/zero", f"of={swap}", "bs=1M", "count=4", "status=none"])
        swap.chmod(0o600)
        run(["mkswap", "-q", str(swap)])
        run(["swapon", str(swap)])
        try:
            with pytest.raises(SnaprootError, match="swap file") as raised:
                bench.create(NEW)
            assert "swapoff" in raised.value.hint
        finally:
            run(["swapoff", str(swap)])
        bench.filesystem().discard(NEW)
        bench.create(NEW)

    def test_a_read_only_filesystem_is_read_but_not_changed(self, bench: BtrfsBench) -> None:
        staged(bench)
        run(["mount", "-o", "remount,ro", str(bench.layout.top)])
        assert len(bench.filesystem().environments()) == 2
        bench.filesystem().intact(NEW)
        sealed = found(bench.filesystem(), NEW)
        for change in (
            lambda: bench.create("b3"),
            lambda: bench.filesystem().set_default(NEW),
            lambda: bench.filesystem().describe(replace(sealed, pinned=True)),
            lambda: bench.filesystem().discard(NEW),
            lambda: bench.filesystem().changes(BASE, NEW),
        ):
            with pytest.raises(SnaprootError, match="read-only"):
                change()
        run(["mount", "-o", "remount,rw", str(bench.layout.top)])
        assert bench.filesystem().default() == BASE
        bench.filesystem().intact(NEW)

    def test_a_full_filesystem_is_named_and_what_is_there_can_go(self, tmp_path: Path) -> None:
        with bed(tmp_path, size="120M") as bench:
            workspace = bench.create(NEW)
            with pytest.raises(OSError, match="No space"):
                (workspace.root / "usr/large").write_bytes(os.urandom(150 << 20))
            base = found(bench.filesystem(), BASE)
            with pytest.raises(SnaprootError, match="no space left"):
                bench.filesystem().describe(replace(base, command="x" * (8 << 20)))
            assert found(bench.filesystem(), BASE) == base
            bench.filesystem().discard(NEW)
            bench.filesystem().intact(BASE)
            assert [e.id for e in bench.filesystem().environments()] == [BASE]

    def test_damaged_areas_are_named_before_anything_is_made(self, bench: BtrfsBench) -> None:
        (bench.layout.record / "areas.toml").write_text("format = ")
        with pytest.raises(NeedsRecovery, match=r"areas\.toml"):
            bench.create(NEW)


class TestCollecting:
    def test_additions_keep_everything_about_a_file(self, bench: BtrfsBench) -> None:
        workspace = bench.create(NEW)
        data = workspace.areas["/var"] / "lib/data"
        data.mkdir(mode=0o2750)
        os.chown(data, 5, 6)
        (data / "one").write_text("content")
        (data / "two").hardlink_to(data / "one")
        os.chown(data / "one", 7, 8)
        (data / "one").chmod(0o4711)
        os.setxattr(data / "one", "user.x", b"y")
        (data / "link").symlink_to("/nowhere")
        os.mkfifo(data / "fifo")
        os.mknod(data / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        with (data / "sparse").open("wb") as file:
            file.truncate(1 << 30)
        strange = data / os.fsdecode(b"new\nline \xff")
        strange.write_text("strange")
        os.mknod(data / "socket", stat.S_IFSOCK | 0o600)
        os.utime(data, (1, 1))
        expected = {path.name: _carried(path) for path in data.iterdir() if not path.is_socket()}
        expected["."] = _carried(data)
        collected = bench.filesystem().collect(workspace)
        kept = bench.layout.additions(NEW) / "var/lib/data"
        assert {**{p.name: _carried(p) for p in kept.iterdir()}, ".": _carried(kept)} == expected
        assert (kept / "one").samefile(kept / "two")
        assert (kept / "sparse").lstat().st_blocks == 0
        assert f"/var/lib/data/{strange.name}" in collected.added
        assert "/var/lib/data/socket" not in collected.added

    def test_caches_logs_and_spools_are_not_kept_but_their_places_are(
        self, bench: BtrfsBench
    ) -> None:
        workspace = bench.create(NEW)
        for area, place in (("/var/log", "nginx"), ("/var", "cache/nginx"), ("/var", "spool/mail")):
            (workspace.areas[area] / place).mkdir(parents=True)
            (workspace.areas[area] / place / "file").write_text("content")
        (workspace.areas["/home"] / "user").mkdir()
        collected = bench.filesystem().collect(workspace)
        assert collected.added == (
            *("/var/cache", "/var/cache/nginx", "/var/log/nginx"),
            *("/var/spool", "/var/spool/mail"),
        )
        assert collected.changed == ("/home/user",)
        assert bench.additions(NEW) == {}
        assert (bench.layout.additions(NEW) / "var/log/nginx").is_dir()

    def test_single_files_of_the_root_are_carried_in_and_out(self, bench: BtrfsBench) -> None:
        own = "usr/lib/sysimage/shells.state"
        workspace = bench.create(NEW)
        (workspace.root / own).parent.mkdir()
        (workspace.root / own).write_text("before")
        bench.filesystem().collect(workspace)
        bench.filesystem().seal(described(NEW))

        workspace = bench.create("b3", NEW)
        inside = workspace.areas["/var"] / "lib/shells.state"
        assert inside.read_text() == "before"
        inside.unlink()
        inside.write_text("after")
        collected = bench.filesystem().collect(workspace)
        assert (workspace.root / own).read_text() == "after"
        assert collected.added == collected.changed == ()

    def test_no_link_of_the_target_leads_out(self, bench: BtrfsBench, tmp_path: Path) -> None:
        workspace = bench.create(NEW)
        (workspace.root / "usr/lib/sysimage").symlink_to(tmp_path)
        (workspace.areas["/var"] / "lib/shells.state").write_text("content")
        bench.filesystem().collect(workspace)
        assert not (tmp_path / "shells.state").exists()

    def test_no_link_of_one_area_leads_another_out(self, bench: BtrfsBench, tmp_path: Path) -> None:
        inner = Area(name="db", subvolume="@snaproot/areas/db", mount="/var/lib/db")
        declared = areas.render([*AREAS, inner])
        binding.create(bench.layout.top / inner.subvolume)
        (bench.layout.record / areas.NAME).write_text(declared, encoding="utf-8")
        outside = tmp_path / "outside"
        outside.mkdir()
        workspace = bench.create(NEW)
        (workspace.areas["/var"] / "lib/db").symlink_to(outside)
        (workspace.areas["/var/lib/db"] / "sub").mkdir()
        (workspace.areas["/var/lib/db"] / "sub/file").write_text("content")
        with pytest.raises(SnaprootError, match="keep /var/lib/db"):
            bench.filesystem().collect(workspace)
        assert list(outside.iterdir()) == []
        bench.filesystem().discard(NEW)

    def test_a_subvolume_that_staging_made_in_an_area_is_told(self, bench: BtrfsBench) -> None:
        workspace = bench.create(NEW)
        machines = workspace.areas["/var"] / "lib/machines"
        binding.create(machines)
        (machines / "file").write_text("content")
        binding.create(machines / "deeper")
        collected = bench.filesystem().collect(workspace)
        assert set(collected.changed) == {"/var/lib/machines", "/var/lib/machines/deeper"}
        assert not [path for path in subvolumes(bench) if "machines" in path]

    def test_sealing_before_collecting_is_misuse(self, bench: BtrfsBench) -> None:
        bench.create(NEW)
        with pytest.raises(RuntimeError):
            bench.filesystem().seal(described(NEW))


def _carried(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    xattrs = [(n, os.getxattr(path, n, follow_symlinks=False)) for n in _names(path)]
    numbers = (status.st_mode, status.st_uid, status.st_gid, status.st_rdev, status.st_mtime_ns)
    target = path.readlink() if path.is_symlink() else None
    size = status.st_size if path.is_file() else 0
    return (*numbers, size, target, xattrs)


def _names(path: Path) -> list[str]:
    return sorted(os.listxattr(path, follow_symlinks=False))


class TestSealing:
    def test_what_the_disk_has_lost_is_named(self, bench: BtrfsBench, tmp_path: Path) -> None:
        content = b"a block that goes bad " * 1000
        workspace = bench.create(NEW)
        (workspace.root / "usr/lib/rotten").write_bytes(content)
        bench.filesystem().collect(workspace)
        bench.filesystem().seal(described(NEW))
        spoil(next(tmp_path.rglob("*.img")), content)
        with (bench.layout.root(NEW) / "usr/lib/rotten").open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        found = bench.filesystem().verify(NEW, lambda _: None)
        assert found == [PathChange("/usr/lib/rotten", Change.CHANGED)]

    @pytest.mark.parametrize("place", ["usr/lib/pool", "etc/pool"])
    def test_a_subvolume_that_staging_made_in_the_root_is_refused(
        self, bench: BtrfsBench, place: str
    ) -> None:
        workspace = bench.create(NEW)
        binding.create(workspace.root / place)
        bench.filesystem().collect(workspace)
        with pytest.raises(Refused, match=f"/{place} is a subvolume"):
            bench.filesystem().seal(described(NEW))
        bench.filesystem().discard(NEW)

    def test_only_what_changed_is_added_to_the_list(self, bench: BtrfsBench) -> None:
        workspace = bench.create(NEW)
        for number in range(50):
            (workspace.root / f"usr/lib/file{number}").write_text("x")
        bench.filesystem().collect(workspace)
        bench.filesystem().seal(described(NEW))
        staged(bench, "b3", NEW)
        parents, own = (bench.layout.files(id).read_bytes() for id in (NEW, "b3"))
        assert own.startswith(parents)
        assert [line.split(b" ")[-1] for line in own[len(parents) :].splitlines()[:-1]] == [
            b"usr/bin/tool"
        ]

    def test_a_damaged_list_of_the_parent_is_not_inherited(self, bench: BtrfsBench) -> None:
        bench.layout.files(BASE).write_text("nonsense\n")
        staged(bench)
        assert not bench.filesystem().verify(NEW, lambda _: None)
        with pytest.raises(Refused, match="list"):
            bench.filesystem().verify(BASE, lambda _: None)

    def test_a_parent_changed_behind_our_back_is_not_inherited(self, bench: BtrfsBench) -> None:
        with opened(bench, BASE) as root:
            (root / "usr/lib/old").write_text("not what was sealed")
        staged(bench)
        assert not bench.filesystem().verify(NEW, lambda _: None)

    def test_every_kind_of_damage_is_found(self, bench: BtrfsBench) -> None:
        workspace = bench.create(NEW)
        libs = workspace.root / "usr/lib"
        names = ("content", "mode", "owner", "xattr", "target", "type", "gone")
        for name in names:
            (libs / name).write_text("as sealed")
        (libs / "target").unlink()
        (libs / "target").symlink_to("one")
        bench.filesystem().collect(workspace)
        bench.filesystem().seal(described(NEW))
        with opened(bench, NEW) as root:
            damage(root / "usr/lib")
        changed = {f"/usr/lib/{name}": Change.CHANGED for name in names}
        expected = {
            **changed,
            "/usr/lib/gone": Change.REMOVED,
            "/usr/lib/new": Change.ADDED,
        }
        seen = bench.filesystem().verify(NEW, lambda _: None)
        assert seen == [PathChange(path, expected[path]) for path in sorted(expected)]

    def test_etc_is_not_verified_as_it_is_meant_to_change(self, bench: BtrfsBench) -> None:
        staged(bench)
        bench.write(NEW, "/etc/host.conf", "edited")
        assert not bench.filesystem().verify(NEW, lambda _: None)

    @pytest.mark.parametrize(
        "change",
        [
            lambda root: (root / "usr/lib/new").write_text(""),
            lambda root: (root / "usr/bin/tool").chmod(0o700),
            lambda root: os.setxattr(root / "usr/bin/tool", "user.x", b""),
            lambda root: (root / "usr/lib/old").unlink(),
        ],
    )
    def test_whoever_took_the_seal_is_noticed(
        self, bench: BtrfsBench, change: Callable[[Path], object]
    ) -> None:
        staged(bench)
        with opened(bench, NEW) as root:
            change(root)
        with pytest.raises(Refused, match="changed after it was sealed"):
            bench.filesystem().intact(NEW)

    def test_use_does_not_break_the_seal(self, bench: BtrfsBench) -> None:
        staged(bench)
        bench.filesystem().set_default(NEW)
        staged(bench, "b3", NEW)
        bench.filesystem().changes(BASE, NEW)
        bench.write(NEW, "/etc/new", "edited")
        binding.snapshot(bench.layout.root(NEW), bench.layout.top / "backup", read_only=True)
        assert bench.read(NEW, "/usr/bin/tool")
        binding.sync(bench.layout.top)
        bench.filesystem().intact(NEW)

    def test_an_unsealed_root_is_refused_where_a_sealed_one_was(self, bench: BtrfsBench) -> None:
        staged(bench)
        binding.set_read_only(bench.layout.root(NEW), read_only=False)
        assert not found(bench.filesystem(), NEW).complete
        with pytest.raises(Refused):
            bench.filesystem().intact(NEW)


@contextmanager
def opened(bench: BtrfsBench, id: str) -> Iterator[Path]:
    """Take the seal of a root for as long as the block lasts."""
    root = bench.layout.root(id)
    binding.set_read_only(root, read_only=False)
    yield root
    binding.set_read_only(root, read_only=True)


def damage(place: Path) -> None:
    (place / "content").write_text("AS SEALED")
    (place / "mode").chmod(0o4755)
    os.chown(place / "owner", 1, 1)
    os.setxattr(place / "xattr", "user.x", b"")
    (place / "target").unlink()
    (place / "target").symlink_to("two")
    (place / "type").unlink()
    (place / "type").mkdir()
    (place / "gone").unlink()
    (place / "new").write_text("")


def spoil(image: Path, content: bytes) -> None:
    """Overwrite the first block of a file where it lies on the disk, behind Btrfs' back."""
    with image.open("r+b") as disk, mmap.mmap(disk.fileno(), 0) as memory:
        at = memory.find(content)
        assert at > 0
        memory[at : at + 4096] = b"\xff" * 4096


class TestMetadata:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (b"\0garbage", "cannot be read"),
            (b"\xff", "cannot be read"),
            (b"parent = 'b1'", "no format"),
            (b"format = 2\nstanding = 'proven'", "format 2"),
            (b"format = 1\nstanding = 'excellent'", "excellent"),
        ],
    )
    def test_damage_is_told_and_nothing_else_suffers(
        self, bench: BtrfsBench, text: bytes, reason: str
    ) -> None:
        staged(bench)
        bench.layout.metadata(NEW).write_bytes(text)
        base, new = bench.filesystem().environments()
        assert reason in new.damage
        assert not new.complete
        assert base.complete
        with pytest.raises(Refused):
            bench.create("b3", NEW)
        bench.filesystem().discard(NEW)

    def test_what_is_missing_is_told(self, bench: BtrfsBench) -> None:
        bench.create(NEW)
        assert found(bench.filesystem(), NEW).damage == "staging was not finished"
        bench.layout.home("b3").mkdir()
        assert (
            "root is missing" in found(bench.filesystem(), "b3").damage
            or not found(bench.filesystem(), "b3").complete
        )
        bench.layout.metadata(BASE).unlink()
        assert "missing" in found(bench.filesystem(), BASE).damage

    @pytest.mark.parametrize("left", [(), ("root",), ("environment.toml",)])
    def test_what_was_never_finished_is_not_salvaged(
        self, bench: BtrfsBench, left: tuple[str, ...]
    ) -> None:
        bench.layout.home(NEW).mkdir()
        for name in left:
            (bench.layout.home(NEW) / name).mkdir()
        with pytest.raises(Refused, match="never finished"):
            bench.filesystem().salvage(NEW)

    def test_it_is_salvaged_without_its_list_of_files(self, bench: BtrfsBench) -> None:
        staged(bench)
        bench.layout.metadata(NEW).write_bytes(b"garbage")
        bench.layout.files(NEW).unlink()
        salvaged = bench.filesystem().salvage(NEW)
        assert salvaged.complete
        assert salvaged.created is None
        assert salvaged.unverified == (NEW,)
        with pytest.raises(Refused, match="cannot be believed"):
            bench.filesystem().verify(NEW, lambda _: None)


class TestOriginal:
    @pytest.fixture
    def original(self, bench: BtrfsBench) -> Path:
        place = bench.layout.top / "@"
        binding.create(place)
        (place / "file").write_text("content")
        bench.layout.home("original").mkdir()
        bench.filesystem().describe(
            Environment(
                id="original", standing=Standing.ORIGINAL, created=CREATED, extra={SUBVOLUME: "@"}
            )
        )
        return place

    def test_it_is_a_boot_environment(self, bench: BtrfsBench, original: Path) -> None:
        filesystem = bench.filesystem()
        assert found(filesystem, "original").complete
        assert filesystem.place("original").root == original
        filesystem.set_default("original")
        assert filesystem.default() == "original"
        assert filesystem.space(["original"]).exclusive.keys() == {"original"}
        with pytest.raises(Refused):
            filesystem.discard("original")

    def test_nothing_is_made_from_it(self, bench: BtrfsBench, original: Path) -> None:
        assert original.is_dir()
        with pytest.raises(Refused):
            bench.create(NEW, "original")
        with pytest.raises(Refused):
            bench.filesystem().intact("original")

    def test_it_goes_whole_or_not_at_all(self, bench: BtrfsBench, original: Path) -> None:
        binding.create(original / "machines")
        for method in (bench.filesystem().discardable, bench.filesystem().discard):
            with pytest.raises(Refused, match="@/machines"):
                method("original")
        assert (original / "file").read_text() == "content"
        binding.delete(original / "machines")
        bench.filesystem().discard("original")
        assert not original.exists()
        assert [e.id for e in bench.filesystem().environments()] == [BASE]

    def test_a_removal_that_was_cut_is_finished(self, bench: BtrfsBench, original: Path) -> None:
        take_in(bench.layout, "original")
        assert not original.exists()
        assert found(bench.filesystem(), "original").complete
        assert bench.filesystem().place("original").root == bench.layout.root("original")
        bench.filesystem(booted="original").empty_trash()
        assert found(bench.filesystem(), "original").complete
        bench.filesystem().empty_trash()
        assert [e.id for e in bench.filesystem().environments()] == [BASE]
        assert not bench.layout.home("original").exists()
        assert not list(bench.layout.trash.iterdir())

    def test_one_that_is_there_is_left_by_recovery(self, bench: BtrfsBench, original: Path) -> None:
        bench.filesystem().empty_trash()
        assert (original / "file").read_text() == "content"


class TestDiscarding:
    def test_a_default_in_the_trash_is_left_alone(self, bench: BtrfsBench) -> None:
        bench.layout.home(BASE).rename(bench.layout.trashed(BASE))
        with pytest.raises(Refused):
            bench.filesystem().empty_trash()
        assert binding.subvolume(bench.layout.trashed(BASE) / "root").read_only
        bench.layout.trashed(BASE).rename(bench.layout.home(BASE))
        bench.filesystem().intact(BASE)

    def test_subvolumes_that_staging_made_go_along(self, bench: BtrfsBench) -> None:
        before = subvolumes(bench)
        workspace = bench.create(NEW)
        binding.create(workspace.root / "etc/deep")
        binding.create(workspace.root / "opt")
        binding.snapshot(workspace.root / "opt", workspace.root / "opt/er", read_only=True)
        bench.filesystem().discard(NEW)
        assert subvolumes(bench) == before

    def test_no_id_leads_elsewhere(self, bench: BtrfsBench) -> None:
        for id in ("../areas", "/", "", ".", "B1"):
            with pytest.raises(RuntimeError):
                bench.filesystem().discard(id)

    def test_what_is_half_gone_goes(self, bench: BtrfsBench) -> None:
        staged(bench)
        trashed = bench.layout.trashed(NEW)
        bench.layout.home(NEW).rename(trashed)
        (trashed / ".environment.toml.0123").write_text("a write that was cut")
        binding.set_read_only(trashed / "root", read_only=False)
        binding.delete(trashed / "root/etc")
        staged(bench)
        bench.filesystem().discard(NEW)
        assert not trashed.exists()
        assert not bench.layout.home(NEW).exists()


ACTIONS: dict[str, Callable[[BtrfsBench], object]] = {
    "create": lambda bench: bench.create(NEW),
    "collect": lambda bench: bench.filesystem().collect(bench.filesystem().place(NEW)),
    "seal": lambda bench: bench.filesystem().seal(described(NEW)),
    "discard": lambda bench: bench.filesystem().discard(NEW),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_kill_at_any_step_leaves_what_discard_removes(bench: BtrfsBench, action: str) -> None:
    before = subvolumes(bench)
    untouched = snapshot_of(bench, BASE)
    killed = 0
    going = True
    while going:
        going = _killed_at(bench, action, killed)
        filesystem = bench.filesystem()
        new = {e.id: e for e in filesystem.environments()}.get(NEW)
        if new is not None and new.complete:
            filesystem.intact(NEW)
            assert not filesystem.verify(NEW, lambda _: None)
        filesystem.discard(NEW)
        filesystem.empty_trash()
        assert subvolumes(bench) == before
        assert not list(bench.layout.trash.iterdir())
        assert [p.name for p in bench.layout.environments.iterdir()] == [BASE]
        killed += 1
    assert killed > 8
    assert snapshot_of(bench, BASE) == untouched


def _killed_at(bench: BtrfsBench, action: str, step: int) -> bool:
    """Stage up to an action, and do it in a child that is killed at its nth look at the disk."""
    for name, do in ACTIONS.items():
        if name == action:
            break
        do(bench)
        if name == "create":
            bench.write(NEW, "/usr/bin/tool", "changed")
            bench.write(NEW, "/var/lib/cluster", "initial")
    child = os.fork()
    if child == 0:
        _die_at(step)
        ACTIONS[action](bench)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, KILLED}
    return status == KILLED


KILLED = 37
CHANGING = {"mkdir", "rmdir", "rename", "unlink", "link", "fsync", "write", "chown"}
CHANGING |= {"create", "snapshot", "delete", "set_read_only", "sync"}


def _die_at(step: int) -> None:
    """End this process, as SIGKILL would, at its nth call that changes the disk."""
    left = step

    def watch(frame: FrameType, event: str, argument: object) -> None:
        nonlocal left
        name = frame.f_code.co_name if event == "call" else getattr(argument, "__name__", "")
        ours = event == "call" and frame.f_code.co_filename == binding.__file__
        if (ours or event == "c_call") and name in CHANGING:
            if left == 0:
                os._exit(KILLED)
            left -= 1

    sys.setprofile(watch)


def test_the_list_is_written_anew_once_it_has_grown(bench: BtrfsBench, tmp_path: Path) -> None:
    root = bench.layout.root(BASE)
    parent, child = tmp_path / "parent.list", tmp_path / "child.list"
    digest = manifest.write(parent, root)
    for _ in range(4):
        digest = manifest.extend(child, parent, digest, root, [b"usr/bin/tool"] * 5_000)
        shutil.move(child, parent)
    assert len(parent.read_bytes()) < 1 << 20
    assert set(manifest.load(parent, digest)) == set(manifest.walk(root))
