"""What a deployment begins as."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from snaproot import drafts
from snaproot.record import parse, render
from snaproot.state import Kind, Record

NOW = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)


def dropped(record: Record) -> Record:
    return record.dropped()


def given_up(record: Record) -> Record:
    return record.staged().reverting("abandoned", bad=False).reverted()


@pytest.mark.parametrize("end", [dropped, given_up])
def test_a_name_that_was_given_up_is_not_given_again(end: Callable[[Record], Record]) -> None:
    """Within its second, or where the clock stands still."""
    record, names = Record(base="original"), []
    for _ in range(3):
        draft = drafts.staging(Kind.UPGRADE, record, ["original"], NOW)
        names.append((draft.id, draft.target))
        record = parse(render(end(record.working(draft))))
        assert (record.work, record.pending) == (None, None)
    assert names == sorted(names)
    assert len({target for _, target in names}) == len({id for id, _ in names}) == 3


def test_a_clock_that_ran_backwards_counts_on_from_the_newest_of_both() -> None:
    draft = drafts.staging(Kind.UPGRADE, Record(base="b1", last="d1rzzz0"), ["b1rzzz4"], NOW)
    assert (draft.id, draft.target) == ("d1rzzz5", "b1rzzz5")
