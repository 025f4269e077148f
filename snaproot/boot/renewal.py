"""What lasts for one boot, made to fit the record: masks, and the message at login."""

from snaproot.boot import login, masks
from snaproot.state import Phase
from snaproot.system import System


def renew(system: System) -> None:
    """Mask what would go round the loader while a trial is armed, and write the message anew."""
    pending = system.records.load().pending
    masks.settle(armed=pending is not None and pending.phase is Phase.ARMED)
    login.refresh(system)
