"""Examine an adopted system: what is wrong, and what cannot be done for it, in plain words."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from snaproot import adoption, areas, machine, room
from snaproot.adoption.backends import foreign, has_area
from snaproot.adoption.describe import beside
from snaproot.config import Unknown
from snaproot.environment import Standing
from snaproot.errors import SnaprootError
from snaproot.finding import Finding, Level
from snaproot.overview import Overview, look
from snaproot.system import System
from snaproot.wording import size, some

if TYPE_CHECKING:
    from snaproot.trust.believed import Believed

_MIB = 1 << 20
UNCHANGED = "; nothing was changed"
"""What refusals end with, and no examination has to say."""


def examine(system: System) -> list[Finding]:
    """Look at everything, in the order in which it should be settled."""
    seen = look(system)
    return [
        _record(seen),
        *_environments(seen),
        _pointer(seen),
        *_sealed(system, seen),
        *_loader(seen, running=system.running),
        *_stub(system),
        *_trial(system),
        *_space(system),
        *_retention(system),
        *_areas(system),
        *_adoption(seen),
        *_trust(system, seen),
        *(Finding(Level.LIMIT, "layout", found) for found in adoption.findings(system.top)),
        *_tools(system, seen),
        *(_machine(system, seen) if system.running else ()),
    ]


def unopened(error: SnaprootError) -> Finding:
    """Say why the system could not even be opened."""
    what = str(error).removesuffix(UNCHANGED)
    return Finding(Level.BAD, "system", what, error.hint)


def _record(seen: Overview) -> Finding:
    if seen.interrupted:
        return Finding(Level.BAD, "record", seen.interrupted, seen.remedy)
    if seen.at_work:
        return Finding(Level.GOOD, "record", f"{seen.at_work} is at work")
    if seen.pending:
        what = f"{seen.pending.kind} {seen.pending.target} is {seen.pending.phase}"
        return Finding(Level.GOOD, "record", what)
    return Finding(Level.GOOD, "record", "nothing is pending, nothing was interrupted")


def _environments(seen: Overview) -> Iterator[Finding]:
    damaged = [one for one in seen.environments if one.damage]
    for one in damaged:
        yield Finding(Level.BAD, one.id, one.damage, "snaproot recover")
    if not damaged:
        count = len(seen.environments)
        yield Finding(Level.GOOD, "boot environments", f"{count}, all readable")
    if seen.stranded:
        yield Finding(Level.BAD, "rollback floor", *seen.stranded.rsplit("; ", 1))
    for one in seen.environments:
        if one.beneath:
            what = f"{one.id} is beneath it, and is not offered any more: {one.beneath}"
            yield Finding(Level.LIMIT, "rollback floor", what)


def _pointer(seen: Overview) -> Finding:
    if seen.default is None:
        what = "the filesystem's default is none of snaproot's boot environments"
        return Finding(Level.BAD, "default", what, "snaproot rollback")
    moved = seen.record and seen.pending is None and seen.default != seen.record.base
    if seen.record and moved:
        what = f"it is {seen.default}, but the base is {seen.record.base}: another hand moved it"
        return Finding(Level.BAD, "default", what, "snaproot rollback")
    return Finding(Level.GOOD, "default", seen.default)


def _sealed(system: System, seen: Overview) -> Iterator[Finding]:
    if seen.default is None:
        return
    try:
        system.filesystem.intact(seen.default)
    except SnaprootError as error:
        yield Finding(Level.BAD, seen.default, str(error), error.hint or "snaproot verify")


def _loader(seen: Overview, *, running: bool) -> Iterator[Finding]:
    can = seen.capability
    if can.obstacle:
        # What was never booted has not had its chance yet.
        level = Level.BAD if running else Level.LIMIT
        yield Finding(level, "loader", f"nothing can be tried: {can.obstacle}", can.hint)
        return
    good, record = seen.loader.good, seen.record
    if can.counts and record and seen.pending is None and good != record.base:
        what = f"its good entry is {good}, but the base is {record.base}: another hand wrote it"
        yield Finding(Level.BAD, "loader", what, "snaproot rollback")
    elif can.counts:
        yield Finding(Level.GOOD, "loader", can.summary)
    if can.counts:
        return
    yield Finding(
        Level.LIMIT,
        "loader",
        f"it {can.summary}. A target that panics, hangs or cannot mount its root is booted again "
        "and again, until somebody chooses the base by hand",
        "",
    )


def _trust(system: System, seen: Overview) -> Iterator[Finding]:
    """Look at whom to believe, and at what is revoked of what is here."""
    from snaproot.system import now
    from snaproot.trust import audit, believed
    from snaproot.trust.policylint import Weight

    try:
        found = system.believed()
    except SnaprootError as error:
        yield Finding(Level.BAD, "trust", str(error).removesuffix(UNCHANGED), error.hint)
        return
    yield _standing(found)
    for one in audit.audit(found.revocations, seen.environments) if found.revocations else ():
        what = f"{one.id} is not to be trusted any more: {one.why}"
        yield Finding(Level.BAD, "trust", what, "snaproot trust audit")
    for remark in believed.lint(found, now()):
        if remark.weight is Weight.ERROR and remark.code != "lint.expired":  # said already
            what = f"{remark.message} ({remark.code})"
            yield Finding(Level.BAD, "trust", what, "snaproot trust lint")


def _standing(found: "Believed") -> Finding:
    """Say whether what judges stands itself."""
    from snaproot.system import now
    from snaproot.trust import standing

    try:
        standing.check(found, now())
        standing.require_vouched(found, now())
    except SnaprootError as error:
        return Finding(Level.BAD, "trust", str(error), error.hint)
    what = f"version {found.policy.version} of a policy: {found.origin}"
    return Finding(Level.GOOD, "trust", what)


def _tools(system: System, seen: Overview) -> Iterator[Finding]:
    """Name the tools for snapshots that have come since the adoption."""
    if seen.default not in {one.id for one in seen.environments}:
        return
    root = system.filesystem.place(seen.default).root.relative_to(system.top)
    told = adoption.findings(system.top)
    for what in map(beside, foreign(system.top, str(root))):
        if what not in told:
            yield Finding(Level.LIMIT, "layout", what)


def _stub(system: System) -> Iterator[Finding]:
    """Say where GRUB no longer gets to the loader's home, whatever that would do."""
    where = "" if system.running else f" --sysroot {system.top}"
    hint = f"snaproot{where} --esp {system.esp} init leads it back, with the ESP mounted there"
    try:
        if not system.led_home:
            what = (
                "what GRUB reads first was written by another hand, such as grub-install, and "
                "does not lead to snaproot's menu: no trial is started, and no fallback"
            )
            yield Finding(Level.BAD, "loader", what, hint)
    except SnaprootError as error:
        yield Finding(Level.BAD, "loader", str(error).removesuffix(UNCHANGED), error.hint)


