"""ZFSBootMenu and the firmware's entries: what is written, read back, and refused."""

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from snaproot.bootloader import Shown, Trial
from snaproot.bootloader.efi import Entry, Firmware, parse
from snaproot.bootloader.zfsbootmenu import ACTIVE, COMMAND_LINE, LABEL
from snaproot.errors import CommandFailed, Refused, SnaprootError
from tests.bootloader import efibootmgr
from tests.bootloader.grubhome import INITRAMFS, KERNEL
from tests.bootloader.zfshome import DISK, IMAGE, ZfsHome

TRIAL = Trial("d1", "b2", "b1", 2)
ONCE = Entry(LABEL, DISK, 1, IMAGE, "quiet zbm.prefer=rpool/ROOT/b3 zbm.timeout=0")


@pytest.fixture
def home(tmp_path: Path) -> ZfsHome:
    home = ZfsHome(tmp_path)
    home.lay()
    return home


def order(home: ZfsHome) -> bytes:
    return (home.variables / f"BootOrder-{efibootmgr.GLOBAL}").read_bytes()


# -- what it says of itself ----------------------------------------------------------------------


def test_it_says_that_it_cannot_count_and_was_never_tried(home: ZfsHome) -> None:
    capability = home.loader().capability()
    assert (capability.counts, capability.one_shot, capability.obstacle) == (False, True, "")
    assert "untested" in capability.summary
    assert "not reverted by itself" in capability.summary


def test_without_the_firmwares_variables_there_is_no_one_shot(tmp_path: Path) -> None:
    home = ZfsHome(tmp_path)
    home.pool.datasets["b1"] = home.pool.pointer = "rpool/ROOT/b1"
    assert not home.loader().capability().one_shot
    with pytest.raises(Refused, match="nothing was changed"):
        home.loader().boot_once("b1")
    assert not home.pool.writes


# -- properties ----------------------------------------------------------------------------------


def test_arming_says_how_both_boot_before_bootfs_moves(home: ZfsHome) -> None:
    home.loader().arm(TRIAL)
    said = [
        f"rpool/ROOT/{id} {name}"
        for id in ("b1", "b2")
        for name in (f"{COMMAND_LINE}=ro console=ttyS0,115200", f"{ACTIVE}=on")
    ]
    assert home.pool.writes == [*said, "bootfs=rpool/ROOT/b2"]
    home.loader().arm(TRIAL)
    assert len(home.pool.writes) == 5, "what is so was written again"


def test_what_worked_is_not_made_anew_from_settings(home: ZfsHome) -> None:
    home.pool.properties["rpool/ROOT/b1", COMMAND_LINE] = "ro mine"
    home.loader().arm(TRIAL)
    assert home.pool.properties["rpool/ROOT/b1", COMMAND_LINE] == "ro mine"


def test_what_does_not_read_back_is_not_armed(home: ZfsHome) -> None:
    home.pool.forgets = True
    with pytest.raises(SnaprootError, match=f"{COMMAND_LINE} of rpool/ROOT/b1 does not"):
        home.loader().arm(TRIAL)
    assert home.pool.bootfs() == "rpool/ROOT/b1"
    home.pool.properties[("rpool/ROOT/b2", COMMAND_LINE)] = "ro"
    home.pool.properties[("rpool/ROOT/b2", ACTIVE)] = "on"
    with pytest.raises(SnaprootError, match="bootfs does not read back"):
        home.loader().settle("b2")


@pytest.mark.parametrize("what", [KERNEL, INITRAMFS])
def test_what_cannot_be_read_is_not_armed(home: ZfsHome, what: str) -> None:
    (home.roots.root("b2") / what[1:]).unlink()
    with pytest.raises(Refused, match="cannot be read"):
        home.loader().arm(TRIAL)
    assert home.pool.bootfs() == "rpool/ROOT/b1"


def test_what_is_not_what_was_sealed_is_not_armed(home: ZfsHome) -> None:
    (home.roots.root("b2") / KERNEL[1:]).write_bytes(b"other")
    with pytest.raises(Refused, match="not what was sealed"):
        home.loader().arm(TRIAL)
    assert home.pool.bootfs() == "rpool/ROOT/b1"


def test_the_menu_has_what_is_told_and_leaves_the_original_and_others(home: ZfsHome) -> None:
    home.loader().show([Shown("b1", ""), Shown("b3", ""), Shown("original", "")])
    assert actives(home) == {"rpool/ROOT/b2": "off", "rpool/ROOT/b3": "on"}
    home.loader().withdraw("b3")
    assert home.pool.properties["rpool/ROOT/b3", ACTIVE] == "off"
    home.loader().withdraw("b9")
    with pytest.raises(Refused, match="ZFSBootMenu would boot b1"):
        home.loader().withdraw("b1")


def test_what_boots_by_itself_is_never_switched_off(home: ZfsHome) -> None:
    home.loader().settle("b1")
    home.loader().boot_once("b3")
    home.loader().show([])
    assert actives(home) == {f"rpool/ROOT/b{n}": "off" if n == 2 else "on" for n in (1, 2, 3)}


def test_what_cannot_be_booted_is_not_on_its_menu(home: ZfsHome) -> None:
    loader = home.loader()
    strange = replace(home.bootable("b3"), arguments=("a b",))
    told = replace(loader, bootable=lambda id: strange if id == "b3" else home.bootable(id))
    told.show([Shown("b2", ""), Shown("b3", "")])
    assert actives(home) == {"rpool/ROOT/b2": "on", "rpool/ROOT/b3": "off"}


def test_no_arguments_at_all_are_written_as_one(home: ZfsHome) -> None:
    """An empty property is none, and ZFSBootMenu would make up its own."""
    bare = replace(home.bootable("b2"), arguments=("root=ZFS=rpool/ROOT/b2",))
    replace(home.loader(), bootable=lambda _: bare).boot_once("b2")
    assert home.pool.properties["rpool/ROOT/b2", COMMAND_LINE] == "ro"


