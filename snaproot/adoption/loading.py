"""Set up the boot loader's home on the ESP, from what the original root says of its GRUB."""

from functools import partial
from pathlib import Path

from snaproot import fstab, loaders, mounts
from snaproot.adoption.shape import ORIGINAL, AdoptionPlan
from snaproot.booting import bootable
from snaproot.bootloader import HOME, settings, stub
from snaproot.bootloader.grub import Grub
from snaproot.errors import Refused
from snaproot.filesystem import Filesystem
from snaproot.filesystem.layout import Layout
from snaproot.inside import Inside
from snaproot.loaders import Loader
from snaproot.record import Records

_GRUB_CFG = tuple(
    f"/boot/{place}/{name}.cfg" for place in ("grub", "grub2") for name in ("grub", "custom")
)
"""The menu, and what it sources: a password may be in either."""
_FAT = ("vfat", "auto", "msdos")
_ESP = ("/boot/efi", "/efi", "/boot")


def check(esp: Path, original: Path) -> None:
    """Raise Refused where this ESP, or the menu that it leads to, could not be taken over."""
    stub.find(esp)
    _settings(Inside(original))
    _device(_text(Inside(original), "/etc/fstab"), esp)


def set_up(plan: AdoptionPlan, filesystem: Filesystem, layout: Layout) -> None:
    """Write the home, then what hands over to it, then remember which loader it is.

    Raises Refused where the ESP has no GRUB that could hand over, SnaprootError where it cannot be
    written. May be repeated after a cut at any point.
    """
    esp, base = Path(plan.esp), _base(layout)
    original = any(one.id == ORIGINAL for one in filesystem.environments())
    # Once it is gone, the base has its menu as it was when it was adopted.
    said = _settings(Inside(filesystem.place(ORIGINAL if original else base).root))
    flush = partial(loaders.flush, filesystem, esp)
    grub = Grub(esp / HOME, partial(bootable, filesystem), flush, None)
    table = _text(Inside(filesystem.place(base).root), "/etc/fstab")
    loader = Loader(loaders.GRUB, _device(table, esp))
    stub.establish(esp, said, grub, base, original=original)
    loaders.save(layout.record, loader)


def tell_bootmenu(filesystem: Filesystem, layout: Layout) -> None:
    """Let ZFSBootMenu boot the base, then remember that it is the loader.

    Raises SnaprootError where that does not read back. May be repeated after a cut at any point.
    """
    from snaproot.bootloader import efi
    from snaproot.bootloader.zfsbootmenu import ZfsBootMenu
    from snaproot.filesystem.zfs import view
    from snaproot.filesystem.zfs.bootmenu import PoolDatasets

    datasets = PoolDatasets(view.at(layout.top))
    menu = ZfsBootMenu(datasets, partial(bootable, filesystem), efi.ELSEWHERE)
    menu.settle(_base(layout))
    loaders.save(layout.record, Loader(loaders.ZFSBOOTMENU))


def _settings(original: Inside) -> str:
    """Take over what the original's menu is like: console, time, password."""
    menu = "".join(_text(original, name) for name in _GRUB_CFG)
    return settings.render(menu, _text(original, "/etc/default/grub"))


def _text(inside: Inside, path: str) -> str:
    if not inside.holds(path):
        return ""
    return inside.locate(path).read_text(encoding="utf-8", errors="replace")


def _base(layout: Layout) -> str:
    """Name what the loader has to boot. Raises Refused while a deployment is under way."""
    record = Records(layout.record).load()
    if record.work is not None or record.pending is not None:
        raise Refused(
            "a deployment is pending, which writing the loader's home would disarm; "
            "nothing was changed",
            hint="promote or abandon it first",
        )
    return record.base


def _device(table: str, esp: Path) -> str:
    """Find how the machine itself will name its ESP: by its fstab(5), else by what is mounted.

    Raises Refused where nothing tells: a running system would look for it in vain.
    """
    for line in fstab.parse(table):
        if line.type in _FAT and line.file.rstrip("/") in _ESP:
            return line.spec.replace('"', "")
    uuid = mounts.uuid_at(esp)
    if uuid:
        return f"UUID={uuid}"
    raise Refused(
        f"nothing says which device {esp} is on the machine itself; nothing was changed",
        hint="put a line for /boot/efi into its /etc/fstab, or mount the ESP itself",
    )
