"""The fstab(5) of a root that has left, on disk: read and replaced, durably."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from snaproot import durable
from snaproot.adoption import carving


@dataclass(frozen=True, slots=True)
class Fstab:
    """One table; `sync` writes the filesystem out that it lies on."""

    path: Path
    sync: Callable[[], None]

    @property
    def text(self) -> str:
        with suppress(FileNotFoundError):
            return read(self.path)
        return ""

    def change(self, text: str) -> None:
        if text != self.text:
            rewrite(self.path, text)
            self.sync()


def read(fstab: Path) -> str:
    """Read a table; of any bytes, for it is kept but for the lines that change."""
    return fstab.read_text(encoding="utf-8", errors="surrogateescape")


def rewrite(fstab: Path, text: str) -> None:
    """Replace a table, durably; it keeps owner, mode and what chattr(1) set."""
    before = fstab.lstat()
    held = carving.flags(fstab)
    with carving.unlocked(fstab):
        content = text.encode(errors="surrogateescape")
        durable.write(fstab, content, mode=before.st_mode & 0o7777)
        os.chown(fstab, before.st_uid, before.st_gid)
    carving.set_flags(fstab, held)
