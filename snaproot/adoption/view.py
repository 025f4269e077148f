"""Look into a root that is not running, without following links out of it."""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from snaproot.adoption.facts import Found, Place
from snaproot.errors import Refused
from snaproot.filesystem.faults import translated

_MOST_TEXT = 1 << 20


def inside(base: Path, inner: str) -> tuple[Found, Path]:
    """Look for a path below `base`; a link anywhere on the way is a link, and not followed."""
    place, found = base, Found.DIRECTORY
    for part in Path(inner).parts:
        if found is not Found.DIRECTORY:
            return (found if found is Found.LINK else Found.MISSING), place
        place = place / part
        found = found_at(place)
    return found, place


def text_of(base: Path, inner: str) -> str | None:
    """Read a file below `base`; None if there is none. Raises Refused for a link."""
    found, place = inside(base, inner)
    if found is Found.LINK:
        raise Refused(f"{place} is a link, which is not followed; nothing was changed")
    if found is not Found.OTHER:
        return None
    with translated(f"read {place}"), place.open("rb") as file:
        return file.read(_MOST_TEXT).decode(errors="surrogateescape")


def found_at(path: Path) -> Found:
    """Say what a path is, itself."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return Found.MISSING
    if stat.S_ISLNK(mode):
        return Found.LINK
    return Found.DIRECTORY if stat.S_ISDIR(mode) else Found.OTHER


@dataclass(frozen=True, slots=True)
class View:
    """The root as it would be booted: `points` maps mount points, `/` too, to what is there."""

    points: Mapping[str, Path]

    def on_disk(self, path: str) -> tuple[Path, str]:
        """Split a path into the volume that shows it and the rest."""
        parts = Path(path).parts
        above = [p for p in self.points if Path(p).parts == parts[: len(Path(p).parts)]]
        point = max(above, key=lambda p: len(Path(p).parts))
        inner = "/".join(parts[len(Path(point).parts) :])
        return self.points[point], inner

    def find(self, path: str) -> tuple[Found, Path]:
        return inside(*self.on_disk(path))

    def place(self, path: str, ignored: frozenset[str] = frozenset()) -> Place:
        found, place = self.find(path)
        if found is not Found.DIRECTORY:
            return Place(found)
        with translated(f"look at {place}"):
            seen, names = place.lstat(), {entry.name for entry in place.iterdir()}
        return Place(
            found,
            f"{seen.st_uid}:{seen.st_gid}",
            f"{stat.S_IMODE(seen.st_mode):04o}",
            names <= ignored,
        )
