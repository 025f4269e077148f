"""Read what the running machine is like, without changing anything.

`root` is where /sys, /proc, /dev, /etc and /usr are: `/`, or a directory that is laid out so.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from snaproot import fstab, mounts
from snaproot.errors import Refused, SnaprootError
from snaproot.machine import binaries, block, firmware, hibernation, pool
from snaproot.machine.facts import ESP_POINTS, FAT, Device, Esp, Machine
from snaproot.mountinfo import Mount, holding, parse

_MACHINE = Path("/")
_PRIVATE = Path("/run/snaproot")  # where an ESP is mounted for us alone
_LIVE_ROOTS = {"overlay", "squashfs", "erofs", "tmpfs", "ramfs", "rootfs"}
_LIVE_WORDS = ("boot=live", "boot=casper", "rd.live.image", "archisobasedir=")
_CONTAINERS = (".dockerenv", "run/.containerenv")
_UNLOCKERS = {
    "cryptsetup-initramfs": "usr/share/initramfs-tools/hooks/cryptroot",
    "dracut's crypt module": "usr/lib/dracut/modules.d/*crypt/module-setup.sh",
    "mkinitcpio's encrypt hook": "usr/lib/initcpio/install/*encrypt",
}
_LABELLERS = ("usr/sbin/restorecon", "usr/sbin/setfiles", "sbin/restorecon", "sbin/setfiles")


def look(root: Path = _MACHINE, *, esp: Path | None = None) -> Machine:
    """Read everything that is judged.

    `esp` is the directory that was given for the ESP; without it, it is looked for where it is
    mounted, then in /etc/fstab.

    Raises Refused where `esp` is no directory.
    """
    points = [*parse(_mountinfo(root))]
    mount = holding(_mountinfo(root), Path("/"))
    source = mount.source if mount else ""
    on_zfs = mount is not None and mount.kind == "zfs"
    devices = _vdevs(root, source) if on_zfs else block.of_filesystem(root, source)
    found = _esp(root, points, esp)
    place = root / found.place.lstrip("/") if found else None
    return Machine(
        efi=firmware.is_efi(root),
        enclosure=_enclosure(root),
        boot=_boot(root, points, source, {device.name for device in devices}),
        esp=found,
        root_devices=devices,
        crypttab=_crypttab(root),
        unlocker=next((n for n, p in _UNLOCKERS.items() if any(root.glob(p))), ""),
        loader=firmware.loader(root),
        secure_boot=firmware.secure_boot(root),
        shim_checks=firmware.shim_checks(root),
        watchdog=firmware.watchdog(root),
        selinux=block.text(root / "sys/fs/selinux/enforce") == "1",
        relabels=any((root / name).exists() for name in _LABELLERS),
        hibernated=hibernation.images(root),
        binaries=binaries.differing(root, place) if place else (),
        pool=pool.look(root, source, place) if on_zfs else None,
    )


@contextmanager
def mounted(esp: Esp) -> Iterator[Path]:
    """Yield where the ESP is mounted; mount it for us alone where it is not."""
    if esp.place:
        yield Path(esp.place)
        return
    with mounts.esp(esp.spec) as place:
        yield place


# -- the ESP ---------------------------------------------------------------------------------------


def _esp(root: Path, points: Sequence[Mount], given: Path | None) -> Esp | None:
    if given is not None:
        return _given(root, points, given.resolve() if root == _MACHINE else given)
    for point in ESP_POINTS:
        with suppress(OSError):
            next((root / point.lstrip("/")).iterdir(), None)  # systemd.automount(5) waits for that
    now = [*parse(_mountinfo(root))]
    for point in ESP_POINTS:
        mount = _at(now, Path(point))
        # A /boot of another kind is no ESP that went wrong, but a /boot.
        if mount is not None and (point != "/boot" or mount.kind in FAT):
            return _filled(root, Path(point), _from_mount(root, mount))
    return _unmounted(root)


def _given(root: Path, points: Sequence[Mount], place: Path) -> Esp:
    if not (root / str(place).lstrip("/")).is_dir():
        raise Refused(
            f"{place} is no directory; nothing was changed",
            hint="mount the EFI system partition, and name that with --esp DIR",
        )
    mount = _at(points, place)
    seen = _filled(root, place, _from_mount(root, mount) if mount else Esp(is_copy=True))
    return replace(seen, place="") if place.is_relative_to(_PRIVATE) else seen


def _unmounted(root: Path) -> Esp | None:
    """Look at the one of fstab(5), mounted for us alone."""
    spec = next((e.spec for e in _table(root) if e.type in FAT and e.file in ESP_POINTS), "")
    if not spec or root != _MACHINE:
        return None
    try:
        with mounts.esp(spec) as place:
            mount = _at([*parse(_mountinfo(root))], place)
            seen = _filled(root, place, _from_mount(root, mount) if mount else Esp())
            return replace(seen, place="", spec=spec)
    except Refused:
        return None
    except SnaprootError:
        return Esp(spec=spec, kind="nothing that can be mounted")


def _from_mount(root: Path, mount: Mount) -> Esp:
    options = {*mount.options.split(","), *mount.super_options.split(",")}
    return Esp(
        spec=mount.source,
        kind=mount.kind,
        read_only="ro" in options,
        devices=block.below(root, mount.source),
    )


def _filled(root: Path, place: Path, esp: Esp) -> Esp:
    here = root / str(place).lstrip("/")
    space = os.statvfs(here)
    return replace(
        esp,
        place=str(place),
        free=space.f_bavail * space.f_frsize,
        grub=any((here / "EFI").glob("*/grub.cfg")),
        systemd_boot=(here / "EFI/systemd").is_dir(),
    )


# -- the root --------------------------------------------------------------------------------------


def _enclosure(root: Path) -> str:
    """Say what the root runs in, if it is not simply a machine's."""
    container = _container(root)
    if container:
        return container
    if not _is_root_of_init(root):
        return "a chroot"
    mount = holding(_mountinfo(root), Path("/"))
    words = block.text(root / "proc/cmdline").split()
    live = any(word.startswith(known) for word in words for known in _LIVE_WORDS)
    if live or (mount is not None and mount.kind in _LIVE_ROOTS):
        return f"a live system, on {mount.kind}" if mount else "a live system"
    return ""


