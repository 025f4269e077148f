"""What lies below a block device, down to the disks: read from sysfs."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from snaproot.machine.facts import Device, Kind

_MAPPED = {
    "LVM-": Kind.LVM,
    "CRYPT-": Kind.CRYPT,
    "DMRAID-": Kind.RAID,
    "mpath-": Kind.DISK,
    "part": Kind.DISK,  # kpartx(8): a partition of a multipath
}
"""How the UUID of a device-mapper device begins, and what made it so."""


def below(root: Path, source: str) -> tuple[Device, ...]:
    """Name a device (`/dev/sda1`, a link to it) and all that it is made of, each once.

    Empty where it is no device of the machine whose /sys and /dev are in `root`.
    """
    place = root / source.lstrip("/")
    if not source.startswith("/dev/") or not place.exists():
        return ()
    return tuple(dict.fromkeys(_closure(root, place.resolve().name)))


def of_filesystem(root: Path, source: str) -> tuple[Device, ...]:
    """Name what a mounted filesystem lies on; a Btrfs may have more devices than the mount says."""
    first = below(root, source)
    name = first[0].name if first else ""
    for members in (root / "sys/fs/btrfs").glob("*-*/devices"):
        names = [member.name for member in members.iterdir()]
        if name in names:
            found = (device for one in sorted(names) for device in _closure(root, one))
            return tuple(dict.fromkeys(found))
    return first


def text(path: Path) -> str:
    """Read a file without the space around its text; empty where there is none."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _closure(root: Path, name: str) -> Iterator[Device]:
    place = root / "sys/class/block" / name
    yield Device(name, _kind(place), text(place / "dm/name"))
    for lower in _lower(root, place):
        yield from _closure(root, lower)


def _lower(root: Path, place: Path) -> Iterable[str]:
    slaves = place / "slaves"
    if slaves.is_dir():
        yield from sorted(slave.name for slave in slaves.iterdir())
    if (place / "partition").exists():
        yield place.resolve().parent.name
    backing = text(place / "loop/backing_file")
    # The name of a file may be that of another mount namespace: nothing is made of it.
    if backing.startswith("/dev/"):
        yield (root / backing.lstrip("/")).resolve().name


def _kind(place: Path) -> Kind:
    if (place / "md").is_dir():
        return Kind.RAID
    if (place / "loop").is_dir():
        return Kind.LOOP
    if (place / "bcache").exists() and place.name.startswith("bcache"):
        return Kind.CACHE
    uuid = text(place / "dm/uuid")
    known = (kind for prefix, kind in _MAPPED.items() if uuid.startswith(prefix))
    return next(known, Kind.MAPPED if (place / "dm").is_dir() else Kind.DISK)
