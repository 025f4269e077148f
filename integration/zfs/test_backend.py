"""What only ZFS can get wrong. Runs in a bench."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import cast

import pytest

from integration.bed import AREAS
from integration.zfs import bed
from integration.zfs.bed import ZfsBench
from snaproot import areas
from snaproot.environment import Installed, PackageChange, Standing
from snaproot.errors import NeedsRecovery, Refused, SnaprootError
from snaproot.filesystem import Change, PathChange
from snaproot.filesystem.zfs import binding, commands, comparison, listing, trash
from snaproot.filesystem.zfs.names import trashed
from snaproot.filesystem.zfs.properties import ENVIRONMENT, parts_of, text_of
from snaproot.filesystem.zfs.view import release
from snaproot.run import run
from tests.contract.filesystem import BASE, NEW, described, found, staged

MOST_ASKED = 7
"""Commands that a root costs which goes, looked at before as well."""


def names(pool: str, kinds: str = "filesystem,snapshot") -> list[str]:
    """List everything, the bookmarks of removed roots aside."""
    return sorted(row[0] for row in commands.listed(kinds, ["name"], pool))


def gone(bench: ZfsBench, id: str) -> None:
    """Remove one, and what it shared with others."""
    bench.filesystem().discard(id)
    bench.filesystem().empty_trash()


def commands_from_now_on() -> list[Sequence[str]]:
    """List the commands that this process runs, as they are run (audit events of Python's docs)."""
    asked: list[Sequence[str]] = []

    def noted(event: str, about: tuple[object, ...]) -> None:
        if event == "subprocess.Popen":
            asked.append([str(word) for word in cast("Sequence[object]", about[1])])

    sys.addaudithook(noted)
    return asked


def promoted(bench: ZfsBench, id: str, parent: str) -> None:
    """Stage one that proves good, and make it the default."""
    sealed = staged(bench, id, parent)
    bench.filesystem().describe(replace(sealed, standing=Standing.PROVEN))
    bench.filesystem().set_default(id)


class TestStaging:
    def test_properties_are_as_the_layout_wants_them(self, bench: ZfsBench) -> None:
        root, etc = bench.view.names.root(NEW), bench.view.names.etc(NEW)
        bench.create(NEW)
        assert listing.local(root)["sync"] == "disabled"
        staged_etc = bench.layout.root(NEW) / "etc/new"
        staged_etc.write_text("written while staging")
        bench.filesystem().collect(bench.filesystem().place(NEW))
        bench.filesystem().seal(described(NEW))
        asked = ("canmount", "mountpoint", "readonly", "sync")
        seen = commands.values(asked, root, etc)
        assert [seen[root, name] for name in asked] == ["noauto", "/", "on", "standard"]
        assert [seen[etc, name] for name in asked] == ["noauto", "/etc", "off", "standard"]

    def test_clones_keep_how_files_are_kept(self, bench: ZfsBench) -> None:
        model = f"{bench.view.names.areas}/var"
        commands.put(model, {"acltype": "posix", "atime": "off"})
        commands.put(bench.view.names.root(BASE), {"acltype": "posix", "compression": "off"})
        bench.create(NEW)
        for clone, name, value in (
            (bench.view.names.copy(NEW, "var"), "acltype", "posix"),
            (bench.view.names.copy(NEW, "var"), "atime", "off"),
            (bench.view.names.root(NEW), "compression", "off"),
            (bench.view.names.etc(NEW), "acltype", "posix"),
        ):
            assert commands.values([name], clone)[clone, name] == value

    def test_an_area_that_stayed_in_its_place_is_copied_too(self, bench: ZfsBench) -> None:
        stayed = f"{bench.pool}/stayed"
        binding.create(stayed, {"mountpoint": "legacy"})
        own = (*AREAS, areas.Area(name="srv", subvolume=stayed, mount="/srv"))
        (bench.layout.record / areas.NAME).write_text(areas.render(own), encoding="utf-8")
        try:
            (bench.filesystem().place(BASE).areas["/srv"] / "file").write_text("content")
            workspace = bench.create(NEW)
            assert (workspace.areas["/srv"] / "file").read_text() == "content"
            gone(bench, NEW)
            assert [name for name in names(stayed) if name != stayed] == []
        finally:
            bench.view.release(BASE)
            run(["umount", str(bench.layout.areas / "srv")], check=False)
            run(["zfs", "destroy", "-R", stayed])

    def test_an_intent_log_is_no_change(self, bench: ZfsBench) -> None:
        """Every mount of a root with an intent log would write to it."""
        workspace = bench.create(NEW)
        commands.put(bench.view.names.root(NEW), {"sync": "always"})
        (workspace.root / "usr/bin/tool").write_text("changed")
        os.sync()
        bench.filesystem().collect(workspace)
        bench.filesystem().seal(described(NEW))
        for _ in range(2):
            bench.view.release(NEW)
            bench.view.root(NEW)
            bench.filesystem().flush()
            bench.filesystem().intact(NEW)
        assert not bench.filesystem().verify(NEW, lambda _: None)

    def test_a_dataset_in_the_root_is_refused(self, bench: ZfsBench) -> None:
        workspace = bench.create(NEW)
        bench.filesystem().collect(workspace)
        inner = f"{bench.view.names.root(NEW)}/usr"
        binding.create(inner, {"canmount": binding.CANMOUNT_NOAUTO})
        with pytest.raises(Refused, match="a dataset of its own"):
            bench.filesystem().seal(described(NEW))
        with pytest.raises(Refused, match="others' datasets"):
            bench.filesystem().discard(NEW)
        binding.destroy(inner)
        bench.filesystem().discard(NEW)

    def test_another_tools_dataset_is_none_of_ours(self, bench: ZfsBench) -> None:
        other = bench.view.names.root("debian")
        binding.create(other, {"canmount": binding.CANMOUNT_NOAUTO, "mountpoint": "/"})
        assert [e.id for e in bench.filesystem().environments()] == [BASE]
        with pytest.raises(RuntimeError):
            bench.filesystem().place("debian")
        bench.filesystem().empty_trash()
        with pytest.raises(Refused, match="none of snaproot's"):
            bench.filesystem().discard("debian")
        assert binding.exists(other)
        commands.put_pool(bench.pool, "bootfs", other)
        assert bench.filesystem().default() is None


class TestRemoving:
    def test_a_chain_leaves_nothing_of_the_dead(self, bench: ZfsBench) -> None:
        ids = [f"b{number}" for number in range(1, 7)]
        before = bench.filesystem().space([]).free
        for parent, id in pairwise(ids):
            promoted(bench, id, parent)
            gone(bench, parent)
            assert [e.id for e in bench.filesystem().environments()] == [id]
            bench.filesystem().intact(id)
        assert not bench.filesystem().verify("b6", lambda _: None)
        assert bench.read("b6", "/usr/lib/old") == "/usr/lib/old"
        left = [name for name in names(bench.pool) if "@" in name]
        assert left == [
            f"{bench.view.names.etc('b6')}@parent-b6",
            f"{bench.view.names.pristine('b6')}",
            f"{bench.view.names.sealed('b6')}",
        ]
        assert names(bench.pool, "bookmark") == [
            f"{bench.view.names.root('b6')}#{id}" for id in ids
        ]
        bench.filesystem().flush()
        assert before - bench.filesystem().space([]).free < 4 << 20

    def test_siblings_keep_their_origin(self, bench: ZfsBench) -> None:
        for id in ("b2", "b3", "b4"):
            staged(bench, id)
        bench.filesystem().set_default("b3")
        bench.filesystem().discard(BASE)
        for id in ("b2", "b3", "b4"):
            bench.filesystem().intact(id)
            assert bench.read(id, "/usr/lib/old") == "/usr/lib/old"
            assert bench.read(id, "/etc/host.conf") == "/etc/host.conf"
        for id in ("b4", "b2"):
            bench.filesystem().discard(id)
        bench.filesystem().empty_trash()
        bench.filesystem().intact("b3")
        assert [name for name in names(bench.pool) if "@" in name] == [
            f"{bench.view.names.etc('b3')}@parent-b3",
            bench.view.names.pristine("b3"),
            bench.view.names.sealed("b3"),
        ]

    def test_a_removal_costs_as_much_however_many_there_are(self, bench: ZfsBench) -> None:
        """Sixty may go at once: what looks at all of them is for the end."""
        asked, costs = commands_from_now_on(), []
        for ids in (("b2",), ("b3", "b4", "b5", "b6")):
            for id in ids:
                staged(bench, id)
            asked.clear()
            bench.filesystem().discardable(ids[0])
            bench.filesystem().discard(ids[0])
            costs.append(len(asked))
            assert all(bench.view.names.container not in argv for argv in asked)
        assert 0 < costs[0] == costs[1] <= MOST_ASKED

    def test_a_list_works_no_value_out_that_nobody_set(self, bench: ZfsBench) -> None:
        """Of sixty that would take five times as long."""
        staged(bench)
        asked = commands_from_now_on()
        assert len(bench.filesystem().environments()) == 2
        assert asked
        assert all("all" not in argv for argv in asked)

    def test_snapshots_of_others_with_one_name_do_not_clash(self, bench: ZfsBench) -> None:
        staged(bench)
        run(["zfs", "snapshot", "-r", f"{bench.pool}@daily"])
        clone = f"{bench.pool}/theirs"
        run(["zfs", "clone", f"{bench.view.names.root(BASE)}@daily", clone])
        staged(bench, "b3")
        run(["zfs", "snapshot", f"{bench.view.names.root('b3')}@daily"])
        bench.filesystem().set_default(NEW)
        try:
            bench.filesystem().discard(BASE)
            bench.filesystem().intact(NEW)
            bench.filesystem().intact("b3")
            assert commands.values(["origin"], clone)[clone, "origin"] != "-"
        finally:
            run(["zfs", "destroy", "-R", clone], check=False)
            run(["zfs", "destroy", "-r", f"{bench.pool}@daily"], check=False)

    def test_bookmarks_with_one_name_do_not_clash(self, bench: ZfsBench) -> None:
        """OpenZFS 2.3 would panic."""
        staged(bench)
        old, new = bench.view.names.root(BASE), bench.view.names.root(NEW)
        binding.bookmark(f"{new}#{BASE}", f"{old}#{BASE}")
        run(["zfs", "bookmark", bench.view.names.sealed(NEW), f"{new}#theirs"])
        run(["zfs", "bookmark", bench.view.names.sealed(BASE), f"{old}#theirs"])
        bench.filesystem().set_default(NEW)
        bench.filesystem().discard(BASE)
        bench.filesystem().intact(NEW)
        assert names(bench.pool, "bookmark") == [f"{new}#{BASE}", f"{new}#theirs"]

    def test_a_held_snapshot_is_named_before_anything_is_changed(self, bench: ZfsBench) -> None:
        staged(bench)
        run(["zfs", "hold", "backup", bench.view.names.sealed(NEW)])
        with pytest.raises(Refused, match="holds") as raised:
            bench.filesystem().discardable(NEW)
        assert "zfs holds" in raised.value.hint
        run(["zfs", "release", "backup", bench.view.names.sealed(NEW)])
        bench.filesystem().discard(NEW)

    def test_a_mounted_one_is_refused_and_its_user_named(
        self, bench: ZfsBench, tmp_path: Path
    ) -> None:
        staged(bench)
        bench.view.release(NEW)
        run(["mount", "-t", "zfs", "-o", "zfsutil", bench.view.names.root(NEW), str(tmp_path)])
        with pytest.raises(Refused, match="mounted at"):
            bench.filesystem().discard(NEW)
        bare = f"{bench.pool}/bare"
        binding.create(bare, {"mountpoint": "legacy"})
        run(["mount", "-t", "zfs", bare, str(tmp_path)])
        with pytest.raises(SnaprootError, match="busy") as raised:
            binding.destroy(bare)
        assert str(tmp_path) in str(raised.value)
        run(["umount", str(tmp_path)])
        binding.destroy(bare)
        run(["umount", str(tmp_path)])
        bench.filesystem().discard(NEW)

    def test_what_is_removed_alone_is_measured(self, bench: ZfsBench) -> None:
        workspace = bench.create(NEW)
        (workspace.root / "usr/large").write_bytes(os.urandom(8 << 20))
        bench.filesystem().collect(workspace)
        bench.filesystem().seal(described(NEW))
        workspace = bench.create("b3", NEW)
        (workspace.root / "usr/large").unlink()
        bench.filesystem().collect(workspace)
        bench.filesystem().seal(described("b3", NEW))
        bench.filesystem().flush()
        space = bench.filesystem().space([BASE, NEW, "b3"])
        assert 8 << 20 <= space.exclusive[NEW] < 9 << 20
        assert space.exclusive["b3"] < 1 << 20
        before = space.free
        gone(bench, NEW)
        bench.filesystem().flush()
        assert bench.filesystem().space([]).free - before >= 7 << 20

    def test_what_is_called_as_if_it_went_is_left_to_others(self, bench: ZfsBench) -> None:
        theirs = trashed(bench.view.names.root("theirs"))
        run(["zfs", "create", "-o", "canmount=noauto", theirs])
        bench.filesystem().empty_trash()
        assert binding.exists(theirs)

    def test_no_id_leads_elsewhere(self, bench: ZfsBench) -> None:
        for id in ("../areas", "/", "", ".", "B1", "b1@b1"):
            with pytest.raises(RuntimeError):
                bench.filesystem().discard(id)


class TestSealing:
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
        self, bench: ZfsBench, change: Callable[[Path], object]
    ) -> None:
        staged(bench)
        with opened(bench, NEW) as root:
            change(root)
        with pytest.raises(Refused, match="changed after it was sealed"):
            bench.filesystem().intact(NEW)

    def test_another_snapshot_of_that_name_is_noticed(self, bench: ZfsBench) -> None:
        staged(bench)
        with opened(bench, NEW) as root:
            (root / "usr/bin/tool").write_text("changed")
        sealed = bench.view.names.sealed(NEW)
        binding.destroy_snapshots([sealed])
        with pytest.raises(Refused, match="changed after it was sealed"):
            bench.filesystem().intact(NEW)
        binding.snapshot([sealed], NEW)
        with pytest.raises(Refused, match="changed after it was sealed"):
            bench.filesystem().intact(NEW)

    def test_an_unsealed_root_is_refused_where_a_sealed_one_was(self, bench: ZfsBench) -> None:
        staged(bench)
        commands.put(bench.view.names.root(NEW), {"readonly": "off"})
        assert not found(bench.filesystem(), NEW).complete
        with pytest.raises(Refused):
            bench.filesystem().intact(NEW)

    def test_use_does_not_break_the_seal(self, bench: ZfsBench) -> None:
        staged(bench)
        bench.filesystem().set_default(NEW)
        staged(bench, "b3", NEW)
        bench.filesystem().changes(BASE, NEW)
        bench.write(NEW, "/etc/new", "edited")
        run(["zfs", "snapshot", f"{bench.view.names.root(NEW)}@backup"])
        assert bench.read(NEW, "/usr/bin/tool")
        bench.filesystem().flush()
        bench.filesystem().intact(NEW)

    def test_what_changed_in_every_way_is_listed_and_told(self, bench: ZfsBench) -> None:
        """Names with blanks, renamed directories, and files with several names."""
        workspace = bench.create(NEW)
        usr = workspace.root / "usr"
        (usr / "share/tree/deep").mkdir(parents=True)
        for name in ("a b", "back\\slash", os.fsdecode(b"bytes \xff"), "deep/inner"):
            (usr / "share/tree" / name).write_text(name, errors="surrogateescape")
        (usr / "share/one").write_text("several names")
        for name in ("two", "three"):
            (usr / f"share/{name}").hardlink_to(usr / "share/one")
        bench.filesystem().collect(workspace)
        bench.filesystem().seal(described(NEW))
        workspace = bench.create("b3", NEW)
        share = workspace.root / "usr/share"
        (share / "tree").rename(share / "moved")
        (share / "moved/a b").write_text("changed")
        (share / "two").unlink()
        (share / "four").hardlink_to(share / "one")
        with (share / "one").open("a") as file:
            file.write(", changed")
        bench.filesystem().collect(workspace)
        bench.filesystem().seal(described("b3", NEW))
        assert not bench.filesystem().verify("b3", lambda _: None)
        tree = ("", "/a b", "/back\\slash", os.fsdecode(b"/bytes \xff"), "/deep", "/deep/inner")
        expected = {
            **{f"/usr/share/tree{name}": Change.REMOVED for name in tree},
            **{f"/usr/share/moved{name}": Change.ADDED for name in tree},
            "/usr/share/one": Change.CHANGED,
            "/usr/share/two": Change.REMOVED,
            "/usr/share/three": Change.CHANGED,
            "/usr/share/four": Change.ADDED,
        }
        told = bench.filesystem().changes(NEW, "b3")
        assert {one.path: one.change for one in told} == expected
        back = bench.filesystem().changes("b3", NEW)
        assert [one.path for one in back] == [one.path for one in told]
        assert PathChange("/usr/share/two", Change.ADDED) in back

    def test_siblings_and_distant_ones_are_compared_by_their_lists(self, bench: ZfsBench) -> None:
        staged(bench)
        staged(bench, "b3")
        staged(bench, "b4", "b3")
        for older, newer in (("b2", "b3"), (BASE, "b4")):
            told = list(bench.filesystem().changes(older, newer))
            assert told == [PathChange("/usr/bin/tool", Change.CHANGED)]
        bench.layout.files("b3").write_text("damaged")
        told = list(bench.filesystem().changes("b2", "b3"))
        assert told == [PathChange("/usr/bin/tool", Change.CHANGED)]


