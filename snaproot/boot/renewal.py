"""What lasts for one boot, made to fit the record: masks, and the message at login."""

from snaproot.boot import login, masks
from snaproot.judging import note_baseline
from snaproot.state import Phase
from snaproot.system import System


def renew(system: System) -> None:
    """Mask what would go round the loader while a trial is armed, and write the message anew."""
    record = system.records.load()
    armed = record.pending is not None and record.pending.phase is Phase.ARMED
    if armed and system.filesystem.booted() == record.base:
        note_baseline(system)  # what is usual on the base just before it is left
    masks.settle(armed=armed)
    login.refresh(system)
