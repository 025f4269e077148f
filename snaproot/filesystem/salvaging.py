"""What a root shows of itself, for metadata that has to be written anew. Shared by the backends."""

from datetime import UTC, datetime
from pathlib import Path

from snaproot.environment import SALVAGED, Digests, Environment


def shown(id: str, root: Path, files: Path) -> Environment:
    """Describe a sealed root by its module tree, and by its list of files where there is one.

    What the metadata knew alone, such as the parent and the command, is lost in this; who verified
    what is in it, too.
    """
    return Environment(
        id=id,
        origin=SALVAGED,
        created=_created(files),
        kernel=_kernel(root),
        sealed=True,
        unverified=(id,),
        digests=Digests(files=_last_digest(files)),
    )


def _created(files: Path) -> datetime | None:
    return datetime.fromtimestamp(int(files.stat().st_mtime), UTC) if files.is_file() else None


def _kernel(root: Path) -> str:
    """Name the one kernel of a root by its module tree; empty where there is no telling."""
    modules = root / "usr/lib/modules"
    found = sorted(tree.name for tree in modules.iterdir()) if modules.is_dir() else []
    return found[0] if len(found) == 1 else ""


def _last_digest(files: Path) -> str:
    """Read the digest that the list of files ends with; loading it checks all that is before."""
    if not files.is_file():
        return ""
    with files.open("rb") as file:
        ends = [line for line in file if line.startswith(b"= ")]
    return ends[-1].split(b" ")[1].decode("ascii", "replace") if ends else ""
