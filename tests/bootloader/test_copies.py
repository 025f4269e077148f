"""Copies of kernels in the loader's home: what is there, who shares it, and what never goes."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType

import pytest

from snaproot import loaders
from snaproot.bootloader import Bootable, Shown, Trial, entry
from snaproot.bootloader.copies import Copies
from snaproot.bootloader.envblock import Env
from snaproot.bootloader.grub import Grub
from snaproot.environment import Digests
from snaproot.errors import Refused, SnaprootError
from tests.bootloader.grubhome import INITRAMFS, KERNEL, POOL, UUID, GrubHome

TRIAL = Trial("d1", "b2", "b1", 2)
MENU = [Shown(id, "proven") for id in ("b1", "b2", "b3")]


@pytest.fixture
def home(tmp_path: Path) -> GrubHome:
    home = GrubHome(tmp_path, readable=False)
    home.lay_stub()
    home.establish()
    home.started()
    return home


def pairs(home: GrubHome) -> set[str]:
    return {path.name for path in (home.home / "kernels").iterdir()}


def pair(home: GrubHome, id: str) -> Path:
    """Say where the copies are that an entry loads."""
    found = entry.parse((home.home / f"entries/{id}.cfg").read_text())
    assert found is not None
    return (home.esp / found.kernel.lstrip("/")).parent


def same(home: GrubHome, id: str) -> bool:
    """Tell whether an entry loads what is in the root."""
    place, root = pair(home, id), home.root(id)
    wanted = [(root / name[1:]).read_bytes() for name in (KERNEL, INITRAMFS)]
    return wanted == [(place / name).read_bytes() for name in ("kernel", "initramfs")]


def sharing(home: GrubHome) -> Grub:
    """Let all roots have the kernel and initramfs of b1."""

    def bootable(id: str) -> Bootable:
        return replace(home.bootable("b1"), id=id)

    return Grub(home.home, bootable, home.flush)


# -- what an entry says --------------------------------------------------------------------------


def test_an_entry_loads_copies_and_says_whose_they_are(home: GrubHome) -> None:
    text = (home.home / "entries/b1.cfg").read_text()
    name = pair(home, "b1").name
    assert entry.PAIR.fullmatch(name)
    assert text == (
        "# Written by snaproot, which will write it again.\n"
        "echo 'Loading b1: the root b1'\n"
        f"# Of the filesystem '{POOL}', which GRUB cannot read: copies, where its home is.\n"
        f"set kernel='/EFI/snaproot/kernels/{name}/kernel'\n"
        f"set initramfs='/EFI/snaproot/kernels/{name}/initramfs'\n"
        'if [ -s "$kernel" -a -s "$initramfs" ]; then\n'
        "    if linux \"$kernel\" 'root=ZFS=rpool/ROOT/b1' $args; then\n"
        "        set loaded=half\n"
        '        if initrd "$initramfs"; then set loaded=yes; fi\n'
        "    fi\n"
        "else\n"
        "    set loaded=missing\n"
        "fi\n"
    )


def test_an_entry_of_either_kind_reads_back_as_that_kind(home: GrubHome) -> None:
    copied = Copies(home.home).known(home.on_pool("b1"))
    wanted = entry.described(copied)
    assert (wanted.readable, wanted.filesystem) == (False, POOL)
    assert entry.parse(entry.render(wanted)) == wanted
    assert entry.boots(wanted, copied)
    assert not entry.boots(wanted, home.read("b1"))
    assert not entry.boots(entry.described(home.read("b1")), copied)
    other = replace(copied, digests=replace(copied.digests, initramfs="0" * 64))
    assert not entry.boots(wanted, other)


@pytest.mark.parametrize("digests", [Digests(kernel="1"), Digests(initramfs="1")])
def test_half_known_copies_have_no_name(home: GrubHome, digests: Digests) -> None:
    with pytest.raises(RuntimeError):
        entry.pair(replace(home.on_pool("b1"), digests=digests))


@pytest.mark.parametrize(
    ("readable", "own", "other"), [(False, POOL, "42"), (True, UUID, POOL)], ids=["pool", "search"]
)
def test_the_home_of_another_system_is_told(
    tmp_path: Path, readable: bool, own: str, other: str
) -> None:
    home = GrubHome(tmp_path, readable=readable)
    home.lay_stub()
    home.establish()
    loaders.check_is_of(home.home, own)
    with pytest.raises(Refused, match=f"belongs to another system, on {own}"):
        loaders.check_is_of(home.home, other)


# -- what is copied ------------------------------------------------------------------------------


def test_what_is_armed_is_copied_with_its_fallback(home: GrubHome) -> None:
    (pair(home, "b1") / "kernel").unlink()
    home.loader().arm(TRIAL)
    assert same(home, "b1")
    assert same(home, "b2")
    assert len(pairs(home)) == 2


def test_what_several_share_is_copied_once_and_goes_with_the_last(home: GrubHome) -> None:
    loader = sharing(home)
    loader.arm(TRIAL)
    loader.show(MENU)
    assert len(pairs(home)) == 1
    assert len({pair(home, id) for id in ("b1", "b2", "b3")}) == 1
    for id in ("b2", "b3"):
        loader.settle("b1")
        loader.withdraw(id)
        assert same(home, "b1")


def test_what_is_copied_already_is_not_written_again(home: GrubHome) -> None:
    home.loader().arm(TRIAL)
    before = {path: path.stat().st_ino for path in home.home.rglob("kernels/*/*")}
    for _ in range(2):
        home.loader().arm(TRIAL)
        home.loader().show(MENU[:2])
    assert {path: path.stat().st_ino for path in home.home.rglob("kernels/*/*")} == before
    assert len(before) == 4


def test_a_lost_entry_costs_no_second_copy(home: GrubHome) -> None:
    place = pair(home, "b1")
    before = [(place / name).stat().st_ino for name in ("kernel", "initramfs")]
    (home.home / "entries/b1.cfg").unlink()
    home.loader().arm(TRIAL)
    assert [(place / name).stat().st_ino for name in ("kernel", "initramfs")] == before


@pytest.mark.parametrize("name", ["kernel", "initramfs"])
@pytest.mark.parametrize("id", ["b1", "b2"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b"\1" + path.read_bytes()[1:]),
    ],
    ids=["gone", "empty", "truncated", "changed"],
)
def test_a_damaged_copy_is_made_anew(
    home: GrubHome, id: str, name: str, spoil: Callable[[Path], None]
) -> None:
    home.loader().arm(TRIAL)
    for again in ("arm", "settle"):
        spoil(pair(home, id) / name)
        if again == "arm":
            home.loader().arm(TRIAL)
        else:
            home.loader().settle(id)
        assert same(home, id)


@pytest.mark.parametrize("what", [KERNEL, INITRAMFS])
def test_what_cannot_be_copied_is_not_armed(home: GrubHome, what: str) -> None:
    (home.root("b2") / what[1:]).unlink()
    _refuses(home, f"b2: {what} cannot be read")


def test_what_was_not_sealed_like_that_is_not_armed(home: GrubHome) -> None:
    path = home.root("b2") / KERNEL[1:]
    path.write_bytes(path.read_bytes() + b"more")
    _refuses(home, "is not what was sealed")
    home.loader().show(MENU)
    assert [path.name for path in (home.home / "entries").iterdir() if "b2" in path.name] == []


def test_what_cannot_be_written_as_an_entry_is_not_copied(home: GrubHome) -> None:
    strange = replace(home.bootable("b2"), arguments=("it's",))
    loader = Grub(home.home, lambda id: strange if id == "b2" else home.bootable(id), home.flush)
    with pytest.raises(Refused):
        loader.arm(TRIAL)
    assert len(pairs(home)) == 1
    loader.show(MENU[:2])
    assert len(pairs(home)) == 1


@pytest.mark.parametrize("name", ["kernel", "initramfs"])
def test_a_medium_that_keeps_something_else_is_told(home: GrubHome, name: str) -> None:
    """Between the write and the reading back a byte changes."""

    def watch(_frame: FrameType, event: str, call: object) -> None:
        if event == "c_call" and getattr(call, "__name__", "") == "rename":
            for path in home.home.glob(f"kernels/*/.{name}.*"):
                path.write_bytes(b"\1" + path.read_bytes()[1:])

    sys.setprofile(watch)
    try:
        with pytest.raises(SnaprootError, match=f"/{name} does not read back"):
            home.loader().arm(TRIAL)
    finally:
        sys.setprofile(None)
    assert home.env() == Env(good="b1", canary="1")
    assert not (home.home / "entries/b2.cfg").exists()
    home.loader().arm(TRIAL)
    assert same(home, "b2")


def test_what_changed_in_the_root_since_it_was_copied_is_no_matter(home: GrubHome) -> None:
    """What GRUB reads is what was sealed."""
    home.loader().arm(TRIAL)
    (home.root("b1") / KERNEL[1:]).write_bytes(b"changed")
    home.loader().arm(TRIAL)
    home.loader().settle("b1")


def _refuses(home: GrubHome, why: str) -> None:
    before = (home.home / "entries/b1.cfg").read_text()
    with pytest.raises(Refused, match=why):
        home.loader().arm(TRIAL)
    assert home.env() == Env(good="b1", canary="1")
    assert (home.home / "entries/b1.cfg").read_text() == before
    assert same(home, "b1")


def test_copies_are_there_before_the_entry_and_both_before_the_file(home: GrubHome) -> None:
    seen: list[tuple[bool, Env | None]] = []
    home.watch = lambda: seen.append((same(home, "b2"), home.env()))
    home.loader().arm(TRIAL)
    assert seen == [(True, Env(good="b1", canary="1"))]


# -- what goes -----------------------------------------------------------------------------------


def test_what_is_withdrawn_goes_with_its_copies(home: GrubHome) -> None:
    home.loader().show(MENU)
    assert len(pairs(home)) == 3
    gone = pair(home, "b3").name
    home.loader().withdraw("b3")
    assert gone not in pairs(home)
    assert len(pairs(home)) == 2


def test_what_a_cut_left_goes_with_the_next_menu(home: GrubHome) -> None:
    left, half = home.home / "kernels" / ("0" * 32), home.home / "kernels" / ("1" * 32)
    for place in (left, half):
        place.mkdir()
    (left / "kernel").write_bytes(b"x")
    (half / ".kernel.0123").write_bytes(b"x")
    (pair(home, "b1") / ".initramfs.0123").write_bytes(b"x")
    home.loader().show(MENU[:1])
    assert pairs(home) == {pair(home, "b1").name}
    home.loader().settle("b1")
    assert sorted(path.name for path in pair(home, "b1").iterdir()) == ["initramfs", "kernel"]


def test_what_a_garbled_entry_names_stays(home: GrubHome) -> None:
    """GRUB may still read of it what it needs."""
    home.loader().arm(TRIAL)
    name = pair(home, "b2").name
    text = (home.home / "entries/b2.cfg").read_text()
    (home.home / "entries/b2.cfg").write_text(text + "garbled")
    home.loader().show(MENU[:1])
    assert name in pairs(home)


def test_where_an_entry_cannot_be_read_nothing_goes(home: GrubHome) -> None:
    home.loader().arm(TRIAL)
    home.loader().settle("b1")
    (home.home / "entries/b2.cfg").unlink()
    (home.home / "entries/b9.cfg").mkdir()
    with pytest.raises(SnaprootError):
        home.loader().show(MENU[:1])
    assert len(pairs(home)) == 2
    (home.home / "entries/b9.cfg").rmdir()
    home.loader().show(MENU[:1])
    assert len(pairs(home)) == 1


def test_what_is_no_copy_of_ours_is_left_alone(home: GrubHome) -> None:
    (home.home / "kernels/mine").mkdir()
    home.loader().show(MENU[:1])
    assert "mine" in pairs(home)


def test_an_entry_without_its_copies_gets_them_with_the_menu(home: GrubHome) -> None:
    home.loader().show(MENU)
    (pair(home, "b3") / "initramfs").unlink()
    home.loader().show(MENU)
    assert same(home, "b3")


def test_a_home_without_copies_is_not_looked_through(tmp_path: Path) -> None:
    """What GRUB reads by itself costs nothing more than it did."""
    home = GrubHome(tmp_path)
    home.lay_stub()
    home.establish()
    (home.home / "entries/b9.cfg").mkdir()
    home.loader().show(MENU)
    assert not (home.home / "kernels").exists()
