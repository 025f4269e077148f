"""The composition root: the one place that knows which backends there are, and wires them."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from snaproot import additions, cmdline, config, durable, loaders, mounts, verdicts
from snaproot.additions import Applied
from snaproot.bootloader import Bootloader, wiring
from snaproot.cmdline import CommandLine
from snaproot.config import Config
from snaproot.errors import NotAdopted, Refused, SnaprootError
from snaproot.filesystem import Filesystem
from snaproot.filesystem.layout import Layout
from snaproot.mountinfo import mount_of
from snaproot.packages import PackageManager, detect
from snaproot.quarantine import Quarantined
from snaproot.record import Records
from snaproot.state import Deployment, Verdict
from snaproot.steps import Boot, Notice
from snaproot.transaction import Transaction

if TYPE_CHECKING:
    from snaproot.filesystem.btrfs.backend import Btrfs
    from snaproot.filesystem.zfs.backend import Zfs
    from snaproot.trust.believed import Believed
    from snaproot.trust.store import Store

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SYSROOT = "mount -o subvolid=5 DEVICE DIR; of a ZFS root: zpool import -N -R DIR POOL"


@dataclass(frozen=True, slots=True)
class System:
    """One root filesystem, its backends wired."""

    config: Config
    top: Path
    filesystem: Filesystem
    bootloader: Bootloader
    records: Records
    quarantine: Quarantined
    cache: Path
    log: Path
    boot: CommandLine
    boot_id: str
    notice: Notice
    announce: Notice
    esp: Path | None = None

    @property
    def running(self) -> bool:
        """Tell whether this is the system that runs: with `--sysroot` no boot has an id."""
        return self.boot_id != ""

    @property
    def led_home(self) -> bool:
        """Tell whether what GRUB reads first on the ESP leads to the loader's home.

        Raises Refused where it is not there, or cannot be told.
        """
        from snaproot.bootloader import stub

        return self.esp is None or stub.leads_home(self.esp)

    @property
    def transaction(self) -> Transaction:
        """The operations on this system."""
        return Transaction(
            ledger=self.records,
            filesystem=self.filesystem,
            bootloader=self.bootloader,
            boot=Boot(self.boot_id, self.boot.trial, self.boot.skipped),
            now=now,
            notice=self.notice,
            log=partial(_logged, self.log, self.boot_id),
            quarantine=self.quarantine,
            retention=self.config.retention,
            announce=self.announce,
            tries=self.config.trial.tries,
        )

    @property
    def reverts(self) -> bool:
        """Tell whether a verdict that is not good is carried out."""
        return self.config.trial.revert and self.boot.reverts

    @property
    def applied(self) -> Applied:
        """What additions were put below `/var`, for which target."""
        return Applied(self.records.directory / additions.NAME)

    def put_additions(self, id: str) -> Sequence[str]:
        """Put what a target adds below `/var` in place, and name it; once for each target."""
        areas = self.filesystem.place(id).areas
        return [*additions.apply(self.filesystem.additions(id), areas, self.applied, id)]

    @property
    def trust(self) -> "Store":
        """Where the verifier's own configuration lies, outside every boot environment."""
        from snaproot.trust.store import Store

        return Store(self.records.directory / "trust", within=self.top)

    def believed(self) -> "Believed":
        """Read whom to believe. Raises ConfigError, Distrusted, Unverifiable."""
        from snaproot.trust import believed

        return believed.load(self.trust, running=self.running)

    def packages(self, root: Path) -> PackageManager:
        """Find the package manager of a root."""
        return detect(root, self.config.packages)

    def locked(self, what: str, wait: float) -> AbstractContextManager[None]:
        """Hold the one lock. Raises Busy after `wait` seconds."""
        return durable.locked(self.records.directory / "lock", what, wait=wait)


@contextmanager
def top_level(sysroot: Path | None) -> Iterator[Path]:
    """Find the filesystem's top level: that of `--sysroot`, else the running root's own.

    On ZFS it is the view of a pool. Raises SnaprootError for anybody but root, Refused where there
    is neither.
    """
    if os.geteuid() != 0:
        raise SnaprootError("only root may do this; nothing was changed", hint="sudo snaproot …")
    place = sysroot or Path("/")
    if not place.is_dir():
        raise Refused(f"{place} is no directory", hint=_SYSROOT)
    pool, kind = _pool(sysroot), mount_of(place).kind
    if pool is None and kind != "btrfs":
        raise NotAdopted(
            f"{place} is on {kind or 'no filesystem'}, neither on Btrfs nor on ZFS; "
            "nothing was changed",
            hint="snaproot needs a copy-on-write root" if sysroot is None else _how_to_mount(),
        )
    if pool is not None:
        from snaproot.filesystem.zfs import view

        with view.opened(pool) as found:
            yield found.layout.top
    elif sysroot is None:
        with mounts.top_level_of_root() as top:
            yield top
    else:
        yield _checked_top(sysroot)


