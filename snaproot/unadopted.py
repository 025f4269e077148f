"""Examine a system that is not adopted: what `init` would refuse it for, and what it is like."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from snaproot import adoption, machine
from snaproot.doctor import UNCHANGED, unopened
from snaproot.errors import NotAdopted, Refused
from snaproot.finding import Finding, Level
from snaproot.ids import next_id
from snaproot.system import top_level

_MIB = 1 << 20


def examine(sysroot: Path | None, esp: Path | None, why: NotAdopted) -> list[Finding]:
    """Look at everything that adopting asks for. `why` says what made it no system of snaproot's.

    Of a system that does not run only its disk and the ESP that was given are there to be seen.
    """
    try:
        found = [*(_layout(sysroot, esp) if sysroot else _running(esp))]
    except Refused as error:
        return [unopened(error)]
    state = Finding(Level.LIMIT, "system", str(why).removesuffix(UNCHANGED), why.hint)
    return found if any(one.what == state.what for one in found) else [state, *found]


def _running(esp: Path | None) -> Iterator[Finding]:
    seen = machine.look(esp=esp)
    refused = [*machine.refusals(seen)]
    yield from refused
    usable = None if any(one.subject in {"ESP", "loader"} for one in refused) else seen.esp
    with ExitStack() as held:
        place = held.enter_context(machine.mounted(usable)) if usable else None
        yield from _layout(None, place)
    yield from machine.findings(seen)
    yield Finding(
        Level.LIMIT,
        "loader",
        "whether GRUB can write its counter is seen at the first boot through snaproot's menu; "
        "where it cannot, that boot is the original's",
    )


def _layout(sysroot: Path | None, esp: Path | None) -> Iterator[Finding]:
    """Plan the adoption, and say what comes of that."""
    try:
        with top_level(sysroot) as top:
            found = adoption.survey(top, esp=esp, booted=Path("/") if esp and not sysroot else None)
            plan = adoption.plan(found, next_id("b", [], datetime.now(UTC)))
    except Refused as error:
        yield Finding(Level.BAD, "layout", str(error).removesuffix(UNCHANGED), error.hint)
        return
    yield Finding(Level.GOOD, "layout", f"{plan.os or 'a root'}, in {plan.root or 'the top level'}")
    room = f"{plan.needed // _MIB} MiB are needed, {found.free // _MIB} MiB are free"
    yield Finding(Level.GOOD, "space", room)
    yield from (Finding(Level.LIMIT, "layout", one) for one in plan.findings)
    yield from (
        Finding(Level.LIMIT, "units", f"{unit} would write to a sealed root: it will be masked")
        for unit in plan.masked
    )
