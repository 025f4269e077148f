"""How datasets go: renamed first, out of sight, and taken apart and destroyed only as such.

What others were cloned from cannot be destroyed: it first becomes a clone of one of them, the heir,
by OpenZFS's own promote. The heir then has the snapshots of the root that is gone; they go as soon
as nothing is cloned from them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from snaproot.errors import Refused
from snaproot.filesystem.faults import translated
from snaproot.filesystem.layout import Layout
from snaproot.filesystem.trees import remove
from snaproot.filesystem.zfs import binding, commands, listing
from snaproot.filesystem.zfs.binding import OF
from snaproot.filesystem.zfs.collecting import copied
from snaproot.filesystem.zfs.listing import Root
from snaproot.filesystem.zfs.names import (
    CONTAINER,
    HOME,
    adopted_snapshot,
    id_of,
    short,
    trashed,
    untrashed,
)
from snaproot.filesystem.zfs.properties import ENVIRONMENT
from snaproot.filesystem.zfs.view import View, release
from snaproot.mountinfo import mounted_as, mounts_in
from snaproot.wording import some


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot: whose it is (empty for another's), what was cloned from it, and its holds."""

    name: str
    of: str
    clones: tuple[str, ...]
    holds: int

    @property
    def dataset(self) -> str:
        return self.name.partition("@")[0]

    @property
    def free(self) -> bool:
        """Tell whether it could be destroyed."""
        return not self.clones and not self.holds


def check(view: View, root: Root) -> None:
    """Raise Refused where a root could not be destroyed; nothing is touched."""
    dataset = root.dataset
    if root.known is None:
        return
    if not listing.is_ours(view, root):
        raise Refused(f"{dataset} is none of snaproot's; nothing was changed")
    if dataset == view.pool:
        raise Refused(f"{dataset} is the pool's own filesystem, which cannot be deleted")
    inner, found = _within(dataset)
    held = [one.name for one in found if one.holds and not one.clones]
    if held:
        raise Refused(
            f"somebody holds {some(held)}; nothing was changed",
            hint=f"zfs holds {held[0]} names the tag to zfs release",
        )
    others = [name for name in inner if name not in {dataset, view.names.etc(root.id)}]
    others += [one.name for one in found if not one.of and root.original]
    if others:
        raise Refused(
            f"{dataset} holds others' datasets or snapshots: {some(others)}; nothing was changed",
            hint="look into them; zfs rename -u takes a dataset out of it (a line in /etc/fstab "
            "has to follow, and an inherited mount point to be set), zfs destroy makes an end",
        )
    for name in inner:
        points = [p for p in mounted_as(name) if not p.is_relative_to(view.layout.top)]
        if points:
            raise Refused(
                f"{name} is mounted at {points[0]}; nothing was changed", hint=f"umount {points[0]}"
            )


def throw(view: View, root: Root) -> None:
    """Take a root out of sight in one durable step, then destroy it; `sweep` has the rest.

    May be repeated after a cut at any point.
    """
    view.release(root.id)
    doomed = trashed(root.dataset)
    if binding.exists(root.dataset):
        _release_snapshots(view, root.dataset)
        destroy(doomed)
        binding.rename(root.dataset, doomed)
    destroy(doomed)
    if root.original:
        listing.forget_original(view)  # which says where the rest of it is
    _remove(view.layout, root.id)


def _release_snapshots(view: View, dataset: str) -> None:
    """Unmount what we have of them, be it beside another root: a mounted one is no heir's."""
    ours = (f"{dataset}@", f"{dataset}/etc@")
    for mount in mounts_in(view.layout.top):
        if mount.source.startswith(ours):
            release(mount.point)


def empty(view: View) -> None:
    """Destroy every root whose removal has begun, and the rest of what is gone."""
    original = listing.original(view)
    if original is not None and binding.exists(trashed(original.dataset)):
        destroy(trashed(original.dataset))
        listing.forget_original(view)
    for name in commands.local(view.names.container, depth=1, properties=[ENVIRONMENT]):
        if untrashed(name):
            destroy(name)
    with translated(f"empty {view.layout.trash}"):
        remove(view.layout.trash)
    sweep(view)


def destroy(doomed: str) -> None:
    """Destroy a root whose removal has begun, and its `/etc`; gone already is fine."""
    if untrashed(doomed) is None:
        raise RuntimeError(f"{doomed} is in use")
    if binding.exists(doomed):
        _, found = _within(doomed)
        for name in (f"{doomed}/etc", doomed):
            _free(name, [one for one in found if one.dataset == name])
            binding.destroy(name)


def sweep(view: View) -> None:
    """Destroy what is left of boot environments that are gone: clones, snapshots, directories."""
    known = frozenset(one.id for one in listing.environments(view))
    for (name,) in commands.listed("filesystem", ["name"], view.names.home):
        id, dot, _ = name.removeprefix(f"{view.names.work}/").partition(".")
        if name.startswith(f"{view.names.work}/") and dot and id not in known:
            binding.destroy(name)
    binding.destroy_snapshots(one.name for one in _ours(view) if _is_over(one, known))
    with translated(f"look into {view.layout.environments}"):
        homes = [place.name for place in view.layout.environments.iterdir()]
    for id in homes:
        if id not in known:
            release(view.layout.home(id))
            _remove(view.layout, id)


