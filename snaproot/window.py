"""When a machine may reboot by itself: a window of local time, the same every day. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d"
_WINDOW = re.compile(f"({_CLOCK})-({_CLOCK})")
_TIME = re.compile(rf"now|{_CLOCK}|\+[0-9]{{1,5}}")
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
_LEAST = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Span:
    """One night's window: when it begins and ends, in UTC."""

    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Window:
    """From one time of day to another; over midnight where the second is the earlier one."""

    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> "Window":
        """Read `HH:MM-HH:MM`. Raises ValueError for anything else."""
        found = _WINDOW.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no window")
        return cls(time.fromisoformat(found[1]), time.fromisoformat(found[2]))

    def coming(self, now: datetime, zone: tzinfo) -> Span:
        """Return the span that `now` is in, if a minute of it is left, else the next one.

        Where clocks are put forward a span may be empty: that night has none.
        """
        return next(span for span in self._spans(now, zone) if span.end - now >= _MINUTE)

    def _spans(self, now: datetime, zone: tzinfo) -> Iterator[Span]:
        day = now.astimezone(zone).date() - _DAY
        while True:
            last = day if self.begin < self.end else day + _DAY
            begin = datetime.combine(day, self.begin, zone).astimezone(UTC)
            end = datetime.combine(last, self.end, zone).astimezone(UTC)
            if end - begin >= _MINUTE:
                yield Span(begin, end)
            day += _DAY


@dataclass(frozen=True, slots=True)
class Step:
    """What to do about a reboot now: announce it for `at`, or look again at `at`."""

    at: datetime
    minutes: int = 0

    @property
    def announces(self) -> bool:
        """Tell whether the reboot is announced now, so many `minutes` ahead."""
        return self.minutes > 0


def step(
    window: Window, now: datetime, zone: tzinfo, *, warning: int, called_off: datetime | None
) -> Step:
    """Decide about a reboot in a window, announced `warning` minutes ahead, fewer near its end.

    `called_off` is the moment of a reboot that somebody has cancelled: its span is left alone.
    """
    span = window.coming(now, zone)
    if called_off is not None and span.begin <= called_off <= span.end:
        span = window.coming(span.end, zone)
    if now < span.begin:
        return Step(span.begin)
    minutes = min(warning, (span.end - now) // _MINUTE)
    return Step(now + minutes * _MINUTE, minutes)


def bad_window(text: str) -> str:
    """Say what is wrong with a window; empty if nothing is."""
    wanted = "is two times of day, like 03:00-05:00, at least 10 minutes apart"
    if not _WINDOW.fullmatch(text):
        return wanted
    window = Window.parse(text)
    day = datetime(2000, 1, 1, tzinfo=UTC)
    length = datetime.combine(day, window.end) - datetime.combine(day, window.begin)
    return "" if length % _DAY >= _LEAST else wanted


def bad_time(text: str) -> str:
    """Say what is wrong with the time of a reboot, as shutdown(8) takes it; empty if nothing is."""
    return "" if _TIME.fullmatch(text) else "is HH:MM, +MINUTES, or now"
