"""Read what is on a Btrfs, without touching it and without following links out of its roots."""

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from snaproot import fstab
from snaproot.adoption import lending, loading, sysimage, table
from snaproot.adoption.before import adopted, is_free
from snaproot.adoption.facts import (
    TOP_LEVEL,
    ActiveSwap,
    Found,
    Root,
    Subvolume,
    Survey,
    SwapFile,
    is_within,
)
from snaproot.adoption.inspection import kernel, size, system, units, word
from snaproot.adoption.places import SHARED, SWAP, is_ours
from snaproot.adoption.roots import chosen
from snaproot.adoption.view import View, inside, text_of
from snaproot.errors import Refused
from snaproot.filesystem.btrfs import binding
from snaproot.fstab import Entry
from snaproot.mountinfo import mount_of

_FIRST_INODE = 256
_SYSFS = Path("/sys/fs/btrfs")
_SWAPS = Path("/proc/swaps")
_LOADER = ("grub/grub.cfg", "grub2/grub.cfg")


def survey(
    top: Path, *, boot: Path | None = None, esp: Path | None = None, booted: Path | None = None
) -> Survey:
    """Read everything that `plan` asks for.

    `boot` is where a separate `/boot` is mounted, `esp` where the ESP is, or a copy of it, `booted`
    the root that runs.

    Raises Refused where `top` is not the top level of a Btrfs, or the ESP cannot be taken over.
    """
    _check(top)
    before = adopted(top)
    if before is not None and not (booted is not None and is_free(before)):
        found = Survey(uuid="", subvolumes=(), default=0, roots=(), adopted=before)
        return replace(found, esp=str(esp or ""))
    number = binding.subvolume_id(booted) if booted else None
    found = replace(_filesystem(top, number), esp=str(esp or ""))
    try:
        root = chosen(found.roots, found.subvolumes, found.default, number)
        entries = fstab.parse(root.fstab or "")
    except (Refused, ValueError):
        return found  # the plan refuses it, with the reason
    return _with_root(top, found, root, entries, boot)


def _check(top: Path) -> None:
    kind = mount_of(top).kind if top.is_dir() else "no directory"
    if kind != "btrfs":
        raise Refused(
            f"{top} is {kind}, not Btrfs; nothing was changed",
            hint="snaproot needs a copy-on-write root",
        )
    if binding.subvolume_id(top) != TOP_LEVEL or top.stat().st_ino != _FIRST_INODE:
        raise Refused(
            f"{top} is not the top level of its Btrfs; nothing was changed",
            hint="mount -o subvolid=5 DEVICE DIR",
        )


def _filesystem(top: Path, booted: int | None) -> Survey:
    """Read what is known before it is clear which subvolume is the root."""
    devices, name = binding.information(top)
    known = _SYSFS / name
    listed = sorted(binding.subvolumes(top), key=lambda s: s.path)
    ours = [Subvolume(s.id, s.path, s.read_only) for s in listed if not is_ours(s.path)]
    subvolumes = (Subvolume(TOP_LEVEL, ""), *ours)
    default = binding.default_id(top)
    space = os.statvfs(top)
    return Survey(
        uuid=name,
        label=word(known / "label"),
        devices=devices,
        missing_devices=sum(word(m) == "1" for m in known.glob("devinfo/*/missing")),
        free=space.f_bavail * space.f_frsize,
        metadata=int(word(known / "allocation/metadata/bytes_used") or 0),
        subvolumes=subvolumes,
        default=default,
        roots=tuple(_roots(top, subvolumes, {default, booted})),
        booted=booted,
    )


def _roots(
    top: Path, subvolumes: Sequence[Subvolume], named: Collection[int | None]
) -> Iterable[Root]:
    """Find what looks like a root: those that are named, and what lies right at the top level."""
    for subvolume in subvolumes:
        if subvolume.id not in named and "/" in subvolume.path:
            continue
        base = top / subvolume.path
        name = system(base)
        if name is not None and inside(base, "etc")[0] is Found.DIRECTORY:
            yield Root(subvolume, name, text_of(base, "etc/fstab"))