def _machine(system: System, seen: Overview) -> Iterator[Finding]:
    """Say what is to be known of the machine; of its ESP only where the loader's home is there.

    While the original is the base still, whatever init would refuse again is wrong.
    """
    found = machine.look(esp=system.esp)
    base = seen.record.base if seen.record else ""
    originals = {one.id for one in seen.environments if one.standing is Standing.ORIGINAL}
    if base in originals:
        yield from machine.refusals(found)
    elif system.esp is not None:
        yield from machine.broken(found)
    else:
        found = replace(found, esp=None, binaries=())
        yield from machine.broken_pool(found)
    yield from machine.findings(found)


def _trial(system: System) -> Iterator[Finding]:
    """Say where the safety net is off on purpose."""
    if not system.reverts:
        what = "reverting is switched off: a trial that is not good is told, and stays"
        yield Finding(Level.LIMIT, "trials", what, "[trial] revert, or snaproot.norevert")
    elif system.config.trial.unknown is Unknown.STAY:
        what = "one that nobody could judge stays, unprotected"
        yield Finding(Level.LIMIT, "trials", what, "[trial] unknown")


def _space(system: System) -> Iterator[Finding]:
    for place in room.places(system, system.config.space.reserve_mib * _MIB):
        what = f"{size(place.free)} of {size(place.total)} are free on {place.name}"
        if place.is_short:
            short = f"{what}, less than the {size(place.needed)} that an upgrade leaves or takes"
            yield Finding(Level.BAD, "space", short, "snaproot cleanup -n shows what could go")
        elif place.path == system.top:  # how much is on the ESP is said of the machine
            yield Finding(Level.GOOD, "space", what)


def _retention(system: System) -> Iterator[Finding]:
    """Name what should be gone: a promotion could not remove it, or the rules are stricter now."""
    try:
        over = [one.id for one in system.transaction.dispensable() if one.why]
    except SnaprootError:
        return  # what cannot be determined is told of the record, the default and the loader
    if over:
        what = f"the rules no longer keep {some(over)}"
        yield Finding(Level.LIMIT, "retention", what, "snaproot cleanup")


def _adoption(seen: Overview) -> Iterator[Finding]:
    if seen.unfinished:
        yield Finding(Level.LIMIT, "adoption", seen.unfinished)


def _areas(system: System) -> Iterator[Finding]:
    table = system.records.directory / areas.NAME
    try:
        declared = areas.parse(table.read_text())
    except (OSError, ValueError) as error:
        yield Finding(Level.BAD, "areas", f"{table} cannot be read: {error}")
        return
    for area in declared:
        if not has_area(system.top, area):
            what = f"{area.subvolume} is missing"
            yield Finding(Level.BAD, f"area {area.name}", what)
