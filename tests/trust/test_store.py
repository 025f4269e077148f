"""What is in place is whole, and is not an older one that was put back."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snaproot.errors import ExitCode, NewerFormat
from snaproot.trust.facts import Distrusted, Unverifiable
from snaproot.trust.store import (
    LIMIT,
    Configuration,
    Delivered,
    Pin,
    Store,
    delivered,
    parse_configuration,
    parse_pin,
    render_configuration,
    render_pin,
)

PIN = Pin(b'{"signed": {}}', MappingProxyType({1: "aa", 2: "bb"}))


def configuration(policy: int = 1, **files: bytes) -> Configuration:
    named = {"policy": b"version = 1\n", "trusted_root": b"{}\r\n\xc3\xa9", **files}
    ends = {"policy": "toml"}
    return Configuration(
        {f"{name}.{ends.get(name, 'json')}": delivered(one) for name, one in named.items()},
        {"root": 1, "policy": policy, "revocations": 0},
        datetime(2026, 12, 1, tzinfo=UTC),
        datetime(2027, 12, 1, tzinfo=UTC),
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = Store(tmp_path / "trust", owner=os.getuid(), within=tmp_path)
    found.prepare()
    return found


@pytest.fixture
def filled(store: Store) -> Store:
    store.save_pin(PIN)
    store.save_configuration(configuration(policy=3))
    store.raise_floors({"policy": 3, "root k": 1, "timestamp k": 7})
    return store


def test_what_is_saved_is_read_back_to_the_byte(filled: Store) -> None:
    found = filled.configuration()
    assert found == configuration(policy=3)
    assert filled.pin() == PIN
    assert found is not None
    assert found.trusted_root is not None
    assert found.trusted_root.content == b"{}\r\n\xc3\xa9"
    assert found.policy.text == "version = 1\n"
    assert found.revocations is None


def test_all_files_have_their_digest(filled: Store) -> None:
    filled.save_configuration(configuration(policy=3, revocations=b"r"))
    found = filled.configuration()
    assert found is not None
    assert found.revocations == delivered(b"r")
    assert len({one.sha256 for one in found.files.values()}) == 3


def test_a_store_without_a_root_is_none(tmp_path: Path, store: Store) -> None:
    """Not even where the first update was refused, or there are floors of what was installed."""
    assert Store(tmp_path / "none", owner=os.getuid(), within=tmp_path).configuration() is None
    store.raise_floors({"product image": 3})
    assert store.configuration() is None
    assert store.pin() is None
    assert store.floors().of("product image") == 3


def test_preparing_twice_and_after_a_cut_changes_nothing(filled: Store) -> None:
    (filled.metadata / "tmpabc").write_bytes(b"half")
    (filled.metadata / "timestamp.json").write_bytes(b"whole")
    (filled.incoming / "policy.toml").write_bytes(b"half")
    for _ in range(2):
        filled.prepare()
    assert filled.configuration() == configuration(policy=3)
    assert filled.floors().of("timestamp k") == 7
    assert [*filled.incoming.iterdir()] == []
    assert [path.name for path in filled.metadata.iterdir()] == ["timestamp.json"]


def rewritten(name: str, change: Callable[[str], str]) -> Callable[[Store], object]:
    def change_file(store: Store) -> None:
        path = store.directory / name
        path.write_text(change(path.read_text()))

    return change_file


def without(name: str) -> Callable[[Store], object]:
    return lambda store: (store.directory / name).unlink()


@pytest.mark.parametrize(
    ("spoil", "kind", "reason"),
    [
        (without("configuration.json"), Unverifiable, "store.empty"),
        (without("floors.json"), Unverifiable, "store.damaged"),
        (rewritten("floors.json", lambda _: ""), Unverifiable, "store.damaged"),
        (rewritten("configuration.json", lambda _: ""), Unverifiable, "store.damaged"),
        (
            rewritten("configuration.json", lambda text: text.replace("version =", "versiom =")),
            Unverifiable,
            "store.damaged",
        ),
        (
            rewritten("configuration.json", lambda text: text.replace("policy.toml", "p.toml")),
            Unverifiable,
            "store.damaged",
        ),
        (
            lambda store: store.save_configuration(replace(configuration(3), files={})),
            Unverifiable,
            "store.damaged",
        ),
        (
            lambda store: store.save_configuration(configuration(policy=2)),
            Distrusted,
            "store.rollback",
        ),
        (
            lambda store: store.raise_floors({"revocations": 1}),
            Distrusted,
            "store.rollback",
        ),
        (
            lambda store: (store.directory / "configuration.json").chmod(0o666),
            Distrusted,
            "file.mode",
        ),
        (lambda store: store.directory.chmod(0o777), Distrusted, "file.mode"),
    ],
    ids=[
        *("lost", "floors lost", "floors emptied", "emptied", "edited", "renamed", "no files"),
        *("put back", "revocations gone", "writable", "writable directory"),
    ],
)
def test_a_store_that_is_not_whole_is_not_believed(
    filled: Store,
    spoil: Callable[[Store], object],
    kind: type[Distrusted | Unverifiable],
    reason: str,
) -> None:
    spoil(filled)
    with pytest.raises(kind) as caught:
        filled.configuration()
    assert isinstance(caught.value, Distrusted | Unverifiable)
    assert caught.value.reason == reason
    assert caught.value.hint


def test_an_emptied_store_beside_floors_is_not_a_fresh_one(filled: Store) -> None:
    for name in ("configuration.json", "pin.json"):
        without(name)(filled)
    with pytest.raises(Unverifiable, match="nothing is trusted") as caught:
        filled.configuration()
    assert caught.value.reason == "store.empty"
    assert caught.value.exit_code is ExitCode.FAILED


def test_nothing_is_written_where_others_can_write(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o1777)
    with pytest.raises(Distrusted, match="can be written by everybody"):
        Store(tmp_path / "open/trust", owner=os.getuid(), within=tmp_path).prepare()
    assert [*(tmp_path / "open").iterdir()] == []


@pytest.mark.parametrize("left", ["configuration.json", "pin.json"])
def test_floors_that_were_lost_are_not_made_anew(filled: Store, left: str) -> None:
    for name in {"floors.json", "configuration.json", "pin.json"} - {left}:
        without(name)(filled)
    (filled.directory / left).write_bytes(b"")
    filled.prepare()
    with pytest.raises(Unverifiable, match=r"floors\.json is missing"):
        filled.raise_floors({"policy": 1})


def test_a_newer_format_is_left_to_a_newer_snaproot(filled: Store) -> None:
    for name in ("configuration.json", "floors.json"):
        rewritten(name, lambda text: text.replace('"format": 1', '"format": 2'))(filled)
        with pytest.raises(NewerFormat, match="format 2"):
            filled.configuration()


def test_the_largest_files_can_be_read_again(filled: Store) -> None:
    """JSON writes a control character as six."""
    worst = delivered(b"\x01" * LIMIT)
    files = ("policy.toml", "trusted_root.json", "revocations.json")
    largest = replace(configuration(policy=3), files=dict.fromkeys(files, worst))
    filled.save_configuration(largest)
    assert filled.configuration() == largest


texts = st.text(max_size=20)
versions = st.dictionaries(st.sampled_from(["root", "policy"]), st.integers(0, 1 << 40))
times = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)).map(  # noqa: DTZ001
    lambda time: time.replace(microsecond=0, tzinfo=UTC)
)
sets = st.builds(
    lambda required, other, *rest: Configuration({**required, **other}, *rest),
    st.fixed_dictionaries(
        dict.fromkeys(
            ("policy.toml", "trusted_root.json"), texts.map(lambda text: delivered(text.encode()))
        )
    ),
    st.dictionaries(
        st.sampled_from(["trusted_root.json", "revocations.json"]),
        texts.map(lambda text: delivered(text.encode())),
    ),
    versions,
    times,
    times,
)


@settings(deadline=None, max_examples=60)
@given(sets, st.data())
def test_a_set_is_read_as_it_was_written_or_not_at_all(
    found: Configuration, data: st.DataObject
) -> None:
    """Whatever one byte becomes, no file comes out that is not what its digest says."""
    text = bytearray(render_configuration(found))
    assert parse_configuration(bytes(text)) == found
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = parse_configuration(bytes(text))
    except (ValueError, NewerFormat):
        return
    assert all(delivered(one.content) == one for one in read.files.values())


scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts


def _nested(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    keys = st.sampled_from(["policy.toml", "trusted_root.json", "text", "sha256", "1"])
    return st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=3)


values: st.SearchStrategy[object] = st.recursive(scalars, _nested, max_leaves=6)
KEYS = ("files", "versions", "updated", "expires", "root", "accepted")


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(st.sampled_from(KEYS), values))
def test_only_damage_leaves_the_parsers(fields: dict[str, object]) -> None:
    text = json.dumps({"format": 1, **fields}).encode()
    for parse in (parse_configuration, parse_pin):
        try:
            found = parse(text)
        except (ValueError, NewerFormat):
            continue
        assert isinstance(found, Pin | Configuration)


@settings(deadline=None, max_examples=40)
@given(st.builds(Pin, texts.map(str.encode), st.dictionaries(st.integers(1), texts)))
def test_a_pin_is_read_as_it_was_written(found: Pin) -> None:
    assert parse_pin(render_pin(found)) == found


def test_a_lone_surrogate_is_damage() -> None:
    """JSON can hold one, UTF-8 cannot."""
    good = configuration()
    odd = Delivered("\ud800", "")
    with pytest.raises(ValueError, match="surrogate"):
        parse_configuration(
            render_configuration(replace(good, files={**good.files, "revocations.json": odd}))
        )
