"""Which filesystem is being adopted."""

from pathlib import Path

from snaproot.adoption.subvolumes import Subvolumes
from snaproot.adoption.volumes import Ground


def adopting(top: Path) -> Ground:
    """Return how volumes are made in the view at `top`."""
    return Subvolumes(top)
