"""`snaproot upgrade` of a real Debian root by the real apt: what it changes, and what never.

One filesystem serves all cases in their order; each leaves nothing pending.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration import archive, debian
from integration.archive import Archive
from integration.demo import digest
from integration.machine import Machine, environment
from snaproot.run import run

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("upgrade")]


@dataclass(frozen=True)
class Bench:
    """An adopted Debian root and the archive that it upgrades from."""

    machine: Machine
    served: Archive
    before: dict[str, str]

    def root(self, id: str) -> Path:
        return self.machine.snaproot / "environments" / id / "root"

    @property
    def base(self) -> str:
        return str(self.machine.status()["base"])


def walked(machine: Machine) -> dict[str, str]:
    """Digest, by a full walk, all that an upgrade must leave; not what serves the archive."""
    environments, areas = machine.snaproot / "environments", machine.snaproot / "areas"
    places = {id: environments / id / "root" for id in machine.ids()}
    places["original"] = machine.top / "@"
    places |= {area.name: area for area in areas.iterdir() if area.name != "srv"}
    return {name: digest(place) for name, place in places.items()}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with debian.disk("trixie", tmp_path_factory.mktemp("upgrade")) as top:
        work = tmp_path_factory.mktemp("archive")
        served = Archive.create(top / "@/srv/archive", work, debian.raw("trixie"))
        served.install(top / "@")
        machine = Machine(top)
        machine("init", "-y")
        directory = machine.snaproot / "areas/srv/archive"
        served = Archive(directory, served.keys, served.raw)
        yield Bench(machine, served, walked(machine))


def test_nothing_to_do_is_77_and_leaves_nothing_behind(bench: Bench) -> None:
    bench.machine("upgrade", "-y", status=77)
    assert walked(bench.machine) == bench.before
    assert bench.machine.status()["pending"] is None


def test_a_failing_package_leaves_everything_as_it_was(bench: Bench) -> None:
    bench.served.publish(*archive.GOOD, archive.FAILING)
    said = bench.machine("upgrade", "-y", status=1)
    assert archive.FAILING in said.err
    assert f"{bench.base} is" in said.err
    assert walked(bench.machine) == bench.before
    bench.served.withdraw(archive.FAILING)


def test_what_does_not_fit_is_refused_before_anything_is_written(bench: Bench) -> None:
    full = bench.machine.top / "ballast"
    found = os.statvfs(bench.machine.top)
    run(["fallocate", "-l", str(found.f_bavail * found.f_frsize - (600 << 20)), str(full)])
    try:
        said = bench.machine("upgrade", "-y", status=3)
        assert "MiB are needed on the root's filesystem (512.0 MiB of them kept free)" in said.err
        assert "mawk" in said.out, "refused without its plan"
    finally:
        full.unlink()
        run(["btrfs", "filesystem", "sync", str(bench.machine.top)])
    assert walked(bench.machine) == bench.before


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, 1), (signal.SIGINT, 1), (signal.SIGKILL, -signal.SIGKILL)],
    ids=["terminated", "interrupted", "killed"],
)
def test_stopped_in_the_middle_the_base_is_untouched(
    bench: Bench, number: signal.Signals, status: int
) -> None:
    adopt_orphans()
    child = subprocess.Popen(
        [*(sys.executable, "-m", "snaproot", "--sysroot", str(bench.machine.top)), "upgrade", "-y"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    wait_until_dpkg_works(bench, child)
    os.kill(child.pid, number)
    assert child.wait(timeout=30) == status
    if number is signal.SIGKILL:
        said = bench.machine("recover")
        assert "interrupted" in said.out + said.err
    assert walked(bench.machine) == bench.before
    assert bench.machine.status()["pending"] is None
    wait_until_nothing_runs()


def wait_until_dpkg_works(bench: Bench, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert child.poll() is None, "the upgrade ended before it could be stopped"
        updates = (bench.machine.snaproot / "environments").glob(
            "*/root/usr/lib/sysimage/dpkg/updates/[0-9]*"
        )
        if any(updates):
            return
        time.sleep(0.005)
    raise AssertionError("dpkg never began")


def adopt_orphans() -> None:
    """Become the parent of whatever outlives its own (PR_SET_CHILD_SUBREAPER of prctl(2))."""
    assert ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0) == 0


def running_below_us() -> list[str]:
    """Name the programs that we started, or that were left to us, and that still run."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone in the meantime
            state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
            if int(parent) == os.getpid() and state != "Z":
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def wait_until_nothing_runs() -> None:
    deadline = time.monotonic() + 10
    while running := running_below_us():
        assert time.monotonic() < deadline, running
        time.sleep(0.05)


def test_an_upgrade_is_in_the_target_and_nowhere_else(bench: Bench) -> None:
    base = bench.base
    bench.machine("upgrade", "-y")
    target = max(bench.machine.ids())
    after = walked(bench.machine)
    assert after.pop(target)
    assert after == bench.before
    assert (bench.root(target) / "usr/bin" / archive.NEW).exists()
    assert archive.WORDS in (bench.root(target) / "etc/issue").read_text()
    assert bench.machine.status()["base"] == base
    assert "tree" in bench.machine("diff", base, target).out


def test_a_second_upgrade_before_the_reboot_stacks(bench: Bench) -> None:
    first = max(bench.machine.ids())
    bench.served.publish(archive.SCRIPT, revision=2)
    bench.machine("upgrade", "-y")
    second = max(bench.machine.ids())
    listed = bench.machine("list", "--json").json["environments"]
    assert isinstance(listed, list)
    parents = {one["id"]: one["parent"] for one in listed}
    assert second != first
    assert parents[second] == first
    assert (bench.root(second) / "usr/bin" / archive.NEW).exists(), "the first upgrade was dropped"
    bench.machine("promote")


def test_the_way_back_is_the_root_it_was(bench: Bench) -> None:
    first = min(bench.machine.ids())
    before = digest(bench.root(first))
    bench.machine("rollback", first, "-y")
    bench.machine("promote")
    assert bench.base == first
    assert digest(bench.root(first)) == before
    bench.machine("verify", first)
