"""Reboots into what is armed, at a time: systemd's own, so that users see them and may cancel.

shutdown(8) announces and logind carries out; `shutdown -c` calls one off. For a reboot in a window
a transient timer starts `snaproot-window.service` when it begins, and that looks again: whether
something is armed still, whether it is that time (a suspended machine may be late), and whether
somebody else has scheduled a shutdown. Nothing outlives /run, so no other boot is ended by it.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from snaproot import durable
from snaproot.config import Action, BackgroundSettings
from snaproot.errors import SnaprootError
from snaproot.run import Completed, run
from snaproot.state import Phase
from snaproot.system import System
from snaproot.window import Window, step

SERVICE = "snaproot-window.service"
_TIMER = SERVICE.replace(".service", ".timer")
_LOCALTIME = Path("/etc/localtime")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Command = Callable[[Sequence[str]], object]


def _command(argv: Sequence[str]) -> Completed:
    return run(argv)


@dataclass(frozen=True, slots=True)
class Reboots:
    """The reboots that we ask for. `scheduled` is where logind keeps the one that is coming.

    `ours` has the moment of the one that we scheduled, as logind writes it; `timer` is there while
    a window is waited for.
    """

    scheduled: Path = Path("/run/systemd/shutdown/scheduled")
    ours: Path = Path("/run/snaproot/reboot")
    timer: Path = Path("/run/systemd/transient") / _TIMER
    command: Command = _command

    def at(self, time: str, target: str) -> None:
        """Schedule a reboot for a time as shutdown(8) takes it: `HH:MM` or `+MINUTES`.

        Raises SnaprootError where systemd does not take it.
        """
        said = f"snaproot: {target} is tried then. To put that off: shutdown -c"
        with _scheduling(target):
            self.command(["shutdown", "-r", time, said])
        self.ours.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        durable.write(self.ours, self._coming().encode(), mode=0o644)

    def call_off(self) -> None:
        """Take back what we asked for; a shutdown that somebody else scheduled stays."""
        if self.timer.exists():
            self.command(["systemctl", "stop", _TIMER])
        made = self._made()
        if made and made == self._coming():
            self.command(["shutdown", "-c"])
        self.ours.unlink(missing_ok=True)

    def in_window(self, settings: BackgroundSettings, target: str, now: datetime) -> str:
        """Announce a reboot if this is the window for it, else wait for the next one; say which."""
        if self._coming():
            return "a shutdown is scheduled already"
        zone = _zone()
        window, cancelled = Window.parse(settings.window), _moment(self._made())
        next = step(window, now, zone, warning=settings.warning_minutes, called_off=cancelled)
        if next.announces:
            self.at(f"+{next.minutes}", target)
            return f"{target} is tried at {next.at.astimezone(zone):%H:%M}"
        with _scheduling(target):
            self._wait(next.at)
        return f"{target} is tried in the window that begins on {next.at.astimezone(zone):%F %H:%M}"

    def _wait(self, at: datetime) -> None:
        if self.timer.exists():
            self.command(["systemctl", "stop", _TIMER])
        calendar = f"--on-calendar={at.astimezone(UTC):%F %T} UTC"
        exact = "--timer-property=AccuracySec=1s"
        self.command(["systemd-run", "--quiet", f"--unit={SERVICE}", calendar, exact])

    def _coming(self) -> str:
        """Return the moment of the shutdown that is scheduled, whoever did that; else nothing."""
        found = re.search(r"^USEC=(\d+)$", _text(self.scheduled), re.MULTILINE)
        return found[1] if found else ""

    def _made(self) -> str:
        return _text(self.ours)


def target_of(system: System) -> str:
    """Name what is armed and waits for a reboot; nothing in its own trial."""
    pending, booted = system.records.load().pending, system.filesystem.booted()
    if pending is None or pending.phase is not Phase.ARMED or booted == pending.target:
        return ""
    return pending.target


def reboots_itself(system: System) -> bool:
    """Tell whether this machine reboots by itself into what is armed, in its window.

    Not where the loader counts no boots: a trial that nobody watches might not come back.
    """
    wanted = system.config.background.action is Action.REBOOT
    return system.running and wanted and system.bootloader.capability().counts


@contextmanager
def _scheduling(target: str) -> Iterator[None]:
    try:
        yield
    except SnaprootError as error:
        raise SnaprootError(
            f"{target} is armed, but its reboot could not be scheduled: {error}", hint="reboot"
        ) from error


def _moment(microseconds: str) -> datetime | None:
    if not microseconds.isdigit():
        return None
    return _EPOCH + timedelta(microseconds=int(microseconds))


def _zone() -> tzinfo:
    """Return the machine's time zone, UTC if none is set (localtime(5))."""
    try:
        with _LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file)
    except FileNotFoundError:
        return UTC


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""
