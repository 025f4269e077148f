"""Tables of policy.toml while they are read, and the form of what stands in them. Pure.

Unlike the configuration's, some tables have names that the admin chooses, so there is no dataclass
to read keys off: each table says which keys it has when it is read. Any other is an error.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import PurePath
from typing import TypeVar, cast

from snaproot import configschema
from snaproot.configschema import Form, Fragment, Key, Setting, named, parse, shown
from snaproot.errors import ConfigError
from snaproot.tlog.quorum import Witness
from snaproot.trust.documents import require_shallow
from snaproot.trust.facts import Distrusted
from snaproot.trust.patterns import LONGEST

LARGEST, MOST_LINES, LONGEST_LINE, DEEPEST = 1 << 16, 2000, 4096, 12
"""Of a policy: bytes, lines, bytes of a line, nesting. Reading takes the square of some of them."""

MOST = 64
"""Authorities, groups and their members, witnesses, archives: of each at most."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_URI = re.compile(r"[a-z][a-z0-9+.-]*:[!-~]+")
_ISSUER = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9._~/-]*)?")
_FINGERPRINT = re.compile(r"[0-9A-F]{40}|[0-9A-F]{64}")

_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Table:
    """One table, and where it stands. Whatever it refuses is a ConfigError with file and line."""

    source: Fragment
    key: Key
    values: Mapping[str, object]

    def only(self, *names: str) -> None:
        """Refuse every other key, naming the nearest there is."""
        for name in self.values:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
                raise self.wrong(name, f"unknown key {self.named(name)}", hint)

    def text(self, name: str, form: Form, default: str | None = None) -> str:
        """Read a text of this form; without a default it has to be there."""
        if self._is_left_out(name, default):
            return cast("str", default)
        return configschema.read_text(*self._setting(name), form)

    def texts(
        self, name: str, form: Form, default: tuple[str, ...] | None = None
    ) -> tuple[str, ...]:
        """Read a list of texts of this form; without a default it has to be there."""
        if self._is_left_out(name, default):
            return cast("tuple[str, ...]", default)
        return configschema.read_texts(*self._setting(name), form)

    def number(self, name: str, least: int, most: int, default: int | None = None) -> int:
        """Read a whole number within bounds; without a default it has to be there."""
        if self._is_left_out(name, default):
            return cast("int", default)
        return configschema.read_number(*self._setting(name), (least, most))

    def choice(self, name: str, kind: type[_Choice], default: _Choice) -> _Choice:
        """Read one of the words that the kind has."""
        if self._is_left_out(name, default):
            return default
        return cast("_Choice", configschema.read_choice(*self._setting(name), kind))

    def moment(self, name: str) -> datetime | None:
        """Read a time with its offset from UTC, if it is there."""
        value = self.values.get(name)
        if name not in self.values:
            return None
        if not isinstance(value, datetime) or value.tzinfo is None or not _is_near(value):
            wanted = "is a time like 2027-02-20T00:00:00Z, from 2000 to 9000"
            raise self.wrong(name, f"{self.named(name)} is {shown(value)}, but {wanted}")
        return value

    def table(self, name: str) -> "Table":
        """Read a table; one that is left out is empty."""
        value = self.values.get(name, {})
        if not isinstance(value, dict):
            what = f"{self.named(name)} is a table, not {shown(value)}"
            raise self.wrong(name, what)
        return Table(self.source, (*self.key, name), value)

    def tables(self, name: str) -> dict[str, "Table"]:
        """Read the tables in a table, by the names that the admin gave them."""
        above = self.table(name)
        if len(above.values) > MOST:
            what = f"{self.named(name)} has {len(above.values)} tables; {MOST} at most are read"
            raise self.wrong(name, what)
        for chosen in above.values:
            if not _NAME.fullmatch(chosen):
                wanted = "1 to 64 letters, digits, - and _"
                raise above.wrong(chosen, f"{above.named(chosen)} is no name: it has {wanted}")
        return {chosen: above.table(chosen) for chosen in above.values}

    def named(self, name: str) -> str:
        """Name a key as it would stand at the top of the file."""
        return named((*self.key, name))

    def wrong(self, name: str, message: str, hint: str = "") -> ConfigError:
        """Say what is wrong at a key; where it is missing, at its table."""
        key = (*self.key, name) if name in self.values else self.key
        return ConfigError(self.source.path, self.source.line(key), message, hint=hint)

    def _is_left_out(self, name: str, default: object) -> bool:
        if name not in self.values and default is None:
            raise self.wrong(name, f"{self.named(name)} is missing")
        return name not in self.values

    def _setting(self, name: str) -> tuple[Key, Setting]:
        return (*self.key, name), Setting(self.values[name], self.source)


