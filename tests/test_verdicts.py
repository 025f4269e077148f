"""The verdict log: canonical lines, whatever a power cut or a full disk did to them."""

import json
import os
import resource
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snaproot.errors import SnaprootError
from snaproot.verdicts import NAME, Verdict, append, last, parse, read, render

FIRST = Verdict(
    time="2026-01-02T03:04:05+00:00",
    boot_id="0f9c",
    deployment="d1",
    kind="upgrade",
    target="b2",
    base="b1",
    result="good",
    by="health",
    reason="every required health check is good",
    findings=({"probe": "p", "milliseconds": 3, "evidence": {"ü": [True, None, -1]}},),
)
SECOND = replace(FIRST, deployment="d2", result="bad", reason="web.service failed")


def test_a_line_is_canonical_json() -> None:
    assert render(FIRST) == (
        b'{"base":"b1","boot_id":"0f9c","by":"health","deployment":"d1","findings":[{"evidence":'
        b'{"\xc3\xbc":[true,null,-1]},"milliseconds":3,"probe":"p"}],"format":1,"kind":"upgrade",'
        b'"reason":"every required health check is good","result":"good","target":"b2",'
        b'"time":"2026-01-02T03:04:05+00:00"}\n'
    )


def test_keys_are_sorted_by_utf_16_as_the_rfc_says() -> None:
    keys = ["\ue000", "\U0001f600", "a"]  # the smiley's first surrogate comes before U+E000
    line = render(replace(FIRST, findings=[dict.fromkeys(keys, 1)]))
    assert '{"a":1,"\U0001f600":1,"\ue000":1}'.encode() in line


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(), st.dictionaries(st.text(), json_values, max_size=3))
def test_what_is_written_is_read(reason: str, evidence: dict[str, Any]) -> None:
    line = render(replace(FIRST, reason=reason, findings=[evidence]))
    assert line.count(b"\n") == 1
    again = parse(line)
    assert render(again) == line


@pytest.mark.parametrize("value", [1.5, 2**53, object(), {1, 2}, b"x"])
def test_what_has_no_canonical_form_is_misuse(value: object) -> None:
    with pytest.raises(RuntimeError, match="no place in a verdict"):
        render(replace(FIRST, findings=[{"x": value}]))


def test_what_is_no_unicode_does_not_stop_a_verdict() -> None:
    line = render(replace(FIRST, findings=[{"file\udcff": "name\udcff"}]))
    assert b'{"file?":"name?"}' in line


def test_unknown_keys_are_kept() -> None:
    data = json.loads(render(FIRST)) | {"newer": [1]}
    again = parse(json.dumps(data).encode())
    assert json.loads(render(again))["newer"] == [1]


def test_lines_are_added(tmp_path: Path) -> None:
    path = tmp_path / NAME
    for verdict in (FIRST, SECOND, FIRST):
        append(path, verdict)
    assert read(path).verdicts == tuple(map(parse, map(render, (FIRST, SECOND, FIRST))))
    assert read(path).damaged == ()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == render(FIRST) + render(SECOND) + render(FIRST)


def test_a_repeated_step_adds_nothing(tmp_path: Path) -> None:
    path = tmp_path / NAME
    append(path, FIRST)
    append(path, replace(FIRST, time="2027-01-01T00:00:00+00:00", findings=()))
    assert path.read_bytes() == render(FIRST)


@pytest.mark.parametrize("name", ["deployment", "boot_id", "result", "by", "reason"])
def test_another_verdict_is_added(name: str, tmp_path: Path) -> None:
    path = tmp_path / NAME
    append(path, FIRST)
    append(path, replace(FIRST, **{name: "other"}))  # type: ignore[arg-type]
    assert len(read(path).verdicts) == 2


def test_a_line_torn_anywhere_is_closed_off_and_told(tmp_path: Path) -> None:
    path, whole = tmp_path / NAME, render(FIRST) + render(SECOND)
    for cut in range(len(render(FIRST)) + 1, len(whole) - 1, 7):
        path.write_bytes(whole[:cut])
        assert last(path) == parse(render(FIRST))
        append(path, SECOND)
        assert path.read_bytes() == whole[:cut] + b"\n" + render(SECOND)
        log = read(path)
        assert (len(log.verdicts), log.damaged) == (2, (2,))
        assert last(path) == parse(render(SECOND))


def test_a_line_that_lacks_only_its_end_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(render(FIRST).rstrip(b"\n"))
    append(path, SECOND)
    assert [v.deployment for v in read(path).verdicts] == ["d1", "d2"]
    assert read(path).damaged == ()


@pytest.mark.parametrize(
    "garbage",
    [b"\0" * 4096, b"\xff\xfe\n", b"null\n", b'{"format":1}\n', b'{"format":2}\n', b"[" * 9999],
)
def test_garbage_is_told_and_passed_over(garbage: bytes, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(render(FIRST) + garbage)
    assert last(path) == parse(render(FIRST))
    append(path, SECOND)
    assert [v.deployment for v in read(path).verdicts] == ["d1", "d2"]
    assert read(path).damaged == (2,)


def test_the_last_of_a_long_log_is_found_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"x" * 300_000 + b"\n" + render(FIRST) + b"y" * 200_000)
    assert last(path) == parse(render(FIRST))
    path.write_bytes(render(FIRST) * 3 + render(replace(SECOND, reason="z" * 500_000)))
    newest = last(path)
    assert newest is not None
    assert newest.deployment == "d2"


def test_no_log_yet(tmp_path: Path) -> None:
    assert last(tmp_path / NAME) is None
    assert read(tmp_path / NAME).verdicts == ()
    (tmp_path / NAME).touch()
    assert last(tmp_path / NAME) is None


def test_a_directory_that_is_not_there_is_loud(tmp_path: Path) -> None:
    with pytest.raises(SnaprootError, match="cannot write the verdict"):
        append(tmp_path / "gone" / NAME, FIRST)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    (tmp_path / NAME).symlink_to(tmp_path / "other")
    with pytest.raises(SnaprootError):
        append(tmp_path / NAME, FIRST)
    assert (tmp_path / "other").read_bytes() == b""


def test_a_write_that_does_not_fit_leaves_no_torn_line(tmp_path: Path) -> None:
    path = tmp_path / NAME
    append(path, FIRST)
    before = path.read_bytes()
    pid = os.fork()  # the limit is for this child alone
    if pid == 0:
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            most = len(before) + 50
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            append(path, SECOND)
        except SnaprootError:
            os._exit(7)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert path.read_bytes() == before
