"""Power cuts on a real Btrfs: real writes, recorded, cut at each of them, and recovered."""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from integration import tinyroot
from integration.bigroot import snaproot
from integration.powercut import attached, clean, mounted, read, workplace
from integration.story import (
    COUNTER,
    OTHERS,
    Code,
    Step,
    Story,
    abandon,
    promote,
    remove_original,
    stage,
    told,
)
from integration.sweep import Sweep, evenly
from integration.writelog import Cut, Image, cuts
from snaproot.environment import Environment, Standing
from snaproot.filesystem import Workspace
from snaproot.filesystem.btrfs import binding
from snaproot.filesystem.btrfs.backend import Btrfs
from snaproot.record import Records, render
from snaproot.retention import Policy
from snaproot.run import run
from snaproot.state import Deployment, Kind, Record
from snaproot.transaction import Build, Transaction

pytestmark = pytest.mark.real

ENOUGH = 150
RETAINED = ((stage,), (promote, remove_original))
PATIENCE = 90.0  # seconds


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with workplace() as place:
        yield place


@pytest.fixture(scope="module")
def adopted(home: Path) -> Image:
    """Make the disk of a tiny adopted system."""
    image = home / "system.img"
    run(["truncate", "-s", "256M", str(image)])
    run(["mkfs.btrfs", "-q", "-L", "tiny", str(image)])
    with attached(image) as device, mounted(device, home / "top") as top:
        binding.create(top / "@")
        tinyroot.build(top / "@")
        snaproot(top, "init")
        (top / COUNTER).write_text("0", encoding="ascii")
    return read(image)


def test_cut_at_any_write_it_recovers(home: Path, adopted: Image) -> None:
    began = time.monotonic()
    sweep = Sweep(home, told(home, adopted, Code()))
    found = all_cuts(sweep.story)
    sweep.over(evenly(found, ENOUGH))
    sweep.over_recoveries(each=1, most=6)
    sweep.over_boots(evenly(found, 6))
    took = time.monotonic() - began
    assert len(sweep.seen) >= ENOUGH
    assert took < PATIENCE, f"{len(sweep.seen)} disks took {took:.0f} s"


@pytest.mark.slow
@pytest.mark.parametrize("boots", OTHERS.values(), ids=OTHERS.keys())
def test_other_stories_recover_too(
    home: Path, adopted: Image, boots: Sequence[Sequence[Step]]
) -> None:
    sweep = Sweep(home, told(home, adopted, Code(), boots))
    sweep.over(evenly(all_cuts(sweep.story), 2 * ENOUGH))
    sweep.over_recoveries(each=1, most=10)
    assert len(sweep.seen) >= 2 * ENOUGH


@pytest.mark.slow
def test_a_promotion_with_retention_and_the_originals_end_recover_too(
    home: Path, adopted: Image
) -> None:
    code = Code(retention=Policy(proven=1, unproven=0, total=1))
    sweep = Sweep(home, told(home, adopted, code, RETAINED), code)
    sweep.over(evenly(all_cuts(sweep.story), 2 * ENOUGH))
    sweep.over_recoveries(each=1, most=10)
    assert len(sweep.seen) >= 2 * ENOUGH


class DefaultNotSynced(Btrfs):
    """Moves the default and trusts that it stays."""

    def set_default(self, id: str) -> None:
        binding.set_default(self.layout.top, binding.subvolume_id(self.layout.root(id)))


class RecordNotSynced(Records):
    """Renames the new record into its place, and syncs neither it nor the directory."""

    def save(self, record: Record) -> None:
        new = self.path.with_suffix(".new")
        new.write_bytes(render(record))
        new.rename(self.path)


class StagedBeforeSealed(Transaction):
    """Says that the target is complete before it is."""

    def stage(self, kind: Kind, build: Build, *, arm: bool) -> Deployment:
        def hasty(workspace: Workspace, parent: str) -> Environment:
            environment = build(workspace, parent)
            self.ledger.save(self.ledger.load().staged())
            return environment

        return Transaction.stage(self, kind, hasty, arm=arm)


