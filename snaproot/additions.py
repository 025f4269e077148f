"""What staging added below `/var`, put where it is missing, once, at the target's first boot.

Nothing that is there is replaced, but for a file that an earlier deployment put there and nobody
has touched since. What was put where is remembered beside the record: it outlives a revert.
"""

import hashlib
import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from snaproot import durable
from snaproot.errors import SnaprootError
from snaproot.filesystem.cloning import copy, copy_attributes

FORMAT = 1
NAME = "additions"


@dataclass(frozen=True, slots=True)
class Applied:
    """The lists of what was applied, one for each target, in a directory beside the record."""

    directory: Path

    def done(self, id: str) -> bool:
        """Tell whether the additions of a target have been applied."""
        return self._path(id).exists()

    def digests(self) -> Mapping[str, frozenset[str]]:
        """Map each path to the digests of what deployments put there."""
        found: dict[str, set[str]] = {}
        for id in self.ids():
            for path, digest in self.files(id).items():
                found.setdefault(path, set()).add(digest)
        return {path: frozenset(digests) for path, digests in found.items()}

    def ids(self) -> list[str]:
        """Name the targets whose additions were applied."""
        return sorted(path.stem for path in self.directory.glob("*.json"))

    def files(self, id: str) -> Mapping[str, str]:
        """Map the paths that one target put somewhere to their digests; empty if unreadable."""
        try:
            data = json.loads(self._path(id).read_bytes())
            return {str(path): str(digest) for path, digest in data["files"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def save(self, id: str, files: Mapping[str, str]) -> None:
        """Remember what was put where: the mark that it is done."""
        durable.make_directory(self.directory)
        text = json.dumps({"format": FORMAT, "files": dict(files)}, indent=1) + "\n"
        durable.write(self._path(id), text.encode(), mode=0o644)

    def _path(self, id: str) -> Path:
        return self.directory / f"{id}.json"


def apply(source: Path, areas: Mapping[str, Path], applied: Applied, id: str) -> Mapping[str, str]:
    """Put everything from `source` where it is missing in the areas; return path → digest.

    Done once for each target. May be repeated after a cut. Links of the areas are not followed.
    """
    if applied.done(id) or not source.is_dir():
        return {}
    placing = _Placing(areas, applied.digests())
    try:
        placing.fill(source, "")
    except OSError as error:
        raise SnaprootError(
            f"what {id} adds below /var cannot be put in place: {error}; what is there is untouched"
        ) from error
    os.sync()
    applied.save(id, placing.put)
    return placing.put


@dataclass(slots=True)
class _Placing:
    areas: Mapping[str, Path]
    known: Mapping[str, frozenset[str]]
    put: dict[str, str] = field(default_factory=dict)

    def fill(self, source: Path, path: str) -> None:
        """Go through one directory; `path` is where the booted root has it."""
        for entry in sorted(source.iterdir()):
            self._place(entry, f"{path}/{entry.name}")

    def _place(self, entry: Path, path: str) -> None:
        target = self._target(path)
        directory = stat.S_ISDIR(entry.lstat().st_mode)
        if target is not None and self._may_be_put(target, path, directory=directory):
            self._put(entry, target, path)
        elif target is not None and not directory and _digest(target) == _digest(entry):
            self.put[path] = _digest(entry)  # from before a cut
        if directory and (target is None or stat.S_ISDIR(target.lstat().st_mode)):
            self.fill(entry, path)

    def _may_be_put(self, target: Path, path: str, *, directory: bool) -> bool:
        """Tell whether nothing is there, or what a deployment put there and nobody touched."""
        if not os.path.lexists(target):
            return True
        return not directory and path in self.known and _digest(target) in self.known[path]

    def _target(self, path: str) -> Path | None:
        """Find a path in the area that holds it; None above all areas."""
        holding = [area for area in self.areas if path == area or path.startswith(f"{area}/")]
        if not holding:
            return None
        area = max(holding, key=len)
        return self.areas[area] / path[len(area) :].lstrip("/")

    def _put(self, entry: Path, target: Path, path: str) -> None:
        """Copy under a name of its own, then rename: a cut leaves all of it or nothing."""
        aside = target.parent / f".{secrets.token_hex(8)}"
        if not copy(entry, aside):
            return
        with_times = stat.S_ISDIR(entry.lstat().st_mode)
        aside.replace(target)
        if with_times:
            copy_attributes(entry, target)
        self.put[path] = _digest(entry)


def _digest(path: Path) -> str:
    """Name the content of a file by SHA-256; what has none, by what it is."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"link {path.readlink()}"
    if not stat.S_ISREG(mode):
        return f"kind {stat.S_IFMT(mode):o}"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
