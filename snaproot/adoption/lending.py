"""The shared places of an adopted root: lent by the original first, taken over after a promotion.

A trial must not lose what services write, however it ends: until it is promoted, `/var`, `/root`
and the like are the original's own directories. At the first boot after that, before anything
writes to them, they become volumes of their own.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from snaproot import areas, durable, fstab
from snaproot.adoption import note as notes
from snaproot.adoption.backends import adopting
from snaproot.adoption.decisions import How, Nested, Policy
from snaproot.adoption.facts import is_within
from snaproot.adoption.grounds import Grounds
from snaproot.adoption.note import Note, Shared
from snaproot.adoption.places import is_ours
from snaproot.adoption.shape import AdoptionPlan
from snaproot.adoption.volumes import Ground
from snaproot.areas import Kind
from snaproot.errors import ExitCode, SnaprootError
from snaproot.filesystem.faults import translated
from snaproot.filesystem.layout import Layout
from snaproot.mountinfo import mount_of
from snaproot.record import Records
from snaproot.run import run

UNIT = "/usr/lib/systemd/system/snaproot-shared.service"
WANTED = "sysinit.target.wants/snaproot-shared.service"
_ORIGINAL = Path("/run/snaproot/original")
_ASIDE = "areas.new"
_EVERYBODY = ("nsenter", "--mount=/proc/1/ns/mnt", "--")
"""We look at the top level in a mount namespace of our own; these mounts are for all."""


def settle(top: Path, tell: Callable[[str], None]) -> int:
    """Do what this boot needs before anything looks at the shared places; return an exit code.

    What cannot be taken over is lent for another boot: the machine comes up, and the unit failed.
    """
    layout, ground, note = Layout(top), adopting(top), notes.load(Layout(top))
    if note is None or ground.filesystem(layout, Path("/")).booted() != note.id:
        return ExitCode.DONE
    shared, status = note.shared, ExitCode.DONE
    if shared is not None and any(_is_mounted(ground, plan.area.mount) for plan in shared.lent):
        tell("the shared places are in use already: this is for the next boot")
        return ExitCode.FAILED
    if shared is not None and _is_due(layout, note, tell):
        try:
            take_over(top, note, shared)
        except Exception as error:  # noqa: BLE001 - whatever it is, the machine has to come up
            tell(f"the shared places could not be taken over: {error}")
            status, shared = ExitCode.FAILED, _noted(layout, shared)
        else:
            tell(f"the shared places are {ground.word}s of their own now")
            shared = None
        with suppress(SnaprootError, OSError):
            _clear(ground, layout)
    if shared is None:
        retire(layout, note.id)
    else:
        lend(ground, shared, Path("/etc/fstab").read_text(errors="surrogateescape"))
    return status


def _noted(layout: Layout, before: Shared) -> Shared | None:
    """Read what is still lent: the note alone says which of two copies is current."""
    try:
        note = notes.load(layout)
    except SnaprootError:
        return before
    return note.shared if note else before


def _is_due(layout: Layout, note: Note, tell: Callable[[str], None]) -> bool:
    """Tell whether the root that runs is proven; a record that cannot be read proves nothing."""
    try:
        return Records(layout.record).load().base == note.id
    except SnaprootError as error:
        tell(f"what is shared stays in the original's directories: {error}")
        return False


def _is_mounted(ground: Ground, place: str) -> bool:
    found = mount_of(Path(place))
    return found.point == Path(place) and found.kind == ground.kind


def lend(ground: Ground, shared: Shared, table: str) -> None:
    """Mount the original's directories where the areas will be, as fstab(5) would mount those.

    systemd takes what is mounted already for started (systemd.mount(5)). Raises SnaprootError.
    """
    entries = {entry.file.rstrip("/"): entry for entry in fstab.parse(table)}
    _ORIGINAL.mkdir(mode=0o700, parents=True, exist_ok=True)
    for plan in sorted(shared.lent, key=lambda plan: plan.area.mount.count("/")):
        _mount(*ground.mounting(plan.source, entries.get(plan.area.mount)), str(_ORIGINAL))
        _mount("--bind", str(_ORIGINAL / plan.inner), plan.area.mount)
        run([*_EVERYBODY, "umount", str(_ORIGINAL)])
    for link in shared.links:
        if link.exists and Path(link.home).is_dir():
            # What the package manager knows has to fit the files of this root.
            _mount("--bind", link.home, link.path)


def take_over(top: Path, note: Note, shared: Shared) -> None:
    """Make the original's directories volumes of their own.

    Nothing may write to them meanwhile. May be repeated after a cut at any point: until the note
    says that it is done, its last write, they are made anew. Raises SnaprootError; then the note
    tells which are current.
    """
    layout, ground = Layout(top), adopting(top)
    nested = (*shared.nested, *_came_since(ground, shared))
    plan = AdoptionPlan(
        id=note.id, root=note.root, areas=shared.areas, nested=nested, links=shared.links
    )
    with translated("take over the shared places"):
        _clear(ground, layout)
        durable.make_directory(layout.snaproot / _ASIDE)
        made = _make(Grounds(plan, ground, layout, aside=True), shared)
        ground.sync()
        for name in made:
            ground.remove(layout.areas / name)  # an earlier take-over was cut just here
            ground.move(layout.snaproot / _ASIDE / name, layout.areas / name)
    ground.sync()
    durable.write(layout.record / areas.NAME, areas.render(plan.declared).encode(), mode=0o644)
    notes.save(layout, replace(note, shared=None))


def _clear(ground: Ground, layout: Layout) -> None:
    """Remove what is half made: nobody mounts it under these names."""
    for name in (_ASIDE, "seed"):
        ground.remove(layout.snaproot / name)


def _came_since(ground: Ground, shared: Shared) -> Iterator[Nested]:
    """Name the volumes that services have made in shared places since the plan, by parents."""
    known = {nested.subvolume for nested in shared.nested}
    known |= {plan.source for plan in shared.areas}
    declared = [plan.area for plan in shared.areas]
    for found in sorted(ground.volumes(), key=lambda one: one.name.count("/")):
        for plan in shared.lent:
            home = "/".join(filter(None, (plan.source, plan.inner)))
            if found.name in known or is_ours(found.name) or not is_within(found.name, home):
                continue
            path = f"{plan.area.mount}/{found.name.removeprefix(home).lstrip('/')}"
            area = areas.holding(declared, path)
            if area is not None and area.kind is not Kind.SWAP:
                known.add(found.name)
                inner = str(PurePosixPath(path).relative_to(area.mount))
                policy, sealed = Policy.REATTACHED, found.readonly
                yield Nested(found.name, path, policy, area.mount, inner, readonly=sealed)


def retire(layout: Layout, id: str) -> None:
    """Have no boot start the unit again: there is nothing left to lend."""
    (layout.etc(id) / "systemd/system" / WANTED).unlink(missing_ok=True)


def _make(grounds: Grounds, shared: Shared) -> list[str]:
    """Make all areas but those that are there; return their names."""
    grounds.seed()
    for plan in shared.areas:
        grounds.keep(plan)
    is_there = grounds.ground.is_volume
    there = [
        plan
        for plan in shared.areas
        if plan.how is How.STAYS
        or (plan.how is How.EMPTY and is_there(grounds.layout.areas / plan.area.name))
    ]
    made = [plan for plan in shared.areas if plan not in there]
    for plan in made:
        grounds.fill(plan)
        if grounds.holder(plan.area.mount) is not None:
            grounds.prepared(plan.area.mount)
    grounds.reattach()
    for link in shared.links:
        grounds.link(link)
    grounds.drop_single_files()
    grounds.drop_seed()
    return [plan.area.name for plan in made]


def _mount(*words: str) -> None:
    done = run([*_EVERYBODY, "mount", *words], check=False)
    if done.status:
        raise SnaprootError(f"mount {' '.join(words)}: {done.errors.strip()}")
