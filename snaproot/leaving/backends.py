"""Which filesystem is being left: a Btrfs by its top level, or a pool in its view."""

from pathlib import Path

from snaproot.adoption.backends import pool_at
from snaproot.leaving.ground import Ground


def leaving(top: Path) -> Ground:
    """Return how a root gets its place in the view at `top`."""
    pool = pool_at(top)
    if pool:
        from snaproot.leaving.datasets import Datasets

        return Datasets(top, pool)
    from snaproot.leaving.subvolumes import Subvolumes

    return Subvolumes(top)
