"""Programs that cannot be started, and what they leave."""

from collections.abc import Callable
from pathlib import Path

import pytest

from snaproot.errors import SnaprootError
from snaproot.run import interactive, pipe, run, stream

STARTS: dict[str, Callable[[list[str]], object]] = {
    "run": run,
    "stream": lambda argv: stream(argv, lambda _: None),
    "pipe": lambda argv: pipe(argv, lambda _: None),
    "interactive": interactive,
}


@pytest.mark.parametrize("start", STARTS)
def test_a_program_that_is_missing_is_one_line(start: str) -> None:
    with pytest.raises(SnaprootError, match="no-such: no such program") as raised:
        STARTS[start](["no-such", "word"])
    assert raised.value.hint


@pytest.mark.parametrize("start", STARTS)
def test_a_program_that_cannot_be_started_is_one_line(start: str, tmp_path: Path) -> None:
    with pytest.raises(SnaprootError, match="cannot be started: permission denied"):
        STARTS[start]([str(tmp_path)])
    with pytest.raises(SnaprootError, match="argument list too long"):
        STARTS[start](["true", "x" * (1 << 20)])
