"""Remove what is left over, once nothing boots or runs from it; shared places are kept.

Cut anywhere, it may be typed again: until the last rename everything that it needs to know is
there, and at every moment every line of the root's fstab mounts.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from snaproot import durable
from snaproot.adoption.grounds import PARTIAL
from snaproot.areas import Kind
from snaproot.bootloader import HOME, stub
from snaproot.filesystem import collecting
from snaproot.filesystem.btrfs import binding, trash
from snaproot.filesystem.faults import translated
from snaproot.filesystem.layout import SNAPROOT, Layout
from snaproot.leaving import note, table
from snaproot.leaving.building import read, rewrite
from snaproot.leaving.note import Note


@dataclass(frozen=True, slots=True)
class Finisher:
    """Finishes one filesystem; `esp` is None where no home was made."""

    layout: Layout
    esp: Path | None

    def remove_home(self) -> None:
        """Take the loader's home off the ESP; nothing leads to it any more."""
        if self.esp is not None:
            stub.abolish(self.esp / HOME)

    def remove_environments(self) -> None:
        """Delete every boot environment; an original root lies outside, and stays."""
        layout, held = self.layout, frozenset({binding.default_id(self.layout.top)})
        if layout.environments.is_dir():
            for home in sorted(layout.environments.iterdir()):
                trash.throw(layout, home.name, held)
        trash.empty(layout, held)

    def rename_areas(self) -> None:
        """Give areas names of their own; meanwhile the root's fstab has their numbers."""
        self._drop_unused()
        top, said = self.layout.top, self._noted()
        if not said.moves:
            return
        numbers = {path: number for number, path in self._areas()}
        self._change(table.numbered(self._text, numbers))
        for number, path in self._areas():
            with translated(f"rename {path}"):
                (top / path).rename(top / said.moves[number])
        binding.sync(top)
        self._change(table.named(self._text, said.moves))

    def remove_rest(self) -> None:
        """Take what remains out of sight in one step, then destroy it."""
        top = self.layout.top
        if self.layout.snaproot.is_dir():
            binding.sync(top)
            trash.raze(top, top / PARTIAL)
            durable.make_directory(top / PARTIAL)
            with translated(f"remove {self.layout.snaproot}"):
                self.layout.snaproot.rename(top / PARTIAL / SNAPROOT)
            binding.sync(top)
        trash.raze(top, top / PARTIAL)
        binding.sync(top)

    def _drop_unused(self) -> None:
        """Delete areas of an adoption that was taken back, but for what somebody wrote there.

        The original never mounts them. Swap is nobody's data. Of a root that was built all stay:
        its fstab mounts them.
        """
        if (note.load(self.layout.record) or Note()).made:
            return
        declared = collecting.declared(self.layout)
        swap = {area.subvolume for area in declared if area.kind is Kind.SWAP}
        for _, path in self._areas():
            unused = path in swap or Path(path).name == "swap"
            if unused or not any((self.layout.top / path).iterdir()):
                trash.raze(self.layout.top, self.layout.top / path)

    def _areas(self) -> list[tuple[int, str]]:
        """List areas that still lie in our own; what is nested in one goes with it."""
        home = f"{self.layout.inside(self.layout.areas)}/"
        found = [s for s in binding.subvolumes(self.layout.top) if s.path.startswith(home)]
        return [(s.id, s.path) for s in found if "/" not in s.path.removeprefix(home)]

    def _noted(self) -> Note:
        """Decide the names once, and remember them before anything is renamed."""
        said = note.load(self.layout.record) or Note()
        taken = {*said.moves.values(), *(s.path for s in binding.subvolumes(self.layout.top))}
        moves = dict(said.moves)
        for number, path in self._areas():
            if number not in moves:
                moves[number] = next(n for n in _names(Path(path).name) if n not in taken)
                taken.add(moves[number])
        if moves != said.moves:
            note.save(self.layout.record, replace(said, moves=moves))
        return replace(said, moves=moves)

    @property
    def _fstab(self) -> Path:
        said = note.load(self.layout.record) or Note()
        return self.layout.top / said.place / "etc/fstab"

    @property
    def _text(self) -> str:
        with suppress(FileNotFoundError):
            return read(self._fstab)
        return ""

    def _change(self, text: str) -> None:
        if text != self._text:
            rewrite(self._fstab, text)
            binding.sync(self.layout.top)


def _names(area: str) -> Iterator[str]:
    yield f"@{area}"
    yield from (f"@{area}-{number}" for number in count(2))
