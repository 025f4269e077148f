"""What adoption decides about a ZFS pool from a survey, without one."""

import json
from dataclasses import asdict, replace

import pytest

from snaproot import fstab
from snaproot.adoption.decisions import How
from snaproot.adoption.facts import Adopted, Dataset, Found, Place, Pool, Root, Subvolume, Survey
from snaproot.adoption.plan import plan
from snaproot.adoption.pools import ORDER
from snaproot.areas import Kind
from snaproot.errors import NothingToDo, Refused

NAME = "rpool/ROOT/debian"
DIRECTORY = Place(Found.DIRECTORY, empty=False)
WHOLE = (
    Dataset("rpool", "none", "off"),
    Dataset("rpool/ROOT", "none", "off"),
    Dataset(NAME, "/", "noauto"),
    Dataset("rpool/home", "/home"),
)


def survey(*more: Dataset, table: str = "", **changes: object) -> Survey:
    """Describe a Debian as OpenZFS's own instructions lay it out, and more datasets."""
    found = Subvolume(256, NAME)
    places = ("/var", "/home", "/root", "/srv", "/usr/local", "/var/lib/dpkg")
    return Survey(
        uuid="1234",
        subvolumes=(found,),
        default=256,
        roots=(Root(found, "Debian", table),),
        free=1 << 40,
        kernel="6.12.0-1-amd64",
        places=dict.fromkeys(places, DIRECTORY),
        pool=replace(Pool("rpool", (*WHOLE, *more), bootfs=NAME), **changes),  # type: ignore[arg-type]
    )


def hows(found: Survey) -> dict[str, How]:
    return {area.area.mount: area.how for area in plan(found, "b1").areas}


def table(found: Survey) -> dict[str, fstab.Entry]:
    return {entry.file: entry for entry in fstab.parse(plan(found, "b1").fstab)}


def test_shared_places_are_copied_or_stay() -> None:
    assert hows(survey()) == {
        "/var": How.CARVED,
        "/home": How.STAYS,
        "/root": How.CARVED,
        "/srv": How.CARVED,
        "/usr/local": How.CARVED,
    }
    home = next(one for one in plan(survey(), "b1").declared if one.mount == "/home")
    assert home.subvolume == "rpool/home"


def test_fstab_names_what_is_ours_and_neither_the_root_nor_what_mounts_itself() -> None:
    entries = table(survey(table=f"{NAME} / zfs defaults 0 0\n"))
    assert "/" not in entries
    assert "/home" not in entries
    assert (entries["/var"].spec, entries["/var"].type) == ("rpool/snaproot/areas/var", "zfs")
    assert entries["/tmp"].type == "tmpfs"  # noqa: S108 - a mount point


def test_every_other_line_is_kept_as_it_is() -> None:
    lines = "LABEL=x /media/x ext4 nofail   # mine\n\n/dev/zvol/rpool/swap none swap discard 0 0\n"
    assert plan(survey(table=lines), "b1").fstab.endswith(lines)


def test_what_mounts_into_an_area_waits_for_it() -> None:
    found = plan(survey(Dataset("rpool/log", "/var/log")), "b1")
    assert {a.area.mount: a.how for a in found.areas}["/var/log"] is How.STAYS
    order = next(one for one in found.settings if one.path == ORDER)
    assert order.content == "[Unit]\nRequiresMountsFor=/var\n"
    kind = next(one.kind for one in found.declared if one.mount == "/var/log")
    assert kind is Kind.LOG
    assert not [one for one in plan(survey(), "b1").settings if one.path == ORDER]


def test_what_only_the_initramfs_mounts_gets_a_line() -> None:
    """A child of the original's dataset: no initramfs mounts it into another root."""
    entries = table(survey(Dataset(f"{NAME}/srv", "/srv", "noauto")))
    assert (entries["/srv"].spec, entries["/srv"].options) == (f"{NAME}/srv", ("zfsutil",))


