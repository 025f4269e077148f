"""What a deployment begins as."""

from datetime import UTC, datetime
from itertools import pairwise

from snaproot import drafts
from snaproot.state import Kind, Record

NOW = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)


def test_a_name_that_was_given_up_is_not_given_again_within_its_second() -> None:
    record, names = Record(base="original"), []
    for _ in range(3):
        draft = drafts.staging(Kind.UPGRADE, record, ["original"], NOW)
        names.append((draft.id, draft.target))
        record = Record(base="original", last=draft.id)
    assert all(earlier < later for earlier, later in pairwise(names))
    assert len({target for _, target in names}) == 3


def test_a_clock_that_ran_backwards_counts_on_from_the_newest_of_both() -> None:
    draft = drafts.staging(Kind.UPGRADE, Record(base="b1", last="d1rzzz0"), ["b1rzzz4"], NOW)
    assert (draft.id, draft.target) == ("d1rzzz5", "b1rzzz5")