def _ours(view: View) -> Iterator[Snapshot]:
    """List the snapshots that are ours, wherever they may be."""
    names, original = view.names, listing.original(view)
    shallow = {names.area(area) for area in copied(view)}
    shallow |= {original.dataset} if original is not None else set()
    found = snapshots(names.container)
    found += snapshots(*filter(binding.exists, sorted(shallow)), deep=False) if shallow else []
    yield from (one for one in found if one.of)


def _is_over(one: Snapshot, known: frozenset[str]) -> bool:
    """Tell whether nobody needs a snapshot: what it is for is gone, and nothing is cloned from it.

    What the adopted root was made from is needed for as long as it is the original's.
    """
    inherited = short(one.name) == adopted_snapshot(one.of) and id_of(one.dataset) in known
    return one.free and (one.of not in known or inherited)


def snapshots(*datasets: str, deep: bool = True) -> list[Snapshot]:
    """List the snapshots of datasets, and below them if `deep`, in the order they were made."""
    return [_snapshot(row) for row in commands.listed("snapshot", _COLUMNS, *datasets, deep=deep)]


def _within(dataset: str) -> tuple[list[str], list[Snapshot]]:
    """List a dataset with those below it, and the snapshots of all."""
    rows = commands.listed("filesystem,volume,snapshot", _COLUMNS, dataset)
    inner = [row[0] for row in rows if "@" not in row[0]]
    return inner, [_snapshot(row) for row in rows if "@" in row[0]]


_COLUMNS = ("name", OF, "clones", "userrefs")


def _snapshot(row: commands.Row) -> Snapshot:
    name, of, clones, holds = row
    return Snapshot(name, _text(of), _names(clones), int(holds))


def ensure(container: str) -> None:
    """Make a dataset that only holds others; there already is fine."""
    if not binding.exists(container):
        binding.create(container, {"canmount": binding.CANMOUNT_OFF, "mountpoint": "none"})


def _free(dataset: str, own: Sequence[Snapshot]) -> None:
    """Leave a doomed dataset without its own snapshots: what others need goes to an heir."""
    binding.destroy_snapshots(one.name for one in own if not one.clones)
    cloned = [one for one in own if one.clones]
    if cloned:
        heir = _heir(cloned)
        _part_names(cloned, heir)
        _part_bookmarks(dataset, heir)
        binding.zfs_promote(heir)
        _free(dataset, snapshots(dataset, deep=False))


def inherit(origin: str, heir: str) -> None:
    """Let a clone have the snapshot that it was made from, with all older ones.

    What that was of is its clone from then on.
    """
    dataset = origin.partition("@")[0]
    found = snapshots(dataset, deep=False)
    older = next(at for at, one in enumerate(found) if one.name == origin)
    _part_names(found[: older + 1], heir)
    _part_bookmarks(dataset, heir)
    binding.zfs_promote(heir)


def _heir(cloned: Sequence[Snapshot]) -> str:
    """Choose a clone of the youngest snapshot; another tool's only where none of ours is left."""
    clones = [clone for one in reversed(cloned) for clone in one.clones]
    ours = (clone for clone in clones if clone.split("/")[1] in {CONTAINER, HOME})
    return next(ours, clones[0])


def _part_names(cloned: Sequence[Snapshot], heir: str) -> None:
    """Rename snapshots of somebody else that would clash with the heir's own."""
    taken = {short(one.name) for one in snapshots(heir, deep=False)}
    for one in cloned:
        if short(one.name) in taken:
            whose = untrashed(one.dataset) or one.dataset.rpartition("/")[2]
            binding.rename(one.name, f"{one.name}-of-{whose}")


def _part_bookmarks(dataset: str, heir: str) -> None:
    """Destroy bookmarks that the heir has, too: OpenZFS moves all, and panics over two of a name.

    Seen with 2.3.9: dsl_dataset_promote_sync calls dsl_bookmark_node_add, which trusts that there
    is none yet.
    """
    own, taken = (
        {short(row[0]) for row in commands.listed("bookmark", ["name"], name, deep=False)}
        for name in (dataset, heir)
    )
    binding.destroy_bookmarks(f"{dataset}#{name}" for name in sorted(own & taken))


def _remove(layout: Layout, id: str) -> None:
    """Remove the directory about a boot environment, out of sight first."""
    home, trashed = layout.home(id), layout.trashed(id)
    with translated(f"remove {home}"):
        remove(trashed)
        if home.is_dir():
            layout.trash.mkdir(mode=0o700, exist_ok=True)
            home.rename(trashed)
        remove(trashed)


def _names(value: str) -> tuple[str, ...]:
    return tuple(name for name in _text(value).split(",") if name)


def _text(value: str) -> str:
    return "" if value == "-" else value
