"""Offline adoption of the layouts that distributions make, each a real filesystem."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from integration import disk, layouts
from snaproot import adoption, fstab
from snaproot.adoption import AdoptionPlan
from snaproot.adoption.carving import flags, is_placeholder
from snaproot.environment import Standing
from snaproot.errors import NothingToDo, Refused, SnaprootError
from snaproot.filesystem.btrfs import binding
from snaproot.filesystem.btrfs.backend import Btrfs
from snaproot.filesystem.layout import Layout
from snaproot.run import run

pytestmark = pytest.mark.real

ID = "b4k7q2x"
MIB = 1 << 20


@pytest.fixture
def top(tmp_path: Path) -> Iterator[Path]:
    with disk.disk(tmp_path, size="256M") as place:
        yield place


def adopt(top: Path, *, boot: Path | None = None) -> AdoptionPlan:
    plan = adoption.plan(adoption.survey(top, boot=boot), ID)
    adoption.execute(plan, top, lambda _: None)
    return plan


def untouched(top: Path) -> str:
    """Digest everything that adoption has no business with."""
    return layouts.digest(top, without=["@snaproot", "@snaproot.partial"])


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def link(path: Path) -> str:
    return str(path.readlink())


def nested_in(top: Path, name: str) -> list[tuple[int, str, bool]]:
    found = binding.subvolumes(top)
    return [(s.id, s.path, s.read_only) for s in found if s.path.startswith(f"{name}/")]


def check(top: Path, before: str) -> Btrfs:
    """Check what holds of every adopted system."""
    layout = Layout(top)
    filesystem = Btrfs(layout, None)
    assert untouched(top) == before
    assert filesystem.default() == ID
    found = {e.id: e for e in filesystem.environments()}
    assert set(found) == {ID, "original"}
    assert all(environment.complete for environment in found.values())
    assert found["original"].standing is Standing.ORIGINAL
    assert found[ID].standing is Standing.PROVEN
    filesystem.intact(ID)
    assert filesystem.verify(ID, lambda _: None) == []
    assert all(place.is_dir() for place in filesystem.place(ID).areas.values())
    assert names(layout.etc_pristine(ID)) == names(layout.etc(ID))
    (layout.etc(ID) / "written").touch()
    (layout.etc(ID) / "written").unlink()
    with pytest.raises(OSError, match="Read-only"):
        (layout.root(ID) / "written").touch()
    assert not os.path.lexists(top / "@snaproot.partial")
    for place in (layout.root(ID), layout.areas):
        assert not [path for path, *_ in os.walk(place) if is_placeholder(Path(path))]
    return filesystem


@contextmanager
def booted(top: Path, place: Path, default: str = "") -> Iterator[Path]:
    """Mount the default subvolume, or another, and what its fstab says, as a boot would."""
    device = run(["findmnt", "-no", "SOURCE", str(top)]).output.split("[")[0].strip()
    with disk.mounted(device, place, options=default or "rw"):
        for entry in fstab.parse((place / "etc/fstab").read_text()):
            if entry.type == "btrfs" and entry.file != "/":
                options = ",".join(entry.options)
                run(["mount", "-t", "btrfs", "-o", options, device, f"{place}{entry.file}"])
        yield place


@pytest.mark.parametrize("name", ["@", "@rootfs"])
def test_debian_is_adopted_beside_itself(top: Path, tmp_path: Path, name: str) -> None:
    root = layouts.debian(top, name, home=name == "@")
    (root / "root").chmod(0o700)
    os.setxattr(root / "srv", "user.note", b"kept")
    os.chown(root / "srv", 33, 33)
    layouts.put(root / "var/lib/apt/extended_states", "Package: tiny\n")
    before = untouched(top)
    adopt(top)
    filesystem = check(top, before)
    assert filesystem.place("original").root == root
    areas = filesystem.place(ID).areas
    assert areas["/root"].stat().st_mode & 0o777 == 0o700
    assert areas["/srv"].stat().st_uid == 33
    assert os.getxattr(areas["/srv"], "user.note") == b"kept"
    with booted(top, tmp_path / "new") as new:
        assert (new / "home/user/letter").read_text() == "Dear all\n"
        assert (new / "var/log/messages").read_text() == "something happened\n"
        assert "tiny" in (new / "var/lib/dpkg/../dpkg/status").read_text()
        assert link(new / "var/lib/dpkg") == "../../usr/lib/sysimage/dpkg"
        assert (new / "etc/apt/apt.conf.d/50snaproot").read_text() == (
            'Dir::State::extended_states "/usr/lib/sysimage/apt/extended_states";\n'
        )
        assert (new / "usr/lib/sysimage/apt/extended_states").read_text() == "Package: tiny\n"
        assert not (new / "var/lib/apt/extended_states").exists()


def test_a_tree_as_deep_as_paths_go_is_no_obstacle(top: Path) -> None:
    place = layouts.debian(top) / "opt"
    for _ in range(1000):
        place /= "x"
        place.mkdir(parents=True)
    adopt(top)
    assert Btrfs(Layout(top), None).default() == ID


def test_no_mount_point_is_made_through_a_link(top: Path, tmp_path: Path) -> None:
    root = layouts.debian(top, home=False)
    outside = tmp_path / "outside"
    layouts.put(outside / "file", "content")
    (root / "home/user/link").symlink_to(outside)
    binding.create(top / "@data")
    with (root / "etc/fstab").open("a") as table:
        table.write("LABEL=tiny /home/user/link/data btrfs subvol=@data 0 0\n")
    before = layouts.digest(outside)
    adopt(top)
    assert layouts.digest(outside) == before


def test_the_original_still_boots_as_its_fstab_says(top: Path, tmp_path: Path) -> None:
    layouts.debian(top)
    adopt(top)
    with booted(top, tmp_path / "old", "subvol=@") as old:
        assert (old / "home/user/letter").read_text() == "Dear all\n"
        assert (old / "var/lib/dpkg/status").is_file()
        (old / "usr/written").touch()


def test_fedora_gets_its_boot_into_the_boot_environment(top: Path, tmp_path: Path) -> None:
    root = layouts.fedora(top)
    with ext4(tmp_path) as boot:
        for file in (root / "boot").iterdir():
            shutil.move(file, boot / file.name)
        (boot / "efi").mkdir()
        with pytest.raises(Refused, match="/boot is a filesystem of its own") as refused:
            adopt(top)
        assert "--boot" in refused.value.hint
        before = untouched(top)
        plan = adopt(top, boot=boot)
        kernel = (boot / "vmlinuz-6.1.0-test").read_bytes()
    filesystem = check(top, before)
    adopted = filesystem.place(ID)
    assert (adopted.root / "boot/vmlinuz-6.1.0-test").read_bytes() == kernel
    assert not (adopted.root / "boot/lost+found").exists()
    assert plan.kernel == "6.1.0-test"
    assert any("awaits a later release" in finding for finding in adoption.findings(top))
    table = (adopted.root / "etc/fstab").read_text()
    assert [e.file for e in fstab.parse(table) if e.file.startswith("/boot")] == ["/boot/efi"]
    assert "# UUID=0b007-ext4\t/boot\text4\tdefaults\t1\t2\n" in table
    assert adopted.areas["/home"] == top / "home"
    alternatives = adopted.areas["/var"] / "lib/alternatives"
    assert link(alternatives) == "../../usr/lib/sysimage/alternatives"
    assert (adopted.root / "usr/lib/sysimage/alternatives/iptables").is_file()
    assert link(adopted.areas["/var"] / "lib/rpm") == "../../usr/lib/sysimage/rpm"


@contextmanager
def ext4(directory: Path) -> Iterator[Path]:
    home = directory / f"{disk.MARK}{os.getpid()}-boot"
    home.mkdir()
    place = home / "top"
    place.mkdir()
    with disk.attached(home / f"{disk.MARK}boot.img", "32M") as device:
        run(["mkfs.ext4", "-q", device])
        run(["mount", device, str(place)])
        try:
            yield place
        finally:
            disk.unmounted(place)


def test_opensuse_keeps_its_siblings_but_not_one_var(top: Path, tmp_path: Path) -> None:
    root = layouts.opensuse(top)
    layouts.docker(top / "@")
    before = untouched(top)
    plan = adopt(top)
    filesystem = check(top, before)
    areas = filesystem.place(ID).areas
    assert areas["/home"] == top / "@/home"
    assert areas["/boot/grub2/x86_64-efi"] == top / "@/boot/grub2/x86_64-efi"
    assert areas["/var"] == top / "@snaproot/areas/var"
    assert filesystem.place("original").root == root
    assert any("snapper (@/.snapshots)" in finding for finding in plan.findings)
    with booted(top, tmp_path / "new") as new:
        assert (new / "var/lib/dpkg/status").is_file()
        assert (new / "var/lib/machines/trixie/etc/hostname").read_text() == "trixie\n"
        assert (new / "boot/grub2/x86_64-efi/normal.mod").is_file()
        assert (new / ".snapshots/1/snapshot/etc").is_dir()


def test_arch_declares_log_and_pkg_and_loses_numbers(top: Path, tmp_path: Path) -> None:
    layouts.arch(top)
    before = untouched(top)
    plan = adopt(top)
    filesystem = check(top, before)
    adopted = filesystem.place(ID)
    assert adopted.areas["/var/log"] == top / "@log"
    assert adopted.areas["/var/cache/pacman/pkg"] == top / "@pkg"
    table = (adopted.root / "etc/fstab").read_text()
    assert "subvolid" not in table
    assert "subvol=/@log" in table
    assert plan.kernel == "6.1.0-test"
    conf = (adopted.root / "etc/pacman.conf").read_text()
    assert conf == "[options]\nDBPath = /usr/lib/sysimage/pacman/\n[core]\n"
    with booted(top, tmp_path / "new") as new:
        assert (new / "var/log/messages").is_file()
        assert (new / "var/lib/pacman/local/ALPM_DB_VERSION").read_text() == "9\n"


def test_a_root_at_the_top_level_gets_a_snapshot(top: Path, tmp_path: Path) -> None:
    layouts.flat(top)
    layouts.docker(top)
    before = untouched(top)
    plan = adopt(top)
    filesystem = check(top, before)
    original = filesystem.place("original").root
    assert original == Layout(top).root("original")
    assert (original / "usr/bin/busybox").is_file()
    assert not os.path.lexists(original / "@snaproot.partial")
    assert not os.path.lexists(filesystem.place(ID).root / "@snaproot.partial")
    assert any("top level" in finding for finding in plan.findings)
    with booted(top, tmp_path / "new") as new:
        assert (new / "data/ledger").read_text() == "all of it\n"
        assert (new / "home/user/letter").is_file()


def test_no_nested_subvolume_is_lost(top: Path, tmp_path: Path) -> None:
    root = layouts.debian(top)
    layouts.docker(root)
    (root / "tmp").rmdir()
    layouts.subvolume(root / "tmp").chmod(0o1777)
    nested = nested_in(top, "@")
    before = untouched(top)
    adopt(top)
    adopted = check(top, before).place(ID).root
    assert (adopted / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert nested_in(top, "@") == nested
    with booted(top, tmp_path / "new") as new:
        for _, path, _ in nested:
            place = new / path.removeprefix("@/")
            assert names(place) == names(top / path)
            if "lib" in path:
                assert binding.is_subvolume(place)
        trixie = new / "var/lib/machines/trixie"
        assert (trixie / "etc/hostname").read_text() == "trixie\n"
        assert binding.subvolume(trixie).read_only
        (new / "var/lib/docker/btrfs/subvolumes/0a1b/written").touch()


def test_locked_files_are_carried_over_locked(top: Path) -> None:
    root = layouts.debian(top)
    layouts.put(root / "etc/resolv.conf", "nameserver 9.9.9.9\n")
    layouts.put(root / "srv/vault/gold", "gold\n")
    locked = [root / "etc/resolv.conf", root / "srv/vault/gold", root / "srv/vault"]
    for path in locked:
        run(["chattr", "+i", str(path)])
    try:
        before = untouched(top)
        adopt(top)
        filesystem = check(top, before)
        adopted = filesystem.place(ID)
        carried = [adopted.root / "etc/resolv.conf", adopted.areas["/srv"] / "vault"]
        assert all(flags(path) & 0x10 for path in carried)
        assert (adopted.areas["/srv"] / "vault/gold").read_text() == "gold\n"
    finally:
        run(["chattr", "-R", "-i", str(top)], check=False)


def test_an_active_swap_file_is_refused(top: Path) -> None:
    root = layouts.debian(top)
    file = swap_file(root)
    layouts.fstab(root, "/swapfile none swap sw 0 0")
    before = untouched(top)
    run(["swapon", str(file)])
    try:
        with pytest.raises(Refused, match="is active") as refused:
            adopt(top)
        assert refused.value.hint == f"swapoff {file}"
    finally:
        run(["swapoff", str(file)])
    assert untouched(top) == before
    assert not os.path.lexists(top / "@snaproot")


def test_a_swap_file_is_made_anew_and_both_can_be_used(top: Path) -> None:
    root = layouts.debian(top)
    file = swap_file(root)
    layouts.fstab(root, "/swapfile none swap sw 0 0")
    before = untouched(top)
    adopt(top)
    filesystem = check(top, before)
    new = filesystem.place(ID).areas["/swap"] / "swapfile"
    assert new.stat().st_size == file.stat().st_size
    assert new.stat().st_mode & 0o777 == 0o600
    assert not (filesystem.place(ID).root / "swapfile").exists()
    table = fstab.parse((filesystem.place(ID).root / "etc/fstab").read_text())
    assert [e.spec for e in table if e.type == "swap"] == ["/swap/swapfile"]
    for path in (new, file):
        run(["swapon", str(path)])
        run(["swapoff", str(path)])


def swap_file(directory: Path) -> Path:
    file = directory / "swapfile"
    file.touch(mode=0o600)
    run(["chattr", "+C", str(file)])
    run(["fallocate", "-l", "4M", str(file)])
    run(["mkswap", str(file)])
    return file


def test_a_nested_swap_subvolume_is_neither_snapshotted_nor_in_the_way(top: Path) -> None:
    root = layouts.debian(top)
    swap = layouts.subvolume(root / "swap")
    file = swap_file(swap)
    layouts.fstab(root, "/swap/swapfile none swap sw 0 0")
    run(["swapon", str(file)])
    try:
        adopt(top)
    finally:
        run(["swapoff", str(file)])
    new = Btrfs(Layout(top), None).place(ID).areas["/swap"] / "swapfile"
    run(["swapon", str(new)])
    run(["swapoff", str(new)])


def test_several_devices_are_told_and_a_missing_one_is_refused(tmp_path: Path) -> None:
    home = tmp_path / f"{disk.MARK}{os.getpid()}-two"
    home.mkdir()
    images = [home / f"{disk.MARK}{number}.img" for number in (1, 2)]
    with disk.attached(images[0], "256M") as first:
        with disk.attached(images[1], "256M") as second:
            run(["mkfs.btrfs", "-q", "-f", "-d", "raid1", "-m", "raid1", first, second])
            with disk.mounted(first, home / "top") as top:
                layouts.debian(top)
                before = untouched(top)
                plan = adoption.plan(adoption.survey(top), ID)
                assert any("spans 2 devices" in finding for finding in plan.findings)
        run(["btrfs", "device", "scan", "--forget"], check=False)
        with disk.mounted(first, home / "top", options="degraded,subvolid=5") as top:
            with pytest.raises(Refused, match="1 of 2 devices of this Btrfs are missing"):
                adopt(top)
            assert untouched(top) == before


def test_other_tools_are_told_and_left_alone(top: Path) -> None:
    root = layouts.debian(top)
    layouts.subvolume(root / ".snapshots")
    (root / ".snapshots/1").mkdir()
    run(["btrfs", "subvolume", "snapshot", "-r", str(root), str(root / ".snapshots/1/snapshot")])
    (top / "timeshift-btrfs/snapshots/monday").mkdir(parents=True)
    run(["btrfs", "subvolume", "snapshot", str(root), f"{top}/timeshift-btrfs/snapshots/monday/@"])
    before = untouched(top)
    plan = adopt(top)
    check(top, before)
    told = "\n".join(plan.findings)
    assert "snapper (@/.snapshots)" in told
    assert "timeshift (timeshift-btrfs)" in told


def test_what_is_no_btrfs_is_refused(tmp_path: Path, top: Path) -> None:
    with pytest.raises(Refused, match="not Btrfs"):
        adoption.survey(tmp_path)
    layouts.debian(top)
    with pytest.raises(Refused, match="not the top level") as refused:
        adoption.survey(top / "@")
    assert "subvolid=5" in refused.value.hint


def test_what_is_adopted_is_not_adopted_again(top: Path) -> None:
    layouts.debian(top)
    adopt(top)
    before = layouts.digest(top)
    with pytest.raises(NothingToDo):
        adopt(top)
    assert layouts.digest(top) == before


def test_an_unknown_layout_is_refused(top: Path) -> None:
    layouts.put(layouts.subvolume(top / "backups") / "monday", "…")
    with pytest.raises(Refused, match="none of backups is a root") as refused:
        adopt(top)
    assert refused.value.hint


def test_a_damaged_fstab_is_not_rewritten(top: Path) -> None:
    root = layouts.debian(top)
    layouts.fstab(root, "UUID=1234 /data")
    before = untouched(top)
    with pytest.raises(Refused, match="line 5: 2 fields"):
        adopt(top)
    assert untouched(top) == before


def test_links_out_of_the_root_are_not_followed(top: Path, tmp_path: Path) -> None:
    root = layouts.debian(top)
    outside = tmp_path / "outside"
    layouts.put(outside / "precious", "ours\n")
    (root / "srv").rmdir()
    (root / "srv").symlink_to(outside)
    before = untouched(top)
    plan = adopt(top)
    check(top, before)
    assert any("/srv is a link" in finding for finding in plan.findings)
    assert (outside / "precious").read_text() == "ours\n"
    (root / "etc/fstab").rename(root / "etc/fstab.real")
    (root / "etc/fstab").symlink_to("/etc/fstab")
    run(["btrfs", "subvolume", "set-default", "5", str(top)])
    run(["sh", "-c", f"mv {top}/@snaproot {top}/elsewhere"])
    with pytest.raises(Refused, match="is a link"):
        adopt(top)


def test_a_full_filesystem_leaves_nothing_behind(top: Path) -> None:
    root = layouts.debian(top)
    layouts.put(root / "etc/fstab.d", "")
    layouts.fstab(root, "/swapfile none swap sw 0 0")
    (root / "swapfile").touch()
    os.truncate(root / "swapfile", 1024 * MIB)
    before, default = untouched(top), binding.default_id(top)
    with pytest.raises(Refused, match="MiB are needed"):
        adopt(top)
    plan = adoption.plan(replace(adoption.survey(top), free=1 << 40), ID)
    with pytest.raises(SnaprootError, match="the original is still the default"):
        adoption.execute(plan, top, lambda _: None)
    assert untouched(top) == before
    assert not os.path.lexists(top / "@snaproot.partial")
    assert not os.path.lexists(top / "@snaproot")
    assert binding.default_id(top) == default


class Cut(Exception):
    """The plug is pulled."""


def cut_at(name: str) -> Callable[[str], None]:
    def report(step: str) -> None:
        if step == name:
            raise Cut

    return report


def test_a_run_stopped_anywhere_is_taken_up_again(top: Path, tmp_path: Path) -> None:
    """Stop before each step in turn, on one filesystem: every run meets the last one's ruins."""
    layouts.docker(layouts.debian(top))
    before, default = untouched(top), binding.default_id(top)
    names: list[str] = []
    with disk.disk(tmp_path, size="256M") as other:
        layouts.docker(layouts.debian(other))
        adoption.execute(adoption.plan(adoption.survey(other), ID), other, names.append)
    for name in names:
        plan = adoption.plan(adoption.survey(top), ID)
        with pytest.raises(Cut):
            adoption.execute(plan, top, cut_at(name))
        assert untouched(top) == before
        moved = names.index(name) > names.index(f"make {ID} the default subvolume")
        assert (binding.default_id(top) == default) is not moved
    adopt(top)
    check(top, before)


