"""Reboots at a time: announced in the window alone, called off with what they are for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from snaproot.boot.reboots import Reboots
from snaproot.config import Action, BackgroundSettings
from snaproot.errors import SnaprootError

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@dataclass
class Systemd:
    """What shutdown(8), systemd-run and systemctl leave in /run, as far as they are looked at."""

    run: Path
    now: datetime = NOW
    broken: bool = False
    asked: list[str] = field(default_factory=list)

    @property
    def reboots(self) -> Reboots:
        ours = self.run / "snaproot/reboot"
        return Reboots(self.run / "scheduled", ours, self.run / "window.timer", self.command)

    def command(self, argv: Sequence[str]) -> object:
        self.asked.append(" ".join(argv[:3]))
        if self.broken:
            raise SnaprootError(f"{argv[0]} exited 1: Failed to connect to bus")
        match [*argv]:
            case ["shutdown", "-r", time, _]:
                self.schedule(self.now + timedelta(minutes=int(time)))
            case ["shutdown", "-c"]:
                (self.run / "scheduled").unlink()
            case ["systemd-run", "--quiet", _, calendar, _]:
                assert not self.waits, "Unit was already loaded"
                self.timer.write_text(calendar.removeprefix("--on-calendar="))
            case ["systemctl", "stop", "snaproot-window.timer"]:
                self.timer.unlink()
            case other:
                raise AssertionError(other)
        return None

    def schedule(self, at: datetime, mode: str = "reboot") -> None:
        text = f"USEC={int(at.timestamp() * 1e6)}\nWARN_WALL=1\nMODE={mode}\n"
        (self.run / "scheduled").write_text(text)

    @property
    def timer(self) -> Path:
        return self.run / "window.timer"

    @property
    def waits(self) -> bool:
        return self.timer.exists()

    @property
    def scheduled(self) -> bool:
        return (self.run / "scheduled").exists()


@pytest.fixture
def systemd(tmp_path: Path) -> Systemd:
    return Systemd(tmp_path)


def window(systemd: Systemd, begin: int, end: int, minutes: int = 5) -> str:
    """Ask for a reboot in a window that begins and ends so many minutes from now."""
    zone = datetime.now().astimezone().tzinfo
    clock = [f"{(NOW + timedelta(minutes=m)).astimezone(zone):%H:%M}" for m in (begin, end)]
    settings = BackgroundSettings(Action.REBOOT, "-".join(clock), minutes)
    return systemd.reboots.in_window(settings, "b2", systemd.now)


def test_in_its_window_it_is_announced(systemd: Systemd) -> None:
    assert "b2 is tried at" in window(systemd, -10, 60)
    assert systemd.asked == ["shutdown -r +5"]
    assert not systemd.waits


def test_before_its_window_it_is_waited_for(systemd: Systemd) -> None:
    assert "in the window that begins on" in window(systemd, 60, 120)
    assert not systemd.scheduled
    assert systemd.timer.read_text() == "2026-11-24 13:00:00 UTC"


def test_after_its_window_the_next_one_is_waited_for(systemd: Systemd) -> None:
    window(systemd, -120, -60)
    assert systemd.timer.read_text() == "2026-11-25 10:00:00 UTC"


def test_waiting_twice_is_waiting_once(systemd: Systemd) -> None:
    window(systemd, 60, 120)
    window(systemd, 90, 120)
    assert systemd.timer.read_text() == "2026-11-24 13:30:00 UTC"


def test_announced_twice_is_announced_once(systemd: Systemd) -> None:
    window(systemd, -10, 60)
    assert window(systemd, -10, 60) == "a shutdown is scheduled already"
    assert systemd.asked == ["shutdown -r +5"]


def test_what_somebody_else_scheduled_is_not_replaced(systemd: Systemd) -> None:
    systemd.schedule(NOW + timedelta(hours=8), "poweroff")
    window(systemd, -10, 60)
    assert systemd.asked == []


def test_called_off_by_hand_it_waits_for_the_next_window(systemd: Systemd) -> None:
    window(systemd, -10, 60)
    (systemd.run / "scheduled").unlink()
    systemd.now += timedelta(minutes=20)
    window(systemd, -10, 60)
    assert not systemd.scheduled
    assert systemd.timer.read_text() == "2026-11-25 11:50:00 UTC"


def test_where_nothing_is_armed_any_more_it_is_called_off(systemd: Systemd) -> None:
    systemd.reboots.at("+10", "b2")
    systemd.reboots.call_off()
    assert not systemd.scheduled
    window(systemd, 60, 120)
    systemd.reboots.call_off()
    assert not systemd.waits
    systemd.asked.clear()
    systemd.reboots.call_off()
    assert systemd.asked == []


def test_what_somebody_else_scheduled_is_not_called_off(systemd: Systemd) -> None:
    systemd.reboots.call_off()
    systemd.schedule(NOW + timedelta(hours=1))
    systemd.reboots.call_off()
    systemd.reboots.at("+10", "b2")
    systemd.schedule(NOW + timedelta(hours=1))
    systemd.reboots.call_off()
    assert systemd.scheduled


def test_without_systemds_answer_it_says_what_is_true(systemd: Systemd) -> None:
    systemd.broken = True
    with pytest.raises(SnaprootError, match=r"b2 is armed, but its reboot could not be scheduled"):
        systemd.reboots.at("+10", "b2")
    with pytest.raises(SnaprootError, match="bus"):
        window(systemd, 60, 120)
