"""The configuration: a vendor's defaults under /usr/lib, then /run, then /etc.

Three types, in the order of their making: `Fragment` is one file, `Merged` is all of them with
where each setting came from, `Config` is checked and frozen. Only `load` reads.
"""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import cast

from snaproot.errors import ConfigError, SnaprootError
from snaproot.retention import Policy

DIRECTORIES = (Path("/usr/lib/snaproot"), Path("/run/snaproot"), Path("/etc/snaproot"))
NAME = "snaproot.toml"

Key = tuple[str, ...]


class Manager(StrEnum):
    """Which package manager is used; `auto` looks at the root."""

    AUTO = "auto"
    APT = "apt"


class Conffiles(StrEnum):
    """What becomes of a configuration file that both the admin and the package changed."""

    KEEP = "keep"
    NEW = "new"


class Backend(StrEnum):
    """Which boot loader is driven; `auto` looks at the machine."""

    AUTO = "auto"
    POINTER = "pointer"


@dataclass(frozen=True, slots=True)
class PackageSettings:
    """[packages]."""

    manager: Manager = Manager.AUTO
    conffiles: Conffiles = Conffiles.KEEP


@dataclass(frozen=True, slots=True)
class BootloaderSettings:
    """[bootloader]."""

    backend: Backend = Backend.AUTO


@dataclass(frozen=True, slots=True)
class TrialSettings:
    """[trial]: how many boots a target gets to prove itself."""

    tries: int = 2


@dataclass(frozen=True, slots=True)
class SpaceSettings:
    """[space]: how much of the filesystem no deployment may use, in MiB."""

    reserve_mib: int = 512


@dataclass(frozen=True, slots=True)
class Config:
    """All settings, checked."""

    packages: PackageSettings = field(default_factory=PackageSettings)
    bootloader: BootloaderSettings = field(default_factory=BootloaderSettings)
    trial: TrialSettings = field(default_factory=TrialSettings)
    retention: Policy = field(default_factory=Policy)
    space: SpaceSettings = field(default_factory=SpaceSettings)


_SECTIONS: Mapping[str, type] = {f.name: cast(type, f.type) for f in fields(Config)}
_KINDS: Mapping[Key, type] = {
    (name, f.name): cast(type, f.type)
    for name, section in _SECTIONS.items()
    for f in fields(section)
}
_BOUNDS: Mapping[Key, tuple[int, int]] = {
    ("trial", "tries"): (1, 9),  # the loader's counter has one digit
    ("retention", "proven"): (1, 1000),
    ("retention", "unproven"): (0, 1000),
    ("retention", "total"): (1, 1000),
    ("retention", "max_age_days"): (0, 36500),
    ("space", "reserve_mib"): (0, 1 << 30),
}


@dataclass(frozen=True, slots=True)
class Fragment:
    """One file as it stands: any keys, any types."""

    path: Path
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


@dataclass(frozen=True, slots=True)
class Merged:
    """Every setting of every file; of two for the same key the later file's."""

    settings: Mapping[Key, Setting]


