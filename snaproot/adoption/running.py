"""Adopt the root that runs: the original stays the base, and what is made of it is a trial.

First a tree that knows of the original alone, and a loader's home that boots it: both change
nothing about what the machine does. Then the adopted root is staged like any other target.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from snaproot import areas, durable
from snaproot.adoption import loading
from snaproot.adoption import note as notes
from snaproot.adoption.backends import adopting
from snaproot.adoption.building import Builder, lay_out
from snaproot.adoption.execution import (
    Report,
    adopted,
    alone,
    clear,
    note,
    original,
    put_in_place,
    take,
)
from snaproot.adoption.grounds import PARTIAL
from snaproot.adoption.note import Shared
from snaproot.adoption.shape import AdoptionPlan
from snaproot.adoption.volumes import Ground
from snaproot.environment import Environment
from snaproot.filesystem import Workspace
from snaproot.filesystem.faults import translated
from snaproot.filesystem.layout import Layout
from snaproot.record import Records
from snaproot.state import Record


def prepare(plan: AdoptionPlan, top: Path, report: Report) -> None:
    """Declare what runs as the original, and let the machine boot it through the loader's home.

    A writable root is then as adopted as it can be. May be repeated after a cut at any point.
    Raises SnaprootError; the machine boots as before.
    """
    layout = Layout(top)
    ground = adopting(top)
    with alone(ground):
        if not layout.snaproot.is_dir():
            report("lay out")
            clear(ground, top)
            with translated("lay out"):
                _lay_out(plan, ground, top)
        found = notes.load(layout)
        if plan.writable and found is not None:
            notes.save(layout, replace(found, writable=True))
        report("set up the boot loader")
        with durable.locked(layout.record / "lock", "snaproot init"):
            loading.set_up(plan, ground.filesystem(layout), layout)


def steps(
    plan: AdoptionPlan, top: Path, report: Report
) -> tuple[Callable[[str, str], Workspace], Callable[[Workspace, str], Environment]]:
    """Return how the adopted root is made, and how it is described, for `Transaction.stage`."""
    layout, ground = Layout(top), adopting(top)

    def create(id: str, _: str) -> Workspace:
        named = replace(plan, id=id)
        take(Builder(named, ground, layout).steps(), report)
        shared = Shared(plan.areas, plan.nested, plan.links)
        notes.save(layout, replace(note(named, ground), shared=shared))
        return Workspace(id, layout.root(id), {})

    def build(workspace: Workspace, _: str) -> Environment:
        report("seal it")
        return adopted(replace(plan, id=workspace.id), layout)

    return create, build


def _lay_out(plan: AdoptionPlan, ground: Ground, top: Path) -> None:
    layout = Layout(top / PARTIAL)
    lay_out(plan, ground, layout)
    found = original(plan, datetime.now(UTC).replace(microsecond=0))
    ground.declare(layout, found, plan.root, runs=True)
    durable.write(layout.record / areas.NAME, areas.render(()).encode(), mode=0o644)
    notes.save(layout, replace(note(plan, ground), id=""))
    Records(layout.record).save(Record(base=plan.original))
    put_in_place(ground, layout, top)
