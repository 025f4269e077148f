"""Verbs about what stays: pin, unpin, cleanup."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from snaproot.cli.app import Call, DryRun, verb
from snaproot.cli.choose import Id
from snaproot.errors import NothingToDo
from snaproot.output import Table

if TYPE_CHECKING:
    from snaproot.retention import Removal
    from snaproot.system import System


@verb("snaproot pin b4k7q2x")
def pin(call: Call, id: Id) -> None:
    """Keep a boot environment: cleanup never removes it.

    Ends 77 if it is pinned already.
    """
    _set_pinned(call, id, pinned=True)


@verb("snaproot unpin b4k7q2x")
def unpin(call: Call, id: Id) -> None:
    """Let cleanup remove a boot environment again.

    Ends 77 if it is not pinned.
    """
    _set_pinned(call, id, pinned=False)


@verb("snaproot cleanup", "snaproot cleanup -n", "snaproot cleanup -y")
def cleanup(call: Call, dry_run: DryRun = False) -> None:
    """Remove what the retention rules no longer keep.

    What runs, what a loader or the filesystem points at, what is pending, pinned or among the last
    proven ones always stays. Ends 77 if there is nothing to remove.
    """
    with call.locked("cleanup") as system:
        if not dry_run:
            system.transaction.settled()
        going = _going(system)
        if not going:
            raise NothingToDo("there is nothing to remove")
        if not call.output.json:
            call.output.table(Table(("ID", "WHY IT MAY GO"), [(one.id, one.why) for one in going]))
        if not dry_run:
            call.agreed(f"Remove {_counted(going)}?")
            system.transaction.remove(one.id for one in going)
    shape = {
        "removed": [] if dry_run else [one.id for one in going],
        "removable": [{"id": one.id, "why": one.why} for one in going],
    }
    said = "could be removed" if dry_run else "removed"
    call.output.result(shape, lambda: call.output.say(f"{_counted(going)} {said}."))


def _set_pinned(call: Call, typed: str, *, pinned: bool) -> None:
    from snaproot.ids import resolve

    what = "pinned" if pinned else "no longer pinned"
    with call.locked("pin" if pinned else "unpin") as system:
        known = {one.id: one for one in system.filesystem.environments()}
        found = known[resolve(typed, known)]
        if found.pinned is pinned:
            raise NothingToDo(f"{found.id} is {'pinned' if pinned else 'not pinned'} already")
        _check_readable(found.id, found.damage)
        system.filesystem.describe(replace(found, pinned=pinned))
    call.output.result(
        {"id": found.id, "pinned": pinned}, lambda: call.output.say(f"{found.id} is {what}.")
    )


def _check_readable(id: str, damage: str) -> None:
    from snaproot.errors import NeedsRecovery

    if damage:
        raise NeedsRecovery(f"{id}: {damage}; nothing was changed", hint="snaproot recover")


def _going(system: "System") -> "Sequence[Removal]":
    from snaproot.retention import protected, removable
    from snaproot.system import now

    environments = system.filesystem.environments()
    held = protected(
        system.records.load(),
        system.filesystem.booted(),
        system.bootloader.view(),
        system.filesystem.default(),
        environments,
    )
    return removable(environments, held, system.config.retention, now())


def _counted(going: "Sequence[Removal]") -> str:
    return "1 boot environment" if len(going) == 1 else f"{len(going)} boot environments"
