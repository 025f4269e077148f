"""The composition root: the one place that knows which backends there are, and wires them."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from snaproot import cmdline, config, durable, mounts
from snaproot.bootloader import Bootloader
from snaproot.bootloader.pointer import PointerLoader
from snaproot.config import Config
from snaproot.errors import Refused, SnaprootError
from snaproot.filesystem import Filesystem
from snaproot.packages import PackageManager, detect
from snaproot.record import Records
from snaproot.transaction import Boot, Notice, Transaction

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class System:
    """One root filesystem, its backends wired."""

    config: Config
    top: Path
    filesystem: Filesystem
    bootloader: Bootloader
    records: Records
    transaction: Transaction
    cache: Path
    running: bool

    def packages(self, root: Path) -> PackageManager:
        """Find the package manager of a root."""
        return detect(root, self.config.packages)

    def locked(self, what: str, wait: float) -> AbstractContextManager[None]:
        """Hold the one lock. Raises Busy after `wait` seconds."""
        return durable.locked(self.records.directory / "lock", what, wait=wait)


@contextmanager
def top_level(sysroot: Path | None) -> Iterator[Path]:
    """Find the filesystem's top level: `--sysroot` as given, else the running root's own.

    Raises SnaprootError for anybody but root, Refused where there is no Btrfs top level.
    """
    if os.geteuid() != 0:
        raise SnaprootError("only root may do this; nothing was changed", hint="sudo snaproot …")
    place = sysroot or Path("/")
    if not place.is_dir():
        raise Refused(f"{place} is no directory", hint="mount -o subvolid=5 DEVICE DIR")
    kind = mounts.kind_of(place)
    if kind != "btrfs":
        raise Refused(
            f"{place} is on {kind or 'no filesystem'}, not on Btrfs; nothing was changed",
            hint="snaproot needs a copy-on-write root",
        )
    if sysroot is None:
        with mounts.top_level_of_root() as top:
            yield top
    else:
        yield _checked_top(sysroot)


def is_adopted(top: Path) -> bool:
    """Tell whether a top level has been adopted."""
    from snaproot.filesystem.btrfs.layout import Layout

    return Layout(top).snaproot.is_dir()


@contextmanager
def opened(sysroot: Path | None, *, notice: Notice) -> Iterator[System]:
    """Wire an adopted system. Raises Refused where it is not adopted."""
    with top_level(sysroot) as top:
        yield _wired(top, running=sysroot is None, notice=notice)


def _wired(top: Path, *, running: bool, notice: Notice) -> System:
    from snaproot.filesystem.btrfs.backend import Btrfs
    from snaproot.filesystem.btrfs.layout import Layout

    layout = Layout(top)
    if not is_adopted(top):
        what, where = ("this system", "") if running else (top, f"--sysroot {top} ")
        raise Refused(
            f"{what} is not adopted; nothing was changed",
            hint=f"to see what adopting it would do: snaproot {where}init -n",
        )
    settings = config.load()
    filesystem = Btrfs(layout, Path("/") if running else None)
    bootloader = PointerLoader(filesystem)
    records = Records(layout.record)
    return System(
        config=settings,
        top=top,
        filesystem=filesystem,
        bootloader=bootloader,
        records=records,
        transaction=Transaction(
            ledger=records,
            filesystem=filesystem,
            bootloader=bootloader,
            boot=_boot() if running else Boot(),
            now=_now,
            notice=notice,
            tries=settings.trial.tries,
        ),
        cache=layout.cache,
        running=running,
    )


def _checked_top(sysroot: Path) -> Path:
    from snaproot.filesystem.btrfs.binding import TOP_LEVEL, subvolume_id

    if subvolume_id(sysroot) != TOP_LEVEL:
        raise Refused(
            f"{sysroot} is not the top level of its Btrfs; nothing was changed",
            hint="mount -o subvolid=5 DEVICE DIR",
        )
    return sysroot


def _boot() -> Boot:
    said = cmdline.parse(Path("/proc/cmdline").read_text("utf-8", errors="replace"))
    return Boot(id=_BOOT_ID.read_text().strip(), trial=said.trial, skipped=said.skipped)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