def _pool(sysroot: Path | None) -> str | None:
    """Name the pool that a root is on; None where it is on none."""
    from snaproot.filesystem.zfs import pools

    return pools.of_root() if sysroot is None else pools.of_sysroot(sysroot)


def _how_to_mount() -> str:
    from snaproot.filesystem.zfs import pools

    if pools.has_module():
        return _SYSROOT
    return f"{_SYSROOT}, once the ZFS module is loaded (modprobe zfs)"


def is_adopted(top: Path) -> bool:
    """Tell whether a top level has been adopted, and has not left since."""
    return Layout(top).snaproot.is_dir() and not has_left(top)


def has_left(top: Path) -> bool:
    """Tell whether a top level was left, and holds what that left over."""
    from snaproot.leaving.note import has_left

    return has_left(Layout(top).record)


@contextmanager
def opened(
    sysroot: Path | None,
    *,
    esp: Path | None = None,
    notice: Notice,
    announce: Notice | None = None,
) -> Iterator[System]:
    """Wire an adopted system. Raises Refused where it is not adopted, or its ESP is not found.

    `announce` is for what a muted `notice` must not keep quiet.
    """
    with top_level(sysroot) as top, ExitStack() as held:
        _check_adopted(top, sysroot)
        running, told = sysroot is None, (notice, announce or notice)
        yield _wired(top, held, running=running, esp=esp, told=told)


def _wired(
    top: Path, held: ExitStack, *, running: bool, esp: Path | None, told: tuple[Notice, Notice]
) -> System:
    layout, settings = Layout(top), config.load()
    said = _command_line() if running else CommandLine()
    filesystem = backend(layout, running=running)
    chosen = wiring.chosen(settings, layout.record)
    home = wiring.home(held, chosen, esp, running=running)
    if home is not None:
        loaders.check_is_of(home, filesystem.uuid)
    return System(
        config=settings,
        top=top,
        filesystem=filesystem,
        bootloader=wiring.bootmenu(filesystem, layout, running=running)
        if chosen is not None and home is None
        else wiring.loader(filesystem, home, said.canary if running else None),
        records=Records(layout.record),
        quarantine=Quarantined(layout.record),
        cache=layout.cache,
        log=layout.log / verdicts.NAME,
        boot=said,
        boot_id=_BOOT_ID.read_text().strip() if running else "",
        notice=told[0],
        announce=told[1],
        esp=home and home.parent.parent,
    )


def backend(layout: Layout, *, running: bool) -> "Btrfs | Zfs":
    """Choose the backend by what an adopted system's files are on."""
    root = Path("/") if running else None
    if mount_of(layout.snaproot).kind == "zfs":
        from snaproot.filesystem.zfs import view
        from snaproot.filesystem.zfs.backend import Zfs

        return Zfs(view.at(layout.top), root)
    from snaproot.filesystem.btrfs.backend import Btrfs

    return Btrfs(layout, root)


def _check_adopted(top: Path, sysroot: Path | None) -> None:
    if is_adopted(top):
        return
    what, where = (sysroot, f"--sysroot {sysroot} ") if sysroot else ("this system", "")
    if has_left(top):
        raise NotAdopted(
            f"{what} has left snaproot: it is not adopted any more; nothing was changed",
            hint=f"once it has booted, snaproot {where}deinit removes what is left over",
        )
    raise NotAdopted(
        f"{what} is not adopted; nothing was changed",
        hint=f"to see what adopting it would do: snaproot {where}init -n",
    )


def _checked_top(sysroot: Path) -> Path:
    from snaproot.filesystem.btrfs.binding import TOP_LEVEL, subvolume_id

    if subvolume_id(sysroot) != TOP_LEVEL:
        raise Refused(
            f"{sysroot} is not the top level of its Btrfs; nothing was changed",
            hint="mount -o subvolid=5 DEVICE DIR",
        )
    return sysroot


def _command_line() -> CommandLine:
    return cmdline.parse(Path("/proc/cmdline").read_text("utf-8", errors="replace"))


def _logged(log: Path, boot_id: str, deployment: Deployment, verdict: Verdict) -> None:
    """Append a verdict about a deployment to the log."""
    entry = verdicts.Verdict(
        time=now().isoformat(),
        boot_id=boot_id,
        deployment=deployment.id,
        kind=str(deployment.kind),
        target=deployment.target,
        base=deployment.base,
        result=str(verdict.result),
        by=str(verdict.by),
        reason=verdict.reason,
        findings=verdict.findings,
    )
    verdicts.append(log, entry)


def now() -> datetime:
    """Say what time it is, in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)
