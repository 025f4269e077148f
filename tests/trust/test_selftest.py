"""The self-test: that what is shipped has its answers, and that no bug is believed."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contrib.debian import build
from snaproot.trust import clock
from snaproot.trust.facts import Unverifiable
from snaproot.trust.selftest import ACCEPTED, CASES, KNOWN, SIGNED, insist, run
from tests.trust import known
from tests.trust.bugs import BELIEVED, BUGS

NOW = datetime.now(UTC)
FILES = {path.stem for path in KNOWN.iterdir()}


def failure(directory: Path, now: datetime = NOW) -> str:
    with pytest.raises(Unverifiable) as caught:
        insist(now, directory)
    assert caught.value.reason == "selftest.failed"
    return str(caught.value)


# -- what is shipped -----------------------------------------------------------------------------


def test_every_question_has_its_answer() -> None:
    answers = {answer.case: answer.got for answer in run(NOW)}
    assert answers == {case.name: case.answer for case in CASES}
    assert all(answer.ok for answer in run(NOW))


def test_some_are_good_and_most_are_broken_each_in_its_way() -> None:
    broken = [case.answer for case in CASES if case.answer != ACCEPTED]
    assert len(broken) == len(CASES) - 2
    # Several times where signature and attestation differ, or the versions of the log.
    assert len(set(broken)) >= len(broken) - 4


def test_every_file_is_asked_about() -> None:
    asked = {name for case in CASES for name in (case.bundle, case.trusted_root, case.revocations)}
    assert asked - {""} == FILES


def test_they_go_into_the_packages() -> None:
    project = tomllib.loads((build.SOURCE / "pyproject.toml").read_text())
    assert "trust/known/*" in project["tool"]["setuptools"]["package-data"]["snaproot"]
    assert {build.SOURCE / path for path in build.modules()} >= {*KNOWN.iterdir()}


def test_they_can_be_made_anew(tmp_path: Path) -> None:
    (tmp_path / "old.json").touch()
    known.make(tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == FILES
    insist(NOW, tmp_path)
    assert (tmp_path / "signature.json").read_bytes() != (KNOWN / "signature.json").read_bytes()


# -- when it is asked ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "now",
    [clock.RELEASED, SIGNED, NOW, clock.RELEASED + timedelta(days=20 * 365)],
    ids=["released", "signed", "now", "late"],
)
def test_they_are_good_at_any_time(now: datetime) -> None:
    assert SIGNED <= clock.RELEASED
    insist(now)


@pytest.mark.parametrize(("year", "reason"), [(1970, "clock.early"), (2100, "clock.late")])
def test_a_wrong_clock_is_named_as_such(year: int, reason: str) -> None:
    with pytest.raises(Unverifiable) as caught:
        insist(datetime(year, 1, 1, tzinfo=UTC))
    assert caught.value.reason == reason
    assert {answer.got for answer in run(datetime(year, 1, 1, tzinfo=UTC))} == {reason}


# -- what is not believed ------------------------------------------------------------------------


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return Path(shutil.copytree(KNOWN, tmp_path / "known"))


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_that_is_missing_or_cut_is_a_wrong_answer(name: str, directory: Path) -> None:
    path = directory / f"{name}.json"
    path.write_bytes(path.read_bytes()[:-9])
    assert "malformed" in failure(directory)
    path.unlink()
    assert "file.unreadable" in failure(directory)


def test_the_first_wrong_answer_is_named(directory: Path) -> None:
    shutil.copy(directory / "signature.json", directory / "entry-other.json")
    said = failure(directory)
    assert said == (
        "asked about an entry about another artifact, the verifier says accepted and not "
        "log.entry; nothing was verified"
    )
    assert [answer.case for answer in run(NOW, directory) if not answer.ok] == [
        "an entry about another artifact"
    ]


def child(*words: str, path: str = "") -> str:
    """Run Python in a process of its own."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=build.SOURCE,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    return dict(json.loads(child("-m", "tests.trust.bugs")))


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_is_not_believed(bug: str, told: dict[str, str]) -> None:
    assert told[bug].startswith("selftest.failed: asked about ")


def test_without_a_bug_it_is_believed(told: dict[str, str]) -> None:
    assert told["none"] == told["none any more"] == BELIEVED


_PATCH = """\
from sigstore.verify import Verifier
Verifier.verify_artifact = lambda *_: None
"""
_ASK = """\
from datetime import UTC, datetime
from snaproot.trust import facts, selftest
try:
    selftest.insist(datetime.now(UTC))
except facts.Unverifiable as error:
    print(error.reason)
"""


def test_a_patch_from_outside_is_not_believed(tmp_path: Path) -> None:
    """As a site package or an environment variable would bring it along."""
    (tmp_path / "sitecustomize.py").write_text(_PATCH)
    assert child("-c", _ASK, path=str(tmp_path)) == "selftest.failed\n"
    assert child("-c", _ASK) == ""
