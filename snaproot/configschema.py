"""What a configuration may say, read off dataclasses, and the words for what it may not. Pure.

A schema is a dataclass of dataclasses: a field's name is the key, its type the kind of value.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import PurePath
from typing import cast, get_origin

from snaproot.errors import ConfigError

Key = tuple[str, ...]

_LONGEST = 200
"""Characters of a value in a message."""

Form = Callable[[str], str]
"""Says what a text should be, as the end of a sentence; empty if it is that."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """One file as it stands: any keys, any types."""

    path: PurePath
    text: str
    values: Mapping[str, object]

    def line(self, key: Key) -> int:
        """Find the line, counted from 1, where a key first appears.

        tomllib does not tell. But a file cut after a whole statement is a file too, and one cut
        inside of a statement is none: so the statement that brings the key begins on the line
        after the longest cut that can be read and lacks it.
        """
        found = 0
        for number, end in enumerate(_ends(self.text)):
            values = _readable(self.text[:end])
            if values is not None and _has(values, key):
                break
            found = number if values is not None else found
        return found + 1


@dataclass(frozen=True, slots=True)
class Setting:
    """One value and the file that it came from."""

    value: object
    source: Fragment


@dataclass(frozen=True)
class Schema:
    """The keys there are, their types, numbers' bounds, and the form of texts, in lists or not."""

    root: type
    bounds: Mapping[Key, tuple[int, int]]
    forms: Mapping[Key, Form]

    @cached_property
    def tables(self) -> Mapping[Key, type]:
        """Every table, the nested ones too."""
        return {key: kind for key, kind in _walked(self.root) if is_dataclass(kind)}

    @cached_property
    def kinds(self) -> Mapping[Key, type]:
        """Every key that has a value, and the value's type."""
        return {key: kind for key, kind in _walked(self.root) if not is_dataclass(kind)}

    def built(self, settings: Mapping[Key, Setting]) -> object:
        """Check every key and value, and make the root of them.

        Raises ConfigError for the first that cannot be meant.
        """
        said = {k: s for k, s in settings.items() if not (k in self.tables and s.value == {})}
        values = {key: self._checked(key, setting) for key, setting in said.items()}
        return _made(self.root, values, ())

    def _checked(self, key: Key, setting: Setting) -> object:
        kind = self.kinds.get(key)
        if kind is None:
            raise self._misplaced(key, setting)
        if kind is bool:
            return _truth(key, setting)
        if kind is int:
            return read_number(key, setting, self.bounds[key])
        if kind is str:
            return read_text(key, setting, self.forms[key])
        if get_origin(kind) is tuple:
            return read_texts(key, setting, self.forms[key])
        return read_choice(key, setting, cast("type[StrEnum]", kind))

    def _misplaced(self, key: Key, setting: Setting) -> ConfigError:
        if key in self.tables:
            return _error(key, setting, f"{named(key)} is a table, not {shown(setting.value)}", "")
        above = [key[:length] for length in range(1, len(key) + 1)]
        scalar = next((part for part in above if part in self.kinds), None)
        if scalar:
            return _error(scalar, setting, f"{named(scalar)} is no table", "")
        unknown = next(part for part in above if part not in self.tables)
        return _error(unknown, setting, f"unknown key {named(key)}", self._suggestion(key))

    def _suggestion(self, key: Key) -> str:
        """Name the nearest key there is: by its whole name, else by its last part."""
        known = [".".join(known) for known in (*self.kinds, *self.tables)]
        near = difflib.get_close_matches(named(key), known, n=1, cutoff=0.7)
        if near:
            return f"did you mean {near[0]}?"
        leaves = {known[-1]: ".".join(known) for known in self.kinds}
        near = difflib.get_close_matches(key[-1], leaves, n=1, cutoff=0.7)
        if near:
            return f"did you mean {leaves[near[0]]}?"
        return f"the tables are {', '.join(key[0] for key in self.tables if len(key) == 1)}"


def parse(text: str, path: PurePath) -> Fragment:
    """Read one file's text. Raises ConfigError, with the line, where it is not TOML."""
    try:
        values = tomllib.loads(text)
        _require_small_numbers(values)
        return Fragment(path, text, values)
    except tomllib.TOMLDecodeError as error:
        said = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", str(error))
        line = int(said[2]) if said and said[2] else text.rstrip("\n").count("\n") + 1
        raise ConfigError(path, line, (said[1] if said else str(error)).lower()) from error
    except RecursionError as error:
        raise ConfigError(path, 1, "it is nested too deeply") from error
    except ValueError as error:
        raise ConfigError(path, 1, "it has a number of too many digits") from error


