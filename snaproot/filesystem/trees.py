"""Directories that go with all that is in them, but for what is mounted there."""

import os
from pathlib import Path


def remove(place: Path) -> None:
    """Remove a file or a tree; gone already is fine. Raises OSError, also for a mount in it."""
    if os.path.lexists(place):
        _remove(place, place.lstat().st_dev)


def _remove(place: Path, device: int) -> None:
    """Remove plain files and directories; what is mounted there is not entered."""
    if place.is_symlink() or not place.is_dir():
        place.unlink()
    elif place.lstat().st_dev == device:
        for entry in sorted(place.iterdir()):
            _remove(entry, device)
        place.rmdir()
