"""The menu by keystrokes, in every GRUB of Debian: sixty roots, and a password before them."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from integration import grubemu
from integration.grubemu import Outcome
from integration.test_grub import Case, Machine, fault_of_words, image
from snaproot import menu
from snaproot.bootloader import Trial, entry, settings
from snaproot.environment import Environment, PackageChange, Standing
from snaproot.state import Record
from snaproot.system import now
from tests.bootloader.grubhome import INITRAMFS, KERNEL, GrubHome

pytestmark = pytest.mark.real
DOWN, UP, LAST, ENTER = "\x0e", "\x10", "\x05", "\r"
TURNED = "set timeout=20\nset timeout_style=menu\n"
SALT, ROUNDS = b"snaproot", 1000
IDS = [f"b{number:03}" for number in range(60)]
PINNED, BAD = "b002", "b040"
IDLE = {"good": IDS[-1], "canary": "0"}
PACKAGES = tuple(PackageChange(name, "1", "2") for name in ("systemd", "linux-image-6.1", "zstd"))


def protected() -> str:
    """Have the menu ask `admin` for `secret`."""
    key = hashlib.pbkdf2_hmac("sha512", b"secret", SALT, ROUNDS).hex().upper()
    hashed = f"grub.pbkdf2.sha512.{ROUNDS}.{SALT.hex().upper()}.{key}"
    guard = f'set superusers="admin"\npassword_pbkdf2 admin {hashed}\n'
    return settings.render(f"{TURNED}{guard}")


def environment(id: str) -> Environment:
    standing = Standing.BAD if id == BAD else Standing.PROVEN
    made = Environment(id=id, standing=standing, sealed=True, origin="upgrade", packages=PACKAGES)
    return replace(made, created=now(), kernel="6.12.117+deb13-amd64", pinned=id == PINNED)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """Sixty roots, most of which were never armed, and the original."""
    place = tmp_path_factory.mktemp("menu")
    home = GrubHome(place)
    home.lay_stub()
    home.establish(IDS[-1])
    known = [environment(id) for id in IDS]
    original = Environment(id=entry.ORIGINAL, standing=Standing.ORIGINAL)
    home.loader().show(menu.shown([*known, original], Record(base=IDS[-1])))
    image(home.roots, place / "root.img")
    grubemu.fat(place / "esp.img", home.esp, size="4M")
    return Machine(home, place, place / "esp.img", place / "root.img")


@pytest.fixture(params=grubemu.SUITES)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(
    params=[
        pytest.param(version, marks=() if version == "2.12" else pytest.mark.slow)
        for version in grubemu.SUITES
    ]
)
def one(request: pytest.FixtureRequest) -> str:
    """Lend one version of GRUB, and all of them where there is time."""
    return str(request.param)


def pressed(
    machine: Machine,
    version: str,
    said: str,
    *keys: str,
    env: dict[str, str] | None = None,
    seconds: float = 12,
) -> Outcome:
    here = machine.found(Case("", "", env or IDLE, good=IDS[-1]))
    here.write("settings.cfg", said.encode())
    disks = (here.esp, here.root)
    return grubemu.boot(version, disks, files=here.home.roots, keys=("", *keys), seconds=seconds)


def fault(outcome: Outcome, id: str, words: str = "") -> str:
    """Say what is not as `id` is booted with nothing but what is its own; empty if all is."""
    root = f"/@snaproot/environments/{id}/root"
    if (outcome.kernel, outcome.initramfs) != (root + KERNEL, root + INITRAMFS):
        return f"{outcome.kernel or 'nothing'} was booted: {outcome.screen}"
    return fault_of_words(Case(id, words), outcome.arguments.split(), root)


def to(id: str) -> Sequence[str]:
    """Press the keys that lead from the first entry to one of the list."""
    shown = entry.newest([*IDS, entry.ORIGINAL], {PINNED, IDS[-1]})
    return (DOWN, ENTER, DOWN * shown.index(id), ENTER)


def test_fifty_of_sixty_are_shown_and_an_old_one_is_picked(machine: Machine, version: str) -> None:
    outcome = pressed(machine, version, TURNED, *to("b015"))
    assert not fault(outcome, "b015")
    assert "b059  20" in outcome.screen
    assert "6.12.117+deb13 proven  upgrade: linux-image and 2 more" in outcome.screen
    assert f"{BAD}  " in outcome.screen
    assert "b011" not in outcome.screen


def test_the_list_ends_with_what_is_pinned_and_the_original(machine: Machine, one: str) -> None:
    assert list(entry.listed(machine.read("index.cfg").decode()))[-3:] == [
        "b012",
        PINNED,
        entry.ORIGINAL,
    ]
    outcome = pressed(machine, one, TURNED, DOWN, ENTER, LAST, UP, ENTER)
    assert not fault(outcome, PINNED)
    assert "6.12.117+deb13 proven, pinned  upgrade: 3 packages" in outcome.screen


def test_what_is_not_listed_boots_by_its_name(machine: Machine, one: str) -> None:
    outcome = pressed(machine, one, TURNED, "c", "snaproot_pick b001\r")
    assert not fault(outcome, "b001")


def test_a_title_is_shown_whole_on_eighty_columns(machine: Machine, one: str) -> None:
    """What GRUB cuts it marks; here the longest title that is written ends as it should."""
    longest = "b059  " + "x" * (entry.WIDTH - 7) + "|"
    here = machine.found(Case("", "", IDLE))
    index = here.read("index.cfg").decode()
    assert max(len(f"{id}  {says}") for id, says in entry.listed(index).items()) <= entry.WIDTH
    first = index.partition("\n")[0]
    index = index.replace(first, f"menuentry '{longest}' --id b059 {{")
    here.write("index.cfg", index.encode())
    here.write("settings.cfg", TURNED.encode())
    keys = ("", DOWN, ENTER)
    outcome = grubemu.boot(one, (here.esp, here.root), keys=keys, seconds=3)
    assert longest in outcome.screen
    here.write("index.cfg", index.replace("x|", "xx|").encode())
    outcome = grubemu.boot(one, (here.esp, here.root), keys=keys, seconds=3)
    assert "x|" not in outcome.screen


def test_picking_one_beside_an_armed_one_is_no_trial_of_either(machine: Machine, one: str) -> None:
    env = {"good": "b058", "trial": "b059", "deployment": "d1", "tries": "2", "canary": "0"}
    keys = (DOWN, DOWN, ENTER, DOWN, DOWN, ENTER)
    outcome = pressed(machine, one, TURNED, UP, *keys, env=env)
    assert not fault(outcome, "b057", "snaproot.skipped=d1.1")


def test_with_the_password_the_list_opens_and_boots(machine: Machine, version: str) -> None:
    keys = (DOWN, ENTER, "admin\r", "secret\r", DOWN * 3, ENTER)
    outcome = pressed(machine, version, protected(), *keys)
    assert "Enter username" in outcome.screen
    assert not fault(outcome, "b056")


@pytest.mark.parametrize("typed", [("admin\r", "wrong\r"), ("root\r", "secret\r"), ("\r", "\r")])
def test_without_the_password_nothing_but_the_good_one_boots(
    machine: Machine, one: str, typed: tuple[str, str]
) -> None:
    outcome = pressed(machine, one, protected(), DOWN, ENTER, *typed, ENTER, seconds=6)
    assert "Enter username" in outcome.screen
    assert not fault(outcome, IDS[-1])


def test_each_entry_of_the_list_asks_for_itself(machine: Machine, one: str) -> None:
    """Also where somebody opens the list to everybody."""
    script = (machine.home.home / "grub.cfg").read_text()
    assert script.count("--id all {") == 1
    here = machine.found(Case("", "", IDLE))
    here.write("grub.cfg", script.replace("--id all {", "--id all --unrestricted {").encode())
    here.write("settings.cfg", protected().encode())
    keys = ("", DOWN, ENTER, DOWN, ENTER)
    outcome = grubemu.boot(one, (here.esp, here.root), keys=keys, seconds=5)
    assert not outcome.kernel
    assert "b058  " in outcome.screen
    assert "Enter username" in outcome.screen


def test_the_shell_of_a_protected_menu_asks_too(machine: Machine, one: str) -> None:
    outcome = pressed(machine, one, protected(), "c", "snaproot_pick b001\r", seconds=4)
    assert not outcome.kernel
    assert "Enter username" in outcome.screen


def test_the_good_one_asks_nobody_where_the_menu_is_protected(machine: Machine, one: str) -> None:
    assert not fault(pressed(machine, one, protected(), ENTER), IDS[-1])


# -- names that would be commands ----------------------------------------------------------------

HOSTILE = (
    "'; reboot; '\n}\nmenuentry x { reboot }\n$(reboot) `x` \x1b[2J \u202e \u00e9 \\ \" --id=x"
)


def test_no_change_is_a_command(version: str, tmp_path: Path) -> None:
    home = GrubHome(tmp_path)
    home.lay_stub()
    home.establish("b1")
    home.loader().arm(Trial("d1", "b2", "b1", 2))
    one = Environment(id="b1", sealed=True, origin="run", command=HOSTILE, kernel=HOSTILE)
    other = replace(one, id="b3", origin=HOSTILE, packages=(PackageChange(HOSTILE, "", ""),))
    home.loader().show(menu.shown([one, other], Record(base="b1")))
    text = (home.home / "index.cfg").read_text()
    assert not grubemu.check(version, text)
    assert list(entry.listed(text)) == ["b3", "b1"]
    assert text.count("\n") == 6