def test_a_power_cut_before_any_step_leaves_a_machine_that_boots(tmp_path: Path) -> None:
    """Take the disk as it is before each step, without a sync: the journal of a real cut."""
    images: list[Path] = []
    home = tmp_path / f"{disk.MARK}{os.getpid()}-cut"
    home.mkdir()
    with disk.disk(tmp_path, size="256M") as top:
        layouts.debian(top)
        run(["btrfs", "subvolume", "set-default", str(top / "@")])
        before = untouched(top)
        binding.sync(top)
        image = next(top.parent.glob("*.img"))

        def report(_: str) -> None:
            copy = home / f"{disk.MARK}{len(images)}.img"
            run(["cp", "--sparse=always", str(image), str(copy)])
            images.append(copy)

        adoption.execute(adoption.plan(adoption.survey(top), ID), top, report)
        report("done")
    for copy in images:
        with ExitStack() as stack:
            device = stack.enter_context(disk.attached(copy, "256M"))
            with disk.mounted(device, tmp_path / "booted", options="rw") as root:
                assert (root / "usr/bin/busybox").is_file()
                assert (root / "etc/fstab").is_file()
            top = stack.enter_context(disk.mounted(device, tmp_path / "cut"))
            with suppress(NothingToDo):
                adopt(top)
            check(top, before)
        copy.unlink()


def test_going_on_after_a_cut_never_takes_back_a_promotion(top: Path) -> None:
    layouts.debian(top)
    plan = adoption.plan(adoption.survey(top), ID)
    with pytest.raises(Cut):
        adoption.execute(plan, top, cut_at("remember that it is adopted"))
    record = Layout(top).record / "record.json"
    data = json.loads(record.read_text())
    record.write_text(json.dumps({**data, "base": "original", "last": "d1"}))
    Btrfs(Layout(top), None).set_default("original")
    adopt(top)
    assert Btrfs(Layout(top), None).default() == "original"


def test_a_plan_changes_nothing_and_is_json(top: Path) -> None:
    layouts.docker(layouts.debian(top))
    before = layouts.digest(top)
    plan = adoption.plan(adoption.survey(top), ID)
    shape = json.loads(json.dumps(asdict(plan)))
    assert shape["areas"][0]["area"]["mount"] == "/var"
    assert shape["steps"][-1] == f"Make {ID} the default subvolume, last."
    assert layouts.digest(top) == before
