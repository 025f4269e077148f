"""Retention with every promotion, room before every staging, and the end of the original root."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest

from integration import layouts
from integration.disk import memory
from integration.machine import Machine, Said, adopted, configured, unadopted
from integration.test_adoption_loader import STUB
from snaproot.adoption.decisions import AreaPlan, How
from snaproot.adoption.note import Shared
from snaproot.areas import Area
from snaproot.bootloader import envblock
from snaproot.filesystem.btrfs import binding
from snaproot.run import run

pytestmark = pytest.mark.real

KEPT = "[retention]\nproven = 2\nunproven = 1\ntotal = 4\n"
ESP_SIZE = 1 << 20
_VAR = AreaPlan(
    Area(name="var", subvolume="@snaproot/areas/var", mount="/var"), How.CARVED, "@", "var"
)
SHARED = asdict(Shared(areas=(_VAR,), nested=(), links=()))


@dataclass(frozen=True)
class Bench:
    """An adopted machine that is off, with an ESP of its own size."""

    machine: Machine
    esp: Path

    @property
    def home(self) -> Path:
        return self.esp / "EFI/snaproot"

    def entries(self) -> set[str]:
        return {path.stem for path in (self.home / "entries").iterdir()}

    def seen(self) -> None:
        """Let GRUB have written once, as it does at the first boot."""
        env = envblock.parse((self.home / "env").read_bytes())
        assert env is not None
        (self.home / "env").write_bytes(envblock.render(replace(env, canary="1")))

    def update(self, name: str = "marker") -> str:
        """Make a target, and prove it."""
        self.machine("run", "sh", "-c", f"date +%N > /usr/lib/{name}")
        self.machine("promote")
        return str(self.machine.status()["base"])


@contextmanager
def laid(directory: Path) -> Iterator[Bench]:
    """Lend a stock machine with a stub on a small ESP."""
    with unadopted(directory) as machine, memory(directory / "esp", str(ESP_SIZE)) as esp:
        (esp / "EFI/debian").mkdir(parents=True)
        (esp / "EFI/debian/grub.cfg").write_text(STUB)
        with (machine.top / "@/etc/fstab").open("a") as table:
            table.write("UUID=1234-ABCD /boot/efi vfat umask=0077 0 1\n")
        options = ("--sysroot", str(machine.top), "--esp", str(esp))
        yield Bench(replace(machine, options=options), esp)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with laid(tmp_path) as lent:
        lent.machine("init", "-y")
        lent.seen()
        yield lent


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with adopted(tmp_path) as lent:
        yield lent


def with_settings(bench: Bench, settings: str) -> Bench:
    return replace(bench, machine=configured(bench.machine, settings))


# -- with every promotion ------------------------------------------------------------------------


def test_a_promotion_ends_with_retention_and_says_so(bench: Bench) -> None:
    bench = with_settings(bench, KEPT)
    (first,) = bench.machine.ids()
    second, third = bench.update(), bench.update()
    bench.machine("run", "touch", "/usr/lib/last")
    said = bench.machine("promote")
    fourth = str(bench.machine.status()["base"])
    assert f"{first} is removed: more than 4 boot environments" in said.err
    assert bench.machine.ids() == [second, third, fourth]
    assert bench.entries() == {second, third, fourth, "original"}
    assert first not in (bench.home / "index.cfg").read_text()
    assert not list((bench.machine.snaproot / "trash").iterdir())
    bench.machine("cleanup", "-y", status=77)
    assert "rules no longer keep" not in bench.machine("doctor").out


def test_what_is_pinned_survives_every_promotion(bench: Bench) -> None:
    bench = with_settings(bench, KEPT)
    (first,) = bench.machine.ids()
    bench.machine("pin", first)
    made = [bench.update() for _ in range(4)]
    assert bench.machine.ids() == [first, *made[-2:]]
    bench.machine("rollback", first, "-y")
    bench.machine("promote")
    assert bench.machine.status()["base"] == first


def test_what_a_cut_kept_from_retention_is_removed_by_recover(bench: Bench) -> None:
    """The record says PROMOTING, and the loader boots the target: recover goes on from there."""
    (first,) = bench.machine.ids()
    bench.machine("run", "touch", "/usr/lib/marker")
    record = bench.machine.snaproot / "record/record.json"
    armed = record.read_text()
    bench.machine("promote")
    record.write_text(armed.replace('"armed"', '"promoting"'))
    strict = with_settings(bench, "[retention]\nproven = 1\ntotal = 1\nunproven = 0\n").machine
    said = strict("recover")
    assert f"{first} is removed" in said.err, said
    assert first not in strict.ids()


def test_what_cannot_be_removed_stops_no_promotion(bench: Bench) -> None:
    """Somebody keeps an entry from being deleted: it is told, and doctor goes on telling."""
    strict = with_settings(bench, "[retention]\nproven = 1\ntotal = 2\n").machine
    (first,) = strict.ids()
    run(["chattr", "+i", str(strict.snaproot / f"environments/{first}")])
    try:
        strict("run", "touch", "/usr/lib/marker")
        said = strict("promote")
        assert "is proven: it is the base" in said.out
        assert f"{first} (more than 2 boot environments) is still there" in said.err
        assert "snaproot cleanup tries again" in said.err
        assert first in strict("doctor").out
    finally:
        run(["chattr", "-i", str(strict.snaproot / f"environments/{first}")])
    strict("cleanup", "-y")
    assert first not in strict.ids()


# -- by hand -------------------------------------------------------------------------------------


def test_the_plan_has_sizes_and_names_what_only_a_hand_removes(machine: Machine) -> None:
    strict = configured(machine, "[retention]\nproven = 1\nunproven = 0\n")
    strict("run", "sh", "-c", "head -c 3000000 /dev/urandom > /usr/lib/ballast")
    strict("promote")
    strict("run", "sh", "-c", "rm /usr/lib/ballast")
    strict("promote")
    first, second, _ = strict.ids()
    plan = strict("cleanup", "-n", status=77)
    assert f"by hand: snaproot cleanup {first}" in plan.out
    assert "by hand: snaproot cleanup --original" in plan.out
    assert f"snaproot cleanup {second} (2.9 MiB)" in plan.err
    done = json.loads(strict("cleanup", second[:7], "-y", "--json").out)
    assert done["removed"] == [second]
    assert 2_900_000 < done["removable"][0]["frees_bytes"] < 3_300_000
    assert [one["id"] for one in done["by_hand"]] == [first, "original"]
    assert second not in strict.ids()


def test_what_has_to_stay_is_named_with_the_reason(machine: Machine) -> None:
    (first,) = machine.ids()
    assert "in use, damaged, or among" in machine.refused("cleanup", first, "-y", status=3)
    machine("pin", first)
    assert "is pinned" in machine.refused("cleanup", first, "-y", status=3)
    assert "does not go by its name" in machine.refused("cleanup", "original", "-y", status=3)
    machine("cleanup", first, "--original", "-y", status=2)
    assert machine.ids() == [first]


# -- room before staging -------------------------------------------------------------------------


def free(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


def test_a_full_esp_is_refused_before_staging(bench: Bench) -> None:
    before = bench.machine.ids()
    ballast = bench.esp / "ballast"
    ballast.write_bytes(bytes(free(bench.esp) - (64 << 10)))
    for words in (("run", "true"), ("run", "--stage-only", "true"), ("shell",), ("upgrade", "-y")):
        said = bench.machine.refused(*words, status=3)
        assert "128.0 KiB are needed on the ESP, 64.0 KiB of 1.0 MiB are free" in said
    assert "BAD" in bench.machine("doctor", status=3).out
    assert bench.machine.ids() == before
    error = json.loads(bench.machine("run", "--json", "true", status=3).out)["error"]
    places = error["room"]["places"]
    assert [place["free_bytes"] >= place["needed_bytes"] for place in places] == [True, False]
    ballast.unlink()
    bench.machine("run", "true")


def test_a_full_disk_is_refused_with_what_could_go(bench: Bench) -> None:
    bench = with_settings(bench, "[retention]\nproven = 1\nunproven = 0\n")
    (first,) = bench.machine.ids()
    bench.machine("run", "sh", "-c", "head -c 5000000 /dev/urandom > /usr/lib/ballast")
    bench.machine("promote")
    second = bench.machine.ids()[-1]
    bench.machine("run", "rm", "/usr/lib/ballast")
    bench.machine("promote")
    before = bench.machine.ids()
    full = bench.machine.top / "full"
    run(["fallocate", "-l", str(free(bench.machine.top) - (400 << 20)), str(full)])
    for words in (("run", "true"), ("shell",), ("upgrade", "-y")):
        said = bench.machine(*words, status=3)
        left = re.search(r"512\.0 MiB have to stay free on [^,]+, ([\d.]+) MiB of", said.err)
        assert left is not None, said.err
        assert 350 < float(left[1]) <= 400  # Btrfs takes some for metadata as it likes
        assert f"snaproot cleanup {second} (4.8 MiB)" in said.err
        assert "snaproot cleanup --original (" in said.err
    assert bench.machine.ids() == before
    strict = with_settings(bench, "[retention]\nproven = 1\ntotal = 2\n").machine
    assert f"snaproot cleanup removes {first}, {second} (" in strict("run", "true", status=3).err
    full.unlink()
    bench.machine("run", "true")


# -- the original --------------------------------------------------------------------------------


def asked(bench: Bench, *words: str) -> Said:
    return bench.machine("cleanup", "--original", *words, status=3)


def test_the_original_goes_when_it_is_asked_for_and_the_rest_stays(bench: Bench) -> None:
    (base,) = bench.machine.ids()
    plan = json.loads(bench.machine("cleanup", "--original", "-n", "--json").out)
    assert plan["removed"] == []
    assert [one["id"] for one in plan["removable"]] == ["original"]
    assert "nobody is here to answer" in bench.machine("cleanup", "--original", status=2).err
    assert (bench.machine.top / "@/etc/fstab").is_file()
    saved = (bench.home / "stub.saved").read_bytes()
    said = bench.machine("cleanup", "--original", "-y")
    assert "1 boot environment removed." in said.out
    assert not (bench.machine.top / "@").exists()
    assert not (bench.machine.snaproot / "environments/original").exists()
    assert bench.entries() == {base}
    assert (bench.home / "stub.saved").read_bytes() == saved
    bench.machine("cleanup", "--original", "-y", status=77)
    bench.machine("verify", base)
    bench.update()
    bench.machine("doctor")


def test_after_it_is_gone_a_lost_stub_is_given_back_without_it(bench: Bench) -> None:
    settings = (bench.home / "settings.cfg").read_bytes()
    bench.machine("cleanup", "--original", "-y")
    stub = bench.esp / "EFI/debian/grub.cfg"
    stub.write_text(STUB)
    bench.machine("init", "-y")
    assert stub.read_text().startswith("source /EFI/snaproot/grub.cfg\n")
    assert bench.entries() == set(bench.machine.ids())
    assert (bench.home / "settings.cfg").read_bytes() == settings


def test_one_that_somebody_deleted_is_forgotten(bench: Bench) -> None:
    binding.delete(bench.machine.top / "@")
    bench.machine("cleanup", "--original", "-y")
    assert not (bench.machine.snaproot / "environments/original").exists()
    assert "original" not in bench.entries()


def test_it_stays_until_grub_was_seen_to_boot_what_adopted_it(tmp_path: Path) -> None:
    with laid(tmp_path) as bench:
        bench.machine("init", "-y")
        assert "has not been started from snaproot's menu yet" in asked(bench, "-y").err
        bench.seen()
        bench.machine("cleanup", "--original", "-y")


def test_it_stays_while_something_needs_it(bench: Bench) -> None:
    binding.create(bench.machine.top / "@/var/lib/machines")
    said = asked(bench, "-y").err
    assert "holds subvolumes of others: @/var/lib/machines;" in said
    assert "original" in bench.entries(), "its entry went before it was asked"
    binding.delete(bench.machine.top / "@/var/lib/machines")
    bench.machine("pin", "original")
    assert "it is pinned" in asked(bench, "-y").err
    bench.machine("unpin", "original")
    bench.machine("activate", "--once", "original", "-y")
    assert "a pointer or the record still names it" in asked(bench, "-y").err
    bench.machine("recover")


@pytest.mark.parametrize(
    ("change", "said", "status"),
    [
        ({"shared": SHARED}, "/var: these are still its own directories", 3),
        ({"root": ""}, "it is the filesystem's top level", 3),
        ({"shared": "/var"}, "cannot be read", 4),
        (None, "cannot be read", 4),
    ],
    ids=["shared", "top level", "strange", "damaged"],
)
def test_it_stays_as_long_as_the_adoption_needs_it(
    bench: Bench, change: dict[str, object] | None, said: str, status: int
) -> None:
    note = bench.machine.snaproot / "record/adoption.json"
    kept = json.loads(note.read_text())
    note.write_text(json.dumps({**kept, **change}) if change is not None else "{")
    error = bench.machine("cleanup", "--original", "-y", status=status).err
    assert said in error
    assert (bench.machine.top / "@/etc/fstab").is_file()
    assert "original" in bench.entries()


def test_a_base_that_is_the_original_stays(bench: Bench) -> None:
    record = bench.machine.snaproot / "record/record.json"
    data = json.loads(record.read_text())
    record.write_text(json.dumps({**data, "base": "original"}))
    assert "nothing adopted is proven yet" in asked(bench, "-y").err


def test_the_snapshot_of_a_top_level_stays(tmp_path: Path) -> None:
    with unadopted(tmp_path) as machine:
        binding.delete(machine.top / "@")
        layouts.flat(machine.top)
        machine("init", "-y")
        said = machine("cleanup", "--original", "-y", status=3).err
        assert "it is the filesystem's top level" in said
        assert "by hand" in said
