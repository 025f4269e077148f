"""Ids sort by age whatever the clock does, and are found by their first letters."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snaproot.environment import ID
from snaproot.errors import ExitCode, UsageError
from snaproot.ids import EPOCH, next_id, resolve

NOW = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
moments = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
crockford = st.text("0123456789abcdefghjkmnpqrstvwxyz", min_size=6, max_size=9)


def test_the_epoch_is_zero_and_a_second_is_one() -> None:
    assert next_id("b", [], EPOCH) == "b000000"
    assert next_id("b", [], EPOCH + timedelta(seconds=33)) == "b000011"
    assert next_id("d", [], NOW) == "d1rzqc0"


def test_time_zones_do_not_matter() -> None:
    assert next_id("b", [], NOW) == next_id("b", [], NOW.astimezone())


def test_the_second_in_one_second_is_greater() -> None:
    first = next_id("b", [], NOW)
    assert next_id("b", [first], NOW) == "b1rzqc1"


@pytest.mark.parametrize(
    ("newest", "expected"),
    [
        ("b1rzqcz", "b1rzqd0"),
        ("b1rzqzz", "b1rzr00"),
        ("bzzzzzz", "bzzzzzz0"),
        ("bzzzzzz0", "bzzzzzz1"),
    ],
)
def test_a_clock_that_ran_backwards_counts_on(newest: str, expected: str) -> None:
    assert next_id("b", ["b000001", newest, ""], NOW) == expected


def test_other_prefixes_and_foreign_names_do_not_count() -> None:
    assert next_id("b", ["dzzzzzz", "bullseye", "b-old", "bzz"], NOW) == "b1rzqc0"


def test_a_clock_before_the_epoch_still_gives_ids() -> None:
    assert next_id("b", [], datetime(1970, 1, 1, tzinfo=UTC)) == "b000000"


@given(st.sampled_from("bd"), st.lists(crockford), moments)
def test_ids_are_greater_than_all_known_and_well_formed(
    prefix: str, texts: list[str], now: datetime
) -> None:
    known = [prefix + text for text in texts]
    made = next_id(prefix, known, now)
    assert all(made > id for id in known)
    assert ID.fullmatch(made)


@given(st.lists(moments, max_size=20))
def test_ids_made_one_after_the_other_sort_in_that_order(clock: list[datetime]) -> None:
    made: list[str] = []
    for now in clock:
        made.append(next_id("b", made, now))
    assert made == sorted(set(made))


def test_an_id_is_found_by_its_first_letters() -> None:
    assert resolve("b4k7", ["b4k7q2x", "b4k9aaa"]) == "b4k7q2x"


def test_the_whole_id_wins_over_a_longer_one() -> None:
    assert resolve("root", ["root-2", "root"]) == "root"


def test_an_ambiguous_prefix_names_the_candidates() -> None:
    with pytest.raises(UsageError, match=r"b4 may be b4k7q2x or b4k9aaa; nothing") as caught:
        resolve("b4", ["b4k9aaa", "b4k7q2x", "c1"])
    assert caught.value.exit_code is ExitCode.USAGE


def test_many_candidates_fit_on_one_line() -> None:
    with pytest.raises(UsageError, match=r"or 995 more"):
        resolve("b", [f"b{n:06}" for n in range(1000)])


@pytest.mark.parametrize("typed", ["x1", "", "b4k7q2xx"])
def test_an_unknown_id_points_to_the_list(typed: str) -> None:
    with pytest.raises(UsageError, match="no boot environment") as caught:
        resolve(typed, ["b4k7q2x"])
    assert "snaproot list" in caught.value.hint
