"""What `make fuzz` says of a run is what was run."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
_PROPERTIES = """\
from hypothesis import given, settings, strategies as st
from tests.fuzzing import cases

@cases(5)
@given(st.integers())
def test_many(number): pass

@cases(5)
@given(st.booleans())
def test_two(truth): pass
"""
_FEW = """
@settings(max_examples=5)
@given(st.integers())
def test_few(number): pass
"""
_WRONG = """
@cases(5)
@given(st.integers())
def test_wrong(number): assert number < 100
"""


def ran(directory: Path, text: str, *words: str) -> tuple[int, str]:
    path = directory / "test_it.py"
    path.write_text(text)
    program = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words, str(path)]
    done = subprocess.run(program, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize("workers", [("-p", "no:xdist"), ("-n", "2")], ids=["one", "two"])
def test_each_property_is_told_with_its_cases(workers: tuple[str, ...], tmp_path: Path) -> None:
    status, said = ran(tmp_path, _PROPERTIES, "-p", "tests.fuzzing", "--cases", "321", *workers)
    assert status == 0
    assert "fuzz:     321 cases in " in said
    assert "test_it.py::test_many" in said
    assert "fuzz:       2 cases in " in said
    assert "every one there is" in said


def test_less_than_was_asked_for_fails(tmp_path: Path) -> None:
    fuzzing = ("-p", "tests.fuzzing", "--cases", "20", "-p", "no:xdist")
    status, said = ran(tmp_path, _PROPERTIES + _FEW, *fuzzing)
    assert (status, "3 passed" in said) == (1, True)


def test_of_what_failed_no_number_is_told(tmp_path: Path) -> None:
    fuzzing = ("-p", "tests.fuzzing", "--cases", "500", "-p", "no:xdist")
    status, said = ran(tmp_path, _PROPERTIES + _WRONG, *fuzzing)
    told = [line for line in said.splitlines() if line.startswith("fuzz:")]
    assert status == 1
    assert not [line for line in told if "test_wrong" in line]


def test_elsewhere_few_are_tried(tmp_path: Path) -> None:
    words = ("-p", "no:xdist", "--hypothesis-show-statistics")
    status, said = ran(tmp_path, _PROPERTIES, *words)
    assert status == 0
    assert "5 passing" in said