@contextmanager
def opened(bench: ZfsBench, id: str) -> Iterator[Path]:
    """Take the seal of a root for as long as the block lasts."""
    bench.view.release(id)
    commands.put(bench.view.names.root(id), {"readonly": "off"})
    yield bench.view.root(id)
    bench.view.release(id)
    commands.put(bench.view.names.root(id), {"readonly": "on"})


class TestMetadata:
    def test_a_thousand_packages_fit(self, bench: ZfsBench) -> None:
        many = tuple(PackageChange(f"package-{n}", "1.0-1", "1.1-2~ä") for n in range(1000))
        there = tuple(Installed(f"package-{n}", "1.1-2~a", f"{n:064x}") for n in range(3000))
        sealed = staged(bench)
        full = replace(sealed, packages=many, installed=there, command="a\tb\n\\n — ü")
        bench.filesystem().describe(full)
        again = found(bench.filesystem(), NEW)
        assert (again.packages, again.command) == (many, "a\tb\n\\n — ü")
        assert again.installed == there
        root = bench.view.names.root(NEW)
        assert int(listing.local(root)[ENVIRONMENT].split()[1]) > 16, "this is not the long way"
        bench.filesystem().describe(replace(sealed, pinned=True))
        assert found(bench.filesystem(), NEW) == replace(sealed, pinned=True)
        bench.filesystem().intact(NEW)

    def test_a_cut_between_bookmark_and_metadata_is_finished(self, bench: ZfsBench) -> None:
        sealed = staged(bench)
        called = bench.view.names
        run(["zfs", "bookmark", called.sealed(NEW), called.bookmark(NEW)])
        bench.filesystem().describe(replace(sealed, standing=Standing.PROVEN))
        assert bench.filesystem().environment(NEW).standing is Standing.PROVEN

    def test_a_cut_between_parts_and_head_leaves_the_old_text(self, bench: ZfsBench) -> None:
        sealed = staged(bench)
        root = bench.view.names.root(NEW)
        known = listing.local(root)
        parts, _ = parts_of(text_of(known).replace("6.1.0", "6.2.0"), known)
        commands.put(root, parts)
        assert found(bench.filesystem(), NEW) == sealed

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("parent = 'b1'", "no format"),
            ("format = 2\nstanding = 'proven'", "format 2"),
            ("format = 1\nstanding = 'excellent'", "excellent"),
            ("\x01garbage", "cannot be read"),
        ],
    )
    def test_damage_is_told_and_salvaged(self, bench: ZfsBench, text: str, reason: str) -> None:
        staged(bench)
        root = bench.view.names.root(NEW)
        for properties in parts_of(text, listing.local(root)):
            commands.put(root, properties)
        base, new = bench.filesystem().environments()
        assert reason in new.damage
        assert base.complete
        with pytest.raises(Refused):
            bench.create("b3", NEW)
        salvaged = bench.filesystem().salvage(NEW)
        assert salvaged.complete
        assert salvaged.unverified == (NEW,)
        assert found(bench.filesystem(), NEW) == salvaged
        bench.filesystem().intact(NEW)
        assert not bench.filesystem().verify(NEW, lambda _: None)
        kept = listing.local(root)
        head = kept["org.snaproot:damaged-1"]
        assert kept[f"org.snaproot:damaged-1.{head[0]}.0"].encode().decode("unicode_escape") == text

    def test_a_torn_text_is_damage(self, bench: ZfsBench) -> None:
        staged(bench)
        root = bench.view.names.root(NEW)
        slot = listing.local(root)[ENVIRONMENT][0]
        commands.put(root, {f"{ENVIRONMENT}.{slot}.0": "format = 1"})
        assert "not what was written" in found(bench.filesystem(), NEW).damage

    def test_what_was_never_finished_is_not_salvaged(self, bench: ZfsBench) -> None:
        bench.create(NEW)
        assert found(bench.filesystem(), NEW).damage == "staging was not finished"
        with pytest.raises(Refused, match="never finished"):
            bench.filesystem().salvage(NEW)


