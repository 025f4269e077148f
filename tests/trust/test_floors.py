"""What was seen once is never undercut."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snaproot.errors import NewerFormat
from snaproot.trust.floors import TIME, Floors, of_role, parse, render


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)


names = st.sampled_from(["policy", "revocations", *of_role("timestamp", ["k1", "k2"], 1)])
floors = st.dictionaries(names, st.integers(0, 1 << 70)).map(Floors)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(scalars, _nested, max_leaves=6)


@settings(deadline=None, max_examples=80)
@given(floors, floors, floors)
def test_merging_takes_the_maximum_whatever_the_order(a: Floors, b: Floors, c: Floors) -> None:
    both = a.raised(b.versions)
    assert both == b.raised(a.versions)
    assert both == both.raised(b.versions)
    assert both.raised(c.versions) == a.raised(b.raised(c.versions).versions)
    assert all(both.of(n) == max(a.of(n), b.of(n)) for n in {*a.versions, *b.versions})
    assert not [*a.undercut(both.versions)]


@settings(deadline=None, max_examples=80)
@given(floors)
def test_it_reads_what_it_writes(lowest: Floors) -> None:
    assert parse(render(lowest)) == lowest


@settings(deadline=None, max_examples=150)
@given(st.binary() | values.map(lambda v: json.dumps(v).encode()))
def test_only_damage_leaves_the_parser(text: bytes) -> None:
    with pytest.raises((ValueError, NewerFormat)):
        parse(text)


@settings(deadline=None, max_examples=150)
@given(values)
def test_of_what_has_the_right_form_only_numbers_are_taken(value: object) -> None:
    try:
        found = parse(json.dumps({"format": 1, "floors": value}).encode())
    except ValueError:
        return
    assert all(type(version) is int and version >= 0 for version in found.versions.values())


@pytest.mark.parametrize("floor", ["-1", "1.0", "true", '"1"', "null", "[]", "1" * 5000])
def test_a_floor_is_a_number(floor: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(b'{"format": 1, "floors": {"policy": %s}}' % floor.encode())


@pytest.mark.parametrize("time", [1 << 40, 1 << 62, 1 << 80])
def test_a_time_that_there_is_not_is_damage(time: int) -> None:
    with pytest.raises(ValueError, match=r"no time|out of range"):
        parse(render(Floors({TIME: time})))


def test_what_is_below_its_floor_is_named_and_nothing_else() -> None:
    lowest = Floors({"policy": 4, **of_role("timestamp", ["k1", "k2"], 7)})
    seen = {"policy": 4, "revocations": 0, **of_role("timestamp", ["k2", "k3"], 6)}
    assert [*lowest.undercut(seen)] == ["timestamp k2"]
    assert lowest.time == datetime(1970, 1, 1, tzinfo=UTC)
