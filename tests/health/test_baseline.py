"""The baseline on disk."""

import json
from pathlib import Path

import pytest

from snaproot.errors import NewerFormat, SnaprootError
from snaproot.health.baseline import NAME, Baseline, load, parse, render, save

KNOWN = Baseline(
    failed_units=("a.service", "b.mount"),
    device_errors={"1": {"write_io_errs": 2}},
    recorded="2026-01-02T03:04:05+00:00",
    environment="b4k7q2x",
)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    save(tmp_path, KNOWN)
    assert load(tmp_path) == KNOWN
    assert (tmp_path / NAME).read_bytes().startswith(b'{\n "format": 1,')


def test_a_missing_one_is_empty(tmp_path: Path) -> None:
    assert load(tmp_path) == Baseline()


def test_unknown_keys_are_kept() -> None:
    known = parse(b'{"format": 1, "failed_units": ["x.service"], "seen": {"y": 1}}')
    assert known.failed_units == ("x.service",)
    assert json.loads(render(known))["seen"] == {"y": 1}


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"{", b"[]", b'{"format": 0}', b'{"format": true}', b"[" * 5000),
        b'{"format": 1, "failed_units": "x"}',
        b'{"format": 1, "failed_units": [1]}',
        b'{"format": 1, "device_errors": []}',
        b'{"format": 1, "device_errors": {"1": {"x": 1.5}}}',
        b'{"format": 1, "device_errors": {"1": 3}}',
        b'{"format": 1, "recorded": 3}',
    ],
)
def test_a_damaged_one_is_loud(text: bytes, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(text)
    with pytest.raises(SnaprootError, match="cannot be read") as caught:
        load(tmp_path)
    assert "--record" in caught.value.hint


def test_a_newer_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b'{"format": 2}')
    with pytest.raises(NewerFormat, match="format 2"):
        load(tmp_path)
