"""Which pool a directory stands for."""

from pathlib import Path

from snaproot.errors import Refused, SnaprootError
from snaproot.filesystem.zfs import commands
from snaproot.filesystem.zfs.names import Names
from snaproot.filesystem.zfs.view import is_dataset
from snaproot.mountinfo import mount_of
from snaproot.wording import some

_DEVICE = Path("/dev/zfs")


def has_module() -> bool:
    """Tell whether the kernel has OpenZFS's module loaded: without it no pool is imported."""
    return _DEVICE.exists()


def of_root() -> str | None:
    """Name the pool that `/` is on; None where it is on none."""
    return _holding(Path("/"))


def of_sysroot(place: Path) -> str | None:
    """Name the imported pool that `--sysroot` means: by its altroot, else by what is mounted there.

    Raises Refused where several could be meant, or the running system's own is.
    """
    found = _below(place) or [pool for pool in (_holding(place),) if pool]
    if len(found) > 1:
        adopted = [pool for pool in found if is_dataset(Names(pool).home)]
        found = adopted or [pool for pool in found if is_dataset(Names(pool).container)] or found
    if len(found) > 1:
        raise Refused(
            f"{place} may mean the pools {some(found)}; nothing was changed",
            hint="export all but the one with the root",
        )
    if found and found[0] == of_root():
        raise Refused(
            f"{place} is on {found[0]}, the running system's own pool; nothing was changed",
            hint="leave --sysroot out",
        )
    return found[0] if found else None


def _below(place: Path) -> list[str]:
    """Name the pools that were imported with this directory as their altroot."""
    if not has_module():
        return []
    try:
        known = commands.altroots()
    except SnaprootError:
        return []  # no OpenZFS here, so no pool either
    wanted = place.resolve()
    return sorted(pool for pool, root in known.items() if root != "-" and Path(root) == wanted)


def _holding(place: Path) -> str | None:
    mount = mount_of(place)
    return mount.source.partition("/")[0] if mount.kind == "zfs" else None
