"""`upgrade --background` of a real Debian root by the real apt: what waits, and what is told once.

One filesystem serves all cases in their order; each leaves nothing pending.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from integration import archive, debian
from integration.archive import Archive
from integration.machine import Machine, Said, configured, environment
from snaproot.backoff import NAME
from snaproot.filesystem.btrfs import binding

pytestmark = pytest.mark.real

CONFIGURED = """
mount -t tmpfs -o mode=755 none /run
mkdir /run/snaproot
printf '[background]\\naction = "%s"\\n' "$1" >/run/snaproot/snaproot.toml
shift
exec "$@"
"""


@dataclass(frozen=True)
class Bench:
    """An adopted Debian root and the archive that it upgrades from."""

    machine: Machine
    served: Archive

    def background(self, *, status: int, action: str = "stage") -> Said:
        """Run what the timer runs, configured for an action; /run is its alone."""
        prefix = ("unshare", "-m", "sh", "-e", "-c", CONFIGURED, "sh", action)
        return replace(self.machine, prefix=prefix)("upgrade", "--background", status=status)

    @property
    def notes(self) -> Path:
        return self.machine.snaproot / "record" / NAME

    @property
    def failure(self) -> Mapping[str, object] | None:
        found = self.machine.status()["background"]
        assert found is None or isinstance(found, dict)
        return found

    def failed(self) -> object:
        """Say how often in a row the same update failed."""
        return (self.failure or {}).get("times")

    @property
    def pending(self) -> Mapping[str, object]:
        found = self.machine.status()["pending"]
        assert isinstance(found, dict)
        return found

    def failed_long_ago(self) -> None:
        """Let the pause after a failure be over."""
        data = json.loads(self.notes.read_bytes())
        last = datetime.fromisoformat(data["failure"]["last"]) - timedelta(days=15)
        data["failure"]["last"] = last.isoformat()
        self.notes.write_text(json.dumps(data))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with debian.disk("trixie", tmp_path_factory.mktemp("background")) as top:
        work = tmp_path_factory.mktemp("archive")
        served = Archive.create(top / "@/srv/archive", work, debian.raw("trixie"))
        served.install(top / "@")
        machine = Machine(top)
        machine("init", "-y")
        directory = machine.snaproot / "areas/srv/archive"
        yield Bench(machine, Archive(directory, served.keys, served.raw))


def test_up_to_date_is_77(bench: Bench) -> None:
    assert "is up to date" in bench.background(status=77).err
    assert not bench.notes.exists()


def test_it_asks_first_what_is_not_to_be_trusted_any_more(bench: Bench) -> None:
    asking = configured(bench.machine, '[trust]\nsource = "/nonexistent"\n')
    said = asking("upgrade", "--background", status=77).err
    assert "the policy could not be renewed" in said
    assert "snaproot trust update --root FILE" in said


def test_an_update_that_fails_waits_longer_each_time_and_a_typed_one_never(bench: Bench) -> None:
    bench.served.publish(archive.SCRIPT, archive.FAILING)
    before = bench.machine.ids()
    bench.background(status=1)
    assert bench.failed() == 1
    said = bench.background(status=77).err
    assert "the same update failed once" in said
    assert "postinst" in said or archive.FAILING in said
    assert "snaproot upgrade tries it now" in said
    assert "background the same update failed once" in bench.machine("status").out

    assert archive.FAILING in bench.machine("upgrade", "-y", status=1).err
    bench.failed_long_ago()
    bench.background(status=1)
    assert bench.failed() == 2
    assert "failed 2 times in a row" in bench.background(status=77).err
    assert bench.machine.ids() == before


def test_an_update_that_differs_is_staged_and_then_waits(bench: Bench) -> None:
    bench.served.withdraw(archive.FAILING)
    said = bench.background(status=0)
    assert "is complete, proved and sealed" in said.out
    assert bench.pending["phase"] == "staged"
    assert bench.failure is None
    assert f"{bench.pending['target']} is staged and waits" in bench.background(status=77).err
    assert bench.pending["phase"] == "staged"
    bench.machine("abandon", "-y")


def test_without_a_loader_that_counts_nothing_reboots_by_itself(bench: Bench) -> None:
    said = bench.background(status=3, action="reboot").err
    assert "counts no boots" in said
    assert bench.machine.status()["pending"] is None


def test_what_was_reverted_is_told_once(bench: Bench) -> None:
    bench.background(status=0, action="arm")
    target = bench.pending["target"]
    assert bench.pending["phase"] == "armed"
    bench.machine("reject", "-y", "--reason", "mail does not arrive")
    first = bench.background(status=77, action="arm").err
    assert f"reverted, as {target}: mail does not arrive" in first
    again = bench.background(status=77, action="arm").err
    assert "nothing is there but what was reverted before" in again
    assert "mail" not in again
    assert bench.machine.status()["pending"] is None


def test_notes_that_are_damaged_are_loud_and_hold_no_typed_upgrade(bench: Bench) -> None:
    bench.served.publish(archive.SCRIPT, revision=2)
    kept = bench.notes.read_bytes()
    bench.notes.write_bytes(kept[:-20])
    assert "background.json cannot be read" in bench.background(status=4).err
    bench.machine("upgrade", "-y")
    bench.machine("abandon", "-y")
    bench.notes.write_bytes(kept)


def test_what_cannot_be_fetched_is_no_failure_of_the_update(bench: Bench) -> None:
    bench.served.publish(archive.SCRIPT, revision=3)
    (package,) = (bench.served.directory / "pool").glob(f"{archive.SCRIPT}_*demo3*.deb")
    away = package.rename(package.with_suffix(".away"))
    bench.background(status=1)
    assert bench.failure is None
    away.rename(package)


def test_what_lost_its_arming_is_told(bench: Bench) -> None:
    """It waits for nobody's reboot: without a word updates would stop for ever."""
    base = str(bench.machine.status()["base"])
    bench.background(status=0, action="arm")
    root = bench.machine.snaproot / f"environments/{base}/root"
    binding.set_default(bench.machine.top, binding.subvolume_id(root))
    said = bench.background(status=3, action="arm").err
    assert "is not armed any more" in said
    assert "is staged and waits" in bench.background(status=77).err
    bench.machine("abandon", "-y")


def test_one_that_takes_the_machine_with_it_is_not_repeated_at_once(bench: Bench) -> None:
    command = (sys.executable, "-m", "snaproot", "--sysroot", str(bench.machine.top))
    child = subprocess.Popen(
        [*command, "upgrade", "--background"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    wait_until_a_target_is_made(bench, child)
    os.kill(child.pid, signal.SIGKILL)
    child.wait(timeout=30)
    bench.machine("recover")
    assert "failed once" in bench.background(status=77).err
    assert "it was cut short" in str(bench.failure)
    bench.machine("upgrade", "-y")
    assert bench.failure is None
    bench.machine("abandon", "-y")


def wait_until_a_target_is_made(bench: Bench, child: "subprocess.Popen[bytes]") -> None:
    before = len(bench.machine.ids())
    end = time.monotonic() + 120
    place = bench.machine.snaproot / "environments"
    while time.monotonic() < end:
        assert child.poll() is None, "the upgrade ended before it could be killed"
        if len([*place.glob("b*/root")]) > before:
            return
        time.sleep(0.005)
    raise AssertionError("no target was made")
