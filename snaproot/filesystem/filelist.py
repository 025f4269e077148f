"""What the list of a sealed root's files is good for, whatever filesystem the root is on."""

from pathlib import Path

from snaproot.environment import Environment
from snaproot.errors import Refused
from snaproot.filesystem import PathChange, manifest
from snaproot.filesystem.faults import translated
from snaproot.filesystem.manifest import Report


def verify(sealed: Environment, files: Path, root: Path, report: Report) -> list[PathChange]:
    """Recompute every digest of a root. Raises Refused where there is no sound list."""
    try:
        lines = manifest.load(files, sealed.digests.files)
    except (OSError, ValueError) as error:
        raise Refused(f"the list of {sealed.id}'s files cannot be believed: {error}") from error
    with translated(f"read the files of {sealed.id}"):
        return manifest.compare(lines, root, report)
