"""When a machine may reboot by itself: midnight, the nights when clocks are changed, the end."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snaproot.window import Span, Step, Window, bad_time, bad_window, step

BERLIN = ZoneInfo("Europe/Berlin")  # clocks: 2026-03-29 02:00 → 03:00, 2026-10-25 03:00 → 02:00
MINUTE = timedelta(minutes=1)


def local(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def coming(window: str, now: datetime, zone: ZoneInfo = BERLIN) -> Span:
    return Window.parse(window).coming(now, zone)


def shown(span: Span, zone: ZoneInfo = BERLIN) -> tuple[str, str]:
    begin, end = (f"{at.astimezone(zone):%d %H:%M}" for at in (span.begin, span.end))
    return begin, end


@pytest.mark.parametrize(
    ("window", "now", "expected"),
    [
        ("03:00-05:00", "2026-06-10T02:59", ("10 03:00", "10 05:00")),
        ("03:00-05:00", "2026-06-10T03:00", ("10 03:00", "10 05:00")),
        ("03:00-05:00", "2026-06-10T04:59", ("10 03:00", "10 05:00")),
        ("03:00-05:00", "2026-06-10T04:59:01", ("11 03:00", "11 05:00")),
        ("03:00-05:00", "2026-06-10T05:00", ("11 03:00", "11 05:00")),
        ("23:00-01:00", "2026-06-10T00:30", ("09 23:00", "10 01:00")),
        ("23:00-01:00", "2026-06-10T01:00", ("10 23:00", "11 01:00")),
        ("23:00-01:00", "2026-06-10T23:59", ("10 23:00", "11 01:00")),
        ("23:50-00:00", "2026-06-10T23:55", ("10 23:50", "11 00:00")),
        ("00:00-23:59", "2026-12-31T23:59", ("01 00:00", "01 23:59")),
    ],
)
def test_the_span_that_is_now_or_comes_next(
    window: str, now: str, expected: tuple[str, str]
) -> None:
    assert shown(coming(window, local(now))) == expected


@pytest.mark.parametrize(
    ("window", "now", "expected", "minutes"),
    [
        # forward: 02:00 is 03:00
        ("03:00-05:00", "2026-03-29T00:00", ("29 03:00", "29 05:00"), 120),
        ("01:30-03:30", "2026-03-29T00:00", ("29 01:30", "29 03:30"), 60),
        ("02:15-02:45", "2026-03-29T00:00", ("29 03:15", "29 03:45"), 30),
        ("02:30-03:15", "2026-03-29T00:00", ("30 02:30", "30 03:15"), 45),
        ("22:00-04:00", "2026-03-29T01:00", ("28 22:00", "29 04:00"), 300),
        # back: 03:00 is 02:00 again
        ("01:00-04:00", "2026-10-25T00:00", ("25 01:00", "25 04:00"), 240),
        ("02:10-02:40", "2026-10-25T00:00", ("25 02:10", "25 02:40"), 30),
        ("02:30-03:30", "2026-10-25T00:00", ("25 02:30", "25 03:30"), 120),
    ],
)
def test_on_the_nights_when_clocks_are_changed(
    window: str, now: str, expected: tuple[str, str], minutes: int
) -> None:
    span = coming(window, local(now))
    assert shown(span) == expected
    assert span.end - span.begin == minutes * MINUTE


def test_an_hour_that_comes_twice_has_its_window_once() -> None:
    second = local("2026-10-25T02:20").replace(fold=1)
    assert shown(coming("02:10-02:40", second)) == ("26 02:10", "26 02:40")


def steps(window: str, now: str, *, warning: int = 5, called_off: str = "") -> Step:
    off = local(called_off) if called_off else None
    return step(Window.parse(window), local(now), BERLIN, warning=warning, called_off=off)


def test_before_the_window_it_is_waited_for() -> None:
    found = steps("03:00-05:00", "2026-06-10T22:00")
    assert (found.announces, found.at) == (False, local("2026-06-11T03:00"))


def test_in_the_window_the_reboot_is_announced() -> None:
    assert steps("03:00-05:00", "2026-06-10T03:00") == Step(local("2026-06-10T03:05"), 5)


def test_near_its_end_it_is_announced_more_briefly_and_never_after() -> None:
    assert steps("03:00-05:00", "2026-06-10T04:57:30").minutes == 2
    late = steps("03:00-05:00", "2026-06-10T04:59:30")
    assert (late.announces, late.at) == (False, local("2026-06-11T03:00"))


def test_one_that_was_called_off_is_called_off_for_this_night() -> None:
    found = steps("03:00-05:00", "2026-06-10T03:30", called_off="2026-06-10T03:05")
    assert (found.announces, found.at) == (False, local("2026-06-11T03:00"))
    assert steps("03:00-05:00", "2026-06-11T03:30", called_off="2026-06-10T03:05").announces
    assert steps("03:00-05:00", "2026-06-10T03:30", called_off="2026-06-10T02:30").announces


clocks = st.times().map(lambda at: f"{at:%H:%M}")
zones = st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"])


@given(
    st.tuples(clocks, clocks).map("-".join).filter(lambda text: not bad_window(text)),
    st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)),  # noqa: DTZ001 - a zone is added
    zones.map(ZoneInfo),
    st.integers(1, 60),
)
def test_a_reboot_is_always_in_a_window_and_within_two_days(
    text: str, now: datetime, zone: ZoneInfo, warning: int
) -> None:
    window, moment = Window.parse(text), now.replace(tzinfo=UTC)
    found = step(window, moment, zone, warning=warning, called_off=None)
    span = window.coming(moment, zone)
    assert span.begin <= found.at <= span.end
    assert moment < found.at <= moment + timedelta(days=2, hours=2)
    clock = found.at.astimezone(zone)
    assert found.announces or f"{clock:%H:%M}" == text[:5] or is_odd(clock, zone)
    assert not found.announces or found.at - moment == found.minutes * MINUTE


def is_odd(clock: datetime, zone: ZoneInfo) -> bool:
    """Tell whether clocks are changed within a day: then a time of day may not exist."""
    return {(clock + timedelta(days=n)).astimezone(zone).utcoffset() for n in (-1, 1)} != {
        clock.utcoffset()
    }


def test_a_zone_without_rules_does() -> None:
    fixed = timezone(timedelta(hours=5, minutes=45))
    now = datetime(2026, 6, 10, 3, 0, tzinfo=fixed)
    assert Window.parse("02:00-04:00").coming(now, fixed).begin == now - timedelta(hours=1)


@pytest.mark.parametrize("text", ["03:00-05:00", "23:55-00:05", "00:00-23:59", "12:00-11:50"])
def test_what_is_a_window(text: str) -> None:
    assert bad_window(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        *("", "3:00-5:00", "03:00", "03:00-24:00", "03:60-05:00", "03:00 - 05:00", "03:00-03:00"),
        *("03:00-03:09", "23:55-00:00", "03:00-05:00\n", "٠٣:00-05:00", "-03:00-05:00"),
    ],
)
def test_what_is_none(text: str) -> None:
    assert "like 03:00-05:00" in bad_window(text)


def test_a_time_is_what_shutdown_takes() -> None:
    assert not any(map(bad_time, ["now", "04:00", "23:59", "+0", "+10", "+99999"]))
    assert all(map(bad_time, ["", "4:00", "24:00", "+", "10", "+-1", "tomorrow", "+1\n", "-c"]))


def test_what_is_no_window_is_not_read() -> None:
    with pytest.raises(ValueError, match="no window"):
        Window.parse("always")
