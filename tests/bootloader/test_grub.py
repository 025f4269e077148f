"""GRUB's home in a directory: what is written, in which order, and what is refused."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from contrib.debian import build
from snaproot.bootloader import Shown, Trial, entry, envblock
from snaproot.bootloader.envblock import Env
from snaproot.bootloader.grub import Grub
from snaproot.errors import Refused, SnaprootError
from tests.bootloader.grubhome import INITRAMFS, KERNEL, STUB, GrubHome

TRIAL = Trial("d1", "b2", "b1", 2)


@pytest.fixture
def home(tmp_path: Path) -> GrubHome:
    home = GrubHome(tmp_path)
    home.lay_stub()
    home.establish()
    home.started()
    return home


# -- what it can do ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("canary", "counts", "why"),
    [
        ("1", True, ""),
        (None, True, ""),
        ("0", False, "what it wrote at this boot"),
        ("", False, "did not come from snaproot's menu"),
    ],
)
def test_grub_is_believed_if_file_and_command_line_agree(
    home: GrubHome, canary: str | None, counts: bool, why: str
) -> None:
    home.canary = canary
    capability = home.loader().capability()
    assert (capability.counts, capability.one_shot) == (counts, counts)
    assert why in capability.obstacle
    assert bool(capability.hint) is not counts


@pytest.mark.parametrize("canary", ["0", "1", "", None])
def test_before_the_first_boot_nothing_is_known(tmp_path: Path, canary: str | None) -> None:
    home = GrubHome(tmp_path, canary)
    home.lay_stub()
    home.establish()
    capability = home.loader().capability()
    assert not capability.counts
    assert "not been seen to write its file" in capability.obstacle
    with pytest.raises(Refused, match="nothing was changed"):
        home.loader().boot_once("b2")


def test_a_file_that_is_gone_is_said(home: GrubHome) -> None:
    (home.home / "env").unlink()
    assert "missing or damaged" in home.loader().capability().obstacle


# -- the file ------------------------------------------------------------------------------------


def test_the_file_is_written_where_it_is_and_keeps_the_canary(home: GrubHome) -> None:
    before = (home.home / "env").stat()
    home.loader().arm(TRIAL)
    assert home.env() == Env(good="b1", trial="b2", deployment="d1", tries=2, canary="1")
    home.loader().leave(0, "b1")
    assert home.env() == Env(good="b1", trial="b2", deployment="d1", canary="1")
    home.loader().settle("b2")
    assert home.env() == Env(good="b2", canary="1")
    after = (home.home / "env").stat()
    assert (before.st_ino, before.st_size) == (after.st_ino, after.st_size)


@pytest.mark.parametrize("content", [None, b"", b"x" * 100, bytes(2048), bytes(1024)])
def test_a_file_of_any_damage_is_made_anew(home: GrubHome, content: bytes | None) -> None:
    path = home.home / "env"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    home.loader().settle("b1")
    assert path.read_bytes() == envblock.render(Env(good="b1"))


def test_good_is_written_twice_in_one_sector_each(home: GrubHome) -> None:
    path = home.home / "good.cfg"
    before = path.stat().st_ino
    home.loader().settle("b2")
    assert path.read_text().strip() == "set good=b2"
    assert (path.stat().st_ino, path.stat().st_size) == (before, 64)


def test_more_tries_than_grub_counts_are_refused(home: GrubHome) -> None:
    for tries in (0, 10):
        with pytest.raises(Refused, match="nothing was armed"):
            home.loader().arm(replace(TRIAL, tries=tries))
    assert home.env() == Env(good="b1", canary="1")


# -- arming --------------------------------------------------------------------------------------


def test_all_is_flushed_before_the_file_names_it(home: GrubHome) -> None:
    seen: list[tuple[bool, bool, Env | None]] = []

    def look() -> None:
        entries = [(home.home / f"entries/{id}.cfg").is_file() for id in ("b1", "b2")]
        seen.append((entries[0], entries[1], home.env()))

    home.watch = look
    home.loader().arm(TRIAL)
    assert seen == [(True, True, Env(good="b1", canary="1"))]


def test_a_flush_that_fails_arms_nothing(home: GrubHome) -> None:
    def fail() -> None:
        raise SnaprootError("no")

    home.watch = fail
    with pytest.raises(SnaprootError):
        home.loader().arm(TRIAL)
    assert home.env() == Env(good="b1", canary="1")


def test_the_good_entry_comes_back_with_the_trial(home: GrubHome) -> None:
    path = home.home / "entries/b1.cfg"
    text = path.read_text()
    path.write_text("reboot\n")
    home.loader().arm(TRIAL)
    assert path.read_text() == text


@pytest.mark.parametrize("id", ["b1", "b2"])
@pytest.mark.parametrize("what", [KERNEL, INITRAMFS])
def test_what_is_not_there_is_not_armed(home: GrubHome, id: str, what: str) -> None:
    (home.root(id) / what[1:]).unlink()
    _refuses(home, f"{id}: {what}")


@pytest.mark.parametrize("id", ["b1", "b2"])
def test_a_kernel_that_is_not_the_sealed_one_is_not_armed(home: GrubHome, id: str) -> None:
    path = home.root(id) / KERNEL[1:]
    path.write_bytes(path.read_bytes()[:-1])
    _refuses(home, "is not what was sealed")


def test_what_grub_would_find_elsewhere_is_not_armed(home: GrubHome) -> None:
    boot = home.root("b2") / "boot"
    boot.rename(boot.with_name("really"))
    boot.symlink_to("really")
    _refuses(home, "behind a link")


def test_a_value_that_cannot_be_written_is_not_armed(home: GrubHome) -> None:
    strange = replace(home.bootable("b2"), arguments=("a\nreboot",))
    loader = Grub(home.home, lambda id: strange if id == "b2" else home.bootable(id), home.flush)
    with pytest.raises(Refused):
        loader.arm(TRIAL)
    assert home.env() == Env(good="b1", canary="1")


def _refuses(home: GrubHome, why: str) -> None:
    with pytest.raises(Refused, match=why):
        home.loader().arm(TRIAL)
    assert home.env() == Env(good="b1", canary="1")


# -- entries -------------------------------------------------------------------------------------


def test_an_entry_that_is_right_is_left_alone(home: GrubHome) -> None:
    home.loader().arm(TRIAL)
    before = [path.stat().st_ino for path in sorted((home.home / "entries").iterdir())]
    home.loader().arm(TRIAL)
    assert [p.stat().st_ino for p in sorted((home.home / "entries").iterdir())] == before


def test_the_index_follows_the_entries(home: GrubHome) -> None:
    assert _listed(home) == ["b1", "original"]
    home.loader().arm(TRIAL)
    assert _listed(home) == ["b2", "b1", "original"]
    home.loader().settle("b2")
    home.loader().withdraw("b1")
    home.loader().withdraw("original")
    assert _listed(home) == ["b2"]
    assert [path.name for path in (home.home / "entries").iterdir()] == ["b2.cfg"]


def test_titles_are_read_from_the_entries_where_the_index_is_lost(home: GrubHome) -> None:
    home.loader().arm(TRIAL)
    before = (home.home / "index.cfg").read_text()
    (home.home / "index.cfg").unlink()
    home.loader().settle("b1")
    assert (home.home / "index.cfg").read_text() == before


def test_what_a_cut_left_of_an_entry_goes(home: GrubHome) -> None:
    (home.home / "entries/.b9.cfg.0123").write_text("half")
    home.loader().settle("b1")
    assert not (home.home / "entries/.b9.cfg.0123").exists()
    assert _listed(home) == ["b1", "original"]


def test_an_index_that_cannot_be_written_stops_nothing(home: GrubHome) -> None:
    (home.home / "index.cfg").unlink()
    (home.home / "index.cfg").mkdir()
    home.loader().arm(TRIAL)
    assert home.loader().view().trial == "b2"


def test_what_good_cfg_names_is_kept_while_the_file_is_lost(home: GrubHome) -> None:
    (home.home / "env").unlink()
    with pytest.raises(Refused):
        home.loader().withdraw("b1")


def test_the_original_is_booted_as_it_was_stored(home: GrubHome) -> None:
    home.loader().arm(replace(TRIAL, good="original"))
    assert (home.home / "entries/original.cfg").read_text() == f"{STUB}set loaded=missing\n"
    home.loader().settle("b1")
    home.loader().withdraw("original")
    with pytest.raises(Refused, match="has no boot entry left"):
        home.loader().settle("original")


def test_adding_one_to_two_hundred_takes_no_time(home: GrubHome) -> None:
    loader = home.loader()
    for number in range(200):
        wanted = entry.described(home.bootable(f"b1x{number:03}"))
        (home.home / f"entries/b1x{number:03}.cfg").write_text(entry.render(wanted))
    loader.settle("b1")
    best = 1.0
    for number in range(5):
        home.root(f"b2{number}")
        began = time.process_time()  # the medium's time is not ours
        loader.arm(replace(TRIAL, target=f"b2{number}"))
        best = min(best, time.process_time() - began)
    assert len(_listed(home)) == entry.MOST_LISTED
    assert best < 0.02


def test_a_menu_of_two_hundred_takes_no_time(home: GrubHome) -> None:
    loader = home.loader()
    menu = [Shown(f"b{number:06}", "proven") for number in range(200)]
    loader.show(menu)
    assert len(list((home.home / "entries").iterdir())) == 202
    best = 1.0
    for number in range(5):
        began = time.process_time()
        loader.show([*menu, Shown("b1", f"{number}", kept=True)])
        best = min(best, time.process_time() - began)
    assert _listed(home)[-1] == "b000151"
    assert best < 0.02


def test_a_menu_says_of_each_what_it_is_told(home: GrubHome) -> None:
    home.loader().arm(TRIAL)
    home.loader().show([Shown("b1", "proven"), Shown("b2", "unproven"), Shown("original", "old")])
    entries = {path.name: path.read_bytes() for path in (home.home / "entries").iterdir()}
    assert _titles(home) == {"b2": "unproven", "b1": "proven", "original": "old"}
    home.loader().show([Shown("b1", "proven, pinned"), Shown("b2", "bad")])
    assert _titles(home) == {"b2": "bad", "b1": "proven, pinned"}
    assert entries == {path.name: path.read_bytes() for path in (home.home / "entries").iterdir()}


def test_a_menu_that_says_the_same_is_not_written(home: GrubHome) -> None:
    menu = [Shown("b1", "proven"), Shown("b3", "unproven")]
    home.loader().show(menu)
    before = (home.home / "index.cfg").stat()
    flushes = len(home.flushes)
    home.loader().show(menu)
    after = (home.home / "index.cfg").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert len(home.flushes) == flushes


def test_what_was_never_armed_gets_an_entry_like_any_other(home: GrubHome) -> None:
    home.loader().show([Shown("b3", "unproven")])
    shown = (home.home / "entries/b3.cfg").read_text()
    assert home.flushes[-1:] == ["flush"]
    (home.home / "entries/b3.cfg").unlink()
    home.loader().arm(replace(TRIAL, target="b3"))
    assert (home.home / "entries/b3.cfg").read_text() == shown


def test_what_cannot_be_booted_is_not_on_the_menu(home: GrubHome) -> None:
    strange = replace(home.bootable("b3"), arguments=("it's",))
    loader = Grub(home.home, lambda id: strange if id == "b3" else home.bootable(id), home.flush)
    loader.show([Shown("b1", "proven"), Shown("b2", "unproven"), Shown("b3", "strange")])
    assert _listed(home) == ["b2", "b1"]


def test_a_garbled_entry_is_written_again_for_the_menu(home: GrubHome) -> None:
    before = (home.home / "entries/b1.cfg").read_text()
    (home.home / "entries/b1.cfg").write_text("reboot\n")
    home.loader().show([Shown("b1", "proven")])
    assert (home.home / "entries/b1.cfg").read_text() == before


def test_a_menu_that_cannot_be_written_is_said(home: GrubHome) -> None:
    (home.home / "index.cfg").unlink()
    (home.home / "index.cfg").mkdir()
    with pytest.raises(SnaprootError):
        home.loader().show([Shown("b1", "proven")])
    assert home.loader().view().good == "b1"


def _listed(home: GrubHome) -> list[str]:
    return list(_titles(home))


def _titles(home: GrubHome) -> dict[str, str]:
    return entry.listed((home.home / "index.cfg").read_text())


# -- adoption ------------------------------------------------------------------------------------


def test_the_stub_is_ours_in_its_own_bytes(tmp_path: Path) -> None:
    home = GrubHome(tmp_path)
    home.lay_stub()
    before = home.stub.stat()
    home.establish()
    after = home.stub.stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)
    text = home.stub.read_text()
    assert text.startswith("source /EFI/snaproot/grub.cfg\n")
    assert "stub.saved" in text
    assert not text.replace("\n", "").endswith("#")
    assert (home.home / "stub.saved").read_text() == STUB


def test_a_short_stub_gets_the_one_line_that_fits(tmp_path: Path) -> None:
    home = GrubHome(tmp_path)
    home.lay_stub("configfile (hd0,gpt2)/boot/grub/grub.cfg\n")
    home.establish()
    assert home.stub.read_text().split() == ["source", "/EFI/snaproot/grub.cfg"]
    assert home.stub.stat().st_size == 41


def test_again_is_the_same(home: GrubHome) -> None:
    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in home.esp.rglob("*") if path.is_file()}

    before = content()
    home.establish()
    assert content() == before
    assert before[home.home / "stub.saved"] == STUB.encode()


def test_the_stub_comes_last(tmp_path: Path) -> None:
    home = GrubHome(tmp_path)
    home.lay_stub()
    seen: list[str] = []
    home.watch = lambda: seen.append(home.stub.read_text())
    home.establish()
    assert len(seen) > 0
    assert set(seen) == {STUB}


def test_where_the_home_cannot_be_written_the_stub_stays(tmp_path: Path) -> None:
    home = GrubHome(tmp_path)
    home.lay_stub()
    home.home.write_text("in the way")
    with pytest.raises(SnaprootError, match="the machine starts as before") as caught:
        home.establish()
    assert str(home.esp) in str(caught.value)
    assert home.stub.read_text() == STUB


@pytest.mark.parametrize("text", ["", "normal\n", "x" * 513])
def test_what_is_no_stub_is_left(tmp_path: Path, text: str) -> None:
    home = GrubHome(tmp_path)
    home.lay_stub(text)
    with pytest.raises(Refused, match="nothing was changed"):
        home.establish()
    assert home.stub.read_text() == text
    assert not home.home.exists()


def test_none_or_several_are_refused_and_the_fallback_path_is_none(tmp_path: Path) -> None:
    home = GrubHome(tmp_path)
    with pytest.raises(Refused, match="has no EFI/VENDOR/grub"):
        home.establish()
    home.lay_stub(vendor="BOOT")
    home.lay_stub()
    home.establish()
    assert (home.esp / "EFI/BOOT/grub.cfg").read_text() == STUB
    home.lay_stub(vendor="ubuntu")
    with pytest.raises(Refused, match="several systems"):
        home.establish()


def test_the_package_has_the_script_itself() -> None:
    name = Path("snaproot/bootloader/script/grub.cfg")
    assert name in set(build.modules())
    script = (build.SOURCE / "contrib/grub/grub.cfg").read_bytes()
    assert (build.SOURCE / name).read_bytes() == script
    linked = {p.readlink().name for p in (build.SOURCE / name.parent).iterdir()}
    assert linked == {path.name for path in (build.SOURCE / "contrib/grub").iterdir()}