def _with_root(
    top: Path, found: Survey, root: Root, entries: Sequence[Entry], boot: Path | None
) -> Survey:
    if found.esp:
        loading.check(Path(found.esp), top / root.subvolume.path)
    here = table.Filesystem(found.uuid, found.label, found.subvolumes, found.default)
    mounted = here.mounts(entries)
    shown = {"/": root.subvolume.path, **{m.point: m.subvolume for m in mounted}}
    view = View({point: top / name for point, name in shown.items()})
    swap = tuple(_swap_files(view, entries))
    aside = frozenset(Path(file.path).name for file in swap if Path(file.path).parent == Path(SWAP))
    wanted = {*SHARED, *sysimage.looked_at(), *view.points, *_seen_at(shown, found.subvolumes)}
    boot_place = boot or view.find("/boot")[1]
    return replace(
        found,
        places={**{p: view.place(p) for p in wanted}, SWAP: view.place(SWAP, aside)},
        swap_files=swap,
        active_swap=tuple(_active_swap(top, found.subvolumes)),
        foreign=tuple(_foreign(top, view, found.subvolumes)),
        loader_names=tuple(_loader_names(boot_place)),
        boot=str(boot_place) if boot or _is_apart(view) else "",
        boot_size=size(boot_place),
        kernel=kernel(top / root.subvolume.path, boot_place),
        units=tuple(units(top / root.subvolume.path)),
        installed=inside(top / root.subvolume.path, lending.UNIT.lstrip("/"))[0] is Found.OTHER,
        pacman_conf=text_of(top / root.subvolume.path, "etc/pacman.conf") or "",
    )


def _seen_at(points: Mapping[str, str], subvolumes: Sequence[Subvolume]) -> Iterable[str]:
    """Say where the root shows each subvolume that is nested in one it mounts."""
    for subvolume in subvolumes:
        for point, shown in points.items():
            if is_within(subvolume.path, shown):
                yield f"{point.rstrip('/')}/{Path(subvolume.path).relative_to(shown)}"


def _is_apart(view: View) -> bool:
    """Tell whether `/boot` is a subvolume of this filesystem."""
    return "/boot" in view.points or binding.is_subvolume(view.find("/boot")[1])


def _swap_files(view: View, entries: Sequence[Entry]) -> Iterable[SwapFile]:
    for entry in entries:
        if (
            entry.type == "swap"
            and entry.spec.startswith("/")
            and not entry.spec.startswith("/dev/")
        ):
            found, place = view.find(entry.spec)
            if found is Found.OTHER:
                yield SwapFile(entry.spec, place.stat().st_size)


def _active_swap(top: Path, subvolumes: Sequence[Subvolume]) -> Iterable[ActiveSwap]:
    """Match swap files in use with subvolumes by device number: paths differ between mounts."""
    devices = {os.lstat(top / s.path).st_dev: s.path for s in subvolumes}
    for line in word(_SWAPS).splitlines()[1:]:
        path = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), line.split()[0])
        try:
            subvolume = devices.get(Path(path).stat().st_dev)
        except OSError:
            continue
        if subvolume is not None and line.split()[1] == "file":
            yield ActiveSwap(path, subvolume)


def foreign(top: Path, root: str) -> tuple[str, ...]:
    """Name the tools besides snaproot that go back to snapshots; `root` is from the top level."""
    found = [s for s in binding.subvolumes(top) if not is_ours(s.path)]
    subvolumes = [Subvolume(s.id, s.path) for s in sorted(found, key=lambda s: s.path)]
    return tuple(_foreign(top, View({"/": top / root}), subvolumes))


def _foreign(top: Path, view: View, subvolumes: Sequence[Subvolume]) -> Iterable[str]:
    paths = [subvolume.path for subvolume in subvolumes]
    snapshots = next((p for p in paths if Path(p).name == ".snapshots"), "")
    if snapshots or view.find("/etc/snapper/configs/root")[0] is Found.OTHER:
        yield f"snapper ({snapshots or '/etc/snapper/configs/root'})"
    if (top / "timeshift-btrfs").is_dir() or view.find("/etc/timeshift")[0] is Found.DIRECTORY:
        yield "timeshift (timeshift-btrfs)"
    if any(path.startswith("@apt-snapshot-") for path in paths):
        yield "apt-btrfs-snapshot (@apt-snapshot-*)"
    elif view.find("/usr/bin/apt-btrfs-snapshot")[0] is Found.OTHER:
        yield "apt-btrfs-snapshot (/usr/bin/apt-btrfs-snapshot)"
    if view.find("/etc/grub.d/41_snapshots-btrfs")[0] is Found.OTHER:
        yield "grub-btrfs (/etc/grub.d/41_snapshots-btrfs)"
    if view.find("/usr/sbin/transactional-update")[0] is Found.OTHER:
        yield "transactional-update (/usr/sbin/transactional-update)"


def _loader_names(boot: Path) -> Iterable[str]:
    for name in _LOADER:
        found, place = inside(boot, name)
        if found is Found.OTHER and "subvol=" in place.read_text(errors="replace"):
            yield f"/boot/{name}"
