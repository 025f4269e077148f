"""Put the root that was built in its place: what is there is moved aside, and never deleted."""

import ctypes
import os
from dataclasses import dataclass, replace
from pathlib import Path

from snaproot.filesystem.btrfs import binding, trash
from snaproot.filesystem.faults import translated
from snaproot.filesystem.layout import Layout
from snaproot.leaving import note
from snaproot.leaving.building import Builder
from snaproot.leaving.note import Note
from snaproot.leaving.shape import LeavingPlan

_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)
_HERE = -100  # AT_FDCWD


@dataclass(frozen=True, slots=True)
class Placer:
    """Works on one plan. Every root that was built is noted before it goes anywhere."""

    plan: LeavingPlan
    layout: Layout
    builder: Builder

    @property
    def place(self) -> Path:
        return self.layout.top / self.plan.place

    def clear(self) -> None:
        """Remove what a cut left of a root being built: in our place, or on its way aside."""
        aside = self.layout.top / self.plan.aside
        if self.plan.aside and self._is_made(aside):
            trash.raze(self.layout.top, aside)
        trash.raze(self.layout.top, self.builder.home)

    def put(self) -> None:
        """Let the root appear at its place, whole, in one step; there always is one.

        The new one takes the name of the original's later place first, then they change names.
        """
        top, root = self.layout.top, self.builder.root
        made = (*self._said.made, binding.subvolume_id(root))
        plan, said = self.plan, self._said
        said = replace(said, base=plan.base, place=plan.place, aside=plan.aside, made=made)
        note.save(self.layout.record, said)
        binding.sync(top)
        with translated(f"put {self.place} in its place"):
            if not os.path.lexists(self.place):
                root.rename(self.place)
            elif self._is_made(self.place):
                exchange(root, self.place)
            else:
                root.rename(top / self.plan.aside)
                binding.sync(top)
                exchange(top / self.plan.aside, self.place)
        binding.sync(top)
        trash.raze(top, root)

    def _is_made(self, place: Path) -> bool:
        return binding.is_subvolume(place) and binding.subvolume_id(place) in self._said.made

    @property
    def _said(self) -> Note:
        return note.load(self.layout.record) or Note()


def exchange(one: Path, other: Path) -> None:
    """Let two names change places, atomically (renameat2(2)). Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = (_HERE, os.fsencode(one), _HERE, os.fsencode(other))
    if libc.renameat2(*names, _EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one))
