"""The record survives its own file, and a file that is not whole is never taken for one."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snaproot.errors import ExitCode, NeedsRecovery, NewerFormat
from snaproot.record import Records, parse, render
from snaproot.state import FORMAT, READER, Deployment, Kind, Phase, Record
from tests.deployments import BASE, LAST, OTHER, STAGING, deployment

texts = st.text(max_size=20)
ids = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
counts = st.integers(0, 9)
newer_keys = st.dictionaries(
    st.sampled_from(["mood", "weather", "x-later"]),
    st.none() | st.booleans() | st.integers() | texts | st.lists(texts, max_size=3),
    max_size=2,
)


def deployments(
    phases: st.SearchStrategy[Phase], replaces: st.SearchStrategy[Deployment | None]
) -> st.SearchStrategy[Deployment]:
    return st.builds(
        Deployment,
        id=ids,
        kind=st.sampled_from(Kind),
        parent=ids,
        base=ids,
        target=ids,
        created_target=st.booleans(),
        phase=phases,
        boot_id=texts,
        tries=counts,
        attempts_used=counts,
        attempts_given_back=counts,
        trial_boots=st.lists(texts, max_size=3).map(tuple),
        reason=texts,
        bad=st.booleans(),
        replaces=replaces,
        extra=newer_keys,
    )


alone = deployments(st.just(Phase.ARMED), st.none())
pending = deployments(
    st.sampled_from([p for p in Phase if p is not Phase.STAGING]), st.none() | alone
)
records = st.builds(
    Record,
    base=ids,
    last=st.just("") | ids,
    work=st.none() | deployments(st.just(Phase.STAGING), st.none()),
    pending=st.none() | pending,
    extra=newer_keys,
)
FULL = Record(
    base=BASE,
    last=LAST,
    work=STAGING,
    pending=deployment(Phase.ARMING, trial_boots=("boot1",), replaces=OTHER),
)


@given(records)
def test_what_is_written_is_read_again_with_keys_that_only_a_newer_one_knows(
    record: Record,
) -> None:
    assert parse(render(record)) == record


def test_the_format_comes_first_and_people_can_read_it() -> None:
    lines = render(FULL).decode().splitlines()
    assert lines[1] == ' "format": 1,'
    assert len(lines) > 20


def test_keys_of_a_newer_snaproot_are_kept_in_what_is_written() -> None:
    text = json.loads(render(FULL))
    text["mood"] = {"good": [1]}
    text["pending"]["weather"] = None
    text["pending"]["replaces"]["moon"] = "full"
    again = json.loads(render(parse(json.dumps(text).encode())))
    assert again == text


@pytest.mark.parametrize("keep", [0, 1, 20, 200, -3])
def test_a_truncated_record_is_damage(keep: int) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(render(FULL)[:keep])


def damaged(**changes: object) -> bytes:
    return json.dumps({**json.loads(render(FULL)), **changes}).encode()


def with_pending(**changes: object) -> bytes:
    pending = {**json.loads(render(FULL))["pending"], **changes}
    return damaged(pending=pending)


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"null", b"[]", b"{}", b'"format"', b"\0" * 4096, b"\xff\xfe", b"[" * 100000),
        *(damaged(format=None), damaged(format="1"), damaged(format=True), damaged(format=0)),
        *(damaged(base=None), damaged(base=7), damaged(base=""), damaged(last=["d1"])),
        *(damaged(work="d3"), damaged(pending=[]), damaged(work={"id": "d3"})),
        *(with_pending(phase="flying"), with_pending(kind="flying"), with_pending(phase=None)),
        *(with_pending(tries="2"), with_pending(tries=True), with_pending(tries=1.0)),
        *(with_pending(bad=0), with_pending(created_target="yes"), with_pending(trial_boots="x")),
        *(with_pending(trial_boots=[1]), with_pending(trial_boots=None), with_pending(target=None)),
        *(with_pending(replaces="d1"), with_pending(phase="staging"), with_pending(id="")),
        damaged(work=json.loads(render(FULL))["pending"]),
        *(with_pending(target="../../home"), damaged(base="/"), with_pending(parent="a b")),
    ],
    ids=lambda text: text[:60].decode(errors="replace") if isinstance(text, bytes) else None,
)
def test_damage_is_a_value_error_and_nothing_else(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


NEEDED = ("id", "kind", "parent", "base", "target", "created_target", "phase")


@pytest.mark.parametrize("name", NEEDED)
def test_a_deployment_without_one_of_its_keys_is_damage(name: str) -> None:
    text = json.loads(render(FULL))
    del text["pending"][name]
    with pytest.raises(ValueError, match="missing or misplaced"):
        parse(json.dumps(text).encode())


def test_what_an_older_snaproot_did_not_write_has_its_default() -> None:
    text = json.loads(render(FULL))
    text["pending"] = {name: text["pending"][name] for name in NEEDED}
    read = parse(json.dumps(text).encode()).pending
    assert read
    assert (read.tries, read.trial_boots, read.replaces, read.bad) == (0, (), None, False)


@given(st.binary(max_size=40), st.integers(0, 1500), st.integers(0, 40))
def test_whatever_is_damaged_it_is_a_record_or_an_error_of_ours(
    junk: bytes, at: int, length: int
) -> None:
    text = render(FULL)
    try:
        parse(text[:at] + junk + text[at + length :])
    except (ValueError, NewerFormat):
        return


def test_a_newer_format_is_refused_and_says_what_to_do() -> None:
    with pytest.raises(NewerFormat, match=r"format 2, .* reads 1; nothing was changed") as caught:
        parse(damaged(format=2, reader="7.1", base={"quite": "different"}))
    assert caught.value.exit_code is ExitCode.RECOVER
    assert "snaproot 7.1 or newer" in caught.value.hint


def test_a_format_is_kept_until_a_promotion_raises_it() -> None:
    older = replace(FULL, format=0, reader="0.0", pending=deployment(Phase.PROMOTING))
    assert b'"format": 0,\n "reader": "0.0"' in render(older.dropped())
    raised = older.promoted()
    assert (raised.format, raised.reader) == (FORMAT, READER)


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.save(FULL)
    assert records.load() == FULL
    assert records.path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


@pytest.mark.parametrize("text", [None, b"", b"\0\0\0"])
def test_a_missing_or_damaged_record_needs_recovery(tmp_path: Path, text: bytes | None) -> None:
    records = Records(tmp_path)
    if text is not None:
        records.path.write_bytes(text)
    with pytest.raises(NeedsRecovery, match=r"cannot be read .* no root was touched") as caught:
        records.load()
    assert caught.value.exit_code is ExitCode.RECOVER
    assert "snaproot recover" in caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_record_that_is_a_directory_needs_recovery(tmp_path: Path) -> None:
    Records(tmp_path).path.mkdir()
    with pytest.raises(NeedsRecovery):
        Records(tmp_path).load()


def test_a_damaged_record_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    records = Records(tmp_path)
    assert records.set_aside() is None
    records.path.write_bytes(b"garbled")
    aside = records.set_aside()
    assert aside
    records.save(FULL)
    assert aside.read_bytes() == b"garbled"
    assert records.load() == FULL


def test_a_second_damaged_record_does_not_replace_the_first(tmp_path: Path) -> None:
    records = Records(tmp_path)
    kept = []
    for text in (b"first", b"second"):
        records.save(FULL)
        records.path.unlink()
        records.path.write_bytes(text)
        kept.append(records.set_aside())
    assert [path.read_bytes() for path in kept if path] == [b"first", b"second"]


def test_setting_aside_twice_is_once_and_changes_nothing_in_place(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.path.write_bytes(b"garbled")
    assert records.set_aside() == records.set_aside()
    assert records.path.read_bytes() == b"garbled"
    assert len(list(tmp_path.iterdir())) == 2
