"""The root from before the adoption, and whether it may go yet. Deleting is `transaction`'s."""

from snaproot import adoption
from snaproot.environment import Environment, Standing
from snaproot.errors import NothingToDo, Refused
from snaproot.system import System
from snaproot.wording import some


def dispensable(system: System) -> Environment:
    """Return the original root, where nothing needs it any more.

    Raises NothingToDo where it is gone, Refused where it has to stay, NeedsRecovery where that
    cannot be determined.
    """
    found = _found(system)
    if found is None:
        raise NothingToDo("there is no original root any more")
    _check_use(system, found)
    _check_adoption(system, found)
    system.filesystem.discardable(found.id)
    return found


def _found(system: System) -> Environment | None:
    environments = system.filesystem.environments()
    return next((one for one in environments if one.standing is Standing.ORIGINAL), None)


def _check_use(system: System, found: Environment) -> None:
    if system.filesystem.booted() == found.id:
        raise _stays(found, "it is running", "reboot into what adopted it first")
    if system.records.load().base == found.id:
        hint = "snaproot status says what comes next"
        raise _stays(found, "nothing adopted is proven yet, and it is the base", hint)
    if found.id in system.transaction.needed():
        raise _stays(found, "a pointer or the record still names it", "snaproot status")
    if found.pinned:
        raise _stays(found, "it is pinned", f"snaproot unpin {found.id}")


def _check_adoption(system: System, found: Environment) -> None:
    """Refuse while the adopted one could not do without it."""
    shared = adoption.still_shared(system.top)
    if shared:
        why = f"{some(shared)}: these are still its own directories"
        raise _stays(found, why, "reboot: the first boot after the promotion moves them away")
    if adoption.was_top_level(system.top):
        why = "it is the filesystem's top level, which cannot be deleted"
        raise _stays(found, why, "what lies beside @snaproot there can be deleted by hand")
    loader = system.bootloader.capability()
    if loader.obstacle:
        raise _stays(found, f"what adopted it may not boot: {loader.obstacle}", loader.hint)


def _stays(found: Environment, why: str, hint: str) -> Refused:
    return Refused(f"{found.id} has to stay: {why}; nothing was changed", hint=hint)
