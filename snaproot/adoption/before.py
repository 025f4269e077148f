"""What an earlier adoption has left: whether there is anything to adopt still."""

import os
from pathlib import Path

from snaproot.adoption import note as notes
from snaproot.adoption.facts import Adopted
from snaproot.adoption.shape import ORIGINAL
from snaproot.errors import Refused
from snaproot.filesystem.collecting import declared
from snaproot.filesystem.layout import Layout
from snaproot.record import Records


def adopted(top: Path) -> Adopted | None:
    """Read it; None where there is nothing of snaproot's."""
    layout = Layout(top)
    if not os.path.lexists(layout.snaproot):
        return None
    if not layout.record.is_dir():
        raise Refused(
            f"{layout.snaproot} is there, but none of snaproot's; nothing was changed",
            hint="move it away",
        )
    from snaproot.leaving.note import has_left

    if has_left(layout.record):
        raise Refused(
            "this system has left snaproot, and not all of that is gone; nothing was changed",
            hint="snaproot deinit removes what is left over",
        )
    noted, record = notes.load(layout), Records(layout.record).load()
    if noted is None:
        return Adopted()
    under_way = record.work or record.pending
    return Adopted(
        unfinished=noted.unfinished,
        first=noted.id,
        untaken=record.base == ORIGINAL and not declared(layout),
        pending=under_way.target if under_way else "",
    )


def is_taken(top: Path) -> bool:
    """Tell whether there is nothing to adopt any more, or an adoption is under way."""
    found = adopted(top)
    return found is not None and not is_free(found)


def is_free(found: Adopted) -> bool:
    """Tell whether the original may be adopted again: an earlier one was given up."""
    return found.untaken and not found.pending
