"""Remove what is left over, once nothing boots or runs from it; shared places are kept.

Cut anywhere, it may be typed again: until the last rename everything that it needs to know is
there, and at every moment every line of the root's fstab mounts.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from snaproot.areas import Kind
from snaproot.bootloader import HOME, stub
from snaproot.filesystem import collecting
from snaproot.leaving import note
from snaproot.leaving.fstabs import Fstab
from snaproot.leaving.ground import Ground
from snaproot.leaving.note import Note


@dataclass(frozen=True, slots=True)
class Finisher:
    """Finishes one filesystem; `esp` is None where no home was made.

    `unlock` gives up the lock, which lies in what goes last.
    """

    ground: Ground
    esp: Path | None
    unlock: Callable[[], None]

    def remove_home(self) -> None:
        """Take the loader's home off the ESP; nothing leads to it any more."""
        if self.esp is not None:
            stub.abolish(self.esp / HOME)

    def remove_environments(self) -> None:
        """Delete every boot environment; an original root lies outside, and stays."""
        self.ground.remove_environments(self._said.place)

    def rename_areas(self) -> None:
        """Give areas names of their own."""
        self._drop_unused()
        said = self._noted()
        if said.moves:
            place = self.ground.place(said.place) if said.place else self.ground.layout.top
            self.ground.rename_areas(said, Fstab(place / "etc/fstab", self.ground.sync))

    def remove_rest(self) -> None:
        """Take what remains out of sight in one step, then destroy it."""
        self.ground.hide()
        self.unlock()
        self.ground.remove_rest()

    def _drop_unused(self) -> None:
        """Delete areas of an adoption that was taken back, but for what somebody wrote there.

        The original never mounts them. Swap is nobody's data. Of a root that was built all stay:
        its fstab mounts them.
        """
        if self._said.made:
            return
        declared = collecting.declared(self.ground.layout)
        swap = {area.subvolume for area in declared if area.kind is Kind.SWAP}
        for _, name in self.ground.areas():
            unused = name in swap or Path(name).name == "swap"
            if unused or not any(self.ground.place(name).iterdir()):
                self.ground.remove(name)

    def _noted(self) -> Note:
        """Decide the names once, and remember them before anything is renamed."""
        said = self._said
        taken = {*said.moves.values(), *self.ground.volumes()}
        moves = dict(said.moves)
        for number, name in self.ground.areas():
            if number not in moves:
                names = self.ground.names(Path(name).name)
                moves[number] = next(one for one in names if one not in taken)
                taken.add(moves[number])
        if moves != said.moves:
            note.save(self.ground.layout.record, replace(said, moves=moves))
        return replace(said, moves=moves)

    @property
    def _said(self) -> Note:
        return note.load(self.ground.layout.record) or Note()