class TestOriginal:
    def test_it_is_one_like_others_until_it_goes(self, bench: ZfsBench) -> None:
        dataset = original(bench)
        filesystem = bench.filesystem()
        assert [e.id for e in filesystem.environments()] == [BASE, "original"]
        assert found(filesystem, "original").complete
        assert (filesystem.place("original").root / "file").read_text() == "its own"
        assert filesystem.address("original").arguments[0] == f"root=ZFS={dataset}"
        filesystem.set_default("original")
        assert commands.pool_value(bench.pool, "bootfs") == dataset
        assert filesystem.default() == "original"
        with pytest.raises(Refused, match="cannot be used"):
            bench.create(NEW, "original")
        filesystem.set_default(BASE)
        assert filesystem.space(["original"]).exclusive["original"] > 0
        filesystem.discard("original")
        assert [e.id for e in filesystem.environments()] == [BASE]
        assert not binding.exists(dataset)
        filesystem.discard("original")

    def test_what_is_in_it_keeps_it(self, bench: ZfsBench) -> None:
        dataset = original(bench)
        for name in (f"{dataset}/home", f"{dataset}@theirs"):
            run(["zfs", "snapshot" if "@" in name else "create", name])
            with pytest.raises(Refused, match="others' datasets or snapshots"):
                bench.filesystem().discardable("original")
            run(["zfs", "destroy", name])
        bench.filesystem().discard("original")

    def test_a_removal_that_was_cut_is_finished(self, bench: ZfsBench) -> None:
        dataset = original(bench)
        bench.view.release("original")
        binding.rename(dataset, trashed(dataset))
        assert [e.id for e in bench.filesystem().environments()] == [BASE]
        bench.filesystem().empty_trash()
        assert not binding.exists(trashed(dataset))
        assert listing.original(bench.view) is None

    def test_a_bootfs_beside_it_counts_as_its_own(self, bench: ZfsBench) -> None:
        original(bench)
        filesystem = bench.filesystem()
        described = found(filesystem, "original")
        filesystem.describe(replace(described, extra={**described.extra, listing.DEFAULT: "-"}))
        filesystem.set_default("original")
        assert commands.pool_value(bench.pool, "bootfs") == "-"
        assert filesystem.default() == "original"

    def test_what_was_cloned_from_it_goes_on_without(self, bench: ZfsBench) -> None:
        dataset = original(bench)
        bench.view.release("original")
        binding.snapshot([f"{dataset}@adopt-{NEW}"], NEW)
        bench.layout.home(NEW).mkdir()
        noauto = {"canmount": binding.CANMOUNT_NOAUTO}
        binding.clone(f"{dataset}@adopt-{NEW}", bench.view.names.root(NEW), noauto)
        binding.create(bench.view.names.etc(NEW), noauto)
        bench.filesystem().seal(replace(described(NEW, "original")))
        (bench.filesystem().place("original").root / "etc").mkdir()
        bench.filesystem().edits(NEW)  # which mounts what the heir is to get
        gone(bench, "original")
        bench.filesystem().intact(NEW)
        assert not bench.filesystem().verify(NEW, lambda _: None)
        assert [name for name in names(bench.pool, "snapshot") if "adopt" in name] == []


