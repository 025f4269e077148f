"""Copies of kernels in the loader's home: real GRUBs boot them; cut at every write; no room."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from integration import grubemu
from integration.disk import memory
from integration.grubemu import Outcome
from integration.test_grub import ARMED, SAFETY, block, image, lay_original
from integration.test_grub_cuts import PowerCutError, cut_before
from snaproot import room
from snaproot.bootloader import HOME, Bootable, Shown, Trial, entry, envblock
from snaproot.bootloader.copies import Copies
from snaproot.bootloader.grub import Grub
from snaproot.cmdline import CommandLine
from snaproot.config import Config
from snaproot.environment import Environment
from snaproot.errors import NoRoom, Refused, SnaprootError
from snaproot.filesystem import Address, Workspace
from snaproot.quarantine import Quarantined
from snaproot.record import Records
from snaproot.state import Record
from snaproot.system import System
from tests.bootloader.grubhome import INITRAMFS, KERNEL, POOL, UUID, GrubHome
from tests.fakes import Disk, FakeFilesystem

pytestmark = pytest.mark.real
SLOW = pytest.mark.slow
TRIAL = Trial("d1", "b2", "b1", 2)
MIB = 1 << 20


def copied(home: GrubHome, id: str) -> Path:
    """Say where the copies are that an entry loads."""
    found = entry.parse((home.home / f"entries/{id}.cfg").read_text())
    assert found is not None
    return (home.esp / found.kernel.lstrip("/")).parent


def entries(home: GrubHome) -> set[str]:
    return {path.stem for path in (home.home / "entries").glob("b*.cfg")}


def sound(home: GrubHome, id: str) -> bool:
    """Tell whether an entry loads what is in the root, byte for byte."""
    place, root = copied(home, id), home.root(id)
    wanted = [(root / name[1:]).read_bytes() for name in (KERNEL, INITRAMFS)]
    files = [place / name for name in ("kernel", "initramfs")]
    return all(file.is_file() for file in files) and wanted == [f.read_bytes() for f in files]


# -- booted by every GRUB ------------------------------------------------------------------------


@dataclass
class Machine:
    """A home whose roots no GRUB reads: it is the only disk, but for the original's."""

    home: GrubHome
    place: Path
    root: Path

    def boot(
        self, version: str, *, env: dict[str, str] | None = None, with_root: bool = False
    ) -> Outcome:
        (self.home.home / "env").write_bytes(block(env or ARMED))
        esp = self.place / "esp.img"
        grubemu.fat(esp, self.home.esp, size="2M")
        disks = (esp, self.root) if with_root else (esp,)
        files = self.home.roots if with_root else self.home.esp
        return grubemu.boot(version, disks, files=files)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the disk that the stub leads to."""
    place = tmp_path_factory.mktemp("original")
    home = GrubHome(place)
    home.root("b1")
    lay_original(home.roots)
    image(home.roots, place / "root.img")
    return place / "root.img"


@pytest.fixture
def machine(tmp_path: Path, original: Path) -> Machine:
    home = GrubHome(tmp_path / "machine", readable=False)
    home.lay_stub()
    home.establish("b1")
    for id in ("b2", "b3"):
        home.loader().arm(Trial("d1", id, "b1", 2))
    lay_original(home.roots)
    return Machine(home, tmp_path, original)


@pytest.fixture(params=grubemu.SUITES)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def fault(machine: Machine, outcome: Outcome, id: str, words: str) -> str:
    """Say what is not as `id` is booted from its copies; empty if all is."""
    place = f"/{copied(machine.home, id).relative_to(machine.home.esp)}"
    if (outcome.kernel, outcome.initramfs) != (f"{place}/kernel", f"{place}/initramfs"):
        return f"{outcome.kernel or 'nothing'} was booted: {outcome.screen}"
    if outcome.waited or "\nerror" in outcome.screen:
        return outcome.screen
    said = outcome.arguments.split()
    first = [f"root=ZFS=rpool/ROOT/{id}", f"snaproot.canary={outcome.told('canary')}"]
    return "" if said == [*first, *words.split()] else f"{said}"


def test_a_root_that_grub_cannot_read_boots_from_its_copies(machine: Machine, version: str) -> None:
    outcome = machine.boot(version)
    assert not fault(machine, outcome, "b2", f"snaproot.trial=d1.1 {SAFETY}")
    env = envblock.variables(grubemu.read(machine.place / "esp.img", f"/{HOME}/env"))
    assert env == ARMED | {"tries": "1", "canary": "1"}
    spent = machine.boot(version, env=ARMED | {"tries": "0"})
    assert not fault(machine, spent, "b1", "snaproot.revert=d1")
    once = machine.boot(version, env=ARMED | {"once": "b3"})
    assert not fault(machine, once, "b3", "")


def test_what_is_written_is_sound_for_every_grub(machine: Machine, version: str) -> None:
    for path in sorted(machine.home.home.rglob("*.cfg")):
        assert not grubemu.check(version, path.read_text()), path


def test_the_original_boots_as_it_did(machine: Machine, version: str) -> None:
    outcome = machine.boot(version, env={"good": "original"}, with_root=True)
    assert (outcome.kernel, outcome.arguments) == ("/@/boot/vmlinuz", f"root=UUID={UUID} ro")


SPOILT: dict[str, Callable[[Path], object]] = {
    "the pair gone": shutil.rmtree,
    "no kernel": lambda place: (place / "kernel").unlink(),
    "no initramfs": lambda place: (place / "initramfs").unlink(),
    "an empty kernel": lambda place: (place / "kernel").write_bytes(b""),
    "an empty initramfs": lambda place: (place / "initramfs").write_bytes(b""),
    "a truncated kernel": lambda place: (place / "kernel").write_bytes(b"\x7f" * 300),
}


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(what, marks=() if what in {"the pair gone", "a truncated kernel"} else SLOW)
        for what in SPOILT
    ],
)
def test_a_copy_that_is_not_there_gives_way_to_good(machine: Machine, what: str) -> None:
    SPOILT[what](copied(machine.home, "b2"))
    outcome = machine.boot("2.06")
    place = f"/{copied(machine.home, 'b1').relative_to(machine.home.esp)}"
    assert (outcome.kernel, outcome.waited) == (f"{place}/kernel", False), outcome.screen
    assert "snaproot.skipped=d1.1" in outcome.arguments.split()


@pytest.mark.parametrize(
    ("version", "what"),
    [
        ("2.12", "an empty initramfs"),
        ("2.14", "the pair gone"),
        pytest.param("2.12", "the pair gone", marks=SLOW),
        pytest.param("2.14", "an empty initramfs", marks=SLOW),
    ],
)
def test_newer_grubs_give_way_too(machine: Machine, version: str, what: str) -> None:
    SPOILT[what](copied(machine.home, "b2"))
    outcome = machine.boot(version)
    assert outcome.told("skipped") == "d1.1", outcome.screen


# -- cut at every write --------------------------------------------------------------------------


def fresh(place: Path) -> GrubHome:
    home = GrubHome(place, readable=False)
    home.lay_stub()
    for id in ("b1", "b2", "b3"):
        home.root(id)
    return home


def established(place: Path) -> GrubHome:
    home = fresh(place)
    home.establish()
    home.started()
    return home


def armed(place: Path) -> GrubHome:
    home = established(place)
    home.loader().arm(TRIAL)
    return home


def promoted(place: Path) -> GrubHome:
    home = armed(place)
    home.loader().settle("b2")
    return home


def damaged(place: Path) -> GrubHome:
    """Let the medium have changed a byte, from which the kernel still boots."""
    home = armed(place)
    path = copied(home, "b1") / "initramfs"
    path.write_bytes(b"\1" + path.read_bytes()[1:])
    return home


def shown(home: GrubHome) -> None:
    home.loader().show([Shown(id, "proven") for id in ("b1", "b2", "b3")])


Step = tuple[Callable[[Path], GrubHome], Callable[[GrubHome], object], set[str], set[str]]
STEPS: dict[str, Step] = {
    "establish": (fresh, lambda h: h.establish(), {"original", "b1"}, {"b1"}),
    "arm": (established, lambda h: h.loader().arm(TRIAL), {"b1", "b2 on trial"}, {"b1", "b2"}),
    "promote": (armed, lambda h: h.loader().settle("b2"), {"b2 on trial", "b2"}, {"b1", "b2"}),
    "once": (established, lambda h: h.loader().boot_once("b2"), {"b1", "b2"}, {"b1", "b2"}),
    "withdraw": (promoted, lambda h: h.loader().withdraw("b1"), {"b2"}, {"b2"}),
    "show": (promoted, shown, {"b2"}, {"b1", "b2", "b3"}),
    "mend": (damaged, lambda h: h.loader().settle("b1"), {"b1", "b2 on trial"}, {"b1", "b2"}),
}


def booted(home: GrubHome, root: Path) -> str:
    """Say what GRUB boots from this ESP, with nobody there."""
    esp = home.directory / "esp.img"
    grubemu.fat(esp, home.esp, size="2M")
    outcome = grubemu.boot("2.06", (esp, root))
    assert not outcome.waited, outcome.screen
    if outcome.kernel == "/@/boot/vmlinuz":
        return "original"
    id = outcome.arguments.split()[0].removeprefix("root=ZFS=rpool/ROOT/")
    assert outcome.kernel == f"/{copied(home, id).relative_to(home.esp)}/kernel"
    return f"{id} on trial" if "snaproot.trial=" in outcome.arguments else id


def ends(home: GrubHome, there: set[str]) -> None:
    """Insist that what is there is sound, and that nothing else is."""
    assert entries(home) == there
    assert all(sound(home, id) for id in there)
    named = {copied(home, id) for id in there}
    files = {path for path in (home.home / "kernels").rglob("*") if path.is_file()}
    assert files == {place / name for place in named for name in ("kernel", "initramfs")}


@pytest.mark.parametrize("stride", [15, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("step", STEPS)
def test_cut_at_any_write_no_entry_is_without_its_copies(
    step: str, stride: int, original: Path, tmp_path: Path
) -> None:
    """Each write is cut; GRUB boots after some of them, as that takes a second."""
    with memory(tmp_path / "memory", "64M") as place:
        cut_everywhere(STEPS[step], stride, original, place / "cut", torn=step == "mend")


def cut_everywhere(step: Step, stride: int, original: Path, place: Path, *, torn: bool) -> None:
    prepare, work, may, there = step
    for number in range(1, 400):
        home = prepare(place)
        try:
            with cut_before(number):
                work(home)
        except PowerCutError:
            assert all(sound(home, id) for id in entries(home) - ({"b1"} if torn else set()))
            assert number % stride or booted(home, original) in may
            work(home)
            home.loader().show([])
            ends(home, there)
            shutil.rmtree(place)
            continue
        ends(home, there)
        assert number > 10
        return
    raise AssertionError("it does not end")


# -- a small ESP ---------------------------------------------------------------------------------

PAIR = 3 * MIB


@dataclass
class Big(GrubHome):
    """A home on a small ESP; each root has a kernel and an initramfs of 3 MiB."""

    def root(self, id: str) -> Path:
        root = super().root(id)
        path = root / INITRAMFS[1:]
        if path.stat().st_size < MIB:
            path.write_bytes(f"{id:>16}".encode() * (PAIR // 16 - 1024))
        return root


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Big]:
    """Lend a home on 16 MiB, with b1 to fall back to."""
    (tmp_path / "machine").mkdir()
    with memory(tmp_path / "machine/esp", str(16 * MIB)):
        home = Big(tmp_path / "machine", readable=False)
        home.lay_stub()
        home.establish()
        home.started()
        yield home


def menu(*ids: str, kept: tuple[str, ...] = ("b1",)) -> list[Shown]:
    return [Shown(id, "proven", kept=id in kept) for id in ids]


def fill(home: GrubHome, left: int) -> None:
    """Leave this many bytes free."""
    ballast = home.esp / "ballast"
    ballast.unlink(missing_ok=True)
    ballast.write_bytes(bytes(Copies(home.home).free() - left))


ALL = tuple(f"b{number}" for number in range(1, 7))


def test_the_newest_are_shown_as_long_as_the_next_trial_finds_room(small: Big) -> None:
    small.loader().show(menu(*ALL))
    assert entries(small) == {"b1", "b6"}
    assert list(entry.listed((small.home / "index.cfg").read_text())) == ["b6", "b1"]
    assert Copies(small.home).free() >= PAIR + 4 * MIB
    small.loader().arm(replace(TRIAL, target="b5"))
    assert entries(small) == {"b1", "b5", "b6"}


def test_what_is_kept_is_shown_before_what_is_newer(small: Big) -> None:
    small.loader().show(menu(*ALL, kept=("b1", "b3")))
    assert entries(small) == {"b1", "b3"}


def test_what_shares_its_copies_is_shown_whatever_the_room(small: Big) -> None:
    def bootable(id: str) -> Bootable:
        return replace(small.bootable("b1"), id=id)

    fill(small, MIB)
    loader = Grub(small.home, bootable, small.flush, None)
    loader.show(menu(*ALL))
    assert entries(small) == set(ALL)
    assert len(list((small.home / "kernels").iterdir())) == 1


def published(home: Big, *ids: str, left: int) -> None:
    home.loader().show(menu(*ids, kept=ids))
    for id in ids:
        if id not in entries(home):
            home.loader().boot_once(id)
    home.loader().settle("b1")
    assert entries(home) == {"b1", *ids}
    fill(home, left)


def test_arming_makes_room_by_what_is_oldest_and_nothing_needs(small: Big) -> None:
    published(small, "b2", "b3", left=MIB)
    small.loader().arm(replace(TRIAL, target="b4"))
    assert entries(small) == {"b1", "b3", "b4"}
    assert small.env() == envblock.Env(good="b1", trial="b4", deployment="d1", tries=2, canary="1")
    assert list(entry.listed((small.home / "index.cfg").read_text())) == [
        "b4",
        "b3",
        "b1",
        "original",
    ]
    ends(small, {"b1", "b3", "b4"})


@pytest.mark.parametrize("number", range(1, 60, 3))
def test_cut_while_room_is_made_nothing_is_torn(small: Big, number: int) -> None:
    published(small, "b2", "b3", left=MIB)
    small.root("b4")
    try:
        with cut_before(number):
            small.loader().arm(replace(TRIAL, target="b4"))
    except PowerCutError:
        assert {"b1", "b3"} <= entries(small)
        assert all(sound(small, id) for id in entries(small))
    small.loader().arm(replace(TRIAL, target="b4"))
    ends(small, {"b1", "b3", "b4"})


def test_what_is_kept_stays_and_the_next_oldest_goes(small: Big) -> None:
    published(small, "b2", "b3", left=MIB)
    small.kept = frozenset({"b2"})
    small.loader().boot_once("b4")
    assert entries(small) == {"b1", "b2", "b4"}


def test_where_it_still_does_not_fit_nothing_is_lost(small: Big) -> None:
    published(small, "b2", "b3", left=MIB)
    small.kept = frozenset({"b2", "b3"})
    before = {path: path.read_bytes() for path in small.esp.rglob("*") if path.is_file()}
    for once in (False, True):
        loader, trial = small.loader(), replace(TRIAL, target="b4")
        with pytest.raises(Refused, match=r"3\.1 MiB are needed on .*, 1\.0 MiB are free") as told:
            loader.boot_once("b4") if once else loader.arm(trial)
        assert "nothing was changed" in str(told.value)
        assert "snaproot unpin" in told.value.hint
    assert {path: path.read_bytes() for path in small.esp.rglob("*") if path.is_file()} == before


def test_what_it_would_free_is_told_where_that_is_not_enough(small: Big) -> None:
    published(small, "b2", left=0)
    path = small.root("b4") / INITRAMFS[1:]
    path.write_bytes(bytes(6 * MIB))
    with pytest.raises(Refused, match=r"and 3\.0 MiB more without the copies of b2;") as told:
        small.loader().boot_once("b4")
    assert "nothing was changed" in str(told.value)
    assert "b2" in entries(small)


@pytest.mark.parametrize("needed", ["trial", "spent", "once", "good.cfg"])
def test_what_may_boot_by_itself_never_goes(small: Big, needed: str) -> None:
    published(small, "b2", left=MIB)
    loader = small.loader()
    if needed == "once":
        loader.boot_once("b2")
    elif needed == "good.cfg":
        loader.settle("b2")
        env = small.env()
        assert env is not None
        (small.home / "env").write_bytes(envblock.render(replace(env, good="b1")))
        assert small.loader().view().fallback == "b2"
    else:
        loader.arm(TRIAL)
        loader.leave(1 if needed == "trial" else 0, "b1")
    with pytest.raises(Refused, match="are needed on"):
        loader.boot_once("b4")
    assert {"b1", "b2"} <= entries(small)
    assert sound(small, "b2")


def test_upgrade_after_upgrade_finds_room_and_a_way_back(small: Big) -> None:
    """Each has a pair of its own; nobody cleans up, and one is pinned."""
    small.kept = frozenset({"b1"})
    base, done = "b1", ["b1"]
    for number in range(10, 20):
        target = f"b{number}"
        small.loader().arm(Trial(f"d{number}", target, base, 2))
        done.append(target)
        small.loader().show(menu(*done, kept=("b1", base, target)))
        assert {"b1", base, target} <= entries(small)
        assert all(sound(small, id) for id in entries(small))
        small.loader().settle(target)
        base = target
        small.loader().show(menu(*done, kept=("b1", base)))
        room.check(system(small, *done, pinned=("b1",)), 0)
    ends(small, {"b1", "b16", "b17", "b18", "b19"})


# -- room before staging -------------------------------------------------------------------------


class Pool(FakeFilesystem):
    """Roots on a pool, which no loader reads."""

    home: Big

    def place(self, id: str) -> Workspace:
        return Workspace(id, self.home.root(id), {})

    def address(self, id: str) -> Address:
        return Address(POOL, "", (f"root=ZFS=rpool/ROOT/{id}",), readable=False)


def system(home: Big, *ids: str, pinned: tuple[str, ...] = ()) -> System:
    """Wire a system whose base is b1, with these boot environments besides."""
    filesystem = Pool(Disk())
    filesystem.home = home
    for id in ("b1", *ids):
        modules = home.root(id) / "lib/modules/6.1"
        modules.mkdir(parents=True, exist_ok=True)
        (modules / "modules.dep").write_text("x")
        filesystem.disk.put(("where", id), "environments")
        filesystem.disk.put(("sealed", id), True)
        filesystem.disk.put(("meta", id), Environment(id=id, pinned=id in pinned))
    filesystem.disk.put(("default",), "b1")
    records = Records(home.directory / "record")
    records.directory.mkdir(exist_ok=True)
    records.save(Record(base="b1"))
    return System(
        config=Config(),
        top=home.directory,
        filesystem=filesystem,
        bootloader=home.loader(),
        records=records,
        quarantine=Quarantined(records.directory),
        cache=home.directory,
        log=home.directory / "log",
        boot=CommandLine(),
        boot_id="",
        notice=print,
        announce=print,
        esp=home.esp,
    )


def test_before_staging_a_pair_like_the_bases_has_to_fit(small: Big) -> None:
    here = system(small)
    needed = room.places(here)[1].needed
    assert PAIR + 4 * MIB <= needed <= PAIR + 5 * MIB
    fill(small, needed)
    room.check(here, 0)
    fill(small, needed - 4096)
    before = {path: path.stat().st_mtime_ns for path in small.home.rglob("*")}
    with pytest.raises(NoRoom, match=r"7\.1 MiB are needed on the ESP, 7\.1 MiB of 16\.0 MiB are"):
        room.check(here, 0)
    assert {path: path.stat().st_mtime_ns for path in small.home.rglob("*")} == before


def test_what_arming_withdraws_by_itself_is_not_asked_for(small: Big) -> None:
    published(small, "b2", left=MIB)
    asked = [room.places(system(small, "b2", pinned=pinned))[1].needed for pinned in ((), ("b2",))]
    assert asked[1] - asked[0] == Copies(small.home).size(copied(small, "b2").name)
    with pytest.raises(NoRoom) as told:
        room.check(system(small, "b2", pinned=("b2",)), 0)
    assert told.value.hint.startswith("snaproot unpin b2 lets it go (3.0 MiB); delete what others")
    small.loader().arm(TRIAL)
    with pytest.raises(NoRoom) as told:
        room.check(system(small, "b2"), 0)
    assert told.value.hint.startswith("snaproot abandon lets b2 go (3.0 MiB); delete what others")


def test_what_could_go_is_named_with_its_copies(small: Big) -> None:
    published(small, "b2", left=MIB)
    (gone,) = (one for one in room.going(system(small, "b2")) if one.id == "b2")
    assert abs(gone.entry - PAIR) < 64 * 1024


def test_where_grub_reads_the_roots_an_entry_is_all_that_is_asked_for(small: Big) -> None:
    here = system(small)
    assert room.places(here)[1].needed > 128 * 1024
    readable = replace(here, filesystem=FakeFilesystem(here.filesystem.disk))  # type: ignore[attr-defined]
    assert room.places(readable)[1].needed == 128 * 1024


# -- a full ESP ----------------------------------------------------------------------------------


def test_on_a_full_esp_what_is_armed_is_promoted_and_reverted(small: Big) -> None:
    small.loader().arm(TRIAL)
    fill(small, 0)
    small.loader().settle("b2")
    small.loader().settle("b1")
    small.loader().leave(0, "b1")
    assert sound(small, "b1")


def test_a_copy_for_which_there_is_no_room_leaves_nothing(small: Big) -> None:
    """The filesystem says that there is room, and then has none."""
    before = Copies(small.home).free()
    small.root("b2")
    with pytest.raises(SnaprootError, match="no space left"):
        Full(small.home, small.bootable, small.flush, None).boot_once("b2")
    small.loader().show(menu("b1"))
    (small.esp / "ballast").unlink()
    assert Copies(small.home).free() == before


def test_a_copy_that_cannot_be_made_costs_the_menu_one_line(small: Big) -> None:
    """Its kernel is copied, and its initramfs is not what was sealed."""
    sealed = replace(small.bootable("b3").digests, initramfs="0" * 64)

    def bootable(id: str) -> Bootable:
        one = small.bootable(id)
        return replace(one, digests=sealed) if id == "b3" else one

    Grub(small.home, bootable, small.flush, None).show(menu("b1", "b2", "b3"))
    assert list(entry.listed((small.home / "index.cfg").read_text())) == ["b2", "b1"]
    ends(small, {"b1", "b2"})


class Full(Grub):
    """A loader whose ESP fills up by another hand once it was asked."""

    def _copy(self, made: object) -> None:
        (self.home.parent.parent / "ballast").write_bytes(bytes(self._copies.free() - MIB))
        for one in made:  # type: ignore[attr-defined]
            self._copies.put(one)
