"""Give areas on ZFS names of their own, while they are mounted, and whatever is cut.

fstab(5) cannot name a dataset but by its name. So meanwhile each one mounts itself where its line
has it (zfs-mount(8)), and the line may fail; a line that fits it mounts it in the end, as before:
that orders it for systemd, as mounting by itself does not.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from snaproot import fstab as tables
from snaproot.errors import SnaprootError
from snaproot.filesystem.zfs import binding, commands, likeness
from snaproot.leaving import note, table
from snaproot.leaving.fstabs import Fstab
from snaproot.leaving.note import Note
from snaproot.mountinfo import mounted_as
from snaproot.run import run

if TYPE_CHECKING:
    from snaproot.leaving.datasets import Datasets

LEGACY = "legacy"
_ALONE = """
property=$1 dataset=$2
shift 2
for place; do umount --internal-only --lazy "$place"; done
exec zfs set canmount=on "mountpoint=$property" "$dataset"
"""
"""zfs(8) unmounts what it gives another mount point: it does not where nothing is mounted."""


def rename(ground: "Datasets", said: Note, fstab: Fstab) -> None:
    """Rename as the note says; may be repeated after a cut at any point."""
    called = _called(ground, said)
    specs = {*called.values(), *said.moves.values()}
    if not said.tight:
        said = replace(said, tight=table.tight(fstab.text, specs))
        note.save(ground.layout.record, said)
    fstab.change(table.loosened(fstab.text, specs))
    points = _points(fstab.text, {name: said.moves[number] for number, name in called.items()})
    for number, name in called.items():
        if said.moves[number] in points:
            set_in_use(name, points[said.moves[number]])
    fstab.change(
        table.respelled(fstab.text, {n: said.moves[number] for number, n in called.items()})
    )
    for number, name in called.items():
        if name != said.moves[number]:
            likeness.settle(name, ground.pool)
            binding.rename(name, said.moves[number])
    for name in said.moves.values():
        if name in points:
            set_in_use(name, LEGACY)
    fstab.change(table.tightened(fstab.text, specs, said.tight))
    note.save(ground.layout.record, replace(said, moves={}, tight=()))
    ground.sync()


def set_in_use(name: str, point: str) -> None:
    """Give a dataset another mount point, and leave alone what is mounted.

    Raises SnaprootError where it has another one then.
    """
    if _point(name) == point:
        return
    apart = ("unshare", "--mount", "--propagation", "private")
    places = (str(place) for place in mounted_as(name))
    done = run([*apart, "sh", "-c", _ALONE, "sh", point, name, *places], check=False)
    if not _point(name).endswith(point):  # it may have failed to mount it there, which is as well
        raise SnaprootError(f"{name} does not get the mount point {point}: {done.errors.strip()}")


def _point(name: str) -> str:
    """Read it; below an altroot it is shown with that (zpool-import(8))."""
    return commands.values(["mountpoint"], name)[name, "mountpoint"]


def _called(ground: "Datasets", said: Note) -> Mapping[int, str]:
    """Say what the datasets are called now that the note is about."""
    known = {number: name for name, number in ground.volumes().items()}
    return {number: known[number] for number in said.moves if number in known}


def _points(text: str, moves: Mapping[str, str]) -> Mapping[str, str]:
    """Say where the table mounts each, by its new name, whichever of both it has."""
    found = ((moves.get(one.spec, one.spec), one.file) for one in tables.parse(text))
    return {name: file.rstrip("/") for name, file in found if name in moves.values()}
