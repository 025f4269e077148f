"""Verbs that only look: status, list, diff."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snaproot.cli.app import Call, verb
from snaproot.errors import ExitCode
from snaproot.output import Output, Table, shortened, size
from snaproot.wording import some

if TYPE_CHECKING:
    from snaproot.difference import Difference
    from snaproot.environment import Environment, PackageChange
    from snaproot.overview import Overview
    from snaproot.state import Deployment
    from snaproot.verdicts import Verdict

_ORIGIN = 40  # characters
EXCLUSIVE = (
    "EXCLUSIVE: file data that deleting this one alone would free; what is shared counts for none."
)


@verb("snaproot status", "snaproot status --json", "snaproot --sysroot /mnt status")
def status(call: Call) -> ExitCode | None:
    """Show what runs, what the next boot will be, and what is pending.

    Ends 4 where an interrupted deployment has to be settled first. Anybody but root learns what
    runs, and no more: the kernel does not let them look.
    """
    from snaproot.cli import shapes
    from snaproot.overview import look

    if call.sysroot is None and os.geteuid() != 0:
        _for_anybody(call.output)
        return None
    with call.system() as system:
        seen = look(system)
    call.output.result(shapes.status(seen), lambda: _status(call.output, seen))
    return ExitCode.RECOVER if seen.interrupted else None


@verb("snaproot list", "snaproot list --tree", "snaproot list --space", name="list", alias="ls")
def listing(
    call: Call,
    tree: Annotated[bool, typer.Option("--tree", help="Show which was made from which.")] = False,
    space: Annotated[
        bool, typer.Option("--space", help="Measure what each one alone holds on disk.")
    ] = False,
) -> None:
    """List the boot environments, oldest first. Also: ls.

    An unverified change is what `run` or `shell` did: in the root that they made, and in all that
    were made from that one. Where metadata were lost, nobody knows what was verified.
    """
    from snaproot.cli import shapes
    from snaproot.overview import look

    with call.system() as system:
        seen = look(system)
        ids = [environment.id for environment in seen.environments]
        exclusive = system.filesystem.space(ids).exclusive if space else None
    if seen.trouble:
        call.output.notice(str(seen.trouble))
    rows = _lineage(seen.environments) if tree else [(e, "") for e in seen.environments]
    call.output.result(
        shapes.listing(seen, exclusive),
        lambda: _listing(call.output, seen, rows, exclusive),
    )


@verb("snaproot diff b4k7q2x b4k9m01", "snaproot diff b4k7q2x..b4k9m01", "snaproot diff b4k7")
def diff(
    call: Call,
    a: Annotated[str, typer.Argument(metavar="A", help="The older one, or A..B.")],
    b: Annotated[str, typer.Argument(metavar="[B]", help="The newer one; else the default.")] = "",
) -> None:
    """Show what differs between two: packages, then files.

    Each is named by an ID or its first letters. Files are marked + (added), ~ (changed) or
    - (removed).
    """
    from snaproot.cli import shapes
    from snaproot.difference import compare

    older, _, newer = a.partition("..") if not b else (a, "", b)
    with call.locked("diff") as system:  # it takes snapshots of its own for a moment
        found = compare(system, older, newer)
    call.output.result(
        {
            "older": found.older,
            "newer": found.newer,
            "packages": shapes.packages(found.packages),
            "files": shapes.paths(found.paths),
        },
        lambda: _diff(call.output, found),
    )


def packages_table(changes: "Sequence[PackageChange]") -> Table:
    """Make the table of package changes that `diff` and `upgrade` show."""
    rows = [(one.name, one.before or "-", one.after or "removed") for one in changes]
    return Table(("PACKAGE", "BEFORE", "AFTER"), rows)


def _for_anybody(output: Output) -> None:
    from snaproot.unprivileged import running

    booted = running(Path("/proc/self/mountinfo").read_text())
    output.result(
        {"booted": booted, "restricted": True},
        lambda: output.say(f"running    {booted or 'none of the boot environments'}"),
    )
    output.notice("the rest is for root: sudo snaproot status")


def _status(output: Output, seen: "Overview") -> None:
    for name, line in _status_lines(seen):
        output.paragraph(f"{name:<10} {line}", indent=11)


def _status_lines(seen: "Overview") -> "Iterator[tuple[str, str]]":
    known = {environment.id: environment for environment in seen.environments}
    if seen.booted:
        yield "running", _running(known, seen, seen.booted)
    once = ", this once" if seen.loader.once else ""
    yield "next boot", (_described(known, _next(seen)) or "none of snaproot's") + once
    if seen.record:
        yield "base", _described(known, seen.record.base)
    if seen.pending:
        yield "pending", _pending(seen, seen.pending)
        if not seen.interrupted:
            yield "", _answers(seen, seen.pending)
    if seen.unfinished:
        yield "adoption", seen.unfinished
    yield from _history(seen)
    yield "loader", seen.capability.summary
    if seen.at_work:
        yield "at work", seen.at_work
    yield from (("attention", line) for line in _attention(seen))


def _attention(seen: "Overview") -> "Iterator[str]":
    if seen.stranded:
        yield seen.stranded
    if seen.interrupted:
        yield f"{seen.interrupted}; settle it with: {seen.remedy}"


def _next(seen: "Overview") -> str | None:
    if seen.loader.once:
        return seen.loader.once
    if seen.loader.counts:
        return seen.loader.trial if seen.loader.tries else seen.loader.good
    return seen.default


def _history(seen: "Overview") -> "Iterator[tuple[str, str]]":
    """Say what was judged, and what would be lost or was left by it."""
    if seen.edits:
        yield "edits", _edits(seen)
    if seen.verdict:
        yield "verdict", _verdict(seen.verdict)
    if seen.failure:
        yield "background", seen.failure.said
    for id, paths in seen.left_behind.items():
        yield "kept", f"{some(paths)}: added by {id}, which is gone; services may have used it"


def _running(known: "dict[str, Environment]", seen: "Overview", booted: str) -> str:
    """Say what runs, and where that stands."""
    if seen.in_trial:
        return f"{_described(known, booted)}; this boot is its trial"
    by_hand = f"; chosen by hand, {seen.by_hand}" if seen.by_hand else ""
    return f"{_described(known, booted)}{by_hand}"


def _edits(seen: "Overview") -> str:
    paths = [one.path for one in seen.edits]
    target = seen.pending.target if seen.pending else ""
    return f"{some(paths)}: changed after {target} was made, and not in it"


def _verdict(last: "Verdict") -> str:
    why = f": {last.reason}" if last.reason else ""
    return f"{last.result} for {last.target}, by {last.by}, {last.time}{why}"


def _pending(seen: "Overview", pending: "Deployment") -> str:
    counted = seen.capability.counts and pending.tries
    tried = f", {_attempts(seen, pending)}" if counted else ""
    why = f" ({pending.reason})" if pending.reason else ""
    made = f" from {pending.parent}" if pending.created_target else ""
    return f"{pending.target}  {pending.kind}{made}, {pending.phase}{tried}{why}"


def _attempts(seen: "Overview", pending: "Deployment") -> str:
    left = seen.loader.tries if seen.loader.deployment == pending.id else pending.tries
    back = pending.attempts_given_back
    given = f", {back} given back" if back else ""
    return f"{left} of {pending.tries} tries left{given}"


def _answers(seen: "Overview", pending: "Deployment") -> str:
    """Say what can be done about what is pending."""
    from snaproot.state import Phase

    if pending.phase is Phase.STAGED:
        return f"snaproot activate {pending.target} tries it, snaproot abandon drops it"
    if pending.phase is Phase.ARMED and seen.booted not in (None, pending.target):
        return "a reboot tries it, snaproot abandon drops it"
    return "snaproot promote keeps it, snaproot reject gives it up"


def _described(known: "dict[str, Environment]", id: str | None) -> str:
    if id is None or id not in known:
        return id or ""
    found = known[id]
    beneath = found.beneath and f"beneath the rollback floor: {found.beneath}"
    facts = [str(found.standing), found.kernel and f"Linux {found.kernel}", found.damage, beneath]
    return f"{id}  {', '.join(fact for fact in facts if fact)}"


def _listing(
    output: Output,
    seen: "Overview",
    rows: "Sequence[tuple[Environment, str]]",
    exclusive: "Mapping[str, int] | None",
) -> None:
    headings: tuple[str, ...] = ("ID", "CREATED", "ORIGIN", "KERNEL", "STANDING", "NOW")
    lines: list[tuple[str, ...]] = [_row(one, indent, seen) for one, indent in rows]
    if exclusive is not None:
        headings = (*headings[:-1], "EXCLUSIVE", headings[-1])
        lines = [
            (*line[:-1], size(exclusive[one.id]), line[-1])
            for line, (one, _) in zip(lines, rows, strict=True)
        ]
    numbers, cut = frozenset({"EXCLUSIVE"}), ("ORIGIN", "KERNEL")
    output.table(Table(headings, lines, right=numbers, cut=cut))
    if exclusive is not None:
        output.paragraph(EXCLUSIVE)


def _row(one: "Environment", indent: str, seen: "Overview") -> tuple[str, ...]:
    created = f"{one.created.astimezone():%Y-%m-%d %H:%M}" if one.created else "-"
    notes = (*seen.roles(one.id), *(("pinned",) if one.pinned else ()))
    notes = (*notes, *(("unverified change",) if one.unverified else ()))
    damage = [f"damaged: {one.damage}"] if one.damage else []
    damage += [f"beneath the rollback floor: {one.beneath}"] if one.beneath else []
    return (
        indent + one.id,
        created,
        _origin(one),
        one.kernel or "-",
        str(one.standing),
        ", ".join((*notes, *damage)),
    )


def _origin(one: "Environment") -> str:
    """Say what made it, cut to what fits into a line; snaproot did not make the original."""
    from snaproot.environment import Standing

    if one.standing is Standing.ORIGINAL:
        return "-"
    told = f"run {one.command}" if one.origin == "run" else one.origin or "-"
    return shortened(told, _ORIGIN)


def _lineage(environments: "Sequence[Environment]") -> "list[tuple[Environment, str]]":
    """Put every boot environment below the one that it was made from."""
    ids = {one.id for one in environments}

    def below(parent: str, depth: int) -> "Iterator[tuple[Environment, str]]":
        for one in environments:
            if (one.parent if one.parent in ids else "") == parent:
                yield one, "  " * (depth - 1) + ("└ " if depth else "")
                yield from below(one.id, depth + 1)

    return list(below("", 0))


def _diff(output: Output, found: "Difference") -> None:
    marks = {"added": "+", "changed": "~", "removed": "-"}
    output.say(f"{found.older} → {found.newer}")
    if found.packages:
        output.say()
        output.table(packages_table(found.packages))
    if found.paths:
        output.say()
    for one in found.paths:
        output.say(f"{marks[one.change]} {one.path}")
    output.say()
    packages, paths = len(found.packages), len(found.paths)
    output.say(f"packages that differ: {packages}, paths that differ: {paths}")
