"""Metadata that cannot be read, written anew from what the filesystem itself shows."""

from datetime import UTC, datetime

from snaproot import durable
from snaproot.environment import Digests, Environment
from snaproot.errors import Refused
from snaproot.filesystem.btrfs import binding, listing, sealing
from snaproot.filesystem.btrfs.binding import Subvolume
from snaproot.filesystem.layout import Layout

ORIGIN = "salvaged"


def salvage(layout: Layout, id: str) -> Environment:
    """Keep the unreadable `environment.toml` as `.damaged-1`, and write one that can be read.

    The file is written last of all at sealing, so where there is one, the root was complete. What
    it knew alone, such as the parent and the command, is only in the file that is kept.
    Raises Refused where the root is not read-only, or there is no file at all.
    """
    path, root = layout.metadata(id), _root(layout, id)
    if root is None or not path.exists():
        raise Refused(
            f"{id} was never finished, or is not sealed, as the original is not; "
            "it is left as it is"
        )
    durable.set_aside(path)
    environment = Environment(
        id=id,
        origin=ORIGIN,
        created=_created(layout, id),
        kernel=_kernel(layout, id),
        sealed=True,
        digests=Digests(files=_last_digest(layout, id)),
        extra={sealing.GENERATION: root.changed},
    )
    sealing.describe(layout, environment)
    return listing.existing(layout, id)


def _root(layout: Layout, id: str) -> Subvolume | None:
    """Look at its root; None where there is none, or one that is not read-only."""
    if not binding.is_subvolume(layout.root(id)):
        return None
    root = binding.subvolume(layout.root(id))
    return root if root.read_only else None


def _created(layout: Layout, id: str) -> datetime | None:
    files = layout.files(id)
    return datetime.fromtimestamp(int(files.stat().st_mtime), UTC) if files.is_file() else None


def _kernel(layout: Layout, id: str) -> str:
    """Name the one kernel of a root by its module tree; empty where there is no telling."""
    modules = layout.root(id) / "usr/lib/modules"
    found = sorted(tree.name for tree in modules.iterdir()) if modules.is_dir() else []
    return found[0] if len(found) == 1 else ""


def _last_digest(layout: Layout, id: str) -> str:
    """Read the digest that the list of files ends with; loading it checks all that is before."""
    if not layout.files(id).is_file():
        return ""
    with layout.files(id).open("rb") as file:
        ends = [line for line in file if line.startswith(b"= ")]
    return ends[-1].split(b" ")[1].decode("ascii", "replace") if ends else ""
