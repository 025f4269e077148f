"""What adopting one Btrfs or one ZFS pool will do, decided from a survey. Pure.

The original root is never written to: it becomes a BE of standing *original* where it is, and the
adopted BE is made beside it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from snaproot import areas, fstab
from snaproot.adoption import describe, pools, sysimage, table
from snaproot.adoption.decisions import How, Places, Policy
from snaproot.adoption.facts import Adopted, Found, Root, Survey
from snaproot.adoption.places import SWAP, Layout, decided
from snaproot.adoption.roots import chosen
from snaproot.adoption.shape import ORIGINAL, AdoptionPlan, SwapMove
from snaproot.adoption.sysimage import Setting, StateLink
from snaproot.adoption.table import Table
from snaproot.areas import Kind
from snaproot.environment import ID
from snaproot.errors import NothingToDo, Refused
from snaproot.fstab import Entry

_MIB = 1 << 20
_METADATA_AT_MOST = 1024 * _MIB
_RESERVE = 48 * _MIB


def plan(
    survey: Survey, id: str, *, writable: bool = False, bootmenu: bool = False
) -> AdoptionPlan:
    """Decide how to adopt; a writable root is declared, and stays what it is.

    With `bootmenu` it is ZFSBootMenu that boots it.

    Raises Refused with a hint, NothingToDo where it is adopted already.
    """
    if not ID.fullmatch(id) or id == ORIGINAL:
        raise RuntimeError(f"{id!r} is no id for an adopted boot environment")
    _check_bootmenu(survey, wanted=bootmenu)
    if survey.adopted is not None:
        return _after(survey.adopted, survey, bootmenu=bootmenu)
    _check_devices(survey)
    _check_running(survey)
    _check_initramfs(survey)
    root = root_of(survey)
    here = seen(survey, root)
    entries = table.parsed(root)
    here.check(entries)
    layout = _layout(survey, root, entries, here)
    made = replace(_made(layout, here, id), writable=writable, bootmenu=bootmenu)
    _check_space(made, survey)
    if survey.pool is not None:
        pools.check_names(survey.pool, id, made.declared)
    return replace(made, steps=tuple(describe.steps(made)))


def root_of(survey: Survey) -> Root:
    """Name the root. Raises Refused where there is none, or none that can be looked into."""
    pool = survey.pool
    if pool is not None and not survey.roots:
        pools.check_keys(pool, "")
    name = pool.name if pool else ""
    root = chosen(survey.roots, survey.subvolumes, survey.default, survey.booted, pool=name)
    if pool is not None:
        pools.check_keys(pool, root.subvolume.path)
    return root


def seen(survey: Survey, root: Root) -> Table:
    """Say what fstab(5) means on this filesystem."""
    if survey.pool is not None:
        return pools.PoolTable(survey.pool, root.subvolume.path)
    return table.Filesystem(survey.uuid, survey.label, survey.subvolumes, survey.default)


def _check_bootmenu(survey: Survey, *, wanted: bool) -> None:
    """Refuse what ZFSBootMenu cannot boot, and a trial that it could not bring back."""
    why = ""
    if wanted and survey.pool is None:
        why = "it boots from ZFS alone, and this is a Btrfs"
    elif wanted and survey.esp:
        why = "an ESP was given for GRUB's menu, and one of them has to choose"
    elif wanted and survey.booted is not None:
        why = "it counts no boots: a first trial that does not come up would not come back"
    if why:
        raise Refused(
            f'configured is [bootloader] backend = "zfsbootmenu": {why}; nothing was changed',
            hint="with it, a root is adopted while it does not run: snaproot --sysroot DIR init",
        )


def _after(adopted: Adopted, survey: Survey, *, bootmenu: bool) -> AdoptionPlan:
    """Finish an adoption that was cut, or set up its boot loader, where there is one or not."""
    if adopted.untaken and adopted.pending:
        raise Refused(
            f"{adopted.pending} is being adopted already; nothing was changed",
            hint="reboot to try it, or give it up with snaproot abandon",
        )
    if not (adopted.unfinished or survey.esp or bootmenu):
        raise NothingToDo("this filesystem is adopted already", hint="snaproot status shows it")
    id, pool = adopted.unfinished or adopted.first, survey.pool.name if survey.pool else ""
    made = AdoptionPlan(id=id, pool=pool, resumes=True, esp=survey.esp, bootmenu=bootmenu)
    return replace(made, steps=tuple(describe.remaining(made, adopted.unfinished)))


def _layout(survey: Survey, root: Root, entries: Sequence[Entry], here: Table) -> Layout:
    state = frozenset(link.path for link in _links(survey))
    return Layout(survey, root, entries, here.mounts(entries), state)


def _links(survey: Survey) -> tuple[StateLink, ...]:
    return sysimage.links(
        lambda path: survey.place(path).found is Found.DIRECTORY,
        lambda path: survey.place(path).found is Found.LINK,
    )


def _made(layout: Layout, here: Table, id: str) -> AdoptionPlan:
    survey, places = layout.survey, decided(layout)
    _check_swap(survey, places, layout.root.subvolume.path)
    swap = tuple(_swap_moves(layout, places))
    boot = _boot(layout)
    return AdoptionPlan(
        id=id,
        pool=survey.pool.name if survey.pool else "",
        root=layout.root.subvolume.path,
        os=layout.root.os,
        kernel=survey.kernel,
        areas=places.areas,
        nested=places.nested,
        links=_links(survey),
        settings=tuple(_settings(layout, places)),
        swap=swap,
        boot=boot,
        mount_points=_mount_points(layout, places),
        fstab=_fstab(layout, places, swap, here),
        masked=survey.units,
        esp=survey.esp,
        findings=(*places.findings, *describe.findings(layout, places, swap)),
        needed=_needed(survey, places, swap, boot),
        live=survey.booted is not None,
    )


def _settings(layout: Layout, places: Places) -> Iterator[Setting]:
    survey = layout.survey
    yield from sysimage.settings(
        lambda path: survey.place(path).found is Found.DIRECTORY, survey.pacman_conf
    )
    ours = [plan.area.mount for plan in places.areas if plan.how is not How.STAYS]
    order = pools.ordering(layout.mounts, ours)
    if order:
        yield Setting(pools.ORDER, order)


def _check_devices(survey: Survey) -> None:
    if survey.pool is not None:
        pools.check(survey.pool)
    if survey.missing_devices:
        raise Refused(
            f"{survey.missing_devices} of {survey.devices} devices of this Btrfs are missing; "
            "nothing was changed",
            hint="bring them back, or replace them (btrfs replace), and balance first",
        )


def _check_running(survey: Survey) -> None:
    """Refuse what a trial could not be made of."""
    if survey.booted is None:
        return
    if not survey.installed:
        raise Refused(
            "snaproot's units are not in this root, and a trial could not be judged; "
            "nothing was changed",
            hint="install snaproot as a package",
        )
    if not survey.kernel:
        raise Refused(
            "no kernel with its modules was found in this root; nothing was changed",
            hint="install one, such as linux-image-amd64",
        )


def _check_initramfs(survey: Survey) -> None:
    """Refuse a root whose copy would not come up: on ZFS its /etc is a dataset of its own."""
    if survey.lacks:
        raise Refused(
            f"the initramfs of Linux {survey.kernel} lacks {', '.join(survey.lacks)}, without "
            "which no boot environment on ZFS is mounted; nothing was changed",
            hint="install zfs-initramfs (or zfs-dracut) and snaproot in it, then update-initramfs "
            "-u (or dracut -f)",
        )


def _check_swap(survey: Survey, places: Places, root: str) -> None:
    """Refuse what the kernel would: a snapshot of a subvolume with an active swap file."""
    copied = {root, *(plan.source for plan in places.areas if plan.how is How.SNAPSHOT)}
    copied |= {n.subvolume for n in places.nested if n.policy is Policy.REATTACHED}
    for active in survey.active_swap:
        if active.subvolume in copied:
            raise Refused(
                f"the swap file {active.path} is active, and what it lies in cannot be "
                "snapshotted meanwhile; nothing was changed",
                hint=f"swapoff {active.path}",
            )


def _check_space(made: AdoptionPlan, survey: Survey) -> None:
    if survey.free < made.needed:
        raise Refused(
            f"{made.needed // _MIB} MiB are needed, {survey.free // _MIB} are free; "
            "nothing was changed",
            hint="delete something large, or old snapshots",
        )


def _needed(survey: Survey, places: Places, swap: Sequence[SwapMove], boot: str) -> int:
    """Count what is written anew: swap files, `/boot`, what is copied, pruned snapshots."""
    pruned = min(2 * survey.metadata, _METADATA_AT_MOST)
    copied = [plan.area.mount for plan in places.areas if plan.how in {How.CARVED, How.SNAPSHOT}]
    anew = sum(survey.sizes.get(place, 0) for place in (*copied, "/etc"))
    moved = sum(move.size for move in swap) + (survey.boot_size if boot else 0)
    return moved + anew + pruned + _RESERVE


def _boot(layout: Layout) -> str:
    """Name the directory whose content becomes the BE's `/boot`; "" if it is in the root."""
    mounted = any(entry.file.rstrip("/") == "/boot" for entry in layout.entries)
    separate = mounted or layout.nested_at("/boot") is not None
    _check_boot(layout, mounted=mounted)
    if separate and not layout.survey.boot:
        line = next(entry for entry in layout.entries if entry.file.rstrip("/") == "/boot")
        raise Refused(
            f"/boot is a filesystem of its own ({line.spec}, {line.type}), and it was not given; "
            "nothing was changed",
            hint="mount it read-only, and name its directory: --boot DIR",
        )
    return layout.survey.boot if separate else ""


