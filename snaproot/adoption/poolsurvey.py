"""Read what is in a ZFS pool, without touching it and without following links out of its roots."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from snaproot import fstab, initramfs, kernels
from snaproot.adoption import lending, loading, pools, sysimage
from snaproot.adoption.before import adopted, is_free
from snaproot.adoption.datasets import Datasets
from snaproot.adoption.facts import Dataset, Found, Pool, Root, Subvolume, Survey
from snaproot.adoption.inspection import kernel, size, system, units
from snaproot.adoption.places import SHARED
from snaproot.adoption.plan import root_of, seen
from snaproot.adoption.shape import ORIGINAL
from snaproot.adoption.view import View, inside, text_of
from snaproot.environment import Standing
from snaproot.errors import Refused, SnaprootError
from snaproot.filesystem import Workspace, metadata
from snaproot.filesystem.zfs import commands, properties
from snaproot.filesystem.zfs.names import Names
from snaproot.fstab import Entry
from snaproot.inside import Inside
from snaproot.mountinfo import mount_of
from snaproot.sandbox import Sandbox

_FIRST = 256
"""Datasets are numbered as subvolumes are, in the order in which they were made."""
_COLUMNS = ("name", "mountpoint", "canmount", "encryptionroot", "keystatus")
_TOOLS = (
    ("zsys", "usr/sbin/zsysd"),
    ("zectl", "usr/bin/zectl"),
    ("zectl", "usr/sbin/zectl"),
    ("beadm", "usr/sbin/beadm"),
)


def survey(
    ground: Datasets,
    *,
    boot: Path | None = None,
    esp: Path | None = None,
    booted: Path | None = None,
) -> Survey:
    """Read everything that `plan` asks for; the parameters are those of Btrfs's survey.

    Raises SnaprootError where the pool cannot be read, Refused where the ESP cannot be taken over.
    """
    before = adopted(ground.top)
    if before is not None and not (booted is not None and is_free(before)):
        found = Survey(uuid="", subvolumes=(), default=0, roots=(), adopted=before)
        return replace(found, esp=str(esp or ""), pool=Pool(ground.pool, ()))
    running = mount_of(booted).source if booted else ""
    found = replace(_read(ground, running), esp=str(esp or ""))
    try:
        root = root_of(found)
        entries = fstab.parse(root.fstab or "")
    except (Refused, ValueError):
        return found  # the plan refuses it, with the reason
    return _with_root(ground, found, root, entries, boot)


def _read(ground: Datasets, running: str) -> Survey:
    """Read what is known before it is clear which dataset is the root."""
    pool = _pool(ground.pool, running)
    known = {one.name: _FIRST + number for number, one in enumerate(pool.datasets)}
    asked = [one for one in pools.candidates(pool, running) if not one.locked]
    roots = tuple(_roots(ground, asked, known))
    free = commands.values(["available", "guid"], pool.name)
    return Survey(
        uuid=free[pool.name, "guid"],
        label=pool.name,
        subvolumes=tuple(root.subvolume for root in roots),
        default=known.get(pool.bootfs, 0),
        roots=roots,
        free=int(free[pool.name, "available"]),
        booted=known[running] if running else None,
        pool=pool,
    )


def _pool(name: str, running: str) -> Pool:
    asked = "health,readonly,bootfs"
    argv = ["zpool", "get", "-Hp", "-o", "property,value", asked, name]
    rows = commands.rows(argv, f"read what the pool {name} is like")
    said = {row[0]: row[1] for row in rows}
    roots = commands.altroots()
    others = [pool for pool, root in roots.items() if pool != name and root == roots[name]]
    below = [one for pool in others for one in _datasets(pool, roots[name])]
    return Pool(
        name=name,
        datasets=tuple(_not_ours(name, running, _datasets(name, roots[name]))),
        bootfs="" if said["bootfs"] == "-" else said["bootfs"],
        health=said["health"],
        readonly=said["readonly"] == "on",
        elsewhere=tuple(one.mountpoint.rstrip("/") for one in below if one.mounts_itself),
    )


def _datasets(pool: str, altroot: str) -> Iterator[Dataset]:
    """List filesystems; below an altroot mount points are shown with it (zpool-import(8))."""
    for name, point, canmount, key, status in commands.listed("filesystem", _COLUMNS, pool):
        own = point.removeprefix(altroot.rstrip("/")) or "/" if altroot != "-" else point
        encrypted = "" if key == "-" else key
        yield Dataset(name, own, canmount, encrypted, locked=status == "unavailable")


def _not_ours(pool: str, running: str, found: Iterable[Dataset]) -> Iterator[Dataset]:
    """Leave out what an earlier adoption has made; the original is described before it ends."""
    names, listed = Names(pool), list(found)
    there = any(one.name == names.container for one in listed)
    local = commands.local(names.container, depth=1) if there else {}
    made = [name for name in local if name != running and _is_made(local[name])]
    ours = (names.home, f"{names.home}.partial", *made)
    for one in listed:
        if not any(one.name == own or one.name.startswith(f"{own}/") for own in ours):
            yield one


def _is_made(known: Mapping[str, str]) -> bool:
    """Tell a boot environment's root from the original, which may have been declared as that."""
    try:
        return metadata.parse(properties.text_of(known), ORIGINAL).standing is not Standing.ORIGINAL
    except ValueError:
        return properties.ENVIRONMENT in known


