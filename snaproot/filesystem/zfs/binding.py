"""libzfs_core, typed, with its errors told in our words; the one importer of `libzfs_core`.

Only OpenZFS's own binding is used (`contrib/pyzfs`, Debian's `python3-pyzfs`). The one on PyPI,
0.2.3 of 2015, has prototypes that today's library does not have, and would corrupt memory: it is
told by what it lacks, before anything in it is called.

All names are whole ones, with the pool. What returns is durable: each call is a task of the pool
that is waited for until its transaction group is on disk (libzfs_core.h, dsl_synctask).
"""

import errno
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from snaproot.errors import SnaprootError
from snaproot.filesystem.zfs import reasons
from snaproot.filesystem.zfs.patience import patiently
from snaproot.filesystem.zfs.reasons import failure

_INSTALL = "apt install python3-pyzfs (Debian: from contrib); not the pyzfs of PyPI"
_LIBRARY = (
    "ldconfig, if it is installed: its list is where Python looks; else apt install zfsutils-linux"
)
_NEEDED = ("lzc_channel_program", "lzc_rename", "lzc_destroy", "lzc_sync")

try:
    import libzfs_core
    from libzfs_core import exceptions
except ImportError as missing:
    raise SnaprootError(
        f"the ZFS binding cannot be loaded ({missing}); nothing was changed", hint=_INSTALL
    ) from missing
if not all(hasattr(libzfs_core, name) for name in _NEEDED):
    raise SnaprootError(
        "this libzfs_core is the pyzfs of PyPI, which does not fit any OpenZFS of today and is not "
        "used; nothing was changed",
        hint=f"pip uninstall pyzfs; {_INSTALL}",
    )

OF = "org.snaproot:of"
"""The user property of each snapshot that is ours, with the boot environment it belongs to."""

CANMOUNT_OFF, CANMOUNT_NOAUTO = 0, 2  # enum zfs_canmount_type_t of sys/fs/zfs.h
SYNC_DISABLED = 2  # enum zfs_sync_type_t
Properties = Mapping[str, str | int]


def exists(name: str) -> bool:
    """Tell whether there is a dataset or a snapshot of that name; of a bookmark it says no."""
    with _told(f"look for {name}", name):
        return bool(libzfs_core.lzc_exists(name.encode()))


def create(name: str, properties: Properties) -> None:
    """Make an empty filesystem."""
    with _told(f"make {name}", name):
        libzfs_core.lzc_create(name.encode(), "zfs", _encoded(properties))


def snapshot(names: Iterable[str], of: str) -> None:
    """Snapshot datasets of one pool at one instant, all or none, for the boot environment `of`."""
    wanted = list(names)
    with _told(f"snapshot {', '.join(wanted)}", ""):
        libzfs_core.lzc_snapshot([name.encode() for name in wanted], _encoded({OF: of}))


def clone(origin: str, name: str, properties: Properties) -> None:
    """Make a filesystem out of a snapshot."""
    with _told(f"clone {origin} as {name}", name):
        libzfs_core.lzc_clone(name.encode(), origin.encode(), _encoded(properties))


def bookmark(name: str, source: str) -> None:
    """Bookmark a snapshot, or copy a bookmark; one of that name is fine, and stays what it is."""
    with _told(f"bookmark {source}", ""):
        try:
            libzfs_core.lzc_bookmark({name.encode(): source.encode()})
        except exceptions.ZFSError as error:
            if error.errno != errno.EEXIST:
                raise


def zfs_promote(name: str) -> None:
    """Give a clone its origin and all that is older: what it was cloned from is then the clone."""
    with _told(f"zfs_promote {name}", name):
        patiently(lambda: libzfs_core.lzc_promote(name.encode()))


def rename(old: str, new: str) -> None:
    """Rename a filesystem, with all below it, or a snapshot within its filesystem."""
    with _told(f"rename {old} to {new}", old):
        patiently(lambda: libzfs_core.lzc_rename(old.encode(), new.encode()))


def destroy(name: str) -> None:
    """Destroy one filesystem, which has neither children nor snapshots; gone already is fine."""
    with _told(f"destroy {name}", name):
        try:
            patiently(lambda: libzfs_core.lzc_destroy(name.encode()))
        except exceptions.ZFSError as error:
            if error.errno != errno.ENOENT:
                raise


def destroy_snapshots(names: Iterable[str], *, defer: bool = False) -> None:
    """Destroy snapshots of one pool, all or none; gone already is fine.

    With `defer`, one with clones or holds goes with the last of them.
    """
    doomed = [name.encode() for name in names]
    if doomed:
        with _told(f"destroy {b', '.join(doomed).decode()}", ""):
            patiently(lambda: libzfs_core.lzc_destroy_snaps(doomed, defer=defer))


def destroy_bookmarks(names: Iterable[str]) -> None:
    """Destroy bookmarks of one pool, all or none; gone already is fine."""
    doomed = [name.encode() for name in names]
    if doomed:
        with _told(f"destroy {b', '.join(doomed).decode()}", ""):
            libzfs_core.lzc_destroy_bookmarks(doomed)


def rollback(name: str, snapshot: str) -> None:
    """Make a filesystem that is not mounted what its latest snapshot is, its intent log empty."""
    with _told(f"return {name} to {snapshot}", name):
        patiently(lambda: libzfs_core.lzc_rollback_to(name.encode(), snapshot.encode()))


def sync(pool: str) -> None:
    """Write the pool's open transaction group out."""
    with _told(f"sync {pool}", pool):
        libzfs_core.lzc_sync(pool.encode())


def _encoded(properties: Properties) -> dict[bytes, bytes | int]:
    return {
        name.encode(): value.encode() if isinstance(value, str) else value
        for name, value in properties.items()
    }


@contextmanager
def _told(what: str, dataset: str) -> Iterator[None]:
    """Tell what the library raises in one line."""
    try:
        yield
    except exceptions.ZFSInitializationFailed as error:
        raise SnaprootError(reasons.NO_MODULE, hint=reasons.LOAD) from error
    except exceptions.ZFSError as error:
        first = next(iter(getattr(error, "errors", ())), error)  # of many, which say nothing
        said = str(first.message or "").lower()
        raise failure(what, first.errno or 0, said, dataset=dataset) from error
    except OSError as error:  # cffi's dlopen(3)
        raise SnaprootError(
            f"libzfs_core cannot be loaded ({error}); nothing was changed", hint=_LIBRARY
        ) from error
