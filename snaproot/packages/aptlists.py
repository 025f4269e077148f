"""apt's lists of indexes, kept as they were verified.

Of an archive on this machine (`file:`) apt keeps links to what lies there. It verifies an index
once, and believes the link until there is a newer release file: whoever can write to the archive
could change any version and digest in it meanwhile. So each link is replaced by a copy, which then
has to be what the signed release file names.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from snaproot.errors import SnaprootError
from snaproot.hashing import file_sha256
from snaproot.inside import Inside
from snaproot.packages import aptarchives
from snaproot.packages.aptarchives import Listed
from snaproot.sandbox import Sandbox
from snaproot.trust.facts import Distrusted

LISTS = "/var/lib/apt/lists"
_COPY = ".snaproot"


def names(sandbox: Sandbox) -> Sequence[str]:
    """Name all files in the lists."""
    return sorted(path.name for path in sandbox.caches[LISTS].iterdir())


def keep(sandbox: Sandbox) -> None:
    """Put copies in the place of links. Raises Distrusted where one is not what was signed."""
    lists, known = sandbox.caches[LISTS], names(sandbox)
    inside, copy = Inside(sandbox.workspace.root, sandbox.workspace.areas), lists / _COPY
    for name in known:
        link = lists / name
        if link.is_symlink():
            _copy(inside, str(link.readlink()), copy)
            _check(copy, lists, *aptarchives.member(name, known))
            copy.replace(link)


def _copy(inside: Inside, source: str, copy: Path) -> None:
    """Copy a regular file that the root calls `source`; nobody else writes to the lists."""
    try:
        shutil.copyfile(inside.locate(source), copy)
        copy.chmod(0o644)
    except OSError as error:
        raise SnaprootError(f"{source} cannot be copied into apt's lists: {error}") from error


def _check(copy: Path, lists: Path, archive: Listed, index: str) -> None:
    """Compare an index with its release file; there is none only where a policy lets that be."""
    if not archive.release:
        return
    text = (lists / archive.release).read_text("utf-8", errors="replace")
    with copy.open("rb") as file:
        digest = file_sha256(file)
    if digest != aptarchives.digests(text).get(index):
        raise Distrusted(
            "archive.index",
            f"the index {index} of {archive.name} is not what its release file names; "
            "nothing of it was used",
            hint="if somebody is writing to the archive, try again when that is done",
        )