def _require_small_numbers(value: object) -> None:
    """Raise ValueError for a number that TOML does not have: Python could not even print some."""
    if isinstance(value, int) and abs(value) >= 1 << 63:
        raise ValueError("a number has more than 64 bits")
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _require_small_numbers(inner)


def _walked(kind: type, above: Key = ()) -> Iterator[tuple[Key, type]]:
    for one in fields(kind):
        key, inner = (*above, one.name), cast("type", one.type)
        yield key, inner
        if is_dataclass(one.type):
            yield from _walked(inner, key)


def _made(kind: type, values: Mapping[Key, object], above: Key) -> object:
    given: dict[str, object] = {}
    for one in fields(kind):
        key, inner = (*above, one.name), cast("type", one.type)
        if is_dataclass(inner):
            given[one.name] = _made(inner, values, key)
        elif key in values:
            given[one.name] = values[key]
    return kind(**given)


def _truth(key: Key, setting: Setting) -> bool:
    if not isinstance(setting.value, bool):
        what = f"{named(key)} is {shown(setting.value)}, but is true or false"
        raise _error(key, setting, what, "")
    return setting.value


def read_choice(key: Key, setting: Setting, kind: type[StrEnum]) -> StrEnum:
    """Read one of the words that the kind has. Raises ConfigError, as the next three do."""
    allowed = [str(member) for member in kind]
    if setting.value not in allowed:
        said = f"{shown(setting.value)}, but is {_either(allowed)}"
        raise _error(key, setting, f"{named(key)} is {said}", _nearest(setting.value, allowed))
    return kind(setting.value)


def read_number(key: Key, setting: Setting, bounds: tuple[int, int]) -> int:
    """Read a whole number within bounds, both included."""
    least, most = bounds
    value = setting.value
    if type(value) is not int or not least <= value <= most:
        what = f"{named(key)} is {shown(value)}, but is a number from {least} to {most}"
        raise _error(key, setting, what, "")
    return value


def read_text(key: Key, setting: Setting, form: Form) -> str:
    """Read a text of this form."""
    value = setting.value
    wanted = form(value) if isinstance(value, str) else "is a text"
    if wanted:
        raise _error(key, setting, f"{named(key)} is {shown(value)}, but {wanted}", "")
    return cast("str", value)


def read_texts(key: Key, setting: Setting, form: Form) -> tuple[str, ...]:
    """Read a list of texts of this form; a single text is a frequent slip."""
    value = setting.value
    if not isinstance(value, list):
        hint = f"{key[-1]} = [{shown(value)}]" if isinstance(value, str) else ""
        what = f"{named(key)} is {shown(value)}, but is a list of texts"
        raise _error(key, setting, what, hint)
    for one in value:
        wanted = form(one) if isinstance(one, str) else "is a text"
        if wanted:
            what = f"{named(key)} has {shown(one)}, but each of them {wanted}"
            raise _error(key, setting, what, "")
    return tuple(value)


def _nearest(value: object, allowed: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(value), allowed, n=1)
    return f"did you mean {near[0]}?" if near else ""


def _error(key: Key, setting: Setting, message: str, hint: str) -> ConfigError:
    return ConfigError(setting.source.path, setting.source.line(key), message, hint=hint)


def _either(allowed: Sequence[str]) -> str:
    return " or ".join(f'"{value}"' for value in allowed)


def shown(value: object) -> str:
    """Show a value as TOML would have it, near enough for a message of one line."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    text = text if text.isprintable() else json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def named(key: Key) -> str:
    """Join a key as TOML writes it."""
    bare = re.compile("[A-Za-z0-9_-]+")
    return ".".join(part if bare.fullmatch(part) else json.dumps(part) for part in key)


def _ends(text: str) -> list[int]:
    """Say where one could cut the text between lines: before the first, after each."""
    return [0, *(match.end() for match in re.finditer("\n", text)), len(text)]


def _readable(text: str) -> Mapping[str, object] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _has(values: object, key: Key) -> bool:
    for name in key:
        if not (isinstance(values, dict) and name in values):
            return False
        values = values[name]
    return True
