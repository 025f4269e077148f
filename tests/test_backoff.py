"""A failed update waits longer each time; another one, or a typed upgrade, waits for nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from snaproot.backoff import NAME, Failure, Notebook, Notes, parse, render
from snaproot.errors import NeedsRecovery, NewerFormat

NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def failed(times: int) -> Failure:
    notes = Notes()
    for _ in range(times):
        notes = notes.failing("c1", NOW, "apt-get exited 100")
    assert notes.failure
    return notes.failure


def test_pauses_grow_to_two_weeks() -> None:
    pauses = [(failed(times).again - NOW) // HOUR for times in (1, 2, 3, 4, 5, 6, 7, 8, 1000)]
    assert pauses == [6, 12, 24, 48, 96, 192, 336, 336, 336]


def test_the_same_waits_and_another_does_not() -> None:
    failure = failed(1)
    assert failure.holds("c1", NOW)
    assert failure.holds("c1", NOW + 6 * HOUR - timedelta(seconds=1))
    assert not failure.holds("c1", NOW + 6 * HOUR)
    assert not failure.holds("c2", NOW)


def test_a_clock_that_was_put_back_holds_nothing() -> None:
    assert not failed(8).holds("c1", NOW - HOUR)


def test_another_update_counts_from_one() -> None:
    notes = Notes(failed(5), told="c0").failing("c2", NOW, "no")
    assert notes == Notes(Failure("c2", 1, NOW, "no"), "c0")


def test_it_says_how_often_when_and_why() -> None:
    assert "failed once, last on 2026-11-" in failed(1).said
    assert "failed 3 times in a row" in failed(3).said
    assert "(apt-get exited 100)" in failed(3).said
    assert "when it differs" in failed(3).said


def test_it_reads_what_it_writes(tmp_path: Path) -> None:
    notebook = Notebook(tmp_path)
    assert notebook.load() == Notes()
    for notes in (Notes(failed(2)), Notes(failed(1), told="c0"), Notes(told="c0")):
        notebook.save(notes)
        assert notebook.load() == notes == parse(render(notes))


def test_forgetting_a_failure_forgets_nothing_else(tmp_path: Path) -> None:
    notebook = Notebook(tmp_path)
    notebook.forget_failure()
    assert not notebook.path.exists()
    notebook.save(Notes(failed(2), told="c0"))
    notebook.forget_failure()
    assert notebook.load() == Notes(told="c0")


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"format": 1}', '{"format": 1, "failure": null, "told": 1}'),
        '{"format": 1, "failure": {}, "told": ""}',
        '{"format": 1, "failure": 1, "told": ""}',
        '{"format": 1, "failure": {"content": "c", "times": 0, "last": "2026-11-24T01:00:00+00:00",'
        ' "reason": ""}, "told": ""}',
        '{"format": 1, "failure": {"content": "c", "times": 1, "last": "2026-11-24T01:00:00",'
        ' "reason": ""}, "told": ""}',
        '{"format": 1, "failure": {"content": "c", "times": 1, "last": "yesterday", "reason": ""},'
        ' "told": ""}',
    ],
)
def test_damaged_notes_are_no_empty_ones(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(NeedsRecovery, match=r"background\.json cannot be read"):
        Notebook(tmp_path).load()
    Notebook(tmp_path).forget_failure()
    assert (tmp_path / NAME).read_text() == text


def test_newer_notes_are_left_alone(tmp_path: Path) -> None:
    newer = b'{"format": 2, "failure": null, "told": ""}'
    (tmp_path / NAME).write_bytes(newer)
    with pytest.raises(NewerFormat, match="format 2"):
        Notebook(tmp_path).load()
    Notebook(tmp_path).forget_failure()
    assert (tmp_path / NAME).read_bytes() == newer
