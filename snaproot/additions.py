"""What staging added below `/var`, put where it is missing, once, at the target's first boot.

Nothing that is there is replaced, but for a file that an earlier deployment put there and nobody
has touched since. What was put where is remembered beside the record: it outlives a revert.

Services own parts of the areas, and may be at work meanwhile: directories are held by descriptors,
and what is put is made in a directory that only we can write to.
"""

import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from snaproot import durable
from snaproot.errors import SnaprootError
from snaproot.filesystem.cloning import copy
from snaproot.hashing import file_sha256

FORMAT = 1
NAME = "additions"

_ASIDE = ".snaproot-aside-"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


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
    Raises SnaprootError where it cannot be put there.
    """
    if applied.done(id) or not source.is_dir():
        return {}
    placing = _Placing(areas, applied.digests())
    try:
        placing.fill(source, "", None)
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

    def fill(self, source: Path, path: str, held: Path | None) -> None:
        """Go through one directory; `path` is where the booted root has it.

        `held` is the directory that gets it; None above all areas.
        """
        if held is not None:
            _sweep(held)
        for entry in sorted(source.iterdir()):
            below = f"{path}/{entry.name}"
            target = self.areas.get(below) or (held and held / entry.name)
            if target is not None:
                with _named(below):
                    self._place(entry, target, below)
            if _is_directory(entry):
                self._descend(entry, below, target)

    def _place(self, entry: Path, target: Path, path: str) -> None:
        if self._may_be_put(entry, target, path):
            if _put(entry, target):
                self.put[path] = _digest(entry)
        elif not _is_directory(entry) and _digest(target) == _digest(entry):
            self.put[path] = _digest(entry)  # from before a cut

    def _may_be_put(self, entry: Path, target: Path, path: str) -> bool:
        """Tell whether nothing is there, or a file of a deployment that nobody touched."""
        if not os.path.lexists(target):
            return True
        if _is_directory(entry) or _is_directory(target):
            return False
        return path in self.known and _digest(target) in self.known[path]

    def _descend(self, entry: Path, path: str, target: Path | None) -> None:
        if target is None:
            self.fill(entry, path, None)
        elif _is_directory(target):
            with _held(target) as held:
                self.fill(entry, path, held)


def _put(entry: Path, target: Path) -> bool:
    """Copy aside, then rename: a cut leaves all of it or nothing. False for what has no copy."""
    from tempfile import mkdtemp

    made = Path(mkdtemp(prefix=_ASIDE, dir=target.parent))
    with _held(made) as aside:
        copied = copy(entry, aside / "new")
        if copied:
            (aside / "new").replace(target)
    made.rmdir()
    return copied


def _sweep(directory: Path) -> None:
    """Remove what a cut left; a name of ours that is no directory of ours is somebody else's."""
    for left in directory.glob(f"{_ASIDE}*"):
        if _is_directory(left) and left.lstat().st_uid == os.geteuid():
            shutil.rmtree(left)


@contextmanager
def _held(directory: Path) -> Iterator[Path]:
    """Name a directory by its descriptor: then nobody can put a link in its place (proc(5))."""
    descriptor = os.open(directory, _DIRECTORY)
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Name a path in errors as the booted root has it, not by a descriptor."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error


def _is_directory(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)


def _digest(path: Path) -> str:
    """Name the content of a file by SHA-256; what has none, by what it is."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"link {path.readlink()}"
    if not stat.S_ISREG(mode):
        return f"kind {stat.S_IFMT(mode):o}"
    with os.fdopen(os.open(path, _FILE), "rb") as file:
        return file_sha256(file)
