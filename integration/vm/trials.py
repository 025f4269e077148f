"""What scenarios of trials have in common: a disk that is looked at, and what must always hold."""

import io
import json
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
from _pytest.mark.structures import ParameterSet

from integration import debian
from integration.archive import KEY, Archive, Recipe
from integration.vm import images
from integration.vm import zfs as pools
from integration.vm.guest import BOOT, Guest, Machine, machine
from integration.vm.off import Off, always
from integration.vm.qemu import Hardware
from integration.zfs import call

T = TypeVar("T")
SETTLED = 240.0  # seconds that a verdict may take on a slow machine
BACK = r"snaproot\.revert="
"""On the command line of a base to which a trial was left."""

CHANGE = ("run", "sh", "-c", "echo changed >/usr/lib/changed; echo changed >/var/lib/changed")


def on(*, starred: str = "", zfs_starred: str = "") -> Sequence[ParameterSet]:
    """Have a scenario take its `zfs`: no, on Btrfs; yes, on ZFS.

    One that every CI run has names the group that it runs in, one after the other.
    """
    kinds = (("btrfs", starred, ()), ("zfs", zfs_starred, (pytest.mark.zfs,)))
    return [
        pytest.param(name == "zfs", id=name, marks=(*marks, *_starred(group)))
        for name, group, marks in kinds
    ]


def _starred(group: str) -> Sequence[pytest.MarkDecorator]:
    return (pytest.mark.starred, pytest.mark.xdist_group(group)) if group else ()


@contextmanager
def unadopted(suite: str = images.SUITE, *, zfs: bool = False) -> Iterator[Machine]:
    """Lend a stock machine with snaproot's package; its root is on Btrfs, or on ZFS."""
    with machine(pools.packaged() if zfs else images.packaged(suite), zfs=zfs) as found:
        yield found


@contextmanager
def adopted(hardware: Hardware | None = None, *, zfs: bool = False) -> Iterator[Machine]:
    """Lend a machine that snaproot has adopted; its root is on Btrfs, or on ZFS."""
    image = pools.adopted() if zfs else images.adopted()
    with machine(image, hardware, zfs=zfs) as found:
        yield found


@contextmanager
def off(found: Machine, settings: str = "", spoilt: str = "") -> Iterator[Off]:
    """Open the disk of a machine that is off, and look whether all holds that always must."""
    with found.opened() as (top, esp):
        disk = Off(top, esp, settings)
        always(disk, spoilt)
        yield disk


def done(
    found: Machine, do: Callable[..., T], *words: object, settings: str = "", spoilt: str = ""
) -> T:
    """Do something to the disk of a machine that is off: call `do(Off, *words)` as `off` would.

    Where that disk has a pool, `do`, `words` and what is returned have to be what pickle can carry.
    """
    if found.zfs:
        return call.done(found.disk, do, words, (settings, spoilt))
    with off(found, settings, spoilt) as disk:
        return do(disk, *words)


