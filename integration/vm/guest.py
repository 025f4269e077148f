"""A machine of a scenario: its disk, switched on and off, and the system that runs on it."""

import base64
import re
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from integration.vm import disks
from integration.vm.qemu import Hardware, Process, started
from integration.vm.stream import Stream, Unheard
from snaproot.errors import SnaprootError

PASSWORD = "debian"  # noqa: S105 - of machines that nobody can reach
BOOT = 240.0  # seconds that a boot may take, on a machine that does other things too
_COMMAND_LINE = r"\] Command line: (.*)\n"
_TAIL = 3000  # characters of the console of a system that said nothing
_READY = r"^ready ([0-9a-f-]+)\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command in the guest ended with."""

    status: int
    output: str


@dataclass(frozen=True, slots=True)
class Machine:
    """A disk and the firmware's variables, on which machines are switched on, one at a time."""

    home: Path
    disk: Path
    variables: Path
    hardware: Hardware = field(default_factory=Hardware)
    zfs: bool = False

    @contextmanager
    def boot(self) -> "Iterator[Guest]":
        """Switch it on; with the block's end it has no power, whatever it does."""
        with switched_on(self.home, self.disk, self.variables, self.hardware) as guest:
            yield guest

    @contextmanager
    def opened(self) -> Iterator[tuple[Path, Path]]:
        """Yield its disk's top level and its ESP as directories, while it is switched off."""
        with disks.opened(self.disk) as places:
            yield places


@contextmanager
def machine(
    image: Path, hardware: Hardware | None = None, *, zfs: bool = False
) -> Iterator[Machine]:
    """Lend a machine whose disk begins as an image of `images`, or of `zfs`."""
    kind = hardware or Hardware()
    variables = kind.firmware()[1] if kind.secure else image / "vars.fd"
    with disks.home() as home:
        shutil.copy(variables, home / "vars.fd")
        yield Machine(home, disks.overlay(image / "disk.img", home), home / "vars.fd", kind, zfs)


@contextmanager
def switched_on(
    home: Path, disk: Path, variables: Path, hardware: Hardware | None = None
) -> "Iterator[Guest]":
    """Switch any disk on; `home` gets what it says."""
    with started(home, disk, variables, hardware or Hardware()) as process:
        yield Guest(process)


class Guest:
    """A system that runs, or tries to."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._agent = process.agent
        self._asked = 0
        self._met = 0
        self._seen = 0

    @property
    def serial(self) -> Stream:
        """The console: `serial.wait(pattern, seconds, since)`, `serial.say(text)`."""
        return self.process.serial

    @property
    def boots(self) -> tuple[str, ...]:
        """Return the command line of every kernel that was started, the first one first."""
        return tuple(re.findall(_COMMAND_LINE, self.serial.text()))

    def ready(self, seconds: float = BOOT, kernel: str = "") -> str:
        """Wait until a system that was not yet met takes commands; return its boot id.

        `kernel`: one that was started with this on its command line (a pattern); what ran before
        it is not met.
        """
        if kernel:
            self.serial.wait(rf"\] Command line: .*{kernel}", seconds, self._seen)
            self._seen, self._met = self.serial.now, self._agent.now
        try:
            met = self._agent.wait(_READY, seconds, self._met)
        except Unheard as silent:
            raise Unheard(f"{silent}\nits console:\n{self.serial.text()[-_TAIL:]}") from silent
        self._met = self._agent.now
        return met[1]

    def run(self, command: str, *, status: int | None = 0, seconds: float = 120) -> Answer:
        """Run a shell command as root, without a terminal, and insist on its exit status."""
        answer = self._answered(self._ask(command), seconds)
        if status not in {None, answer.status}:
            raise SnaprootError(f"{command!r} ended {answer.status}: {answer.output}")
        return answer

    def start(self, command: str) -> None:
        """Run a shell command, and do not wait: what ends this system, for example."""
        self._ask(f"setsid -f sh -c {shlex.quote(command)} >/dev/null 2>&1")

    def login(self, seconds: float = BOOT) -> str:
        """Log in on the console, as a person does, and return what was shown by then."""
        since = self._prompted(seconds)
        self.type("root")
        self.serial.wait(r"^Password: $", 60, since)
        self.type(PASSWORD)
        self.serial.wait(r"^root@\S+:\S+# $", 60, since)
        return self.serial.text(since)

    def _prompted(self, seconds: float) -> int:
        """Press Enter until there is a prompt that no message of the system has run into."""
        end = time.monotonic() + seconds
        while True:
            since = self.type("")
            try:
                self.serial.wait(r"login: $", 10, since)
            except Unheard:
                if time.monotonic() > end:
                    raise
            else:
                return since

    def type(self, line: str) -> int:
        """Type a line on the console, with Enter; return the place to listen from."""
        since = self.serial.now
        self.serial.say(f"{line}\r")
        return since

    def off(self, seconds: float = 120) -> None:
        """Have it shut down in order, and wait until it is switched off."""
        self.start("systemctl poweroff")
        self.process.ended(seconds)

    def pull(self) -> None:
        """Pull the plug."""
        self.process.pull()

    def _ask(self, command: str) -> int:
        self._asked += 1
        said = base64.b64encode(command.encode()).decode()
        self._agent.say(f"{self._asked} {said}\n")
        return self._asked

    def _answered(self, number: int, seconds: float) -> Answer:
        found = self._agent.wait(rf"^{number} (\d+) (\S*)\n", seconds)
        output = base64.b64decode(found[2]).decode(errors="replace")
        return Answer(int(found[1]), output)
