"""What adoption decides from a survey, without a disk."""

import json
from dataclasses import asdict, replace

import pytest

from snaproot import fstab
from snaproot.adoption.decisions import How, Policy
from snaproot.adoption.facts import (
    ActiveSwap,
    Adopted,
    Found,
    Place,
    Root,
    Subvolume,
    Survey,
    SwapFile,
)
from snaproot.adoption.plan import plan
from snaproot.adoption.sysimage import home, with_db_path
from snaproot.areas import Kind
from snaproot.errors import NothingToDo, Refused

UUID = "0f8f0bd2-6b3e-4b2f-9f4e-6a3a4b0f2c11"
TOP = Subvolume(5, "")
DIRECTORY = Place(Found.DIRECTORY, empty=False)
FSTAB = f"""\
# <file system> <mount point> <type> <options> <dump> <pass>
UUID={UUID} / btrfs noatime,compress=zstd,subvolid=256,subvol=/@ 0 1
UUID={UUID} /home btrfs noatime,subvol=@home,subvolid=299 0 2
"""


def survey(*subvolumes: str, table: str = FSTAB, root: str = "@", default: int = 5) -> Survey:
    """Describe a Debian in `@` with `@home`, and more subvolumes."""
    names = (root, "@home", *subvolumes)
    found = tuple(Subvolume(256 + number, name) for number, name in enumerate(names))
    places = ("/var", "/home", "/root", "/srv", "/usr/local", "/var/lib/dpkg")
    return Survey(
        uuid=UUID,
        subvolumes=(TOP, *found),
        default=default,
        roots=(Root(found[0], "Debian", table),),
        free=1 << 40,
        kernel="6.1.0-1-amd64",
        places=dict.fromkeys(places, DIRECTORY),
    )


def more(*lines: str) -> str:
    return FSTAB + "".join(f"UUID={UUID} {line}\n" for line in lines)


def hows(found: Survey) -> dict[str, How]:
    return {area.area.mount: area.how for area in plan(found, "b1").areas}


def table(found: Survey) -> dict[str, fstab.Entry]:
    return {entry.file: entry for entry in fstab.parse(plan(found, "b1").fstab)}


def test_shared_places_are_carved_or_stay() -> None:
    assert hows(survey()) == {
        "/var": How.CARVED,
        "/home": How.STAYS,
        "/root": How.CARVED,
        "/srv": How.CARVED,
        "/usr/local": How.CARVED,
    }


def test_fstab_names_areas_by_path_and_no_subvolume_for_the_root() -> None:
    entries = table(survey())
    assert entries["/"].options == ("noatime", "compress=zstd")
    assert entries["/home"].options == ("noatime", "subvol=/@home")
    assert entries["/var"].options == (
        "noatime",
        "compress=zstd",
        "subvol=/@snaproot/areas/var",
    )
    assert entries["/tmp"].type == "tmpfs"  # noqa: S108 - a mount point


def test_the_root_is_not_mounted_read_only_as_its_etc_would_be_too() -> None:
    found = survey(table=FSTAB.replace("noatime,compress=zstd,", "ro,"))
    assert "ro" not in table(found)["/"].options


def test_every_other_line_is_kept_as_it_is() -> None:
    lines = "LABEL=x\\040y /media/x\\040y ext4 nofail   # mine\n\n/dev/sr0 /cd iso9660 noauto\n"
    assert plan(survey(table=FSTAB + lines), "b1").fstab.endswith(lines)


def test_a_line_without_subvolume_is_pinned_to_what_it_mounted() -> None:
    found = survey(table=more("/pool btrfs noatime 0 0"))
    assert table(found)["/pool"].options == ("noatime", "subvol=/")


def test_a_root_without_fstab_gets_one() -> None:
    found = survey()
    found = replace(found, roots=(replace(found.roots[0], fstab=None),))
    entries = table(found)
    assert (entries["/"].spec, entries["/"].options) == (f"UUID={UUID}", ("defaults",))
    assert hows(found)["/home"] is How.CARVED


def test_a_var_of_its_own_is_snapshotted_as_links_differ_from_the_original() -> None:
    found = survey("@var", table=more("/var btrfs subvol=@var 0 0"))
    assert hows(found)["/var"] is How.SNAPSHOT
    assert table(found)["/var"].subvolume == "@snaproot/areas/var"


