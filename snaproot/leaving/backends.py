"""Which filesystem is being left."""

from pathlib import Path

from snaproot.adoption.backends import pool_at
from snaproot.errors import Refused
from snaproot.leaving.ground import Ground


def leaving(top: Path) -> Ground:
    """Return how a root gets its place below the top level. Raises Refused for a pool."""
    if pool_at(top):
        raise Refused(
            "this system is on ZFS, which snaproot cannot give back yet; nothing was changed",
            hint="snaproot rollback original goes back to the system from before, while it is kept",
        )
    from snaproot.leaving.subvolumes import Subvolumes

    return Subvolumes(top)