def _roots(ground: Datasets, asked: Iterable[Dataset], known: dict[str, int]) -> Iterator[Root]:
    for one in asked:
        base = ground.place(one.name)
        name = system(base)
        if name is not None and inside(base, "etc")[0] is Found.DIRECTORY:
            subvolume = Subvolume(known[one.name], one.name)
            yield Root(subvolume, name, text_of(base, "etc/fstab"))


def _with_root(
    ground: Datasets, found: Survey, root: Root, entries: Sequence[Entry], boot: Path | None
) -> Survey:
    base = ground.place(root.subvolume.path)
    if found.esp:
        loading.check(Path(found.esp), base)
    shown = [m for m in seen(found, root).mounts(entries) if _is_open(found.pool, m.subvolume)]
    view = View({"/": base, **{m.point: ground.place(m.subvolume) for m in shown}})
    boot_place = boot or view.find("/boot")[1]
    return replace(
        found,
        places={p: view.place(p) for p in {*SHARED, *sysimage.looked_at(), *view.points}},
        sizes={p: size(view.find(p)[1]) for p in {*SHARED, "/etc"}},
        foreign=tuple(foreign(base)),
        boot=str(boot_place) if boot or "/boot" in view.points else "",
        boot_size=size(boot_place),
        kernel=kernel(base, boot_place),
        lacks=_lacking(base),
        units=tuple(units(base)),
        installed=inside(base, lending.UNIT.lstrip("/"))[0] is Found.OTHER,
        pacman_conf=text_of(base, "etc/pacman.conf") or "",
    )


def _lacking(root: Path) -> tuple[str, ...]:
    """Name what no boot of a copy of this root would do without, and its initramfs has not."""
    inside = Inside(root)
    known = next((one for one in kernels.find(inside) if not one.fault), None)
    if known is None:
        return ()
    sandbox = Sandbox(Workspace("original", root, {}), writable=False)
    try:
        files = initramfs.listing(inside, sandbox.run, known.initramfs)
    except SnaprootError as error:
        return (f"a list of its files ({error})",)
    return tuple(initramfs.missing("zfs", files, kernels.builtin(inside, known)))


def _is_open(pool: Pool | None, name: str) -> bool:
    one = pool.dataset(name) if pool else None
    return one is not None and not one.locked


def foreign(root: Path) -> Iterator[str]:
    """Name the tools besides snaproot that go back to older roots."""
    for tool, place in _TOOLS:
        if inside(root, place)[0] is Found.OTHER:
            yield f"{tool} (/{place})"