class IdleBeforeTheDefaultMoves(Transaction):
    """Forgets the deployment before the last pointer is where it belongs."""

    def _finish_revert(self) -> None:
        record = self.ledger.load()
        self.ledger.save(record.reverted())
        self.filesystem.set_default(record.base)
        self._remove(record.pending.target if record.pending else "")


class BaseRemovedBeforeIdle(Transaction):
    """Removes what the record still falls back to."""

    def _finish_promotion(self) -> Record:
        record = self.ledger.load()
        target = record.pending.target if record.pending else ""
        self.bootloader.settle(target)
        self.filesystem.set_default(target)
        self._stand(target, Standing.PROVEN)
        self._remove(record.base)
        self.ledger.save(record.promoted())
        return self.ledger.load()


PLANTED: Sequence[tuple[Code, Sequence[Step], str]] = (
    (Code(filesystems=DefaultNotSynced), [stage], "what had been promised is not there"),
    (Code(records=RecordNotSynced), [stage], "what had been promised is not there"),
    (Code(transactions=StagedBeforeSealed), [stage], "something incomplete is listed"),
    (Code(transactions=IdleBeforeTheDefaultMoves), [stage, abandon], "the record does not know"),
)


@pytest.mark.parametrize(
    ("code", "steps", "reason"),
    PLANTED,
    ids=["default not synced", "record not synced", "staged before sealed", "idle too early"],
)
def test_planted_bug_is_caught(
    home: Path, adopted: Image, code: Code, steps: Sequence[Step], reason: str
) -> None:
    sweep = Sweep(home, told(home, adopted, code, [steps]))
    with pytest.raises(AssertionError, match=reason):
        sweep.over(telling(sweep.story, 60))


@pytest.mark.slow
def test_retention_that_comes_too_early_is_caught(home: Path, adopted: Image) -> None:
    code = Code(transactions=BaseRemovedBeforeIdle)
    sweep = Sweep(home, told(home, adopted, code, [[stage], [promote]]))
    with pytest.raises(AssertionError, match="does not exist"):
        sweep.over(telling(sweep.story, 60))


def test_what_a_killed_recording_leaves_is_found_and_removed() -> None:
    script = (
        "import os, signal\n"
        "from integration.powercut import mounted, recorded, workplace\n"
        "from snaproot.run import run\n"
        "with workplace() as home:\n"
        "    image = home / 'a.img'\n"
        "    run(['truncate', '-s', '128M', str(image)])\n"
        "    run(['mkfs.btrfs', '-q', str(image)])\n"
        "    with recorded(home, image) as tape, mounted(tape.device, home / 'top'):\n"
        "        print(home, tape.device, (home / 'daemon.pid').read_text().strip(), flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    left, device, daemon = run([sys.executable, "-c", script], check=False).output.split()
    assert running(daemon)
    clean()
    assert not Path(left).exists()
    assert not running(daemon), "the daemon still runs"
    backing = Path("/sys/block", Path(device).name, "loop/backing_file")
    deadline = time.monotonic() + 10
    while backing.exists() and left in backing.read_text(encoding="utf-8"):
        assert time.monotonic() < deadline, f"{device} is still attached"
        time.sleep(0.01)


def running(process: str) -> bool:
    """Tell whether a process runs; one that only waits to be reaped has no command line."""
    try:
        return bool(Path("/proc", process, "cmdline").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return False


def all_cuts(story: Story) -> Sequence[Cut]:
    return [*cuts(story.base, story.log, reorderings=4)]


def telling(story: Story, most: int) -> Sequence[Cut]:
    """Choose a few cuts: those that a step had promised something at, then all, the last first."""
    found = all_cuts(story)
    promised = [cut for cut in found if story.promised(cut.at)]
    return [*evenly(promised, most // 4), *reversed(evenly(found, most))]