def test_what_holds_package_state_is_snapshotted_too() -> None:
    found = survey(
        "@lib", "@log", table=more("/var/lib btrfs subvol=@lib", "/var/log btrfs subvol=@log")
    )
    assert (hows(found)["/var/lib"], hows(found)["/var/log"]) == (How.SNAPSHOT, How.STAYS)


def test_kinds_follow_the_place() -> None:
    found = survey(
        "@log",
        "@pkg",
        table=more("/var/log btrfs subvol=@log", "/var/cache/pacman/pkg btrfs subvol=@pkg"),
    )
    kinds = {area.mount: area.kind for area in plan(found, "b1").declared}
    assert (kinds["/var/log"], kinds["/var/cache/pacman/pkg"]) == (Kind.LOG, Kind.CACHE)


@pytest.mark.parametrize(
    ("path", "policy"),
    [
        ("@/var/lib/machines/x", Policy.REATTACHED),
        ("@/srv", None),
        ("@/home/hidden", Policy.LEFT),
        ("@/.snapshots/1/snapshot", Policy.LEFT),
        ("@/tmp", Policy.LEFT),
        ("@/opt/data", Policy.AREA),
    ],
)
def test_nested_subvolumes_have_a_policy(path: str, policy: Policy | None) -> None:
    made = plan(survey(path), "b1")
    assert {n.subvolume: n.policy for n in made.nested}.get(path) is policy
    if path == "@/srv":
        assert hows(survey(path))["/srv"] is How.SNAPSHOT


def test_nested_subvolumes_come_after_what_they_are_nested_in() -> None:
    made = plan(survey("@/var/lib/m/a/b", "@/var/lib/m/a", "@/var/lib/m"), "b1")
    assert [n.subvolume for n in made.nested] == ["@/var/lib/m", "@/var/lib/m/a", "@/var/lib/m/a/b"]


def test_a_subvolume_in_a_subvolume_that_becomes_an_area_goes_with_it() -> None:
    made = plan(survey("@/data", "@/data/deep"), "b1")
    deep = next(n for n in made.nested if n.subvolume == "@/data/deep")
    assert (deep.policy, deep.area, deep.inner) == (Policy.REATTACHED, "/data", "deep")


def test_area_names_are_never_shared() -> None:
    found = survey("@a", "@b", table=more("/d/x btrfs subvol=@a", "/d-x btrfs subvol=@b"))
    names = [area.name for area in plan(found, "b1").declared]
    assert len(names) == len({*names})


def test_other_filesystems_stay_what_they_are() -> None:
    found = survey(table=FSTAB + "/dev/sdb1 /srv ext4 defaults 0 2\n")
    assert "/srv" not in hows(found)
    assert any("/srv is on another filesystem" in said for said in plan(found, "b1").findings)


def test_active_swap_matters_where_it_is_snapshotted_only() -> None:
    found = survey("@swap", table=more("/swap btrfs subvol=@swap"))
    elsewhere = replace(found, active_swap=(ActiveSwap("/mnt/@swap/f", "@swap"),))
    plan(elsewhere, "b1")
    with pytest.raises(Refused, match="/mnt/@/f is active") as refused:
        plan(replace(found, active_swap=(ActiveSwap("/mnt/@/f", "@"),)), "b1")
    assert refused.value.hint == "swapoff /mnt/@/f"


def test_a_swap_subvolume_outside_the_root_stays() -> None:
    lines = more("/swap btrfs subvol=@swap") + "/swap/file none swap sw 0 0\n"
    found = replace(survey("@swap", table=lines), swap_files=(SwapFile("/swap/file", 1 << 20),))
    made = plan(found, "b1")
    area = next(area for area in made.declared if area.mount == "/swap")
    assert (area.kind, area.subvolume, made.swap) == (Kind.SWAP, "@swap", ())


def test_space_counts_swap_and_metadata() -> None:
    swap = replace(survey(table=FSTAB + "/f none swap\n"), swap_files=(SwapFile("/f", 1 << 30),))
    assert plan(swap, "b1").needed > 1 << 30
    with pytest.raises(Refused, match="MiB are needed"):
        plan(replace(swap, free=1 << 30), "b1")


