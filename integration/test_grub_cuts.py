"""The loader's home cut at every write, and on a full ESP: GRUB boots what it may boot."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import pytest

from integration import grubemu
from integration.test_grub import image, lay_original
from snaproot.bootloader import Trial
from snaproot.errors import SnaprootError
from snaproot.run import run
from tests.bootloader.grubhome import STUB, GrubHome

pytestmark = pytest.mark.real
VERSION = "2.06"
TRIAL = Trial("d1", "b2", "b1", 2)
WRITES = {"mkdir", "open", "pwrite", "write", "fsync", "rename", "unlink"}
"""The calls of `os` after any of which the power may go, and of a file."""


class PowerCutError(BaseException):
    """The power went before a write."""


@contextmanager
def cut_before(number: int) -> Iterator[None]:
    """Let the power go before the `number`th write."""
    left = number

    def watch(_frame: FrameType, event: str, call: object) -> None:
        nonlocal left
        if event == "c_call" and getattr(call, "__name__", "") in WRITES:
            left -= 1
            if left == 0:
                sys.setprofile(None)
                raise PowerCutError

    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)


def fresh(place: Path) -> GrubHome:
    home = GrubHome(place)
    home.lay_stub()
    for id in ("b1", "b2"):
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


Step = Callable[[GrubHome], object]
STEPS: dict[str, tuple[Callable[[Path], GrubHome], Step, set[str], str]] = {
    "establish": (fresh, lambda h: h.establish(), {"original", "b1"}, "b1"),
    "arm": (established, lambda h: h.loader().arm(TRIAL), {"b1", "b2 on trial"}, "b2 on trial"),
    "promote": (armed, lambda h: h.loader().settle("b2"), {"b2 on trial", "b2"}, "b2"),
    "revert": (armed, lambda h: h.loader().settle("b1"), {"b2 on trial", "b1"}, "b1"),
    "leave": (armed, lambda h: h.loader().leave(0, "b1"), {"b2 on trial", "b1"}, "b1"),
    "withdraw": (promoted, lambda h: h.loader().withdraw("b1"), {"b2"}, "b2"),
    "once": (
        established,
        lambda h: h.loader().boot_once("b2"),
        {"b1", "b2"},
        "b2",
    ),
}


def booted(home: GrubHome, root: Path) -> str:
    """Say what GRUB boots from this ESP, with nobody there."""
    esp = home.directory / "esp.img"
    grubemu.fat(esp, home.esp, size="2M")
    outcome = grubemu.boot(VERSION, (esp, root))
    assert not outcome.waited, outcome.screen
    if outcome.kernel == "/@/boot/vmlinuz":
        return "original"
    id = outcome.kernel.split("/")[3]
    return f"{id} on trial" if "snaproot.trial=" in outcome.arguments else id


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("root")
    home = GrubHome(place)
    for id in ("b1", "b2"):
        home.root(id)
    lay_original(home.roots)
    image(home.roots, place / "root.img")
    return place / "root.img"


@pytest.mark.parametrize("stride", [6, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("step", STEPS)
def test_cut_at_any_write_grub_boots_what_it_may(
    step: str, stride: int, root: Path, tmp_path: Path
) -> None:
    prepare, work, may, must = STEPS[step]
    seen: set[str] = set()
    for number in range(1, 200, stride):
        home = prepare(tmp_path / str(number))
        try:
            with cut_before(number):
                work(home)
        except PowerCutError:
            seen.add(booted(home, root))
            assert seen <= may
            work(home)
            assert number % 5 or booted(home, root) == must
            continue
        assert booted(home, root) == must
        assert seen
        return
    raise AssertionError("it does not end")


# -- a full ESP ----------------------------------------------------------------------------------


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """Mount a filesystem that can be filled to the last page."""
    place = tmp_path / "machine/esp"
    place.mkdir(parents=True)
    run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)])
    try:
        yield tmp_path / "machine"
    finally:
        run(["umount", str(place)])


def fill(place: Path) -> None:
    with suppress(OSError), (place / "filling").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_on_a_full_esp_nothing_is_adopted(full: Path) -> None:
    home = fresh(full)
    fill(home.esp)
    with pytest.raises(SnaprootError, match="no space left") as caught:
        home.establish()
    assert str(caught.value).startswith(f"the loader's home on {home.esp} cannot be written")
    assert home.stub.read_text() == STUB


def test_on_a_full_esp_nothing_is_armed_and_the_rest_works(full: Path, root: Path) -> None:
    home = established(full)
    fill(home.esp)
    before = home.env()
    with pytest.raises(SnaprootError, match="no space left"):
        home.loader().arm(TRIAL)
    assert home.env() == before
    home.loader().leave(0, "b1")
    home.loader().settle("b1")
    (home.esp / "filling").unlink()
    assert booted(home, root) == "b1"


def test_on_an_esp_that_fills_up_what_is_armed_is_promoted(full: Path, root: Path) -> None:
    home = armed(full)
    fill(home.esp)
    home.loader().settle("b2")
    (home.esp / "filling").unlink()
    assert booted(home, root) == "b2"
