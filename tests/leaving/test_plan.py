"""Whether and how a machine leaves."""

from dataclasses import replace

import pytest

from snaproot.errors import NothingToDo, Refused
from snaproot.leaving.note import Note
from snaproot.leaving.plan import plan
from snaproot.leaving.shape import Facts, Way

UUID = "8e3a3a3a-1111-2222-3333-444455556666"
STUB = (
    f"search.fs_uuid {UUID} root hd0,gpt2 \nset prefix=($root)'/@/boot/grub'\n"
    "configfile $prefix/grub.cfg\n"
).encode()
ROOT = "@snaproot/environments/b1/root"
FACTS = Facts(
    uuid=UUID,
    base="b1",
    base_root=ROOT,
    root="@",
    default=256,
    stub=STUB,
    esp="/esp",
    menu="/boot/grub",
    fstab="UUID=x / btrfs defaults 0 0\nUUID=x /home btrfs subvol=/@snaproot/areas/home 0 0\n",
    subvolumes={"@": 256, "@snaproot": 257, ROOT: 258, "@snaproot/areas/home": 259},
)


def test_the_root_goes_where_the_original_is_which_is_kept() -> None:
    made = plan(FACTS)
    assert (made.way, made.place, made.aside) == (Way.BUILD, "@", "@.before-snaproot")
    assert made.default == 0  # that of the root, for it was the original's
    assert not made.finishes
    assert made.steps[-1].startswith("Give the grub.cfg")


def test_a_name_that_is_taken_is_left_alone() -> None:
    taken = {**FACTS.subvolumes, "@.before-snaproot": 300}
    assert plan(replace(FACTS, subvolumes=taken)).aside == "@.before-snaproot-2"


def test_what_a_cut_left_on_its_way_is_no_original() -> None:
    """The new root, under the name that the original will have."""
    left = {**FACTS.subvolumes, "@.before-snaproot": 300}
    made = plan(replace(FACTS, subvolumes=left, note=Note("b1", "@", "@.before-snaproot", (300,))))
    assert made.aside == "@.before-snaproot"


def test_once_the_original_is_aside_it_stays_there() -> None:
    moved = {**FACTS.subvolumes, "@": 300, "@.before-snaproot": 256}
    said = Note("b1", "@", "@.before-snaproot", (300,))
    made = plan(replace(FACTS, subvolumes=moved, note=said))
    assert (made.place, made.aside, made.default) == ("@", "@.before-snaproot", 0)


def test_without_an_original_nothing_is_moved() -> None:
    gone = {path: number for path, number in FACTS.subvolumes.items() if path != "@"}
    made = plan(replace(FACTS, subvolumes=gone))
    assert (made.place, made.aside, made.default) == ("@", "", 0)


@pytest.mark.parametrize(("names", "place"), [((), "@"), (("@",), "@rootfs")])
def test_a_top_level_gets_a_name(names: tuple[str, ...], place: str) -> None:
    known = {ROOT: 258, **dict.fromkeys(names, 300)}
    stub = STUB.replace(b"/@/", b"/")
    made = plan(replace(FACTS, root="", subvolumes=known, default=5, stub=stub))
    assert (made.place, made.aside, made.default) == (place, "", 5)


def test_a_default_of_somebody_elses_is_set_again() -> None:
    known = {**FACTS.subvolumes, "other": 400}
    assert plan(replace(FACTS, subvolumes=known, default=400)).default == 400


def test_an_original_that_still_is_the_base_is_returned_to() -> None:
    made = plan(
        replace(FACTS, base="original", base_root="@", original=True, waiting=True, unfinished=True)
    )
    assert (made.way, made.default, made.finishes) == (Way.RETURN, 256, True)
    assert not any("napshot" in step for step in made.steps)


def test_one_that_has_left_is_finished_after_the_reboot() -> None:
    left = replace(FACTS, note=Note("b1", "@", "", (300,), left=True))
    assert plan(left).way is Way.FINISH
    assert plan(replace(left, edits=("etc/passwd",))).findings == (
        "edited in /etc since it was copied, and not in this root: etc/passwd",
    )
    assert plan(replace(left, booted="@")).way is Way.FINISH
    with pytest.raises(NothingToDo):
        plan(replace(left, booted=ROOT))


