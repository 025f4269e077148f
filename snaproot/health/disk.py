"""Can the disk still be written, is there room, does it make mistakes."""

import errno
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from snaproot import zpool
from snaproot.errors import SnaprootError
from snaproot.health import Outcome, Result, pool
from snaproot.health.pool import Counters
from snaproot.mountinfo import mount_of
from snaproot.run import run

_MIB = 1 << 20
_REFUSALS = (errno.EROFS, errno.EIO, errno.ENOSPC, errno.EDQUOT)
_NO_NAMELESS = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT)


def writable(root: Path, directories: Sequence[Path]) -> Outcome:
    """Tell whether the filesystem of `root` still writes, and each of the directories.

    A sealed root is read-only on purpose: a property of its subvolume, or of its mount. After an
    error the kernel makes the *filesystem* read-only (its superblock), whatever is mounted from it.
    """
    mount = mount_of(root)
    evidence: dict[str, object] = {"root": f"{mount.kind} {mount.super_options}"}
    refused: list[str] = []
    unknown: list[str] = []
    if mount.frozen_by_error:
        refused.append(f"the filesystem of {root} is read-only")
    for directory in directories:
        said, answer = _written(directory)
        evidence[str(directory)] = said
        if answer is not Result.GOOD:
            words = f"{directory} cannot be written: {said}"
            (refused if answer is Result.BAD else unknown).append(words)
    if refused or unknown:
        result = Result.BAD if refused else Result.UNKNOWN
        return Outcome(result, "; ".join([*refused, *unknown]), evidence)
    return Outcome(Result.GOOD, "the filesystem can be written", evidence)


def roomy(paths: Sequence[Path], mib: int) -> Outcome:
    """Tell whether each path's filesystem has so many MiB free for anybody."""
    free: dict[str, object] = {}
    short: list[str] = []
    missing: list[str] = []
    for path in paths:
        try:
            seen = os.statvfs(path)
        except OSError as error:
            missing.append(f"{path}: {_reason(error)}")
            continue
        free[str(path)] = seen.f_bavail * seen.f_frsize // _MIB
        if seen.f_bavail * seen.f_frsize < mib * _MIB:
            short.append(f"{free[str(path)]} MiB are free on {path}, less than {mib}")
    evidence = {"free_mib": free, "least_mib": mib}
    if short or missing:
        result = Result.BAD if short else Result.UNKNOWN
        return Outcome(result, "; ".join([*short, *missing]), evidence)
    return Outcome(Result.GOOD, f"at least {mib} MiB are free", evidence)


def unharmed(root: Path, before: Callable[[], Counters]) -> Outcome:
    """Tell whether the error counters of the devices below a root are no higher than `before`."""
    mount = mount_of(root)
    if mount.kind == "zfs":
        return pool.unharmed(zpool.pool_of(mount.source), before)
    if mount.kind != "btrfs":
        return Outcome(Result.GOOD, f"{mount.kind} counts no device errors")
    now, known = counters(root), before()
    evidence: dict[str, object] = {"now": now, "before": known}
    grown = [
        f"{name.removesuffix('_errs')} errors on device {device}: {count}, were {was}"
        for device, counts in now.items()
        for name, count in counts.items()
        if count > (was := known.get(device, {}).get(name, 0))
    ]
    if grown:
        return Outcome(Result.BAD, "; ".join(grown), evidence)
    return Outcome(Result.GOOD, "no device has new errors", evidence)


def counted(root: Path) -> Counters:
    """Read what `unharmed` compares with later: nothing where errors are not counted.

    Raises SnaprootError where btrfs(8) or zpool(8) does not tell.
    """
    mount = mount_of(root)
    if mount.kind == "zfs":
        return pool.counters(zpool.status(zpool.pool_of(mount.source)))
    return counters(root) if mount.kind == "btrfs" else {}


def counters(root: Path) -> Counters:
    """Read the error counters of a Btrfs. Raises SnaprootError where btrfs(8) does not tell."""
    said = run(["btrfs", "--format", "json", "device", "stats", "--", str(root)]).output
    try:
        devices = json.loads(said)["device-stats"]
        return {str(device["devid"]): _counts(device) for device in devices}
    except (ValueError, KeyError, TypeError) as error:
        raise SnaprootError(f"btrfs device stats cannot be understood: {error}") from error


def _counts(device: Mapping[str, object]) -> Mapping[str, int]:
    """Read the counters; btrfs-progs before 6.7 print them as texts."""
    return {name: int(str(value)) for name, value in device.items() if name.endswith("_errs")}


def _written(directory: Path) -> tuple[str, Result]:
    try:
        _write(directory)
    except OSError as error:
        return _reason(error), Result.BAD if error.errno in _REFUSALS else Result.UNKNOWN
    return "written", Result.GOOD


def _write(directory: Path) -> None:
    """Write a little, down to the disk, in a file that has no name to be left behind."""
    try:
        descriptor = os.open(directory, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in _NO_NAMELESS:
            raise
        return _write_named(directory)
    try:
        os.write(descriptor, b"snaproot health check\n" * 256)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return None


def _write_named(directory: Path) -> None:
    name = directory / f".snaproot-health-{os.getpid()}"
    descriptor = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, b"snaproot health check\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
        with suppress(OSError):
            name.unlink()


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
