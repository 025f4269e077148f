"""Adopt a root that does not run: build aside, rename once, move the default subvolume last.

A cut before the rename leaves nothing but a tree that the next run removes; after it, everything
is complete, and the next run moves the default.
"""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from snaproot import areas, durable, kernels
from snaproot.adoption import loading
from snaproot.adoption import note as notes
from snaproot.adoption.backends import adopting
from snaproot.adoption.building import Builder, Step, lay_out
from snaproot.adoption.grounds import PARTIAL
from snaproot.adoption.note import Note
from snaproot.adoption.shape import AdoptionPlan
from snaproot.adoption.volumes import Ground
from snaproot.environment import Digests, Environment, Standing
from snaproot.errors import Busy, SnaprootError
from snaproot.filesystem.faults import translated
from snaproot.filesystem.layout import Layout
from snaproot.inside import Inside
from snaproot.record import Records
from snaproot.state import Record

Report = Callable[[str], None]


def execute(plan: AdoptionPlan, top: Path, report: Report) -> None:
    """Adopt as planned; `report` is told of each step before it is done.

    Raises SnaprootError where a step fails: the original is then still the default, and what was
    built is gone. May be repeated after a cut at any point.
    """
    ground = adopting(top)
    with alone(ground):
        if not plan.resumes:
            clear(ground, top)
            _build(plan, ground, top, report)
        _finish(plan, ground, top, report)


def findings(top: Path) -> list[str]:
    """Tell what the adopted layout means, as adoption found it; nothing for another one."""
    try:
        note = notes.load(Layout(top))
    except SnaprootError:
        return []
    return [*note.findings] if note else []


def _build(plan: AdoptionPlan, ground: Ground, top: Path, report: Report) -> None:
    layout = Layout(top / PARTIAL)
    try:
        take([("lay out", partial(lay_out, plan, ground, layout))], report)
        take(Builder(plan, ground, layout).steps(), report)
        report(f"seal {plan.id}")
        _declare(plan, ground, layout)
        report("put it in place")
        with translated("put it in place"):
            put_in_place(ground, layout, top)
    except SnaprootError as error:
        clear(ground, top)
        raise SnaprootError(
            f"{error}; it was not adopted, and the original is still the default", hint=error.hint
        ) from error


def take(steps: Iterable[Step], report: Report) -> None:
    """Take each step, and report it before. Raises SnaprootError for one that fails."""
    for name, step in steps:
        report(name)
        with translated(name):
            step()


def _declare(plan: AdoptionPlan, ground: Ground, layout: Layout) -> None:
    """Write what makes the tree an adopted system: metadata, areas, record; seal the BE."""
    now = datetime.now(UTC).replace(microsecond=0)
    listed = areas.render(plan.declared).encode()
    durable.write(layout.record / areas.NAME, listed, mode=0o644)
    ground.declare(layout, original(plan, now), plan.root, runs=False)
    proven = replace(adopted(plan, layout), standing=Standing.PROVEN)
    ground.filesystem(layout).seal(proven)
    Records(layout.record).save(Record(base=plan.id))
    notes.save(layout, note(plan, ground, unfinished=plan.id))


def original(plan: AdoptionPlan, now: datetime) -> Environment:
    """Describe the root that is there already."""
    return Environment(
        id=plan.original,
        origin="adopt",
        created=now,
        kernel=plan.kernel,
        standing=Standing.ORIGINAL,
    )


def adopted(plan: AdoptionPlan, layout: Layout) -> Environment:
    """Describe the root that was built."""
    inside = Inside(layout.root(plan.id))
    kernel = next((kernel for kernel in kernels.find(inside) if not kernel.fault), None)
    return Environment(
        id=plan.id,
        parent=plan.original,
        origin="adopt",
        command="init",
        created=datetime.now(UTC).replace(microsecond=0),
        kernel=kernel.release if kernel else plan.kernel,
        digests=kernels.digests(inside, kernel.image, kernel.initramfs) if kernel else Digests(),
    )


def note(plan: AdoptionPlan, ground: Ground, *, unfinished: str = "") -> Note:
    """Say what is to be remembered."""
    return Note(
        id=plan.id,
        unfinished=unfinished,
        root=plan.root,
        os=plan.os,
        default=ground.pointer(),
        findings=plan.findings,
        masked=plan.masked,
    )


def put_in_place(ground: Ground, layout: Layout, top: Path) -> None:
    """Rename the complete tree into sight, durable before and after."""
    ground.put_in_place(layout, top)


def _finish(plan: AdoptionPlan, ground: Ground, top: Path, report: Report) -> None:
    """Move the default, unless deployments have gone on from here already."""
    layout = Layout(top)
    report(f"make {plan.id} {'bootfs' if plan.pool else 'the default subvolume'}")
    if Records(layout.record).load() == Record(base=plan.id):
        ground.filesystem(layout).set_default(plan.id)
    if plan.esp:
        report("set up the boot loader")
        with durable.locked(layout.record / "lock", "snaproot init"):
            loading.set_up(plan, ground.filesystem(layout), layout)
    if plan.bootmenu:
        report("tell ZFSBootMenu")
        with durable.locked(layout.record / "lock", "snaproot init"):
            loading.tell_bootmenu(ground.filesystem(layout), layout)
    report("tidy up")
    clear(ground, top)
    report("remember that it is adopted")
    left = notes.load(layout)
    if left is not None:
        notes.save(layout, replace(left, unfinished=""))
    ground.sync()


def clear(ground: Ground, top: Path) -> None:
    """Remove what a cut left of a tree being built; it is never anything else's."""
    ground.remove(top / PARTIAL)


@contextmanager
def alone(ground: Ground) -> Iterator[None]:
    """Let one adoption work on a filesystem at a time; there is no record yet to lock."""
    descriptor = os.open(ground.lock, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise Busy("another adoption is at work on this filesystem; nothing was changed") from error
    finally:
        os.close(descriptor)