def _container(root: Path) -> str:
    try:
        told = (root / "proc/1/environ").read_bytes().split(b"\0")
    except OSError:
        told = []
    names = [pair.removeprefix(b"container=") for pair in told if pair.startswith(b"container=")]
    name = b"".join(names[:1]).decode(errors="replace") or block.text(
        root / "run/systemd/container"
    )
    if name:
        return f"a container ({name})"
    # Where systemd runs it has told; a machine may have been made from an image of a container.
    if (root / "run/systemd/system").is_dir():
        return ""
    return "a container" if any((root / name).exists() for name in _CONTAINERS) else ""


def _is_root_of_init(root: Path) -> bool:
    """Compare with the root of PID 1, as systemd-detect-virt(1) does; unreadable is no proof."""
    try:
        return (root / "proc/1/root").samefile(root)
    except OSError:
        return True


def _boot(root: Path, points: Sequence[Mount], source: str, own: set[str]) -> str:
    """Say what filesystem a `/boot` of its own is; empty where it is in the root's."""
    mount = _at(points, Path("/boot"))
    if mount is not None:
        devices = {device.name for device in block.below(root, mount.source)[:1]}
        same = mount.source == source or devices & own
        return "" if same else f"{mount.source}, {mount.kind}"
    lines = (line for line in _table(root) if line.file.rstrip("/") == "/boot")
    return next((f"{e.spec}, {e.type}" for e in lines if e.type not in {"btrfs", "none"}), "")


def _vdevs(root: Path, dataset: str) -> tuple[Device, ...]:
    """Name what a pool lies on: no mount of a dataset says it."""
    found = (one for name in pool.devices(dataset) for one in block.below(root, name))
    return tuple(dict.fromkeys(found))


def _crypttab(root: Path) -> tuple[str, ...]:
    """Name what crypttab(5) maps, or what the kernel is told to map in the initramfs."""
    lines = (line.split() for line in block.text(root / "etc/crypttab").splitlines())
    listed = [words[0] for words in lines if words and not words[0].startswith("#")]
    told = (word.partition("=") for word in block.text(root / "proc/cmdline").split())
    named = [value for key, _, value in told if key in {"rd.luks.name", "rd.luks.uuid"}]
    mapped = [f"luks-{value.removeprefix('luks-')}" for value in named if "=" not in value]
    return (*listed, *(value.partition("=")[2] for value in named if "=" in value), *mapped)


def _table(root: Path) -> Sequence[fstab.Entry]:
    try:
        return fstab.parse((root / "etc/fstab").read_text(errors="surrogateescape"))
    except (OSError, ValueError):
        return ()  # the plan says what is wrong with it


def _at(points: Sequence[Mount], place: Path) -> Mount | None:
    """Find what is mounted right at a place, unless a later mount above it hides that."""
    above = [mount for mount in points if place.is_relative_to(mount.point)]
    seen = above[-1] if above else None
    return seen if seen and seen.point == place and seen.kind != "autofs" else None


def _mountinfo(root: Path) -> bytes:
    return (root / "proc/self/mountinfo").read_bytes()
