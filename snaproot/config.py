"""The configuration: a vendor's defaults under /usr/lib, then /run, then /etc.

Three types, in the order of their making: `Fragment` is one file, `Merged` is all of them with
where each setting came from, `Config` is checked and frozen. Only `load` reads; `configschema` says
what is wrong with a value, and where it stands.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import cast

from snaproot.configschema import Form, Fragment, Key, Schema, Setting, parse
from snaproot.errors import ConfigError, SnaprootError
from snaproot.health.settings import (
    Health,
    bad_endpoint,
    bad_name,
    bad_path,
    bad_unit,
    bad_url,
)
from snaproot.retention import Policy
from snaproot.window import bad_window

DIRECTORIES = (Path("/usr/lib/snaproot"), Path("/run/snaproot"), Path("/etc/snaproot"))
NAME = "snaproot.toml"


class Manager(StrEnum):
    """Which package manager is used; `auto` looks at the root."""

    AUTO = "auto"
    APT = "apt"


class Conffiles(StrEnum):
    """What becomes of a configuration file that both the admin and the package changed."""

    KEEP = "keep"
    NEW = "new"


class Unknown(StrEnum):
    """What a required answer that nobody gave means in the end."""

    BAD = "bad"
    STAY = "stay"


class Backend(StrEnum):
    """Which boot loader is driven; `auto` looks at the machine."""

    AUTO = "auto"
    GRUB = "grub"
    POINTER = "pointer"
    ZFSBOOTMENU = "zfsbootmenu"


class Action(StrEnum):
    """How far an upgrade in the background goes by itself."""

    STAGE = "stage"
    ARM = "arm"
    REBOOT = "reboot"


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
    """[trial]: how many boots a target gets to prove itself, and what becomes of it.

    Without `revert` a bad verdict is only told. `unknown` is what a verdict that nobody could
    give by the deadline means; `stay` leaves the machine where it is, unprotected.
    """

    tries: int = 2
    revert: bool = True
    unknown: Unknown = Unknown.BAD


@dataclass(frozen=True, slots=True)
class SpaceSettings:
    """[space]: how much of the filesystem no deployment may use, in MiB."""

    reserve_mib: int = 512


@dataclass(frozen=True, slots=True)
class BackgroundSettings:
    """[background]: what snaproot-upgrade.service does, where its timer is enabled.

    `reboot` arms, too, and reboots in the `window` of local time, said `warning_minutes` before.
    """

    action: Action = Action.STAGE
    window: str = "03:00-05:00"
    warning_minutes: int = 5


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """[trust]: where to find what is delivered: a directory, or a URL; an upgrade asks it first."""

    source: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """All settings, checked."""

    packages: PackageSettings = field(default_factory=PackageSettings)
    bootloader: BootloaderSettings = field(default_factory=BootloaderSettings)
    trial: TrialSettings = field(default_factory=TrialSettings)
    retention: Policy = field(default_factory=Policy)
    space: SpaceSettings = field(default_factory=SpaceSettings)
    health: Health = field(default_factory=Health)
    background: BackgroundSettings = field(default_factory=BackgroundSettings)
    trust: TrustSettings = field(default_factory=TrustSettings)


def _bad_source(text: str) -> str:
    """Say what a source should be, as the end of a sentence; empty if it is that."""
    good = text == "" or text.startswith(("/", "https://", "http://"))
    return "" if good else "is a directory like /srv/trust, or a URL"


_BOUNDS: Mapping[Key, tuple[int, int]] = {
    ("trial", "tries"): (1, 9),  # the loader's counter has one digit
    ("retention", "proven"): (1, 1000),
    ("retention", "unproven"): (0, 1000),
    ("retention", "total"): (1, 1000),
    ("retention", "max_age_days"): (0, 36500),
    ("space", "reserve_mib"): (0, 1 << 30),
    ("background", "warning_minutes"): (1, 60),
    ("health", "deadline_seconds"): (1, 24 * 3600),
    ("health", "parallel"): (1, 64),
    ("health", "disk", "free_mib"): (0, 1 << 30),
    **{
        ("health", table, name): bounds
        for table in ("services", "disk", "network", "scripts")
        for name, bounds in {
            "timeout_seconds": (1, 3600),
            "retries": (0, 100),
            "delay_seconds": (0, 3600),
        }.items()
    },
}
_FORMS: Mapping[Key, Form] = {
    ("background", "window"): bad_window,
    ("trust", "source"): _bad_source,
    ("health", "services", "required_units"): bad_unit,
    ("health", "disk", "paths"): bad_path,
    ("health", "network", "names"): bad_name,
    ("health", "network", "tcp"): bad_endpoint,
    ("health", "network", "http"): bad_url,
}
_SCHEMA = Schema(Config, _BOUNDS, _FORMS)


@dataclass(frozen=True, slots=True)
class Merged:
    """Every setting of every file; of two for the same key the later file's."""

    settings: Mapping[Key, Setting]


def merge(fragments: Iterable[Fragment]) -> Merged:
    """Lay later files over earlier ones, key by key."""
    settings: dict[Key, Setting] = {}
    for fragment in fragments:
        for key, value in _leaves(fragment.values):
            settings[key] = Setting(value, fragment)
    return Merged(MappingProxyType(settings))


def validate(merged: Merged) -> Config:
    """Check every key and value. Raises ConfigError for the first that cannot be meant."""
    return cast("Config", _SCHEMA.built(merged.settings))


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
