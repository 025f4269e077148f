"""Which boot loader a system has, and how it is driven: the composition root's other half."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from snaproot import loaders
from snaproot.booting import bootable
from snaproot.bootloader import HOME, Bootloader
from snaproot.config import Backend, Config
from snaproot.errors import Refused
from snaproot.filesystem import Filesystem
from snaproot.filesystem.layout import Layout
from snaproot.loaders import Loader
from snaproot.mountinfo import mount_of


def chosen(settings: Config, record: Path) -> Loader | None:
    """Say which loader adoption has set up; None for the filesystem's own pointer.

    Raises Refused where another one is configured: the pointer counts no boots.
    """
    wanted = settings.bootloader.backend
    if wanted is Backend.POINTER:
        return None
    chosen = loaders.load(record)
    if wanted is Backend.ZFSBOOTMENU:
        return _bootmenu_instead(chosen)
    if wanted is Backend.GRUB and (chosen is None or chosen.backend != loaders.GRUB):
        raise Refused(
            'configured is [bootloader] backend = "grub", but this system has no loader\'s home; '
            "nothing was changed",
            hint="snaproot init --esp DIR makes one; without that line the filesystem's pointer is "
            "all there is",
        )
    return chosen


def _bootmenu_instead(chosen: Loader | None) -> Loader:
    """Choose ZFSBootMenu, unless GRUB would go on booting by what nobody keeps current."""
    if chosen is not None and chosen.backend == loaders.GRUB:
        raise Refused(
            'configured is [bootloader] backend = "zfsbootmenu", but this system boots by '
            "snaproot's menu of GRUB; nothing was changed",
            hint="leave that line out: ZFSBootMenu is for a system that was adopted without --esp",
        )
    return Loader(loaders.ZFSBOOTMENU)


def home(held: ExitStack, chosen: Loader | None, esp: Path | None, *, running: bool) -> Path | None:
    """Find the loader's home. A device's name means another device on another machine."""
    if chosen is None or chosen.backend != loaders.GRUB:
        return None
    if not running and esp is None and chosen.esp.startswith("/dev/"):
        raise Refused(
            f"this system's ESP is {chosen.esp} on its own machine; nothing was changed",
            hint="name it here with --esp DIR",
        )
    return held.enter_context(loaders.esp(chosen, esp)) / HOME


def loader(filesystem: Filesystem, home: Path | None, canary: str | None) -> Bootloader:
    """Return GRUB's, or without a home the filesystem's own pointer."""
    if home is None:
        from snaproot.bootloader.pointer import PointerLoader

        return PointerLoader(filesystem)
    from snaproot.bootloader.grub import Grub

    flush = partial(loaders.flush, filesystem, home)
    return Grub(home, partial(bootable, filesystem), flush, canary, partial(_pinned, filesystem))


def bootmenu(filesystem: Filesystem, layout: Layout, *, running: bool) -> Bootloader:
    """Return what tells ZFSBootMenu; the firmware's entries are this machine's alone."""
    from snaproot.bootloader import efi
    from snaproot.bootloader.zfsbootmenu import ZfsBootMenu

    if mount_of(layout.snaproot).kind != "zfs":
        raise Refused(
            'configured is [bootloader] backend = "zfsbootmenu", which boots from ZFS alone, and '
            "this root is not on it; nothing was changed",
            hint="leave that line out of /etc/snaproot/snaproot.toml",
        )
    from snaproot.filesystem.zfs import view
    from snaproot.filesystem.zfs.bootmenu import PoolDatasets

    firmware = efi.Firmware() if running else efi.ELSEWHERE
    datasets = PoolDatasets(view.at(layout.top))
    return ZfsBootMenu(datasets, partial(bootable, filesystem), firmware)


def _pinned(filesystem: Filesystem) -> frozenset[str]:
    return frozenset(one.id for one in filesystem.environments() if one.pinned)
