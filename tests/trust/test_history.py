"""No change of what is believed goes unseen."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from snaproot.errors import NewerFormat
from snaproot.trust import believed, history
from snaproot.trust.facts import Unverifiable
from snaproot.trust.history import note, read
from snaproot.trust.store import Store
from tests.trust.test_judging import World

NOW = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "trust", within=tmp_path)


def test_each_change_is_there_once_and_in_order(store: Store) -> None:
    shipped, own = believed.load(None, ()), World().believed()
    assert read(store) == ()
    taken = [note(store, one, NOW + n * timedelta(hours=1)) for n, one in enumerate((shipped, own))]
    assert taken == [True, True]
    assert not note(store, own, NOW + timedelta(hours=5))
    assert note(store, shipped, NOW + timedelta(hours=9))
    found = read(store)
    assert [one.policy for one in found] == [
        shipped.policy.digest,
        own.policy.digest,
        shipped.policy.digest,
    ]
    assert [one.time.hour for one in found] == [0, 1, 9]


def test_a_newer_list_of_revocations_is_a_change(store: Store) -> None:
    world = World(entries=[])
    before = World(it=world.it)
    note(store, before.believed(), NOW)
    assert note(store, world.believed(), NOW)
    assert [one.revocations for one in read(store)] == [0, 3]


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1}', '{"format": 1, "changes": [{}]}'])
def test_damage_is_told_and_nothing_is_written_over_it(text: str, store: Store) -> None:
    store.prepare()
    path = store.directory / history.NAME
    path.write_text(text)
    with pytest.raises(Unverifiable, match="nobody can tell"):
        note(store, World().believed(), NOW)
    assert path.read_text() == text


def test_a_newer_format_is_left_alone(store: Store) -> None:
    store.prepare()
    (store.directory / history.NAME).write_text('{"format": 2, "changes": []}')
    with pytest.raises(NewerFormat):
        read(store)
