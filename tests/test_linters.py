"""The linters and the types are tests like any other."""

import sys
from pathlib import Path

import pytest

from snaproot.run import run

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    "words", [("ruff", "check"), ("ruff", "format", "--check"), ("mypy",)], ids=" ".join
)
def test_is_clean(words: tuple[str, ...]) -> None:
    place = ["env", f"--chdir={REPOSITORY}"]
    done = run([*place, sys.executable, "-m", *words], check=False)
    assert done.status == 0, done.output
