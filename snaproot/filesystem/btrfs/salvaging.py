"""Metadata that cannot be read, written anew from what the filesystem itself shows."""

from dataclasses import replace

from snaproot import durable
from snaproot.environment import Environment
from snaproot.errors import Refused
from snaproot.filesystem.btrfs import binding, listing, sealing
from snaproot.filesystem.btrfs.binding import Subvolume
from snaproot.filesystem.layout import Layout
from snaproot.filesystem.salvaging import shown


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
    environment = shown(id, layout.root(id), layout.files(id))
    sealing.describe(layout, replace(environment, extra={sealing.GENERATION: root.changed}))
    return listing.existing(layout, id)


def _root(layout: Layout, id: str) -> Subvolume | None:
    """Look at its root; None where there is none, or one that is not read-only."""
    if not binding.is_subvolume(layout.root(id)):
        return None
    root = binding.subvolume(layout.root(id))
    return root if root.read_only else None