def test_the_default_tells_between_two_roots() -> None:
    found = survey("@old", default=258)
    old = Root(found.subvolumes[3], "Debian", FSTAB)
    assert plan(replace(found, roots=(*found.roots, old)), "b1").root == "@old"


def test_a_copy_of_the_root_does_not_name_itself() -> None:
    found = survey("@apt-snapshot-release-upgrade")
    copy = Root(found.subvolumes[3], "Debian", FSTAB)
    assert plan(replace(found, roots=(copy, *found.roots)), "b1").root == "@"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (survey(table="UUID=x /\n"), "line 1: 2 fields"),
        (survey(table="UUID=other / btrfs subvol=@\n"), "line 1: / is UUID=other"),
        (survey(table="/dev/sda2 / ext4 defaults\n"), r"line 1: / is /dev/sda2 \(ext4\)"),
        (survey(table=more("/data btrfs subvol=@gone")), "line 4: /data is on a subvolume that is"),
        (survey(table=FSTAB + "/dev/sdb1 /var ext4\n"), "/var is on another filesystem"),
        (survey("@usr", table=more("/usr btrfs subvol=@usr")), "/usr is a filesystem of its own"),
        (survey(table=FSTAB + "/dev/sdb1 /boot ext4\n"), "/boot is a filesystem of its own"),
        (survey("@/usr/share/x"), "nested at /usr/share/x cannot"),
        (survey("@/var/lib/dpkg/info"), "package state at /var/lib/dpkg/info is a subvolume"),
        (replace(survey(), missing_devices=1, devices=3), "1 of 3 devices"),
        (replace(survey(), roots=()), "none of @, @home is a root"),
        (
            replace(survey(), roots=(Root(TOP, "", None), Root(Subvolume(9, "x"), "", None))),
            "more than one looks like the root",
        ),
    ],
)
def test_what_cannot_be_handled_is_refused_with_a_hint(found: Survey, said: str) -> None:
    with pytest.raises(Refused, match=said) as refused:
        plan(found, "b1")
    assert refused.value.hint
    assert "nothing was changed" in str(refused.value)


def test_an_adopted_filesystem_is_nothing_to_do_and_a_cut_one_is_finished() -> None:
    with pytest.raises(NothingToDo):
        plan(replace(survey(), adopted=Adopted()), "b1")
    made = plan(replace(survey(), adopted=Adopted(unfinished="b0")), "b1")
    assert (made.id, made.resumes, len(made.steps)) == ("b0", True, 1)


def test_devices_boot_loader_and_tools_are_told() -> None:
    found = replace(
        survey(),
        devices=2,
        foreign=("snapper (@/.snapshots)",),
        loader_names=("/boot/grub/grub.cfg",),
    )
    told = "\n".join(plan(found, "b1").findings)
    for word in ("2 devices", "snapper", "/boot/grub/grub.cfg names the original's"):
        assert word in told


def test_a_plan_is_json_and_says_every_step() -> None:
    made = plan(survey("@/var/lib/machines"), "b1")
    assert json.loads(json.dumps(asdict(made)))["id"] == "b1"
    assert made.steps[0].startswith("Snapshot @ as the boot environment b1")
    assert made.steps[-1] == "Make b1 the default subvolume, last."
    assert any("@/var/lib/machines into its place" in step for step in made.steps)


def test_state_keeps_names_apart() -> None:
    assert home("/var/lib/dpkg") == "/usr/lib/sysimage/dpkg"
    assert home("/var/cache/debconf") == "/usr/lib/sysimage/debconf"
    assert home("/var/lib/vim/addons") == "/usr/lib/sysimage/vim-addons"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "[options]\n#DBPath = /x/\n[core]\n",
            "[options]\nDBPath = /usr/lib/sysimage/pacman/\n[core]\n",
        ),
        (
            "[options]\nArch = auto\n",
            "[options]\nDBPath = /usr/lib/sysimage/pacman/\nArch = auto\n",
        ),
    ],
)
def test_pacman_is_told_by_its_setting(before: str, after: str) -> None:
    assert with_db_path(before) == after
