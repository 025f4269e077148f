"""Ids that sort by age, are easy to type, and begin with a letter (a boot loader counts digits).

Pure: a prefix letter, then seconds since 2025 in Crockford's base 32, which leaves out i, l, o
and u.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from snaproot.errors import UsageError

EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_WIDTH = 6
_LAST = len(_DIGITS) ** _WIDTH - 1


def next_id(prefix: str, known: Iterable[str], now: datetime) -> str:
    """Make an id that sorts after every known one of its kind, even if the clock ran backwards."""
    seconds = int((now - EPOCH).total_seconds())
    fresh = prefix + _digits(min(max(seconds, 0), _LAST))
    ours = re.compile(re.escape(prefix) + f"[{_DIGITS}]{{{_WIDTH},}}")
    newest = max((id for id in known if ours.fullmatch(id)), default="")
    return fresh if fresh > newest else prefix + _after(newest.removeprefix(prefix))


def is_made(id: str) -> bool:
    """Tell whether it looks like one of those that are made here."""
    return re.fullmatch(f"[a-z][{_DIGITS}]{{{_WIDTH},}}", id) is not None


def resolve(typed: str, known: Iterable[str]) -> str:
    """Find the id that was meant by its first letters.

    Raises UsageError for an unknown id, and for an ambiguous one with the candidates.
    """
    ids = sorted(set(known))
    if typed in ids:
        return typed
    found = [id for id in ids if typed and id.startswith(typed)]
    if len(found) > 1:
        raise UsageError(
            f"{typed} may be {_listed(found)}; nothing was changed", hint="type more of the id"
        )
    if not found:
        raise UsageError(
            f"there is no boot environment {typed!r}; nothing was changed",
            hint="snaproot list shows them",
        )
    return found[0]


def _digits(number: int) -> str:
    """Write a number at full width."""
    return "".join(_DIGITS[number >> shift & 31] for shift in range(5 * (_WIDTH - 1), -1, -5))


def _after(text: str) -> str:
    """Give the next text in sorting order; past the last one of its length it grows."""
    head = text.rstrip(_DIGITS[-1])
    if not head:
        return text + _DIGITS[0]
    raised = head[:-1] + _DIGITS[_DIGITS.index(head[-1]) + 1]
    return raised + _DIGITS[0] * (len(text) - len(head))


def _listed(ids: list[str], most: int = 5) -> str:
    if len(ids) <= most:
        return f"{', '.join(ids[:-1])} or {ids[-1]}"
    return f"{', '.join(ids[:most])} or {len(ids) - most} more"