def actives(home: ZfsHome) -> dict[str, str]:
    return {d: value for (d, name), value in home.pool.properties.items() if name == ACTIVE}


def test_the_original_may_be_fallen_back_to_as_it_is(home: ZfsHome) -> None:
    home.loader().arm(Trial("d1", "b2", "original", 1))
    home.loader().settle("original")
    assert home.pool.bootfs() == "rpool/ROOT/debian"
    assert not [dataset for dataset, _ in home.pool.properties if dataset.endswith("debian")]


# -- the one boot --------------------------------------------------------------------------------


def test_one_boot_is_another_and_the_next_is_as_always(home: ZfsHome) -> None:
    before = order(home)
    home.loader().boot_once("b3")
    assert home.loader().view().once == "b3"
    assert home.firmware().next() == ONCE
    assert (home.pool.bootfs(), order(home)) == ("rpool/ROOT/b1", before)
    with pytest.raises(Refused, match="ZFSBootMenu would boot b3"):
        home.loader().withdraw("b3")
    assert home.boot() == "rpool/ROOT/b3"
    assert home.loader().view().once == ""
    assert home.boot() == "rpool/ROOT/b1"


def test_the_entry_is_made_once(home: ZfsHome) -> None:
    for id in ("b3", "b3", "b2", "b2"):
        home.loader().boot_once(id)
        assert home.boot() == f"rpool/ROOT/{id}"
    made = [argv for argv in home.started if "--create-only" in argv]
    assert len(made) == 2
    assert [one.label for one in home.firmware().entries().values()].count(LABEL) == 1


def test_the_image_keeps_its_options_but_for_the_choice(home: ZfsHome) -> None:
    home.loader().boot_once("b2")
    made = home.firmware().next()
    assert made is not None
    assert made.options == "quiet zbm.prefer=rpool/ROOT/b2 zbm.timeout=0"


def test_firmware_that_drops_options_is_told_and_nothing_stays(home: ZfsHome) -> None:
    (home.directory / "drops").touch()
    with pytest.raises(Refused, match="the firmware did not keep"):
        home.loader().boot_once("b3")
    assert home.boot() == "rpool/ROOT/b1"
    assert [one.label for one in home.firmware().entries().values()] == ["Windows", "ZFSBootMenu"]


@pytest.mark.parametrize("first", [0, 1, 4], ids=["with Boot0001", "Boot0001 is another", "none"])
@pytest.mark.parametrize("how", ["settle", "leave"])
def test_a_choice_for_one_boot_is_forgotten(tmp_path: Path, how: str, first: int) -> None:
    """Also where efibootmgr refuses to delete BootNext: there is no Boot0001."""
    home = ZfsHome(tmp_path)
    home.lay(first=first)
    home.entry(0, "Other", "")
    home.loader().boot_once("b3")
    (home.variables / f"Boot0001-{efibootmgr.GLOBAL}").unlink(missing_ok=first != 0)
    if how == "settle":
        home.loader().settle("b1")
    else:
        home.loader().leave(0, "b1")
    assert not home.loader().view().once
    assert home.boot() == "rpool/ROOT/b1"


def test_another_hands_choice_is_left_alone(home: ZfsHome) -> None:
    home.variable("BootNext", struct.pack("<H", 0))
    home.loader().settle("b1")
    upcoming = home.firmware().next()
    assert upcoming is not None
    assert upcoming.label == "Windows"


def test_a_boot_of_the_one_shot_can_ask_for_another(home: ZfsHome) -> None:
    home.loader().boot_once("b3")
    home.boot()
    assert home.loader().capability().one_shot
    home.loader().boot_once("b2")
    assert home.boot() == "rpool/ROOT/b2"


# -- the firmware's variables --------------------------------------------------------------------


def test_an_entry_reads_back_as_it_was_made() -> None:
    made = efibootmgr.load_option("é", 3, DISK, IMAGE, efibootmgr.text("a b"))
    assert parse(made) == Entry("é", DISK, 3, IMAGE, "a b")


@pytest.mark.parametrize("cut", [0, 3, 6, 8, 20, 40, 60])
def test_half_an_entry_is_none(cut: int) -> None:
    made = efibootmgr.load_option("label", 1, DISK, IMAGE, b"")
    assert parse(made[:cut]) is None


def test_an_entry_of_no_file_is_none() -> None:
    path = struct.pack("<BBH", 3, 11, 4) + b"\x7f\xff\x04\0"
    assert parse(struct.pack("<IH", 1, len(path)) + b"n\0\0\0" + path) is None


def test_damaged_variables_are_not_there(home: ZfsHome) -> None:
    home.variable("BootCurrent", b"")
    home.variable("BootNext", b"123")
    home.variable("Boot0007", b"\0")
    assert home.firmware().current() is None
    assert home.firmware().next() is None
    assert set(home.firmware().entries()) == {0, 1}
    assert not Firmware(home.directory / "nowhere", home.run).entries()


def test_a_partition_that_is_gone_is_refused(home: ZfsHome) -> None:
    (home.directory / f"dev/disk/by-partuuid/{DISK}").unlink()
    with pytest.raises(Refused, match="there is no partition"):
        home.loader().boot_once("b3")


def test_what_efibootmgr_refuses_is_said(home: ZfsHome) -> None:
    with pytest.raises(CommandFailed, match="does not exist"):
        home.run(["efibootmgr", "--bootnext", "0009"])
    with pytest.raises(CommandFailed, match="exited 15"):
        home.run(["efibootmgr", "--bootnum", "0009", "--delete-bootnum"])
