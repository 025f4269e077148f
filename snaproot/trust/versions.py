"""Versions of what is released, and which of two is older. Pure.

The order is that of the Version Format Specification (UAPI.10), as systemd's tools have it: `~`
comes before the end, the end before `-`, `^` and `.`; numbers count as numbers and after letters.
"""

import re

LONGEST = 128
"""Characters of a version."""

_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9.~^-]*")
_PART = re.compile(r"[0-9]+|[A-Za-z]+|[~^.-]")
_RANKS = {"~": 0, "": 1, "-": 2, "^": 3, ".": 4}
_LETTERS, _DIGITS = 5, 6

Order = list[tuple[int, int, str]]
"""Compares as the version that it was made of does."""


def bad_version(text: str) -> str:
    """Say what a version should be, as the end of a sentence; empty if it is that."""
    if len(text) > LONGEST or not _FORM.fullmatch(text):
        return "is a version like 1.2.3 or 2.0~rc1: letters, digits and . ~ ^ -"
    return ""


def order(version: str) -> Order:
    """Make something that compares as the version does. It has to be of the right form."""
    return [_ranked(part) for part in [*_PART.findall(version), ""]]


def _ranked(part: str) -> tuple[int, int, str]:
    if part in _RANKS:
        return (_RANKS[part], 0, "")
    return (_DIGITS, int(part), "") if part.isdigit() else (_LETTERS, 0, part)