@dataclass(frozen=True, slots=True)
class Armed:
    """What a machine that is off will try, and what it has to come back to."""

    base: str
    target: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The last verdict, and all that the console has shown."""

    verdict: Mapping[str, object]
    heard: str


def armed(found: Machine, *damages: Callable[[Off], object], tries: int = 1) -> Armed:
    """Stage and arm a change, and do to the trial what neither proof nor arming would let pass."""
    return done(found, arm, damages, settings=f"[trial]\ntries = {tries}\n")


def arm(disk: Off, damages: Sequence[Callable[[Off], object]]) -> Armed:
    disk(*CHANGE)
    for damage in damages:
        damage(disk)
    return Armed(disk.record.base, disk.target)


def returned(found: Machine, what: Armed, *, tries: int = 1, seconds: float = BOOT) -> Ended:
    """Switch a machine on, and assert that it is back on the base after all its tries.

    Nobody touches it: what is typed on the console or asked of the agent comes after that.
    """
    with found.boot() as guest:
        guest.ready(seconds * (tries + 1), kernel=BACK)
        told = settled(guest)
        assert told["booted"] == told["base"] == told["default"] == what.base, told
        assert lefts(guest) == [*map(str, reversed(range(tries))), ""]
        guest.off()
        heard = guest.serial.text()
    done(found, back, what)
    verdict = told["verdict"]
    assert isinstance(verdict, dict)
    return Ended(verdict, heard)


def back(disk: Off, what: Armed) -> None:
    """Assert that nothing is left of a trial."""
    settled_on(disk, what.base)
    assert what.target not in disk.environments


def settled_on(disk: Off, base: str) -> None:
    """Assert that nothing is pending, and that all say this is what boots."""
    assert disk.default == disk.record.base == base
    assert disk.record.pending is None
    assert disk.env
    assert (disk.env.good, disk.env.tries) == (base, 0)


def reboots(guest: Guest) -> float:
    """Wait until a trial is rejected, and return after how many seconds a reboot is asked for."""
    guest.serial.wait("is rejected", BOOT + SETTLED)
    judged = time.monotonic()
    guest.serial.wait("is rejected(.*\n)*.*Stopp(ing|ed target) ", 20)
    return time.monotonic() - judged


def lefts(guest: Guest) -> list[str]:
    """Say of every boot how many tries the loader left to the trial; nothing for no trial."""
    return [arguments(line).get("snaproot.trial", "").rpartition(".")[2] for line in guest.boots]


@contextmanager
def served(disk: Off) -> Iterator[Archive]:
    """Put a package archive into the machine's /srv, and make it the base's only one."""
    with tempfile.TemporaryDirectory() as work:
        place = disk.area("/srv") / "archive"
        shutil.rmtree(place, ignore_errors=True)
        made = Archive.create(place, Path(work), debian.raw(images.SUITE))
        made.install(disk.root(disk.record.base))
        yield made


def archived(*names: str, revision: int = 1, recipe: Recipe | None = None) -> bytes:
    """Make a package archive for `offered`: a tar(1) archive, with its key."""
    with tempfile.TemporaryDirectory() as work, io.BytesIO() as packed:
        made = Archive.create(Path(work, "archive"), Path(work), debian.raw(images.SUITE))
        made.publish(*names, revision=revision, recipe=recipe)
        shutil.copy(made.keys / KEY, made.directory)
        with tarfile.open(fileobj=packed, mode="w") as file:
            file.add(made.directory, made.directory.name)
        return packed.getvalue()


def offered(disk: Off, archive: bytes) -> str:
    """Put a package archive into the machine's /srv, make it the base's only one, and name that."""
    base, place = disk.record.base, disk.area("/srv") / "archive"
    shutil.rmtree(place, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as file:
        file.extractall(place.parent, filter="data")
    Archive(place, place, Path()).install(disk.root(base))
    return base


def status(guest: Guest) -> Mapping[str, object]:
    """Ask the guest's own snaproot."""
    answer = guest.run("snaproot status --json", status=None)
    assert answer.output.startswith("{"), answer
    found = json.loads(answer.output)
    assert isinstance(found, dict)
    return found


def settled(guest: Guest) -> Mapping[str, object]:
    """Wait until nothing is pending, and return the status."""
    end = time.monotonic() + SETTLED
    while True:
        found = status(guest)
        if found["pending"] is None:
            return found
        assert time.monotonic() < end, found
        time.sleep(2)


def sound(guest: Guest) -> None:
    """Assert that a sealed system runs as any other: what may be written, and what failed."""
    guest.run("! touch /usr/x && ! touch /x && ! touch /boot/x")
    guest.run("touch /etc/x /var/x /home/x /root/x && rm /etc/x /var/x /home/x /root/x")
    assert guest.run("systemctl --failed --no-legend").output == ""
    guest.run("! journalctl -b --no-pager | grep -v kernel: | grep 'Read-only file system'")


def arguments(line: str) -> Mapping[str, str]:
    """Split a kernel command line; the last of two wins."""
    return dict(word.partition("=")[::2] for word in line.split())
