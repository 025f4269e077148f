"""What an adopted system still needs its original root for, as the note beside the record says."""

from pathlib import Path

from snaproot.adoption import note as notes
from snaproot.adoption.note import Note
from snaproot.errors import NeedsRecovery
from snaproot.filesystem.btrfs.layout import Layout


def still_shared(top: Path) -> list[str]:
    """Name the shared places that are directories of the original root itself.

    Raises NeedsRecovery where the note is missing or damaged, and nobody can tell.
    """
    shared = _noted(top).shared
    return [plan.area.mount for plan in shared.areas] if shared else []


def was_top_level(top: Path) -> bool:
    """Tell whether the filesystem's top level itself was adopted. Raises as `still_shared`."""
    return _noted(top).root == ""


def _noted(top: Path) -> Note:
    found = notes.load(Layout(top))
    if found is None:
        raise NeedsRecovery(
            f"{Layout(top).record / notes.NAME} is missing, so what the original root is still "
            "needed for cannot be determined; nothing was changed"
        )
    return found
