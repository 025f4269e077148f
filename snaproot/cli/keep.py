"""Verbs about what stays: pin, unpin, cleanup."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from snaproot.cli.app import Call, DryRun, verb
from snaproot.cli.choose import Id
from snaproot.errors import NothingToDo, Refused, UsageError
from snaproot.output import Table, size

if TYPE_CHECKING:
    from snaproot.environment import Environment
    from snaproot.room import Going, Place
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


@verb(
    "snaproot cleanup",
    "snaproot cleanup -n",
    "snaproot cleanup b4k7q2x",
    "snaproot cleanup --original",
)
def cleanup(
    call: Call,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID...]", help="These, whatever the rules keep.")
    ] = None,
    original: Annotated[
        bool, typer.Option("--original", help="The root from before snaproot, once it may go.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Remove what the retention rules no longer keep.

    Every promotion ends with the same; here its plan is shown, with what it frees. What runs, what
    a loader or the filesystem points at, what is pending, pinned or among the last proven ones
    always stays; -n shows what could go besides. Ends 77 if there is nothing to remove.
    """
    from snaproot import room

    if ids and original:
        raise UsageError("--original goes without an ID; nothing was changed")
    with call.locked("cleanup") as system:
        if not dry_run:
            system.transaction.settled()
        plan = room.going(system)
        chosen = _original(system, plan) if original else _chosen(system, plan, ids or [])
        _print_plan(call, plan if dry_run and not (ids or original) else chosen)
        if not chosen:
            raise NothingToDo("there is nothing to remove", hint=room.by_hand(plan))
        if not dry_run:
            _remove(call, system, chosen, original=original)
        found = room.places(system)
    gone = {one.id for one in chosen}
    shape = {
        "removed": [] if dry_run else [one.id for one in chosen],
        "removable": [one.shape() for one in chosen],
        "by_hand": [one.shape() for one in plan if one.id not in gone],
        "places": [place.shape() for place in found],
    }
    call.output.result(shape, lambda: _print_result(call, chosen, found, dry_run=dry_run))


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


def _chosen(system: "System", plan: "Sequence[Going]", typed: "Sequence[str]") -> "list[Going]":
    """Take what was named, else what the rules choose."""
    from snaproot.ids import resolve

    if not typed:
        return [one for one in plan if one.why]
    known = {one.id: one for one in system.filesystem.environments()}
    wanted = {resolve(one, known) for one in typed}
    able = {one.id for one in plan if known[one.id].standing != "original"}
    for id in sorted(wanted - able):
        raise _needed(known[id])
    return [one for one in plan if one.id in wanted]


def _original(system: "System", plan: "Sequence[Going]") -> "list[Going]":
    from snaproot.original import dispensable

    wanted = dispensable(system).id
    return [one for one in plan if one.id == wanted]


def _needed(found: "Environment") -> Refused:
    """Say why one that was named has to stay."""
    if found.standing == "original":
        hint = "snaproot cleanup --original"
        return Refused(f"{found.id} does not go by its name; nothing was removed", hint=hint)
    if found.pinned:
        hint = f"snaproot unpin {found.id}"
        return Refused(f"{found.id} is pinned; nothing was removed", hint=hint)
    return Refused(
        f"{found.id} is in use, damaged, or among the last proven ones; nothing was removed",
        hint="snaproot status, and [retention] proven",
    )


def _remove(call: Call, system: "System", chosen: "Sequence[Going]", *, original: bool) -> None:
    if original:
        call.agreed("Remove the system from before snaproot, for good?")
        system.transaction.remove_original(chosen[0].id)
    else:
        call.agreed(f"Remove {_counted(chosen)}?")
        system.transaction.remove([one.id for one in chosen])


def _print_plan(call: Call, plan: "Sequence[Going]") -> None:
    if call.output.json or not plan:
        return
    rows = [(one.id, size(one.frees), one.why or f"by hand: {one.command}") for one in plan]
    headings = ("ID", "FREES", "WHY IT MAY GO")
    call.output.table(Table(headings, rows, right=frozenset({"FREES"})))


def _print_result(
    call: Call, chosen: "Sequence[Going]", found: "Sequence[Place]", *, dry_run: bool
) -> None:
    said = "could be removed" if dry_run else "removed"
    call.output.say(f"{_counted(chosen)} {said}.")
    for place in found:
        call.output.say(f"{size(place.free)} of {size(place.total)} are free on {place.name}.")


def _counted(chosen: "Sequence[Going]") -> str:
    return "1 boot environment" if len(chosen) == 1 else f"{len(chosen)} boot environments"