def original(bench: ZfsBench) -> str:
    """Make an original root beside, and declare it."""
    dataset = f"{bench.view.names.container}/debian"
    binding.create(dataset, {"canmount": binding.CANMOUNT_NOAUTO, "mountpoint": "/"})
    listing.declare_original(bench.view, "original", dataset)
    bench.layout.home("original").mkdir()
    bench.filesystem().describe(
        replace(described("original", ""), standing=Standing.ORIGINAL, sealed=False)
    )
    (bench.filesystem().place("original").root / "file").write_text("its own")
    return dataset


class TestBadInput:
    def test_a_full_pool_is_named_and_what_is_there_can_go(self, tmp_path: Path) -> None:
        with small(tmp_path) as bench:
            workspace = bench.create(NEW)
            with pytest.raises(OSError, match="No space"):
                (workspace.root / "usr/large").write_bytes(os.urandom(256 << 20))
            with pytest.raises(SnaprootError, match="is full") as raised:
                bench.create("b3")
            assert "cleanup" in raised.value.hint
            bench.filesystem().discard(NEW)
            bench.filesystem().intact(BASE)
            assert [e.id for e in bench.filesystem().environments()] == [BASE]

    def test_a_read_only_pool_is_read_but_not_changed(self, tmp_path: Path) -> None:
        with small(tmp_path) as bench:
            sealed = staged(bench)
            imported_again(bench, tmp_path, "-o", "readonly=on")
            assert len(bench.filesystem().environments()) == 2
            bench.filesystem().intact(NEW)
            assert bench.read(NEW, "/usr/bin/tool") == f"tool of {NEW}"
            for change in (
                lambda: bench.create("b3"),
                lambda: bench.filesystem().set_default(NEW),
                lambda: bench.filesystem().describe(replace(sealed, pinned=True)),
                lambda: bench.filesystem().discard(NEW),
            ):
                with pytest.raises(SnaprootError, match="read-only"):
                    change()

    def test_a_pool_that_is_gone_is_named(self, tmp_path: Path) -> None:
        with small(tmp_path) as bench:
            for point in reversed(bed_points(bench)):
                run(["umount", str(point)])
            run(["zpool", "export", bench.pool])
            with pytest.raises(SnaprootError, match="there is no such") as raised:
                bench.filesystem().environments()
            assert "imported" in raised.value.hint
            with pytest.raises(SnaprootError, match="there is no such dataset"):
                binding.snapshot([bench.view.names.sealed("b9")], "b9")
            run(["zpool", "import", "-N", "-d", str(tmp_path), bench.pool])
            bench_remounted(bench)
            bench.filesystem().intact(BASE)

    def test_a_name_that_is_too_long_is_told(self, bench: ZfsBench) -> None:
        with pytest.raises(SnaprootError, match="too long") as raised:
            binding.create(f"{bench.pool}/{'x' * 300}", {})
        assert "255 bytes" in raised.value.hint

    def test_damaged_areas_are_named_before_anything_is_made(self, bench: ZfsBench) -> None:
        before = names(bench.pool)
        (bench.layout.record / areas.NAME).write_text("format = ")
        with pytest.raises(NeedsRecovery, match=r"areas\.toml"):
            bench.create(NEW)
        assert names(bench.pool) == before

    def test_unrelated_roots_are_looked_at(self, bench: ZfsBench) -> None:
        staged(bench)
        staged(bench, "b3")
        places = (bench.view.root(NEW), bench.view.root("b3"))
        sealed = bench.view.names.sealed
        assert b"usr/bin/tool" in comparison.candidates(sealed(NEW), sealed("b3"), places)


