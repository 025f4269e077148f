"""The shared places of an adopted root: lent by the original first, taken over after a promotion.

A trial must not lose what services write, however it ends: until it is promoted, `/var`, `/root`
and the like are the original's own directories. At the first boot after that, before anything
writes to them, they become subvolumes.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from snaproot import areas, durable, fstab
from snaproot.adoption import note as notes
from snaproot.adoption.decisions import How, Nested, Policy
from snaproot.adoption.facts import is_within
from snaproot.adoption.grounds import Grounds
from snaproot.adoption.note import Note, Shared
from snaproot.adoption.places import is_ours
from snaproot.adoption.shape import AdoptionPlan
from snaproot.areas import Kind
from snaproot.errors import ExitCode, SnaprootError
from snaproot.filesystem.btrfs import binding, trash
from snaproot.filesystem.btrfs.backend import Btrfs
from snaproot.filesystem.faults import translated
from snaproot.filesystem.layout import Layout
from snaproot.fstab import Entry
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
    layout, note = Layout(top), notes.load(Layout(top))
    if note is None or Btrfs(layout, Path("/")).booted() != note.id:
        return ExitCode.DONE
    shared, status = note.shared, ExitCode.DONE
    if shared is not None and any(_is_mounted(plan.area.mount) for plan in shared.lent):
        tell("the shared places are in use already: this is for the next boot")
        return ExitCode.FAILED
    if shared is not None and _is_due(layout, note, tell):
        try:
            take_over(top, note, shared)
        except Exception as error:  # noqa: BLE001 - whatever it is, the machine has to come up
            tell(f"the shared places could not be taken over: {error}")
            status, shared = ExitCode.FAILED, _noted(layout, shared)
        else:
            tell("the shared places are subvolumes of their own now")
            shared = None
        with suppress(SnaprootError, OSError):
            _clear(layout)
    if shared is None:
        retire(layout, note.id)
    else:
        lend(shared, Path("/etc/fstab").read_text(errors="surrogateescape"))
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


def _is_mounted(place: str) -> bool:
    found = mount_of(Path(place))
    return found.point == Path(place) and found.kind == "btrfs"


def lend(shared: Shared, table: str) -> None:
    """Mount the original's directories where the areas will be, as fstab(5) would mount those.

    systemd takes what is mounted already for started (systemd.mount(5)). Raises SnaprootError.
    """
    device = mount_of(Path("/")).source
    entries = {entry.file.rstrip("/"): entry for entry in fstab.parse(table)}
    _ORIGINAL.mkdir(mode=0o700, parents=True, exist_ok=True)
    for plan in sorted(shared.lent, key=lambda plan: plan.area.mount.count("/")):
        entry = entries.get(plan.area.mount, Entry(0, device, plan.area.mount, "btrfs"))
        options = entry.without("subvolid").having(f"subvol=/{plan.source}").options
        _mount("-t", "btrfs", "-o", ",".join(options), device, str(_ORIGINAL))
        _mount("--bind", str(_ORIGINAL / plan.inner), plan.area.mount)
        run([*_EVERYBODY, "umount", str(_ORIGINAL)])
    for link in shared.links:
        if link.exists and Path(link.home).is_dir():
            # What the package manager knows has to fit the files of this root.
            _mount("--bind", link.home, link.path)


def take_over(top: Path, note: Note, shared: Shared) -> None:
    """Make the original's directories subvolumes: by snapshots, which copy no byte.

    Nothing may write to them meanwhile. May be repeated after a cut at any point: until the note
    says that it is done, its last write, they are made anew. Raises SnaprootError; then the note
    tells which are current.
    """
    layout = Layout(top)
    nested = (*shared.nested, *_came_since(top, shared))
    plan = AdoptionPlan(
        id=note.id, root=note.root, areas=shared.areas, nested=nested, links=shared.links
    )
    with translated("take over the shared places"):
        _clear(layout)
        durable.make_directory(layout.snaproot / _ASIDE)
        made = _make(Grounds(plan, top, layout, aside=True), shared)
        binding.sync(top)
        for name in made:
            trash.raze(top, layout.areas / name)  # an earlier take-over was cut just here
            (layout.snaproot / _ASIDE / name).rename(layout.areas / name)
    binding.sync(top)
    durable.write(layout.record / areas.NAME, areas.render(plan.declared).encode(), mode=0o644)
    notes.save(layout, replace(note, shared=None))


def _clear(layout: Layout) -> None:
    """Remove what is half made: nobody mounts it under these names."""
    for name in (_ASIDE, "seed"):
        trash.raze(layout.top, layout.snaproot / name)


def _came_since(top: Path, shared: Shared) -> Iterator[Nested]:
    """Name the subvolumes that services have made in shared places since the plan, by parents."""
    known = {nested.subvolume for nested in shared.nested}
    known |= {plan.source for plan in shared.areas}
    declared = [plan.area for plan in shared.areas]
    for found in sorted(binding.subvolumes(top), key=lambda one: one.path.count("/")):
        for plan in shared.lent:
            home = "/".join(filter(None, (plan.source, plan.inner)))
            if found.path in known or is_ours(found.path) or not is_within(found.path, home):
                continue
            path = f"{plan.area.mount}/{found.path.removeprefix(home).lstrip('/')}"
            area = areas.holding(declared, path)
            if area is not None and area.kind is not Kind.SWAP:
                known.add(found.path)
                inner = str(PurePosixPath(path).relative_to(area.mount))
                policy, sealed = Policy.REATTACHED, found.read_only
                yield Nested(found.path, path, policy, area.mount, inner, readonly=sealed)


def retire(layout: Layout, id: str) -> None:
    """Have no boot start the unit again: there is nothing left to lend."""
    (layout.etc(id) / "systemd/system" / WANTED).unlink(missing_ok=True)


def _make(grounds: Grounds, shared: Shared) -> list[str]:
    """Make all areas but those that are there; return their names."""
    grounds.seed()
    there = [
        plan
        for plan in shared.areas
        if plan.how is How.STAYS
        or (plan.how is How.EMPTY and binding.is_subvolume(grounds.layout.areas / plan.area.name))
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
