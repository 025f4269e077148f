"""Leaving over recorded block writes: whatever a power cut leaves, one of two ways boots."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration.disk import unmounted
from integration.powercut import attached, mounted, read, rebuilt, recorded, workplace, write
from integration.sweep import evenly
from integration.test_leaving import Bench, Kept, kept, leave, stock
from integration.writelog import Cut, Entry, Image, cuts
from snaproot import leaving
from snaproot.filesystem.btrfs import binding
from snaproot.run import run

pytestmark = pytest.mark.real

ENOUGH = 200


@dataclass(frozen=True)
class Recording:
    """What leaving wrote, and how much of it before and after the stub was written.

    `esps` are the ESP before and after that.
    """

    base: Image
    log: Sequence[Entry]
    before: int
    after: int
    esps: tuple[Path, Path]
    told: Kept
    bench: Bench

    def led(self, cut: Cut) -> list[Path]:
        """Say which ESPs there may be at a cut: their medium is another one."""
        first, second = self.esps
        return [
            *([first] if cut.at <= self.after else []),
            *([second] if cut.at > self.before else []),
        ]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with workplace() as place:
        yield place


@pytest.fixture(scope="module")
def upgraded(home: Path) -> tuple[Image, Bench, Kept]:
    """Make the disk of an adopted machine, upgraded since."""
    image = home / "system.img"
    run(["truncate", "-s", "2G", str(image)])
    run(["mkfs.btrfs", "-q", str(image)])
    with attached(image) as device, mounted(device, home / "top") as top:
        bench = stock(top, home / "esp")
        bench.machine("init", "-y")
        told = kept(bench)
    return read(image), bench, told


def record(home: Path, upgraded: tuple[Image, Bench, Kept]) -> Recording:
    """Leave, and finish, on a disk that notes every write."""
    base, bench, told = upgraded
    before, after = home / "esp.before", home / "esp"
    shutil.rmtree(before, ignore_errors=True)
    shutil.copytree(after, before)
    write(base, home / "story.img")
    marks: dict[str, int] = {}
    with recorded(home, home / "story.img") as tape, mounted(tape.device, bench.top):

        def report(step: str) -> None:
            if step in {"give the stub back", "note it"}:
                marks[step] = len(tape.entries())

        for esp in (home / "esp.after", home / "esp.end"):
            with leaving.survey(bench.top, bench.esp, None) as facts:
                leaving.execute(leaving.plan(facts), facts, bench.top, report)
            shutil.copytree(after, esp, dirs_exist_ok=True)
        log = tape.entries()
    shutil.rmtree(after)
    shutil.copytree(before, after)
    esps = (before, home / "esp.after")
    return Recording(
        tape.base, log, marks["give the stub back"], marks["note it"], esps, told, bench
    )


def check(home: Path, story: Recording, cut: Cut, *, again: bool) -> set[str]:
    """Look at one disk with each ESP that there may be; type it again, and look at the end."""
    seen = set()
    for esp in story.led(cut):
        shutil.rmtree(story.bench.esp)
        shutil.copytree(esp, story.bench.esp)
        with rebuilt(home, cut.image) as device, mounted(device, story.bench.top):
            seen.add(story.told.check(story.bench))
            for _ in range(2 if again else 0):
                if story.bench.machine.snaproot.exists():
                    leave(story.bench)
            if again:
                assert story.told.check(story.bench) == "root"
            unmounted(story.bench.esp.parent / "mounted")
    return seen


def test_cut_at_any_write_one_of_two_ways_boots(
    home: Path, upgraded: tuple[Image, Bench, Kept]
) -> None:
    story = record(home, upgraded)
    found = [*cuts(story.base, story.log, reorderings=2)]
    chosen = evenly(found, ENOUGH)
    print(f"{len(chosen)} of {len(found)} disks")
    ways = [check(home, story, cut, again=n % 8 == 0) for n, cut in enumerate(chosen)]
    assert len(ways) >= min(ENOUGH, len(found))
    assert {"base"} in ways
    assert {"root"} in ways


def _nothing(path: Path) -> None:
    """Sync nothing."""


def test_a_planted_bug_is_caught(home: Path, upgraded: tuple[Image, Bench, Kept]) -> None:
    """The stub is written before what it leads to is on the disk."""
    sync = binding.sync
    binding.sync = _nothing
    try:
        story = record(home, upgraded)
    finally:
        binding.sync = sync
    led = [cut for cut in cuts(story.base, story.log, reorderings=2) if cut.at > story.before]
    with pytest.raises(AssertionError):
        _ = [check(home, story, cut, again=False) for cut in evenly(led, ENOUGH)]