def test_containers_that_are_never_mounted_are_no_areas() -> None:
    found = survey(Dataset("rpool/var", "/var", "off"), Dataset("rpool/data", "/data", "noauto"))
    assert hows(found)["/var"] is How.CARVED
    assert "/data" not in hows(found)


def test_the_pools_own_dataset_is_no_area() -> None:
    found = survey(Dataset("rpool/data", "/data"))
    assert hows(found)["/data"] is How.STAYS
    pool = found.pool
    assert pool is not None
    own = (Dataset("rpool", "/rpool"), *pool.datasets[1:])
    assert "/rpool" not in hows(replace(found, pool=replace(pool, datasets=own)))


def test_a_line_that_mounts_var_is_changed() -> None:
    found = survey(Dataset("rpool/var", "legacy"), table="rpool/var /var zfs noatime 0 0\n")
    assert hows(found)["/var"] is How.SNAPSHOT
    var = table(found)["/var"]
    assert (var.spec, var.options) == ("rpool/snaproot/areas/var", ("noatime",))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (Dataset("rpool/var", "/var"), "mounts itself at /var"),
        (Dataset("rpool/dpkg", "/var/lib/dpkg"), "package state at /var/lib/dpkg"),
        (Dataset("rpool/lib", "/var/lib"), "mounts itself at /var/lib"),
        (Dataset("rpool/usr", "/usr"), "/usr is a dataset of its own"),
        (Dataset("rpool/etc", "/etc"), "/etc is a dataset of its own"),
        (Dataset("rpool/boot", "/boot"), "which mounts itself"),
    ],
)
def test_what_the_sealed_root_has_to_hold_is_refused(more: Dataset, said: str) -> None:
    with pytest.raises(Refused, match=said) as refused:
        plan(survey(more), "b1")
    assert refused.value.hint
    assert "nothing was changed" in str(refused.value)


def test_a_boot_pool_is_refused() -> None:
    with pytest.raises(Refused, match="another pool"):
        plan(survey(elsewhere=("/boot",)), "b1")
    line = survey(elsewhere=(), table="bpool/BOOT/debian /boot zfs nodev 0 0\n")
    with pytest.raises(Refused, match="/boot is a filesystem of its own") as refused:
        plan(line, "b1")
    assert "--boot" in refused.value.hint