def parse(text: str, path: Path) -> Fragment:
    """Read one file's text. Raises ConfigError, with the line, where it is not TOML."""
    try:
        return Fragment(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        said = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", str(error))
        line = int(said[2]) if said and said[2] else text.rstrip("\n").count("\n") + 1
        raise ConfigError(path, line, (said[1] if said else str(error)).lower()) from error


def merge(fragments: Iterable[Fragment]) -> Merged:
    """Lay later files over earlier ones, key by key."""
    settings: dict[Key, Setting] = {}
    for fragment in fragments:
        for key, value in _leaves(fragment.values):
            settings[key] = Setting(value, fragment)
    return Merged(MappingProxyType(settings))


def validate(merged: Merged) -> Config:
    """Check every key and value. Raises ConfigError for the first that cannot be meant."""
    values: dict[str, dict[str, object]] = {name: {} for name in _SECTIONS}
    for key, setting in merged.settings.items():
        if len(key) == 1 and key[0] in _SECTIONS and setting.value == {}:
            continue
        value = _checked(key, setting)
        values[key[0]][key[1]] = value
    return Config(**{name: _SECTIONS[name](**values[name]) for name in _SECTIONS})


def load(directories: Sequence[Path] = DIRECTORIES) -> Config:
    """Read the configuration; no file at all is fine.

    Raises ConfigError for what cannot be meant, SnaprootError for a file that cannot be read.
    """
    return validate(merge(_read(path) for path in sources(directories)))


def sources(directories: Sequence[Path]) -> list[Path]:
    """List the files that count, in the order in which they are laid over each other.

    The same name in a later directory shadows; a link to /dev/null there is an empty file.
    """
    main: dict[str, Path] = {}
    drop_ins: dict[str, Path] = {}
    for directory in directories:
        main.update((n, directory / n) for n in _names(directory) if n == NAME)
        beside = directory / f"{NAME}.d"
        drop_ins.update((n, beside / n) for n in _names(beside) if _drop_in(n))
    return [*main.values(), *(drop_ins[name] for name in sorted(drop_ins))]


def _names(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208 - names are wanted, not paths
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _unreadable(directory, error) from error


def _drop_in(name: str) -> bool:
    return name.endswith(".toml") and not name.startswith(".")


def _read(path: Path) -> Fragment:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        return parse(content.decode(), path)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(path, line, "it is not UTF-8") from error


def _unreadable(path: Path, error: OSError) -> SnaprootError:
    reason = (error.strerror or str(error)).lower()
    return SnaprootError(f"cannot read {path}: {reason}; nothing was changed")


def _leaves(values: Mapping[str, object], above: Key = ()) -> Iterable[tuple[Key, object]]:
    """Walk all settings; a table without any counts as one, so that its name is checked."""
    for name, value in values.items():
        key = (*above, name)
        if isinstance(value, dict) and value:
            yield from _leaves(value, key)
        else:
            yield key, value


def _checked(key: Key, setting: Setting) -> object:
    kind = _KINDS.get(key)
    if kind is None:
        raise _misplaced(key, setting)
    if issubclass(kind, StrEnum):
        return _choice(key, setting, kind)
    return _number(key, setting)


def _choice(key: Key, setting: Setting, kind: type[StrEnum]) -> StrEnum:
    allowed = [str(member) for member in kind]
    if setting.value not in allowed:
        said = f"{_shown(setting.value)}, but is {_either(allowed)}"
        raise _error(key, setting, f"{_name(key)} is {said}", _nearest(setting.value, allowed))
    return kind(setting.value)


def _number(key: Key, setting: Setting) -> int:
    least, most = _BOUNDS[key]
    value = setting.value
    if type(value) is not int or not least <= value <= most:
        what = f"{_name(key)} is {_shown(value)}, but is a number from {least} to {most}"
        raise _error(key, setting, what, "")
    return value


def _misplaced(key: Key, setting: Setting) -> ConfigError:
    if len(key) == 1 and key[0] in _SECTIONS:
        return _error(key, setting, f"{key[0]} is a table, not {_shown(setting.value)}", "")
    if key[:2] in _KINDS:
        return _error(key[:2], setting, f"{_name(key[:2])} is no table", "")
    return _error(_unknown_part(key), setting, f"unknown key {_name(key)}", _suggestion(key))


def _unknown_part(key: Key) -> Key:
    return key[:1] if key[0] not in _SECTIONS else key[:2]


def _suggestion(key: Key) -> str:
    """Name the nearest key there is: by its whole name, else by its last part."""
    known = [".".join(known) for known in _KINDS] + list(_SECTIONS)
    near = difflib.get_close_matches(_name(key), known, n=1, cutoff=0.7)
    if near:
        return f"did you mean {near[0]}?"
    leaves = {known[-1]: ".".join(known) for known in _KINDS}
    near = difflib.get_close_matches(key[-1], leaves, n=1, cutoff=0.7)
    return f"did you mean {leaves[near[0]]}?" if near else f"the tables are {', '.join(_SECTIONS)}"


def _nearest(value: object, allowed: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(value), allowed, n=1)
    return f"did you mean {near[0]}?" if near else ""


def _error(key: Key, setting: Setting, message: str, hint: str) -> ConfigError:
    return ConfigError(setting.source.path, setting.source.line(key), message, hint=hint)


def _either(allowed: Sequence[str]) -> str:
    return " or ".join(f'"{value}"' for value in allowed)


def _shown(value: object) -> str:
    """Show a value as TOML would have it, near enough for a message of one line."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return json.dumps(value, ensure_ascii=False, default=str)


def _name(key: Key) -> str:
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