@contextmanager
def small(directory: Path) -> Iterator[ZfsBench]:
    """Lend a bench on a pool of 256 MiB in a file."""
    file = directory / "small.img"
    run(["truncate", "-s", "256M", str(file)])
    with bed.pool(str(file), "small") as pool, bed.bed(pool) as made:
        yield made


def bed_points(bench: ZfsBench) -> list[Path]:
    from snaproot.mountinfo import mounted_from

    return [p for p in mounted_from(bench.layout.top) if p != bench.layout.top]


def imported_again(bench: ZfsBench, directory: Path, *words: str) -> None:
    for point in reversed(bed_points(bench)):
        run(["umount", str(point)])
    run(["zpool", "export", bench.pool])
    run(["zpool", "import", "-N", *words, "-d", str(directory), bench.pool])
    bench_remounted(bench)


def bench_remounted(bench: ZfsBench) -> None:
    from snaproot.filesystem.zfs.view import mount

    mount(bench.view.names.home, bench.layout.snaproot)


def test_who_only_looks_is_waited_for(bench: ZfsBench) -> None:
    """Mounted by another for a moment: a root goes, and nothing is mounted read-only for it."""
    staged(bench)
    bench.view.release(NEW)
    with _another("mount -i -t zfs $1 $2; echo; sleep 2; umount $2", bench.view.names.root(NEW)):
        bench.filesystem().discard(NEW)
    area = f"{bench.view.names.areas}/var"
    release(bench.layout.areas / "var")
    looks = "echo; for n in $(seq 60); do mount -i -t zfs $1 $2 && umount $2; done"
    with _another(looks, area):
        for _ in range(20):
            (bench.view.area("var") / "written").touch()
            release(bench.layout.areas / "var")


