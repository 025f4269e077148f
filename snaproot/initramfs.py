"""What an initramfs holds, and what one lost that an earlier one had.

The distribution's own tool lists it, inside the root that it belongs to.
"""

import filecmp
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from snaproot.errors import SnaprootError
from snaproot.inside import Inside
from snaproot.run import Completed

_TOOLS = ("/usr/bin/lsinitramfs", "/usr/bin/lsinitrd", "/usr/bin/lsinitcpio")
_LONG = re.compile(r"[-dlbcps][-rwxsStT]{9}[.+@]?\s+\d+\s")

_NEEDED: Mapping[str, re.Pattern[str]] = {
    what: re.compile(rf"(?:.*/)?(?:{pattern})")
    for what, pattern in {
        "cryptsetup": r"s?bin/cryptsetup|systemd-cryptsetup",
        "the list of encrypted devices": r"cryptroot/crypttab|etc/crypttab",
        "the hook that unlocks the root": r"scripts/local-(top|block)/cryptroot",
        "mdadm": r"s?bin/mdadm",
        "lvm": r"s?bin/lvm",
        "zfs": r"s?bin/(zfs|zpool)",
        "snaproot's own hook": r"[^/]*snaproot[^/]*",
    }.items()
}
_ON_ZFS: Mapping[str, re.Pattern[str]] = {
    what: re.compile(rf"(?:.*/)?(?:{pattern})")
    for what, pattern in {
        "zpool": r"s?bin/zpool",
        "zfs": r"s?bin/zfs",
        "mount.zfs": r"s?bin/mount\.zfs",
        "the script that mounts a root on ZFS": r"scripts/zfs|hooks/mount/\d+-mount-zfs\.sh",
        "snaproot's own hook": r"scripts/local-bottom/snaproot"
        r"|hooks/pre-pivot/\d+-snaproot-etc\.sh",
    }.items()
}
_ROOTS = ("btrfs", "zfs")
_MODULES = (*_ROOTS, "dm-mod", "dm-crypt")
_MODULE = re.compile(r"(?:.*/)?([^/]+)\.ko(?:\.(?:gz|xz|zst|bz2|lz4))?")

Run = Callable[[list[str]], Completed]
"""Runs a program inside the root that the initramfs belongs to; raises CommandFailed."""


def same(one: Path, other: Path) -> bool:
    """Compare the content of two files."""
    return filecmp.cmp(one, other, shallow=False)


def listing(inside: Inside, run: Run, initramfs: str) -> frozenset[str]:
    """List the files of an initramfs. Raises SnaprootError where that cannot be done."""
    tool = next((tool for tool in _TOOLS if inside.holds(tool)), None)
    if tool is None:
        raise SnaprootError("there is no lsinitramfs, lsinitrd or lsinitcpio")
    files = paths(run([tool, initramfs]).output)
    if not files:
        raise SnaprootError(f"{tool} names no file in it")
    return files


def paths(output: str) -> frozenset[str]:
    """Read a list of files, plain or as `ls -l` prints it (lsinitrd)."""
    named = (_path(line) for line in output.splitlines())
    return frozenset(path for path in named if path not in {"", "."})


def lost(
    before: Collection[str],
    builtin_before: Collection[str],
    after: Collection[str],
    builtin_after: Collection[str],
) -> list[str]:
    """Name what booting may need and `after` lacks; what is built into the kernel is not lost."""
    had = _features(before) | _modules(builtin_before, _ROOTS)
    return sorted(had - _features(after) - _modules(builtin_after))


def missing(kind: str, files: Collection[str], builtin: Collection[str]) -> list[str]:
    """Name what an initramfs lacks without which no root on a filesystem of that kind is mounted.

    On Btrfs whatever its maker found is believed; on ZFS, which is not the kernel's, and where /etc
    is a dataset of its own, nothing is.
    """
    if kind != "zfs":
        return []
    lacks = {what for what, one in _ON_ZFS.items() if not any(map(one.fullmatch, files))}
    return sorted(lacks | ({"the module zfs"} - _modules(files) - _modules(builtin)))


def _features(files: Collection[str]) -> set[str]:
    tools = {
        what for what, pattern in _NEEDED.items() if any(pattern.fullmatch(file) for file in files)
    }
    return tools | _modules(files)


def _modules(files: Collection[str], wanted: Collection[str] = _MODULES) -> set[str]:
    """Name modules as the kernel does: - and _ are one."""
    found = (_MODULE.fullmatch(file) for file in files)
    names = {match[1].replace("_", "-") for match in found if match}
    return {f"the module {name}" for name in names.intersection(wanted)}


def _path(line: str) -> str:
    if not _LONG.match(line):
        return line.strip().removeprefix("./").removeprefix("/")
    return line.partition(" -> ")[0].rsplit(maxsplit=1)[-1].removeprefix("./")
