"""What scenarios of trials have in common: a disk that is looked at, and what must always hold."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from integration import debian
from integration.archive import Archive
from integration.machine import Machine as Commands
from integration.vm import images
from integration.vm.guest import BOOT, Guest, Machine, machine
from integration.vm.qemu import Hardware
from snaproot.bootloader import entry, envblock
from snaproot.bootloader.entry import ORIGINAL
from snaproot.bootloader.envblock import Env
from snaproot.environment import Environment, Standing
from snaproot.filesystem.btrfs.backend import Btrfs
from snaproot.filesystem.layout import Layout
from snaproot.record import Records
from snaproot.state import Phase, Record

SETTLED = 240.0  # seconds that a verdict may take on a slow machine
BACK = r"snaproot\.revert="
"""On the command line of a base to which a trial was left."""

CHANGE = ("run", "sh", "-c", "echo changed >/usr/lib/changed; echo changed >/var/lib/changed")


@dataclass(frozen=True, slots=True)
class Off:
    """A machine that is off: its disk, its ESP, and this checkout's snaproot on them."""

    top: Path
    esp: Path
    settings: str = ""

    def __call__(self, *words: str, status: int = 0) -> Mapping[str, object]:
        """Run snaproot as one does on a disk that is attached elsewhere; insist on its exit code.

        Returns what it printed as JSON.
        """
        options = ("--sysroot", str(self.top), "--esp", str(self.esp), "--json", "-y")
        return Commands(self.top, _configured(self.settings), options)(*words, status=status).json

    @property
    def layout(self) -> Layout:
        return Layout(self.top)

    @property
    def record(self) -> Record:
        return Records(self.layout.record).load()

    @property
    def home(self) -> Path:
        return self.esp / "EFI/snaproot"

    @property
    def env(self) -> Env | None:
        path = self.home / "env"
        return envblock.parse(path.read_bytes()) if path.exists() else None

    @property
    def environments(self) -> Mapping[str, Environment]:
        return {one.id: one for one in Btrfs(self.layout, None).environments()}

    @property
    def default(self) -> str | None:
        return Btrfs(self.layout, None).default()

    @property
    def target(self) -> str:
        pending = self.record.pending
        assert pending is not None
        return pending.target

    def entry(self, id: str) -> entry.Entry:
        found = entry.parse((self.home / f"entries/{id}.cfg").read_text())
        assert found is not None, f"the entry of {id} is garbled"
        return found


def _configured(settings: str) -> tuple[str, ...]:
    """Give a run of snaproot settings: /run is its alone, in a mount namespace of its own."""
    if not settings:
        return ()
    script = (
        'mount -t tmpfs none /run && mkdir /run/snaproot && printf %s "$1" '
        '>/run/snaproot/snaproot.toml && shift && exec "$@"'
    )
    return ("unshare", "-m", "sh", "-e", "-c", script, "sh", settings)


@contextmanager
def adopted(hardware: Hardware | None = None) -> Iterator[Machine]:
    """Lend a machine that snaproot has adopted."""
    with machine(images.adopted(), hardware) as found:
        yield found


@contextmanager
def off(found: Machine, settings: str = "", spoilt: str = "") -> Iterator[Off]:
    """Open the disk of a machine that is off, and look whether all holds that always must."""
    with found.opened() as (top, esp):
        disk = Off(top, esp, settings)
        always(disk, spoilt)
        yield disk


def always(disk: Off, spoilt: str = "") -> None:
    """Assert what must hold at every instant (I1, I2), on a disk as it was found.

    `spoilt` is a trial that the scenario has made one that the loader cannot load.
    """
    record, known = disk.record, disk.environments
    pending = record.pending
    promoting = {pending.target} if pending and pending.phase is Phase.PROMOTING else set()
    believed = {Standing.PROVEN, Standing.ORIGINAL}
    proven = {id for id, one in known.items() if one.standing in believed} | promoting
    assert known[record.base].complete
    assert record.base in proven
    assert disk.default in proven
    env = disk.env
    if env is None:
        return
    assert env.good in proven
    for id in {env.good, env.trial if env.tries else env.good} - {spoilt, ORIGINAL}:
        assert known[id].complete
        assert known[id].sealed
        boots = disk.entry(id)
        assert (disk.top / boots.kernel.lstrip("/")).stat().st_size
        assert (disk.top / boots.initramfs.lstrip("/")).stat().st_size


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


def armed(found: Machine, *damages: Callable[[Off], None], tries: int = 1) -> Armed:
    """Stage and arm a change, and do to the trial what neither proof nor arming would let pass."""
    with off(found, f"[trial]\ntries = {tries}\n") as disk:
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
    with off(found) as disk:
        assert disk.default == disk.record.base == what.base
        assert disk.record.pending is None
        assert what.target not in disk.environments
    verdict = told["verdict"]
    assert isinstance(verdict, dict)
    return Ended(verdict, heard)


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
        place = disk.layout.areas / "srv/archive"
        shutil.rmtree(place, ignore_errors=True)
        made = Archive.create(place, Path(work), debian.raw(images.SUITE))
        made.install(disk.layout.root(disk.record.base))
        yield made


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
