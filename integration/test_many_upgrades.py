"""Sixty upgrades on a small disk: the limits are kept, and nothing that is needed ever goes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from integration import archive, debian, grubemu
from integration.archive import Archive
from integration.demo import digest
from integration.disk import memory
from integration.machine import Machine
from integration.test_adoption_loader import STUB
from snaproot.bootloader import HOME, entry, envblock
from snaproot.retention import Policy
from snaproot.run import run

pytestmark = [pytest.mark.real, pytest.mark.slow]

UPGRADES = 60
BY_APT = (1, 13, 25, 37, 49, 60)
DISK, ESP = 4 << 30, 200 << 20
BALLAST = 80_000_000  # bytes that each of the others replaces: all of them do not fit
LIMITS = Policy()
_MIB = 1 << 20


@dataclass
class Bench:
    """The system, what it upgrades from, and what was proven on it, in order."""

    machine: Machine
    esp: Path
    served: Archive
    proven: list[str] = field(default_factory=list)
    pinned: str = ""
    free: list[int] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.esp / HOME

    def entries(self) -> set[str]:
        return {path.stem for path in (self.home / "entries").iterdir()}

    def env(self) -> envblock.Env:
        found = envblock.parse((self.home / "env").read_bytes())
        assert found is not None
        return found


@contextmanager
def laid(directory: Path) -> Iterator[Bench]:
    """Lend an adopted Debian on 4 GB, with an ESP of 200 MB that GRUB has started from."""
    work = directory / "archive"
    work.mkdir()
    with debian.disk("trixie", directory) as top, memory(directory / "esp", str(ESP)) as esp:
        run(["btrfs", "filesystem", "resize", str(DISK), str(top)])
        served = Archive.create(top / "@/srv/archive", work, debian.raw("trixie"))
        served.install(top / "@")
        with (top / "@/etc/fstab").open("a") as table:
            table.write("UUID=1234-ABCD /boot/efi vfat umask=0077 0 1\n")
        (esp / "EFI/debian").mkdir(parents=True)
        (esp / "EFI/debian/grub.cfg").write_text(STUB)
        machine = Machine(top, options=("--sysroot", str(top), "--esp", str(esp)))
        machine("init", "-y")
        kept = Archive(machine.snaproot / "areas/srv/archive", served.keys, served.raw)
        bench = Bench(machine, esp, kept, machine.ids())
        (bench.home / "env").write_bytes(envblock.render(replace(bench.env(), canary="1")))
        yield bench


def test_sixty_upgrades_on_a_small_disk(tmp_path: Path) -> None:
    with laid(tmp_path) as bench:
        original = digest(bench.machine.top / "@")
        for number in range(1, UPGRADES + 1):
            armed(bench, number)
            bench.machine("promote")
            check(bench, number)
        check_free(bench)
        assert digest(bench.machine.top / "@") == original
        bench.machine("doctor")
        bench.machine("verify", bench.pinned)
        bench.machine("verify")
        check_grub_boots_it(bench, tmp_path)
        bench.machine("rollback", "-y")
        bench.machine("promote")
        assert bench.machine.status()["base"] == bench.proven[-2]


# -- one upgrade ---------------------------------------------------------------------------------


def armed(bench: Bench, number: int) -> None:
    """Make the next trial: by apt, in one go, in two steps, after one that is bad, or stacked."""
    if number in BY_APT:
        bench.served.publish(archive.SCRIPT, revision=number)
        bench.machine("upgrade", "-y")
    elif number % 10 == 3:
        change(bench, "--stage-only")
        bench.machine("activate", staged(bench), "-y")
    elif number % 10 == 6:
        change(bench)
        bench.machine("reject", "-y", "--reason", "a test")
        change(bench)
    elif number % 10 == 9:
        change(bench, "--stage-only")
        change(bench)
    else:
        change(bench)


def change(bench: Bench, *options: str) -> None:
    words = f"head -c {BALLAST} /dev/urandom > /usr/lib/ballast"
    bench.machine("run", *options, "sh", "-c", words)


def staged(bench: Bench) -> str:
    pending = bench.machine.status()["pending"]
    assert isinstance(pending, dict)
    return str(pending["target"])


# -- after each ----------------------------------------------------------------------------------


def check(bench: Bench, number: int) -> None:
    """Insist on the limits, on all that is needed, and that no more is on the ESP."""
    status = bench.machine.status()
    bench.proven.append(str(status["base"]))
    listed = status["environments"]
    assert isinstance(listed, list)
    known = {one["id"]: one for one in listed}
    assert len(known) <= LIMITS.total
    unproven = [id for id, one in known.items() if one["standing"] == "unproven"]
    assert len(unproven) <= LIMITS.unproven
    needed = {*bench.proven[-LIMITS.proven :], bench.pinned or bench.proven[-1], "original"}
    assert needed <= set(known), "something that is needed is gone"
    assert all(one["damage"] is None for one in listed)
    assert status["pending"] is None
    assert status["default"] == bench.env().good == bench.proven[-1]
    assert bench.proven[-1] in (bench.home / "good.cfg").read_text()
    check_entries(bench, set(known))
    assert not list((bench.machine.snaproot / "trash").iterdir())
    if number == 5:
        bench.pinned = bench.proven[-1]
        bench.machine("pin", bench.pinned)
    tell(bench, number, len(known))


def check_entries(bench: Bench, known: set[str]) -> None:
    """Nothing on the ESP leads to what is gone, and what is proven has its entry."""
    entries = bench.entries()
    assert entries <= known, "an entry leads to what is gone"
    assert {*bench.proven[-LIMITS.proven :], "original"} <= entries
    assert set(entry.listed((bench.home / "index.cfg").read_text())) == entries


def tell(bench: Bench, number: int, known: int) -> None:
    run(["btrfs", "filesystem", "sync", str(bench.machine.top)])
    bench.free.append(free(bench.machine.top))
    if number % 5 == 0 or number == 1:
        taken, entries = (ESP - free(bench.esp)) >> 10, len(bench.entries())
        print(
            f"{number:>3} upgrades: {known} boot environments, {bench.free[-1] // _MIB} MiB free; "
            f"{entries} entries, {taken} KiB on the ESP"
        )


def free(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


# -- in the end ----------------------------------------------------------------------------------


def check_free(bench: Bench) -> None:
    """Once as many are there as are kept, the disk does not get fuller."""
    kept = LIMITS.total * 2
    assert min(bench.free[kept:]) > bench.free[kept - 1] - 4 * BALLAST
    assert bench.free[-1] > bench.free[kept - 1] - 2 * BALLAST
    assert bench.free[0] - bench.free[-1] < (LIMITS.total + 2) * BALLAST
    # The test itself: what is replaced would have filled the disk, had it been kept.
    assert bench.free[0] < (UPGRADES - len(BY_APT)) * BALLAST


def check_grub_boots_it(bench: Bench, place: Path) -> None:
    """A real FAT of that size holds the ESP, and a real GRUB boots the base from both."""
    grubemu.fat(place / "esp.img", bench.esp, size=f"{ESP >> 20}M")
    device = run(["findmnt", "-no", "SOURCE", str(bench.machine.top)]).output.split("[")[0].strip()
    image = run(["losetup", "-nO", "BACK-FILE", device]).output.strip()
    run(["btrfs", "filesystem", "sync", str(bench.machine.top)])
    disks = (place / "esp.img", Path(image))
    outcome = grubemu.boot("2.12", disks, files=bench.machine.top, read_only=disks[1:])
    root = f"@snaproot/environments/{bench.proven[-1]}/root"
    assert outcome.kernel.startswith(f"/{root}/boot/vmlinuz-"), outcome.screen
    assert f"rootflags=subvol={root}" in outcome.arguments.split()
