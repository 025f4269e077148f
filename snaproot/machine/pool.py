"""Read what the pool of a root on ZFS is like, by zpool(8) and zfs(8), without changing anything.

`root` is where /sys, /proc, /etc and /usr are, as in look.py.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from snaproot import fstab, zpool
from snaproot.errors import SnaprootError
from snaproot.health.pool import faults
from snaproot.machine import binaries, firmware
from snaproot.machine.block import text
from snaproot.machine.facts import Pool
from snaproot.run import run

_OURS = "org.snaproot:environment"
_FOREIGN = {"org.zectl": "zectl", "com.ubuntu.zsys:": "Ubuntu's zsys"}
_MOUNTERS = {
    "zfs-initramfs": "usr/share/initramfs-tools/scripts/zfs",
    "zfs-dracut": "usr/lib/dracut/modules.d/*zfs/mount-zfs.sh",
    "mkinitcpio's zfs hook": "usr/lib/initcpio/install/zfs",
}
_BOOTMENUS = ("EFI/[Zz][Bb][Mm]", "EFI/*/*zfsbootmenu*", "EFI/*/*ZFSBootMenu*", "*/*bootmenu*.efi")

Datasets = Mapping[str, Mapping[str, str]]
"""Of each filesystem, by name: the properties that are its own."""


def look(root: Path, dataset: str, esp: Path | None) -> Pool:
    """Read the pool that a dataset is in; what zpool(8) does not tell is no error, but `untold`.

    `esp` is where the ESP is mounted.
    """
    name = zpool.pool_of(dataset)
    try:
        return _told(root, name, dataset, esp)
    except SnaprootError as error:
        return Pool(name=name, root=dataset, untold=str(error), mounter=_mounter(root))


def devices(dataset: str) -> Iterable[str]:
    """Name what the pool of a dataset lies on; nothing where zpool(8) does not tell."""
    try:
        return zpool.devices(zpool.pool_of(dataset))
    except SnaprootError:
        return ()


def _told(root: Path, name: str, dataset: str, esp: Path | None) -> Pool:
    seen, properties, found = zpool.status(name), zpool.properties(name), _datasets(name)
    encrypted, key = _encryption(dataset)
    return Pool(
        name=name,
        root=dataset,
        health=seen.health,
        faults=tuple(faults(seen)),
        bootfs=_none(properties.get("bootfs", "")),
        active=tuple(sorted(zpool.in_use(properties))),
        grub=binaries.grub(esp) if esp else "",
        encrypted=encrypted,
        key=key,
        rivals=tuple(_rivals(found, dataset)),
        foreign=_foreign(found),
        ours=tuple(one for one, own in found.items() if _OURS in own),
        mounter=_mounter(root),
        swaps=tuple(_swaps(root)),
        bootmenu=_bootmenu(root, esp),
        hostid=_number(text(root / "proc/sys/kernel/spl/hostid")),
        own_hostid=_own_hostid(root),
    )


def _datasets(pool: str) -> Datasets:
    own = ["-s", "local,received", "-o", "name,property,value", "all"]
    said = run(["zfs", "get", "-H", "-p", "-r", "-t", "filesystem", *own, pool]).output
    found: dict[str, dict[str, str]] = {}
    for line in said.splitlines():
        fields = line.split("\t", 2)
        if len(fields) == 3:  # noqa: PLR2004 - a value of several lines goes on without a name
            found.setdefault(fields[0], {})[fields[1]] = fields[2]
    return found


def _encryption(dataset: str) -> tuple[str, str]:
    encrypted = _property("encryptionroot", dataset)
    return (encrypted, _property("keylocation", encrypted)) if encrypted else ("", "")


def _property(name: str, dataset: str) -> str:
    return _none(run(["zfs", "get", "-H", "-p", "-o", "value", name, dataset]).output.strip())


def _none(value: str) -> str:
    return "" if value == "-" else value


def _rivals(found: Datasets, running: str) -> Iterator[str]:
    """Name what `zfs mount -a` would mount at /: canmount is on where it is not set."""
    for name, own in found.items():
        at_root = own.get("mountpoint") == "/" and own.get("canmount", "on") == "on"
        if at_root and name != running:
            yield name


def _foreign(found: Datasets) -> Mapping[str, str]:
    """Name boot environments of other tools; those of a tool that leaves no mark are anybody's."""
    tools: dict[str, str] = {}
    for name, own in found.items():
        marks = (tool for mark, tool in _FOREIGN.items() if any(p.startswith(mark) for p in own))
        if tool := next(marks, ""):
            tools[name] = tool
    return tools


def _mounter(root: Path) -> str:
    return next((name for name, place in _MOUNTERS.items() if any(root.glob(place))), "")


def _swaps(root: Path) -> Iterator[str]:
    for line in text(root / "proc/swaps").splitlines()[1:]:
        name = line.split()[0]
        if name.startswith(("/dev/zd", "/dev/zvol/")):
            yield name
    try:
        entries = fstab.parse(text(root / "etc/fstab"))
    except ValueError:
        return  # the plan says what is wrong with it
    yield from (e.spec for e in entries if e.type == "swap" and e.spec.startswith("/dev/zvol/"))


def _bootmenu(root: Path, esp: Path | None) -> str:
    """Say where ZFSBootMenu was found."""
    if any("zfsbootmenu" in name.lower() for name in firmware.entries(root)):
        return "the firmware's menu"
    found = (place for pattern in _BOOTMENUS for place in sorted(esp.glob(pattern))) if esp else ()
    return next((f"{place.relative_to(esp)} on the ESP" for place in found if esp), "")


def _number(said: str) -> str:
    """Write a hostid as others do; empty for none, which is 0."""
    return "" if said in {"", "0"} else f"{int(said, 16):08x}"


def _own_hostid(root: Path) -> str:
    """Read /etc/hostid: four bytes in the machine's order (zgenhostid(8))."""
    try:
        content = (root / "etc/hostid").read_bytes()
    except OSError:
        return ""
    return _number(f"{int.from_bytes(content, sys.byteorder):x}") if len(content) == 4 else ""  # noqa: PLR2004
