"""What a root says of itself: its system, kernel, units; no link out of it is followed."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from snaproot import kernels
from snaproot.adoption.facts import Found
from snaproot.adoption.view import found_at, inside

_OS_RELEASE = ("usr/lib/os-release", "etc/os-release")
_FIGHTING = (
    "apt-daily-upgrade.service",
    "apt-daily-upgrade.timer",
    "dkms.service",
    "grub-common.service",
    "grub-initrd-fallback.service",
    "grub2-common.service",
    "packagekit-offline-update.service",
    "unattended-upgrades.service",
)
"""Units that write to `/usr` or `/boot` of the running root, which a sealed one refuses."""


def word(path: Path) -> str:
    """Read a small file; empty where there is none."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def system(base: Path) -> str | None:
    """Name the system of a root; None where this is no root."""
    for name in _OS_RELEASE:
        found, place = inside(base, name)
        if found is Found.OTHER:
            said = re.search(r'^PRETTY_NAME="?([^"\n]*)', place.read_text(errors="replace"), re.M)
            return said[1] if said else "an unnamed system"
    return None


def size(directory: Path) -> int:
    """Sum the files below a directory, without other filesystems."""
    if found_at(directory) is not Found.DIRECTORY:
        return 0
    device, total = directory.lstat().st_dev, 0
    for place, directories, names in os.walk(directory):
        directories[:] = [d for d in directories if os.lstat(f"{place}/{d}").st_dev == device]
        total += sum(os.lstat(f"{place}/{name}").st_size for name in names)
    return total


def kernel(root: Path, boot: Path) -> str:
    """Name the newest kernel that has its modules; Arch's carries its package's name instead."""
    images = {p.name.removeprefix("vmlinuz-") for p in _listed(boot) if "vmlinuz-" in p.name}
    versions = [
        modules.name
        for place in ("usr/lib/modules", "lib/modules")
        for modules in _listed(inside(root, place)[1])
        if modules.name in images or word(modules / "pkgbase") in images
    ]
    return max(versions, key=kernels.age, default="")


def units(root: Path) -> Iterable[str]:
    """Name the units of a root that would write to it."""
    places = ("usr/lib/systemd/system", "lib/systemd/system", "etc/systemd/system")
    for name in _FIGHTING:
        own = inside(root, f"etc/systemd/system/{name}")[1]
        if own.is_symlink() and str(own.readlink()) == "/dev/null":
            continue  # masked already, and not by us
        if any(inside(root, f"{place}/{name}")[0] is Found.OTHER for place in places):
            yield name


def _listed(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if found_at(directory) is Found.DIRECTORY else []
