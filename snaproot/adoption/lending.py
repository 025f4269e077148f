"""The shared places of an adopted root: lent by the original first, taken over after a promotion.

A trial must not lose what services write, however it ends: until it is promoted, `/var`, `/root`
and the like are the original's own directories. At the first boot after that, before anything
writes to them, they become subvolumes.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from snaproot import areas, durable, fstab
from snaproot.adoption import note as notes
from snaproot.adoption.decisions import AreaPlan, How
from snaproot.adoption.grounds import Grounds
from snaproot.adoption.note import Note, Shared
from snaproot.adoption.shape import AdoptionPlan
from snaproot.errors import ExitCode, SnaprootError
from snaproot.filesystem.btrfs import binding
from snaproot.filesystem.btrfs.layout import Layout
from snaproot.mountinfo import mount_of
from snaproot.record import Records
from snaproot.run import run

UNIT = "/usr/lib/systemd/system/snaproot-shared.service"
WANTED = "sysinit.target.wants/snaproot-shared.service"
_ORIGINAL = Path("/run/snaproot/original")
_EVERYBODY = ("nsenter", "--mount=/proc/1/ns/mnt", "--")
"""We look at the top level in a mount namespace of our own; these mounts are for all."""


def settle(top: Path, tell: Callable[[str], None]) -> int:
    """Do what this boot needs before anything looks at the shared places; return an exit code.

    What cannot be taken over is lent for another boot: the machine comes up, and the unit failed.
    """
    layout, note = Layout(top), notes.load(Layout(top))
    if note is None or binding.subvolume_id(Path("/")) != binding.subvolume_id(
        layout.root(note.id)
    ):
        return ExitCode.DONE
    status = ExitCode.DONE
    if note.shared is not None and Records(layout.record).load().base == note.id:
        try:
            take_over(top, note, note.shared)
        except SnaprootError as error:
            tell(f"what is shared stays in the original's directories: {error}")
            status = ExitCode.FAILED
        else:
            tell("the shared places are subvolumes of their own now")
            note = replace(note, shared=None)
    if note.shared is None:
        retire(layout, note.id)
    else:
        lend(note.shared, Path("/etc/fstab").read_text(errors="surrogateescape"))
    return status


def lend(shared: Shared, table: str) -> None:
    """Mount the original's directories where the areas will be, as fstab(5) would mount those.

    systemd takes what is mounted already for started (systemd.mount(5)). Raises SnaprootError.
    """
    device = mount_of(Path("/")).source
    options = {entry.file.rstrip("/"): entry for entry in fstab.parse(table)}
    _ORIGINAL.mkdir(mode=0o700, parents=True, exist_ok=True)
    for plan in sorted(_lent(shared), key=lambda plan: plan.area.mount.count("/")):
        entry = options[plan.area.mount].without("subvolid").having(f"subvol=/{plan.source}")
        _mount("-t", "btrfs", "-o", ",".join(entry.options), device, str(_ORIGINAL))
        _mount("--bind", str(_ORIGINAL / plan.inner), plan.area.mount)
        run([*_EVERYBODY, "umount", str(_ORIGINAL)])
    for link in shared.links:
        if link.exists and Path(link.home).is_dir():
            # What the package manager knows has to fit the files of this root.
            _mount("--bind", link.home, link.path)


def take_over(top: Path, note: Note, shared: Shared) -> None:
    """Make the original's directories subvolumes: by snapshots, which copy no byte.

    Nothing may write to them meanwhile. May be repeated after a cut at any point: until the note
    says that it is done, they are made anew. Raises SnaprootError; then the original's are current.
    """
    layout = Layout(top)
    plan = AdoptionPlan(
        id=note.id, root=note.root, areas=shared.areas, nested=shared.nested, links=shared.links
    )
    with binding.translated("take over the shared places"):
        _make(Grounds(plan, top, layout), shared)
    binding.sync(top)
    durable.write(layout.record / areas.NAME, areas.render(plan.declared).encode(), mode=0o644)
    notes.save(layout, replace(note, shared=None))
    binding.sync(top)


def retire(layout: Layout, id: str) -> None:
    """Have no boot start the unit again: there is nothing left to lend."""
    (layout.etc(id) / "systemd/system" / WANTED).unlink(missing_ok=True)


def _make(grounds: Grounds, shared: Shared) -> None:
    grounds.seed()
    for plan in shared.areas:
        if plan.how is How.EMPTY and grounds.is_made(plan):
            continue
        grounds.drop(plan)
        grounds.fill(plan)
        if grounds.holder(plan.area.mount) is not None:
            grounds.prepared(plan.area.mount)
    grounds.reattach()
    for link in shared.links:
        grounds.link(link)
    grounds.drop_single_files()
    grounds.drop_seed()


def _lent(shared: Shared) -> Iterator[AreaPlan]:
    return (plan for plan in shared.areas if plan.how in {How.CARVED, How.SNAPSHOT})


def _mount(*words: str) -> None:
    done = run([*_EVERYBODY, "mount", *words], check=False)
    if done.status:
        raise SnaprootError(f"mount {' '.join(words)}: {done.errors.strip()}")