@contextmanager
def _another(script: str, dataset: str) -> Iterator[None]:
    """Have a process with mounts of its own, once it has said so, and wait for its end."""
    argv = ["unshare", "--mount", "sh", "-c", script, "sh", dataset, "/mnt"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        yield


ACTIONS: dict[str, Callable[[ZfsBench], object]] = {
    "create": lambda bench: bench.create(NEW),
    "collect": lambda bench: bench.filesystem().collect(bench.filesystem().place(NEW)),
    "seal": lambda bench: bench.filesystem().seal(described(NEW)),
    "discard": lambda bench: bench.filesystem().discard(NEW),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_kill_at_any_step_leaves_what_discard_removes(bench: ZfsBench, action: str) -> None:
    trash.ensure(bench.view.names.work)
    before = names(bench.pool)
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
        assert names(bench.pool) == before
        assert [p.name for p in bench.layout.environments.iterdir()] == [BASE]
        bench.filesystem().intact(BASE)
        killed += 1
    assert killed > 4


def test_a_removal_cut_at_any_step_is_finished(bench: ZfsBench) -> None:
    """The base goes, of which others were cloned: each step in a child that is killed there."""
    killed, parent = 0, BASE
    going = True
    while going:
        target, sibling = f"t{killed}", f"s{killed}"
        promoted(bench, target, parent)
        staged(bench, sibling, parent)
        going = _dies(killed, partial(bench.filesystem().discard, parent))
        left = [e.id for e in bench.filesystem().environments()]
        assert set(left) - {parent} == {target, sibling}
        bench.filesystem().empty_trash()
        if parent in left:
            bench.filesystem().intact(parent)
            bench.filesystem().discard(parent)
        for id in (target, sibling):
            bench.filesystem().intact(id)
            assert bench.read(id, "/usr/lib/old") == "/usr/lib/old"
        gone(bench, sibling)
        dead = [name for name in names(bench.pool, "snapshot") if f"@{parent}" in name]
        assert dead == []
        parent = target
        killed += 1
    assert killed > 6


def _killed_at(bench: ZfsBench, action: str, step: int) -> bool:
    """Stage up to an action, and do it in a child that is killed at its nth change."""
    for name, do in ACTIONS.items():
        if name == action:
            break
        do(bench)
        if name == "create":
            bench.write(NEW, "/usr/bin/tool", "changed")
            bench.write(NEW, "/var/lib/cluster", "initial")
    return _dies(step, lambda: ACTIONS[action](bench))


KILLED = 37
CHANGING = {"create", "snapshot", "clone", "bookmark", "zfs_promote", "rename", "destroy"}
CHANGING |= {"destroy_snapshots", "rollback", "put", "put_pool", "unset", "mkdir", "rmdir"}
_FILES = {binding.__file__, commands.__file__}


def _dies(step: int, do: Callable[[], object]) -> bool:
    """Do it in a child that ends, as by SIGKILL, at its nth call that changes the pool."""
    child = os.fork()
    if child == 0:
        _die_at(step)
        do()
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, KILLED}
    return status == KILLED


def _die_at(step: int) -> None:
    left = step

    def watch(frame: FrameType, event: str, argument: object) -> None:
        nonlocal left
        name = frame.f_code.co_name if event == "call" else getattr(argument, "__name__", "")
        ours = event == "call" and frame.f_code.co_filename in _FILES
        if (ours or event == "c_call") and name in CHANGING:
            if left == 0:
                os._exit(KILLED)
            left -= 1

    sys.setprofile(watch)
