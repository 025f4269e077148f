"""The rollback floor of a pool: what a root's ZFS says while it runs, and what that means later."""

import json

import pytest

from snaproot.errors import NewerFormat
from snaproot.filesystem.zfs.floor import Floor, Use, parse, render

OLD, NEW = ("async_destroy", "lz4_compress"), ("async_destroy", "lz4_compress", "zstd_compress")
BEFORE, AFTER = "2026-01-01T00:00:00+00:00", "2026-02-02T00:00:00+00:00"


def seen() -> Floor:
    """The old root ran; then a trial of the new one, in which the pool was upgraded."""
    first = Floor().noted("b1", OLD, OLD, ["b1"], BEFORE)
    return first.noted("b2", NEW, NEW, ["b1", "b2", "b3"], AFTER)


def test_a_feature_that_came_into_use_leaves_older_roots_beneath_the_floor() -> None:
    assert seen().beneath("b1", NEW) == (
        "its ZFS does not know zstd_compress, in use in the pool since 2026-02-02 in b2"
    )
    assert seen().beneath("b2", NEW) == ""


def test_what_is_only_enabled_keeps_no_root_from_the_pool() -> None:
    assert seen().beneath("b1", OLD) == ""


def test_of_a_root_that_never_ran_nothing_is_said() -> None:
    assert seen().beneath("b3", [*NEW, "of_tomorrow"]) == ""


def test_a_root_that_learns_is_above_the_floor_again() -> None:
    """Such as by another module in it, which was booted since."""
    learned = seen().noted("b1", NEW, NEW, ["b1", "b2"], AFTER)
    assert learned.beneath("b1", NEW) == ""


def test_a_revert_takes_nothing_back() -> None:
    """The trial is gone, and what it made of the pool stays."""
    reverted = seen().noted("b1", OLD, OLD, ["b1"], AFTER)
    assert "b2" not in reverted.knows
    assert reverted.used["zstd_compress"] == Use(AFTER, "b2")
    assert "since 2026-02-02 in b2" in reverted.beneath("b1", NEW)


def test_the_first_sight_of_a_feature_is_kept() -> None:
    again = seen().noted("b2", NEW, NEW, ["b2"], "2026-03-03T00:00:00+00:00")
    assert again.used["zstd_compress"] == Use(AFTER, "b2")
    assert again.used["lz4_compress"] == Use(BEFORE, "b1")


def test_it_is_read_as_it_was_written_and_unknown_keys_are_kept() -> None:
    text = json.dumps({**json.loads(render(seen())), "newer": 1})
    floor = parse(text.encode())
    assert (floor.knows, floor.used) == (seen().knows, seen().used)
    assert json.loads(render(floor))["newer"] == 1
    assert json.loads(render(floor))["reader"] == "0.1"


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"[]", b'{"format": 1}', b'{"format": 1, "knows": [], "used": {}}'),
        b'{"format": 1, "knows": {}, "used": {"x": {"since": ""}}}',
    ],
)
def test_damage_is_told(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


def test_a_newer_format_is_not_guessed_at() -> None:
    with pytest.raises(NewerFormat):
        parse(b'{"format": 2, "knows": {}, "used": {}}')