def test_a_var_in_another_pool_is_refused() -> None:
    with pytest.raises(Refused, match="/var is on another filesystem"):
        plan(survey(elsewhere=("/var",)), "b1")


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"health": "DEGRADED"}, "is DEGRADED"), ({"readonly": True}, "imported read-only")],
)
def test_a_pool_that_nothing_should_be_made_in_is_refused(
    changes: dict[str, object], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        plan(survey(**changes), "b1")  # type: ignore[arg-type]


def test_a_locked_root_is_refused_with_what_opens_it() -> None:
    locked = Dataset(NAME, "/", "noauto", key="rpool", locked=True)
    found = survey()
    assert found.pool is not None
    found = replace(found, roots=(), pool=replace(found.pool, datasets=(locked,)))
    with pytest.raises(Refused, match="its key is not loaded") as refused:
        plan(found, "b1")
    assert refused.value.hint == "zfs load-key rpool"


@pytest.mark.parametrize(("key", "fits"), [("rpool", True), ("rpool/ROOT", False)])
def test_what_is_made_is_as_encrypted_as_the_root(key: str, fits: bool) -> None:
    found = survey()
    assert found.pool is not None
    own = (*WHOLE[:2], Dataset(NAME, "/", "noauto", key=key), *WHOLE[3:])
    found = replace(found, pool=replace(found.pool, datasets=own))
    if fits:
        assert plan(found, "b1").root == NAME
    else:
        with pytest.raises(Refused, match="would not be"):
            plan(found, "b1")


def test_an_initramfs_that_mounts_no_boot_environment_is_refused() -> None:
    with pytest.raises(Refused, match=r"lacks mount\.zfs") as refused:
        plan(replace(survey(), lacks=("mount.zfs",)), "b1")
    assert "update-initramfs" in refused.value.hint


def test_several_roots_without_a_pointer_are_refused() -> None:
    found = survey()
    other = Subvolume(257, "rpool/ROOT/other")
    both = (*found.roots, Root(other, "Debian", ""))
    assert plan(replace(found, roots=both), "b1").root == NAME
    with pytest.raises(Refused, match="more than one looks like the root") as refused:
        plan(replace(found, roots=both, default=0), "b1")
    assert refused.value.hint == "say which: zpool set bootfs=DATASET rpool"


def test_room_is_needed_for_what_is_copied() -> None:
    least = plan(survey(), "b1").needed
    sizes = {"/var": 5 << 20, "/home": 9 << 30, "/etc": 1 << 20}
    assert plan(replace(survey(), sizes=sizes), "b1").needed == least + (6 << 20)


def test_the_plan_speaks_of_datasets() -> None:
    found = plan(survey(), "b1")
    shape = json.loads(json.dumps(asdict(found)))
    assert (shape["pool"], shape["root"]) == ("rpool", NAME)
    said = "\n".join(found.steps)
    assert "subvolume" not in said
    assert f"Clone {NAME} as the boot environment b1" in said
    assert "Copy /var into the dataset rpool/snaproot/areas/var." in said
    assert "Declare rpool/home, which stays where it is, for /home." in said
    assert found.steps[-1] == "Make b1 bootfs of rpool, last."


def test_what_zfsbootmenu_boots_is_told_last() -> None:
    made = plan(survey(), "b1", bootmenu=True)
    assert made.bootmenu
    assert made.steps[-1].startswith("Tell ZFSBootMenu how the base is booted")
    assert "untested" in made.steps[-1]
    assert not [step for step in plan(survey(), "b1").steps if "ZFSBootMenu" in step]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pool": None}, "it boots from ZFS alone"),
        ({"esp": "/mnt/esp"}, "one of them has to choose"),
        ({"booted": 256}, "it counts no boots"),
    ],
)
def test_what_zfsbootmenu_could_not_boot_or_bring_back_is_refused(
    changes: dict[str, object], said: str
) -> None:
    found = replace(survey(), **changes)  # type: ignore[arg-type]
    with pytest.raises(Refused, match=said) as raised:
        plan(found, "b1", bootmenu=True)
    assert "--sysroot" in raised.value.hint


def test_an_adopted_pool_is_handed_to_zfsbootmenu_later() -> None:
    found = replace(survey(), adopted=Adopted(first="b1"))
    made = plan(found, "b2", bootmenu=True)
    assert (made.id, made.resumes, made.bootmenu) == ("b1", True, True)
    assert len(made.steps) == 1
    with pytest.raises(NothingToDo):
        plan(found, "b2")


@pytest.mark.parametrize(("longer", "fits"), [(0, True), (1, False)])
def test_a_pool_whose_names_would_be_too_long_is_refused(longer: int, fits: bool) -> None:
    """The longest that snaproot makes is a snapshot of `/usr/local`, or of an `/etc` that goes."""
    id = "b4k7q2x"
    rest = max(
        len(f"/ROOT/trash.{id}/etc@pristine-{id}"), len(f"/snaproot.partial/areas/usr-local@{id}")
    )
    name = "p" * (255 - rest + longer)
    found = survey()
    root = Subvolume(256, f"{name}/ROOT/debian")
    own = tuple(replace(one, name=one.name.replace("rpool", name)) for one in WHOLE)
    found = replace(
        found,
        subvolumes=(root,),
        roots=(Root(root, "Debian", ""),),
        pool=Pool(name, own, bootfs=root.path),
    )
    if fits:
        assert plan(found, id).id == id
    else:
        with pytest.raises(Refused, match=r"256 bytes.*at most 255") as refused:
            plan(found, id)
        assert "zpool import POOL NAME" in refused.value.hint
