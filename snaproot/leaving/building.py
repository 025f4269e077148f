"""Build an ordinary root out of the base, in a place that nobody knows of yet."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from snaproot import booting, durable, grubdefaults, kernels
from snaproot.adoption import carving
from snaproot.bootloader import Bootable, entry, settings
from snaproot.filesystem.cloning import copy_attributes
from snaproot.inside import Inside
from snaproot.leaving import menu
from snaproot.leaving.fstabs import read, rewrite
from snaproot.leaving.ground import Ground
from snaproot.leaving.shape import LeavingPlan
from snaproot.run import run

_UNITS = "etc/systemd/system"
_PERSISTENT = 0x10 | 0x20 | 0x40 | 0x80
"""Attributes of chattr(1) that cp(1) does not copy: immutable, append-only, nodump, noatime."""


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds the root of one plan; `original` is where the original root is, if it is anywhere."""

    plan: LeavingPlan
    ground: Ground
    original: Path

    @property
    def root(self) -> Path:
        return self.ground.root

    def snapshot(self) -> None:
        """Snapshot the base, and its `/etc` at that moment: later edits are told from it."""
        self.ground.branch(self.plan.base)

    def fill_etc(self) -> None:
        """Make `/etc` a plain directory of the root, its files sharing their data."""
        etc = self.root / "etc"
        etc.rmdir()  # what a snapshot leaves of a nested subvolume
        etc.mkdir()
        kept = self.ground.etc
        run(["cp", "-a", "--reflink=auto", "--", f"{kept}/.", str(etc)])
        copy_attributes(kept, etc)
        self._change_fstab(etc / "fstab")
        for unit in self.plan.masked:
            self._unmask(unit)
        for link in sorted((self.root / _UNITS).glob("*.wants/snaproot-*")):
            carving.remove(link)  # enabled, for a system that is adopted
        for held in _flagged(kept):
            place = etc / held.relative_to(kept)
            if os.path.lexists(place):
                carving.set_flags(place, carving.flags(place) | carving.flags(held) & _PERSISTENT)

    def write_menu(self) -> None:
        """Write a menu for GRUB with which this root boots from its place."""
        inside = Inside(self.root)
        boots = booting.bootable(self.ground.filesystem, self.plan.base)
        known = [kernel for kernel in kernels.find(inside) if not kernel.fault]
        chosen = sorted(known, key=lambda kernel: kernel.image != boots.kernel)
        entries = [entry.described(self._bootable(boots, kernel)) for kernel in chosen]
        text = menu.render(self._settings(inside), entries)
        place = self.root / self.plan.menu.lstrip("/") / "grub.cfg"
        durable.write(place, text.encode(), mode=0o600)

    def _bootable(self, boots: Bootable, kernel: kernels.Kernel) -> Bootable:
        ground, place = self.ground, self.plan.place
        before, after = (ground.mounting(name) for name in (ground.root_of(self.plan.base), place))
        return replace(
            boots,
            title=f"Linux {kernel.release}",
            prefix=ground.prefix(place),
            kernel=kernel.image,
            initramfs=kernel.initramfs,
            arguments=tuple(word.replace(before, after) for word in boots.arguments),
            readable=True,
        )

    def _settings(self, inside: Inside) -> str:
        """Keep console and password of the menu that the root has: it is the original's."""
        places = [f"{self.plan.menu}/{name}.cfg" for name in ("grub", "custom")]
        *texts, default = (_text(inside, place) for place in (*places, grubdefaults.FILES))
        return settings.render("".join(texts), default)

    def _change_fstab(self, path: Path) -> None:
        if path.is_file():
            rewrite(path, self.ground.rooted(read(path), self.plan.place))

    def _unmask(self, unit: str) -> None:
        """Take our link away, and put back what the original has in its place."""
        place, before = self.root / _UNITS / unit, self.original / _UNITS / unit
        if place.is_symlink() and str(place.readlink()) == "/dev/null":
            place.unlink()
            if before.is_file() and not before.is_symlink():
                run(["cp", "-a", "--", str(before), str(place)])


def _text(inside: Inside, path: str) -> str:
    if not inside.holds(path):
        return ""
    return inside.locate(path).read_text(encoding="utf-8", errors="replace")


def _flagged(etc: Path) -> Iterator[Path]:
    """Find what has such attributes; a directory after what is in it."""
    for directory, below, names in os.walk(etc, topdown=False):
        for name in (*names, *below):
            path = Path(directory, name)
            if carving.flags(path) & _PERSISTENT:
                yield path