def test_a_root_that_was_built_and_runs_has_left() -> None:
    """The power went between the stub and the note."""
    known = {**FACTS.subvolumes, "@": 300, "@.before-snaproot": 256}
    runs = replace(
        FACTS, subvolumes=known, booted="@", note=Note("b1", "@", "@.before-snaproot", (300,))
    )
    assert plan(runs).way is Way.FINISH


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pending": "b2"}, "b2 is pending"),
        ({"unfinished": True}, "not finished"),
        ({"waiting": True}, "not areas yet"),
        ({"booted": "@"}, "@ is running, the base is b1"),
        ({"booted": ""}, "the top level is running"),
        ({"menu": ""}, "has no /boot/grub"),
        ({"stub": STUB.replace(b"8e3a", b"8e3b")}, "does not lead to this filesystem"),
        ({"fstab": "UUID=x /data btrfs subvol=@/data 0 0\n"}, "fstab line 1: /data is @/data"),
    ],
)
def test_it_is_refused_with_a_hint(change: dict[str, object], says: str) -> None:
    with pytest.raises(Refused, match=says) as caught:
        plan(replace(FACTS, **change))  # type: ignore[arg-type]
    assert caught.value.hint


POOL_STUB = (
    b"search.fs_uuid d886eeffcc38599f root \nset prefix=($root)'/ROOT/debian@/boot/grub'\n"
    b"configfile $prefix/grub.cfg\n"
)
DEBIAN, BASE = "rpool/ROOT/debian", "rpool/ROOT/b1"
POOL = Facts(
    uuid="d886eeffcc38599f",
    pool="rpool",
    base="b1",
    base_root=BASE,
    root=DEBIAN,
    default=256,
    stub=POOL_STUB,
    esp="/esp",
    menu="/boot/grub",
    subvolumes={DEBIAN: 256, BASE: 258, "rpool/snaproot": 257, "rpool/snaproot/areas/var": 259},
    ours=frozenset({BASE}),
)


def test_on_a_pool_the_root_goes_where_the_original_is_too() -> None:
    made = plan(POOL)
    assert (made.way, made.place, made.default) == (Way.BUILD, DEBIAN, 0)
    assert made.aside == f"{DEBIAN}.before-snaproot"
    assert f"Set bootfs to {DEBIAN}." in made.steps
    assert not any("fstab" in step for step in made.steps)


def test_on_a_pool_what_lies_in_the_original_stays_there() -> None:
    """It may be mounted by everything: renamed aside, it would go with the original one day."""
    inner = {**POOL.subvolumes, f"{DEBIAN}/log": 300}
    made = plan(replace(POOL, subvolumes=inner))
    assert (made.place, made.aside, made.default) == ("rpool/ROOT/linux", "", 0)
    taken = {**inner, "rpool/ROOT/linux": 301, "rpool/ROOT/default": 302}
    assert plan(replace(POOL, subvolumes=taken)).place == "rpool/ROOT/linux2"


def test_on_a_pool_what_adoption_had_made_is_nobodys_default() -> None:
    assert plan(replace(POOL, default=258)).default == 0
    assert plan(replace(POOL, default=0)).default == 0
    known = {**POOL.subvolumes, "rpool/ROOT/other": 400}
    assert plan(replace(POOL, subvolumes=known, default=400)).default == 400


def test_on_a_pool_the_root_that_runs_has_to_be_the_base() -> None:
    assert plan(replace(POOL, booted=BASE)).running
    with pytest.raises(Refused, match="rpool/ROOT/debian is running, the base is b1"):
        plan(replace(POOL, booted=DEBIAN))
    left = replace(POOL, note=Note("b1", DEBIAN, "", (300,), left=True))
    with pytest.raises(NothingToDo):
        plan(replace(left, booted=BASE))
    finish = plan(replace(left, booted=DEBIAN))
    assert finish.way is Way.FINISH
    assert any("outside of rpool/snaproot" in step for step in finish.steps)


def test_others_datasets_are_named_before_anything_goes() -> None:
    known = {**POOL.subvolumes, "rpool/snaproot/mine": 300, "rpool/snaproot/areas/var/own": 301}
    left = Note("b1", DEBIAN, "", (256,), left=True)
    for facts in (POOL, replace(POOL, note=left, booted=DEBIAN)):
        with pytest.raises(Refused, match="holds others' datasets: rpool/snaproot/mine;") as no:
            plan(replace(facts, subvolumes=known))
        assert "zfs rename rpool/snaproot/mine rpool/NAME" in no.value.hint


def test_what_grub_cannot_read_of_a_pool_is_refused() -> None:
    with pytest.raises(
        Refused, match=r"could not read /boot in the pool rpool \(zstd_compress"
    ) as no:
        plan(replace(POOL, unread=("zstd_compress",)))
    assert no.value.hint
    returned = replace(POOL, base="original", original=True, unread=("zstd_compress",))
    assert plan(returned).way is Way.RETURN
