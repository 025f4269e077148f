"""The units start what there is, and nothing is enabled that an admin has to want."""

from pathlib import Path

import pytest

from contrib.debian import build
from snaproot.boot import service
from snaproot.errors import ExitCode
from tests.cli.test_frame import NOWHERE, snaproot

UNITS = Path(service.__file__).parent / "units"


def commands(program: str) -> list[list[str]]:
    """Return the words that units give to a program of ours."""
    lines = [line for unit in UNITS.iterdir() for line in unit.read_text().splitlines()]
    begun = [line.partition("=")[2].split() for line in lines if line.startswith("Exec")]
    return [words[1:] for words in begun if words[0] == program]


def test_every_verb_of_the_units_exists() -> None:
    verbs = {" ".join(words) for words in commands("/usr/lib/snaproot/boot")}
    assert verbs == {*service.VERBS} - {"removal"}  # which the package asks


@pytest.mark.parametrize("words", commands("/usr/bin/snaproot"))
def test_every_command_line_of_the_units_is_understood(words: list[str]) -> None:
    assert f"{NOWHERE} is no directory" in snaproot("--sysroot", NOWHERE, *words).stderr


def test_nothing_to_do_is_no_failure_of_the_unit() -> None:
    unit = (UNITS / "snaproot-upgrade.service").read_text().splitlines()
    assert f"SuccessExitStatus={ExitCode.NOTHING}" in unit
    assert {"CPUSchedulingPolicy=idle", "IOSchedulingClass=idle"} <= {*unit}


def test_the_timer_is_shipped_and_not_enabled() -> None:
    assert (UNITS / "snaproot-upgrade.timer").is_file()
    assert not [name for name in build.ENABLED if "upgrade" in name or "window" in name]
