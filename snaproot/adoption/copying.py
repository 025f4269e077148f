"""Copy a tree with all that it has, onto another filesystem; data is shared where that can be."""

import os
from pathlib import Path

from snaproot.adoption import carving
from snaproot.filesystem.cloning import copy_attributes
from snaproot.run import run

_PERSISTENT = 0x10 | 0x20 | 0x40 | 0x80
"""Attributes of chattr(1) that cp(1) does not copy: immutable, append-only, nodump, noatime."""


def copy_tree(source: Path, target: Path) -> None:
    """Copy the content of a directory into one that is there, without other filesystems."""
    options = ("-a", "--reflink=auto", "--one-file-system")
    run(["cp", *options, "--", f"{source}/.", str(target)])
    copy_attributes(source, target)
    _lock(source, target)


def _lock(source: Path, target: Path) -> None:
    """Carry over what cp(1) does not, directories last: in a locked one nothing can be changed."""
    device = source.lstat().st_dev
    for place, directories, names in os.walk(source, topdown=False):
        if os.lstat(place).st_dev != device:
            continue
        for name in (*names, *directories, "."):
            path = Path(place, name)
            held = carving.flags(path) & _PERSISTENT
            if held and path.lstat().st_dev == device:
                new = target / path.relative_to(source)
                carving.set_flags(new, carving.flags(new) | held)
