"""The declared writable places: the content of `areas.toml`, parsed and rendered. Pure.

Areas are shared by all boot environments and never go back with one (DESIGN.md §5).
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath

from snaproot.errors import Refused

FORMAT = 1
NAME = "areas.toml"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_OWNER = re.compile(r"[0-9]+:[0-9]+")
_MODE = re.compile(r"[0-7]{4}")


class Kind(StrEnum):
    """What an area holds; a swap area is never snapshotted."""

    DATA = "data"
    LOG = "log"
    CACHE = "cache"
    SWAP = "swap"


class Backup(StrEnum):
    """Whether a backup should take it along."""

    KEEP = "keep"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """One area: a subvolume, by its path from the top level, and the place where roots see it.

    `mount` is empty for one that no root mounts; `owner` is `uid:gid`, `mode` four octal digits.
    """

    name: str
    subvolume: str
    mount: str
    owner: str = "0:0"
    mode: str = "0755"
    kind: Kind = Kind.DATA
    backup: Backup = Backup.KEEP
    schema: int = 0
    extra: Mapping[str, object] = field(default_factory=dict)


def parse(text: str) -> tuple[Area, ...]:
    """Read the areas, in their order. Raises ValueError on damage, Refused on a newer format."""
    data = tomllib.loads(text)
    if type(data.get("format")) is not int:
        raise ValueError("no list of areas: it has no format number")
    if data["format"] > FORMAT:
        raise Refused(
            f"the list of areas has format {data['format']}, this snaproot reads {FORMAT}; "
            "nothing was changed",
            hint="use the snaproot that wrote it, or a newer one",
        )
    tables = data.get("area", [])
    if not isinstance(tables, list):
        raise ValueError("area is no list of tables")  # noqa: TRY004 - of the text
    areas = tuple(_area(table) for table in tables)
    _unlike(areas)
    return areas


def render(areas: Sequence[Area]) -> str:
    """Write the areas as TOML, the format number first. Raises ValueError where two are alike."""
    import tomli_w

    _unlike(areas)
    return tomli_w.dumps({"format": FORMAT, "area": [_table(area) for area in areas]})


def holding(areas: Sequence[Area], path: str) -> Area | None:
    """Find the area that a path of a root lies in: the one with the longest mount above it."""
    above = [
        area for area in areas if area.mount and PurePosixPath(path).is_relative_to(area.mount)
    ]
    return max(above, key=lambda area: len(area.mount), default=None)


def _table(area: Area) -> dict[str, object]:
    return {
        **area.extra,
        "name": area.name,
        "subvolume": area.subvolume,
        "mount": area.mount,
        "owner": area.owner,
        "mode": area.mode,
        "kind": str(area.kind),
        "backup": str(area.backup),
        "schema": area.schema,
    }


def _area(table: Mapping[str, object]) -> Area:
    known = ("name", "subvolume", "mount", "owner", "mode", "kind", "backup", "schema")
    try:
        texts = {key: _text(key, table[key]) for key in known[:5]}
        area = Area(
            **texts,
            kind=Kind(_text("kind", table["kind"])),
            backup=Backup(_text("backup", table["backup"])),
            schema=_number(table["schema"]),
            extra={key: value for key, value in table.items() if key not in known},
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"an area misses or misplaces {error}") from error
    _check(area)
    return area


def _check(area: Area) -> None:
    for text, pattern in ((area.name, _NAME), (area.owner, _OWNER), (area.mode, _MODE)):
        if not pattern.fullmatch(text):
            raise ValueError(f"area {area.name}: {text!r} is not written as {pattern.pattern}")
    path = PurePosixPath(area.subvolume)
    if path.is_absolute() or not path.parts or ".." in path.parts:
        raise ValueError(f"area {area.name}: {area.subvolume!r} is no path from the top level")
    if area.mount and (not area.mount.startswith("/") or ".." in PurePosixPath(area.mount).parts):
        raise ValueError(f"area {area.name}: {area.mount!r} is no absolute path")


def _unlike(areas: Sequence[Area]) -> None:
    for what in ("name", "subvolume", "mount"):
        seen = [value for area in areas if (value := getattr(area, what))]
        twice = {value for value in seen if seen.count(value) > 1}
        if twice:
            raise ValueError(f"two areas have the {what} {min(twice)}")


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(key)
    return value


def _number(value: object) -> int:
    if type(value) is not int:
        raise TypeError("schema")
    return value