def _check_boot(layout: Layout, *, mounted: bool) -> None:
    """Refuse a `/boot` that would be mounted over the BE's own, whatever its fstab says."""
    pool, mount = layout.survey.pool, layout.mount_at("/boot")
    elsewhere = pool is not None and "/boot" in pool.elsewhere
    if not mounted and (mount is not None or elsewhere):
        name = mount.subvolume if mount else "a dataset of another pool"
        raise Refused(
            f"/boot is a filesystem of its own ({name}, which mounts itself); nothing was changed",
            hint="move its content into the root, or give it a line in /etc/fstab and set its "
            "mountpoint=legacy",
        )


def _swap_moves(layout: Layout, places: Places) -> Iterator[SwapMove]:
    for file in layout.survey.swap_files:
        holder = areas.holding(places.declared, file.path)
        how = next((p.how for p in places.areas if p.area is holder), None)
        if holder is None or holder.kind is not Kind.SWAP:
            yield SwapMove(file.path, f"{SWAP}/{PurePosixPath(file.path).name}", file.size)
        elif how is not How.STAYS:
            yield SwapMove(file.path, file.path, file.size)


def _mount_points(layout: Layout, places: Places) -> tuple[str, ...]:
    listed = {entry.file.rstrip("/") for entry in layout.entries if entry.file.startswith("/")}
    return tuple(sorted({*listed, *(a.mount for a in places.declared), "/tmp"} - {""}))  # noqa: S108


