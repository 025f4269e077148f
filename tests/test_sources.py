"""The sources of another suite, from those of this machine."""

import pytest

from integration.debian import translated
from snaproot.errors import SnaprootError

LISTED = """\
http://mirror.example/debian/ bookworm main
http://mirror.example/debian/ bookworm contrib
http://mirror.example/debian/ bookworm-updates main
http://mirror.example/debian-security/ bookworm-security main
http://mirror.example/debian/ bookworm-backports main
https://else.example/apt nodistro main
"""


def test_only_debians_own_main_is_taken() -> None:
    assert translated(LISTED, "bookworm", "trixie") == (
        "deb http://mirror.example/debian-security/ trixie-security main",
        "deb http://mirror.example/debian/ trixie main",
        "deb http://mirror.example/debian/ trixie-updates main",
    )


@pytest.mark.parametrize("word", ["stable", "oldstable"])
def test_a_suite_by_its_role(word: str) -> None:
    found = translated(f"http://mirror.example/debian {word} main\n", "bookworm", "bookworm")
    assert found == ("deb http://mirror.example/debian bookworm main",)


def test_a_machine_without_debians_archive_is_told_so() -> None:
    with pytest.raises(SnaprootError, match="no Debian archive of bookworm"):
        translated("https://else.example/apt nodistro main\n", "bookworm", "trixie")
