"""What our signed JSON documents have in common: one way to read each, and no surprises. Pure.

Two keys of one name, numbers that are none, half of a character and deep nesting are errors: what
another reader would make of them is not known. All that is raised is ValueError; whoever reads says
what that means.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from snaproot.configschema import Form

DEEPEST = 32
"""How many objects and lists may stand within each other."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z")
_LARGEST = 1 << 53  # beyond it a whole number is none that every JSON reader has


class RepeatedKey(ValueError):
    """An object has a key twice: two readers may believe different halves."""


def load(content: bytes, most: int) -> Mapping[str, object]:
    """Read one object of at most `most` bytes. Raises ValueError, RepeatedKey for a key twice."""
    if len(content) > most:
        raise ValueError(f"it has more than {most} bytes")
    try:
        value = json.loads(
            content.decode(),
            object_pairs_hook=_unrepeated,
            parse_constant=_no_number,
            parse_float=_finite,
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - of JSON, not of Python
    require_shallow(value)
    json.dumps(value, ensure_ascii=False).encode()  # raises for half of a surrogate pair
    return value


def require_shallow(value: object, deepest: int = DEEPEST) -> None:
    """Raise ValueError where more objects and lists than that stand within each other."""
    level = [value]
    for _ in range(deepest):
        level = [inner for one in level for inner in _within(one)]
    if any(isinstance(one, dict | list) for one in level):
        raise ValueError("it is nested too deeply")


def bad_digest(text: str) -> str:
    """Say what a SHA-256 should be, as the end of a sentence; empty if it is that."""
    return "" if _DIGEST.fullmatch(text) else "is a SHA-256: 64 digits of 0-9 and a-f"


def bad_text(text: str) -> str:
    """Say what a text for people should be, as the end of a sentence; empty if it is that."""
    written = text and len(text) <= 1024 and text.isprintable()  # noqa: PLR2004
    return "" if written else "is a line of 1 to 1024 characters"


def moment(text: str) -> datetime:
    """Read a time as RFC 3339 writes it in UTC: `2026-11-24T08:30:00Z`. Raises ValueError."""
    if not _MOMENT.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no time like 2026-11-24T08:30:00Z")
    return datetime.fromisoformat(text).astimezone(UTC)


def written(time: datetime) -> str:
    """Write a time so that `moment` reads it."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Fields:
    """One object while it is read. `what` names it in errors, all of which are ValueError."""

    what: str
    values: Mapping[str, object]

    @classmethod
    def of(cls, what: str, value: object) -> "Fields":
        """Take what should be an object."""
        if not isinstance(value, dict):
            raise ValueError(f"{what} is no object")  # noqa: TRY004 - of JSON
        return cls(what, value)

    def only(self, *names: str) -> None:
        """Refuse any other key: what it would mean is not known."""
        for name in self.values:
            if name not in names:
                raise ValueError(f"{self.what} has an unknown key {name[:60]!r}")

    def text(self, name: str, form: Form, default: str | None = None) -> str:
        """Read a text of this form; without a default it has to be there."""
        value = self.values.get(name, default)
        if not isinstance(value, str):
            raise self._wrong(name, "is a text")
        wanted = form(value) if name in self.values else ""
        if wanted:
            raise self._wrong(name, wanted)
        return value

    def texts(self, name: str, form: Form) -> tuple[str, ...]:
        """Read a list of texts of this form that has to be there."""
        values = [*self.items(name)]
        for value in values:
            if not isinstance(value, str) or form(value):
                raise self._wrong(name, "is a list of texts of another form")
        return tuple(value for value in values if isinstance(value, str))

    def number(self, name: str, least: int, default: int | None = None) -> int:
        """Read a whole number; without a default it has to be there."""
        value = self.values.get(name, default)
        if type(value) is not int or not least <= value <= _LARGEST:
            raise self._wrong(name, f"is a whole number from {least} on")
        return value

    def truth(self, name: str, *, default: bool) -> bool:
        """Read what is true or false."""
        value = self.values.get(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, "is true or false")
        return value

    def moment(self, name: str) -> datetime:
        """Read a time that has to be there."""
        value = self.values.get(name)
        if not isinstance(value, str):
            raise self._wrong(name, "is a time like 2026-11-24T08:30:00Z")
        return moment(value)

    def moment_or_none(self, name: str) -> datetime | None:
        """Read a time that may be left out."""
        return self.moment(name) if name in self.values else None

    def inner(self, name: str) -> "Fields":
        """Read an object that has to be there."""
        return Fields.of(f"{self.what}.{name}", self.values.get(name))

    def items(self, name: str) -> Iterable[object]:
        """Read a list that has to be there."""
        value = self.values.get(name)
        if not isinstance(value, list):
            raise self._wrong(name, "is a list")
        return value

    def _wrong(self, name: str, wanted: str) -> ValueError:
        said = "is missing" if name not in self.values else f"{wanted}, and here it is not"
        return ValueError(f"{self.what}.{name} {said}")


def _unrepeated(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RepeatedKey(f"it has the key {twice[:60]!r} twice")
    return made


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large a number")
    return number


def _within(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