def _fstab(layout: Layout, places: Places, swap: Sequence[SwapMove], here: Table) -> str:
    entries = {entry.line: entry for entry in layout.entries}
    mounted = {mount.point for mount in layout.mounts if mount.line or mount.by_itself}
    changes: dict[int, Sequence[str]] = {}
    for mount in (one for one in layout.mounts if one.line):
        subvolume = _mounted_subvolume(places, mount.point, mount.subvolume)
        if here.differs(entries[mount.line], subvolume):
            changes[mount.line] = [here.pinned(entries[mount.line], subvolume)]
    for entry in layout.entries:
        changes |= _changed(entry, swap)
    added = [
        here.area(area, layout.entries) for area in places.declared if area.mount not in mounted
    ]
    if not any(entry.file.rstrip("/") == table.TMP.file for entry in layout.entries):
        added.append(table.TMP)
    return here.written(layout.root.fstab or "", layout.entries, changes, added)


def _mounted_subvolume(places: Places, point: str, subvolume: str) -> str:
    return next((a.subvolume for a in places.declared if a.mount == point), subvolume)


def _changed(entry: Entry, swap: Sequence[SwapMove]) -> dict[int, Sequence[str]]:
    """Change the lines of swap files that move, and of a `/boot` that the BE holds itself."""
    if entry.file.rstrip("/") == "/boot":
        why = "# /boot belongs to the boot environment; this is only where it is published:"
        return {entry.line: [why, f"# {fstab.render(entry)}"]}
    for move in swap:
        if entry.type == "swap" and entry.spec == move.path != move.home:
            return {entry.line: [fstab.render(replace(entry, spec=move.home))]}
    return {}