def read(content: bytes, path: PurePath) -> Table:
    """Read a policy's text as TOML. Raises ConfigError."""
    lines = content.split(b"\n")
    if len(content) > LARGEST or len(lines) > MOST_LINES or max(map(len, lines)) > LONGEST_LINE:
        wanted = f"{MOST_LINES} lines at most, of {LONGEST_LINE} bytes, and {LARGEST} bytes in all"
        raise ConfigError(path, 1, f"it is too large; a policy has {wanted}")
    try:
        fragment = parse(content.decode(), path)
        require_shallow(fragment.values, DEEPEST)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(path, line, "it is not UTF-8") from error
    except ValueError as error:
        raise ConfigError(path, 1, f"it cannot be read: {error}".lower()) from error
    return Table(fragment, (), fragment.values)


def bad_name(text: str) -> str:
    """Say what a name should be, as the end of a sentence; empty if it is that."""
    return "" if _NAME.fullmatch(text) else "is a name: 1 to 64 letters, digits, - and _"


def bad_file(text: str) -> str:
    """Say what a file should be called, as the end of a sentence; empty if it is that."""
    return "" if _FILE.fullmatch(text) else "is the name of a file beside the policy"


def bad_uri(text: str) -> str:
    """Say what a URI should be, as the end of a sentence; empty if it is that."""
    good = len(text) <= LONGEST and _URI.fullmatch(text)
    return "" if good else "is a URI like https://ci.example/builder"


def bad_issuer(text: str) -> str:
    """Say what an issuer should be, as the end of a sentence; empty if it is that."""
    good = len(text) <= LONGEST and _ISSUER.fullmatch(text)
    return "" if good else "is an issuer like https://token.ci.example"


def bad_claim(text: str) -> str:
    """Say what a claim's value should be, as the end of a sentence; empty if it is that."""
    good = 0 < len(text) <= LONGEST and text.isprintable()
    return "" if good else f"is 1 to {LONGEST} characters, none of them a control character"


def bad_origin(text: str) -> str:
    """Say what an archive's origin or suite should be; empty if it is that."""
    good = 0 < len(text) <= 128 and text.isprintable() and "*" not in text  # noqa: PLR2004
    return "" if good else "is a word as the archive's Release file has it, without stars"


def bad_fingerprint(text: str) -> str:
    """Say what an OpenPGP key's fingerprint should be; empty if it is that."""
    good = _FINGERPRINT.fullmatch(text)
    return "" if good else "is a whole fingerprint: 40 or 64 digits of 0-9 and A-F, no spaces"


def bad_witness(text: str) -> str:
    """Say what a witness's key should be, as the end of a sentence; empty if it is that."""
    try:
        Witness("this", text)
    except Distrusted:
        return "is a cosigner's key NAME+ID+KEY (C2SP tlog-cosignature)"
    return ""


def plain(value: object) -> bool:
    """Tell whether a value of TOML has the same meaning in JSON: no times, no fractions."""
    if isinstance(value, dict):
        return all(plain(inner) for inner in cast("Mapping[str, object]", value).values())
    if isinstance(value, list):
        return all(plain(inner) for inner in cast("Sequence[object]", value))
    return isinstance(value, str | bool | int)


def _is_near(time: datetime) -> bool:
    """Tell whether one can reckon with it, whatever its offset."""
    return 2000 <= time.year <= 9000  # noqa: PLR2004
