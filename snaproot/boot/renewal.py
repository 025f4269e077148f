"""What lasts for one boot, made to fit the record: masks, reboots, and messages."""

from snaproot.boot import login, masks, reboots, required
from snaproot.boot.reboots import Reboots
from snaproot.judging import note_baseline
from snaproot.state import Phase
from snaproot.system import System


def renew(system: System) -> None:
    """Mask what would go round the loader while a trial is armed, and say anew what is so.

    Where nothing waits for a reboot any more, the one that we scheduled is called off.
    """
    record = system.records.load()
    armed = record.pending is not None and record.pending.phase is Phase.ARMED
    if armed and system.filesystem.booted() == record.base:
        note_baseline(system)  # what is usual on the base just before it is left
    masks.settle(armed=armed)
    target = reboots.target_of(system)
    if not target:
        Reboots().call_off()
    required.settle(target, _changed(system, target) if target else ())
    login.refresh(system)


def _changed(system: System, target: str) -> list[str]:
    """Name the packages that a target changes."""
    found = [one for one in system.filesystem.environments() if one.id == target]
    return [change.name for one in found for change in one.packages]
