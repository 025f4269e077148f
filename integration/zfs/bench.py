"""A machine with ZFS, pytest and this checkout, for tests that need a real pool.

`python -m integration.zfs.bench [--lock FILE] [pytest's words]` runs tests in one, and shows what
pytest says as it comes.
"""

import fcntl
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from integration import debian
from integration.vm import disks
from integration.vm.guest import Answer, Guest, switched_on
from integration.vm.qemu import Hardware
from integration.zfs import image
from snaproot.errors import SnaprootError
from snaproot.run import run

CHECKOUT = "/snaproot"
SCRATCH = "/dev/disk/by-id/virtio-scratch"
"""The disk for pools, in the guest."""

_REPOSITORY = Path(__file__).resolve().parents[2]
_APPEND = (
    "root=/dev/nvme0n1 rootfstype=ext4 rw init=/testbed/init console=ttyS0 quiet oops=panic "
    "panic=0 spl.spl_panic_halt=1 mitigations=off random.trust_cpu=on"
)
_SIZE = "4G"  # of the disk for pools; sparse
_MEMORY = 1536  # MiB
_READY = 120.0  # seconds
_LATEST = 7200.0  # seconds that a run of pytest may take
_REPORT = "/run/testbed/junit.xml"
_ENDED = r"^testbed: pytest ended (\d+)$"
_DEAD = re.compile(r"Kernel panic|blocked for more than")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one test ended: `reason` is empty where it passed."""

    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Bench:
    """A running machine with the checkout at `CHECKOUT` and a disk for pools at `SCRATCH`."""

    guest: Guest

    def run(self, command: str, *, status: int | None = 0, seconds: float = 120) -> Answer:
        """Run a shell command as root in the checkout, and insist on its exit status."""
        return self.guest.run(f"cd {CHECKOUT} && {command}", status=status, seconds=seconds)

    def pytest(
        self, *words: str, show: Callable[[str], None] = lambda _: None, seconds: float = _LATEST
    ) -> Mapping[str, Outcome]:
        """Run tests and return how each ended; `show` gets what is said, as it comes.

        Raises SnaprootError where pytest leaves no report, or the machine dies.
        """
        since = self.guest.serial.now
        self.guest.start(
            f"exec >/dev/ttyS0 2>&1; cd {CHECKOUT}; rm -f {_REPORT}; COLUMNS=100 python3 -m pytest "
            f"--color=no -p no:cacheprovider --junitxml={_REPORT} {shlex.join(words)}; "
            "echo testbed: pytest ended $?"
        )
        said = self._followed(since, show, time.monotonic() + seconds)
        report = self.guest.run(f"cat {_REPORT}", status=None)
        if report.status:
            raise SnaprootError(f"pytest left no report; it said:\n{said}")
        return outcomes(report.output)

    def _followed(self, since: int, show: Callable[[str], None], end: float) -> str:
        """Wait for the end of pytest, and return all that was said by then."""
        shown = 0
        while True:
            alive = self.guest.process.running and time.monotonic() < end
            said = self.guest.serial.text(since)
            show(said[shown:])
            shown = len(said)
            if re.search(_ENDED, said, re.MULTILINE):
                return said
            if _DEAD.search(said) or not alive:
                raise SnaprootError(f"the machine died, or hangs; it said:\n{said[-3000:]}")
            time.sleep(0.2)


@contextmanager
def bench(lock: Path | None = None, *, size: str = _SIZE) -> Iterator[Bench]:
    """Lend a machine that runs; nothing of it stays.

    One at a time holds `lock`, by default a file beside the images. `size` of the disk for pools
    is as truncate(1) has it.
    """
    with (lock or debian.cache() / "zfs.lock").open("w") as file, disks.home() as home:
        fcntl.flock(file, fcntl.LOCK_EX)
        with running(home, packed(home), scratch(home, size)) as guest:
            yield Bench(guest)


@contextmanager
def running(home: Path, *others: Path, variables: Path | None = None) -> Iterator[Guest]:
    """Switch a machine with ZFS on that has more disks, /dev/disk/by-id/virtio-STEM of each.

    `variables` of an EFI firmware; without, it has none.
    """
    made = image.made()
    hardware = Hardware(
        *(_MEMORY, 2), bios=variables is None, nvme=True,
        kernel=made / "vmlinuz", append=_APPEND, disks=others,
    )  # fmt: skip
    disk = disks.overlay(made / "root.img", home)
    with switched_on(home, disk, variables or Path(), hardware) as guest:
        guest.ready(_READY)
        yield guest


def outcomes(report: str) -> Mapping[str, Outcome]:
    """Read JUnit's XML: tests by their dotted names. Pure."""
    cases = ET.fromstring(report).iter("testcase")  # noqa: S314 - of our own pytest
    return {f"{case.get('classname')}.{case.get('name')}": _outcome(case) for case in cases}


def _outcome(case: ET.Element) -> Outcome:
    ill = [child for child in case if child.tag in {"failure", "error", "skipped"}]
    reason = "\n".join(f"{c.tag}: {c.get('message')}\n{c.text or ''}" for c in ill)
    return Outcome(reason, float(case.get("time", "0")))


def packed(home: Path) -> Path:
    """Write the checkout as it is, uncommitted edits too, as a tar(1) archive that is a disk."""
    disk = home / "checkout.img"
    listed = ["git", "-C", str(_REPOSITORY), "ls-files", "-z", "-co", "--exclude-standard"]
    names = home / "names"
    names.write_text(run(listed).output, encoding="utf-8")
    there = ("--null", "--verbatim-files-from", "--ignore-failed-read", "-T", str(names))
    run(["tar", "-C", str(_REPOSITORY), "--sort=name", "-cf", str(disk), *there])
    names.unlink()
    return disk


def scratch(home: Path, size: str) -> Path:
    disk = home / "scratch.img"
    run(["truncate", "-s", size, str(disk)])
    return disk


def main(words: list[str]) -> int:
    """Run pytest in a bench; return 0 if something ran and all of it passed."""
    lock = Path(words[1]) if words[:1] == ["--lock"] else None
    begun = time.monotonic()
    with bench(lock) as made:
        print(f"bench: ready after {time.monotonic() - begun:.1f} s", flush=True)
        ended = made.pytest(*words[2 if lock else 0 :], show=_printed)
    print(f"bench: {len(ended)} tests, {time.monotonic() - begun:.1f} s in all")
    return int(not ended or any(outcome.reason for outcome in ended.values()))


def _printed(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
