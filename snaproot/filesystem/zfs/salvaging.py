"""Metadata that cannot be read, written anew from what the filesystem itself shows."""

from dataclasses import replace

from snaproot.environment import Environment
from snaproot.errors import Refused
from snaproot.filesystem.salvaging import shown
from snaproot.filesystem.zfs import binding, commands, listing, sealing
from snaproot.filesystem.zfs.properties import ENVIRONMENT, STAGING, set_aside
from snaproot.filesystem.zfs.view import View


def salvage(view: View, id: str) -> Environment:
    """Keep unreadable properties under other names, and write some that can be read.

    They are written last of all at sealing, so where there are any, the root was complete. Raises
    Refused where the root is not read-only, or there are none at all.
    """
    _, known = listing.read(view, id)
    written = known.get(ENVIRONMENT, STAGING) != STAGING and known.get("readonly") == "on"
    if not (written and binding.exists(view.names.sealed(id))):
        raise Refused(
            f"{id} was never finished, or is not sealed, as the original is not; "
            "it is left as it is"
        )
    commands.put(view.names.root(id), set_aside(known))
    environment = shown(id, view.root(id), view.layout.files(id))
    sealing.describe(view, replace(environment, extra={sealing.GUID: sealing.guid(view, id)}))
    return listing.existing(view, id)
