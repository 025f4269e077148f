"""The README says what is so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
HELP = re.compile(r"^\$ (snaproot [a-z ]*--help)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = HELP.findall(TEXT)


def run(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "COLUMNS": "80"},
        cwd=ROOT,
    )
    return done.stdout


def test_it_is_short() -> None:
    assert len(TEXT.splitlines()) <= 200


def test_it_shows_help() -> None:
    assert SHOWN


@pytest.mark.parametrize(("command", "shown"), SHOWN)
def test_every_help_that_it_shows_is_current(command: str, shown: str) -> None:
    assert shown == run(*command.split())


def test_every_verb_that_it_shows_exists() -> None:
    overview = run("snaproot", "--help").split("Commands:")[1]
    verbs = {line.split()[0] for line in overview.splitlines() if line.strip()}
    named = re.findall(r"\bsnaproot (?:--sysroot \S+ )?([a-z]+)\b", TEXT)
    prose = {"makes", "is", "needs"}
    assert not set(named) - verbs - prose


def test_every_file_that_it_names_exists() -> None:
    generated = {"integration/RESULTS.md"}
    links = set(re.findall(r"\]\(([^)#:]+)\)", TEXT)) | set(re.findall(r"`(\w+\.py)`", TEXT))
    places = [ROOT, ROOT / "snaproot"]
    missing = [link for link in links - generated if not any((p / link).exists() for p in places)]
    assert not missing


def test_every_target_of_make_that_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:`|^ {4})make ([a-z]+)\b", TEXT, re.MULTILINE):
        assert f"\n{target}:" in makefile
