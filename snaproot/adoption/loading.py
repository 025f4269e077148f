"""Set up the boot loader's home on the ESP, from what the original root says of its GRUB."""

from functools import partial
from pathlib import Path

from snaproot import fstab, loaders
from snaproot.adoption.shape import ORIGINAL, AdoptionPlan
from snaproot.booting import bootable
from snaproot.bootloader import settings, stub
from snaproot.bootloader.grub import Grub
from snaproot.filesystem.btrfs.backend import Btrfs
from snaproot.filesystem.btrfs.layout import Layout
from snaproot.inside import Inside
from snaproot.loaders import Loader

_GRUB_CFG = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg")
_ESP = ("/boot/efi", "/efi", "/boot")


def check(esp: Path, original: Path) -> None:
    """Raise Refused where this ESP, or the menu that it leads to, could not be taken over."""
    stub.find(esp)
    _settings(Inside(original))


def set_up(plan: AdoptionPlan, layout: Layout) -> None:
    """Write the home, then what hands over to it, then remember which loader it is.

    Raises Refused where the ESP has no GRUB that could hand over, SnaprootError where it cannot be
    written. May be repeated after a cut at any point.
    """
    filesystem, esp = Btrfs(layout, None), Path(plan.esp)
    said = _settings(Inside(filesystem.place(ORIGINAL).root))
    flush = partial(loaders.flush, filesystem, esp)
    grub = Grub(esp / loaders.HOME, partial(bootable, filesystem), flush, None)
    stub.establish(esp, said, grub, plan.id)
    adopted = Inside(filesystem.place(plan.id).root)
    loaders.save(layout.record, Loader("grub", _device(_text(adopted, "/etc/fstab"))))


def _settings(original: Inside) -> str:
    """Take over what the original's menu is like: console, time, password."""
    menu = next(filter(None, (_text(original, name) for name in _GRUB_CFG)), "")
    return settings.render(menu, _text(original, "/etc/default/grub"))


def _text(inside: Inside, path: str) -> str:
    if not inside.holds(path):
        return ""
    return inside.locate(path).read_text(encoding="utf-8", errors="replace")


def _device(table: str) -> str:
    """Find how fstab(5) names the ESP; "" where it does not."""
    entries = (entry for entry in fstab.parse(table) if entry.type == "vfat")
    return next((e.spec.replace('"', "") for e in entries if e.file.rstrip("/") in _ESP), "")
