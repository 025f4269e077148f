"""The demonstration, run to its end, stopped, and killed: for real, as `make demo` runs it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from integration import debian
from snaproot.run import run

pytestmark = pytest.mark.real
REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module", autouse=True)
def _root() -> None:
    """Have the root built before anything is timed or stopped."""
    debian.root("trixie")


@contextmanager
def started(home: Path) -> Iterator["subprocess.Popen[str]"]:
    """Start it with a directory of its own for what it makes."""
    with subprocess.Popen(
        [sys.executable, "-m", "integration.demo"],
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            child.terminate()


def reach(child: "subprocess.Popen[str]", words: str) -> None:
    """Read on until a line with these words."""
    assert child.stdout is not None
    said = []
    for line in child.stdout:
        said.append(line)
        if words in line:
            return
    raise AssertionError("".join(said))


def programs(home: Path) -> list[str]:
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(place.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [words for words in found if str(home) in words]


def assert_nothing_runs(home: Path) -> None:
    for _ in range(50):
        if not programs(home):
            return
        time.sleep(0.1)
    raise AssertionError(programs(home))


def assert_nothing_is_left(home: Path) -> None:
    assert_nothing_runs(home)
    assert str(home) not in Path("/proc/self/mounts").read_text()
    assert str(home) not in run(["losetup", "--list", "--output", "BACK-FILE"]).output
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGINT, "$ snaproot init -y"), (signal.SIGTERM, "upgrading packages")],
    ids=["ctrl-c while adopting", "sigterm while upgrading"],
)
def test_a_signal_leaves_nothing(number: signal.Signals, moment: str, tmp_path: Path) -> None:
    with started(tmp_path) as demo:
        reach(demo, moment)
        demo.send_signal(number)
        said, _ = demo.communicate(timeout=30)
        assert demo.returncode == 128 + number, said
    assert f"stopped by {number.name}" in said
    assert_nothing_is_left(tmp_path)


def test_tells_the_whole_story_after_a_killed_run(tmp_path: Path) -> None:
    with started(tmp_path) as killed:
        reach(killed, "upgrading packages")
        killed.kill()
    assert_nothing_runs(tmp_path)
    assert list(tmp_path.iterdir()) != []
    with started(tmp_path) as demo:
        said, _ = demo.communicate(timeout=120)
        assert demo.returncode == 0, said
    assert " 0 failed in " in said
    assert_nothing_is_left(tmp_path)
