"""Copies of kernels in the loader's home, for roots on a filesystem that GRUB cannot read.

`kernels/PAIR/` holds a kernel and its initramfs, and is named by their digests: boot environments
with the same two share it. It is never renamed and never trusted for being there: each file is
written under another name, synced, renamed and read back, as on FAT no rename of a directory says
that what is in it is on the medium. Entries are written after what they load, and go before it, so
that a cut leaves at most a copy which no entry names. That one goes with the next `sweep`.
"""

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from snaproot import durable
from snaproot.bootloader import Bootable, entry, sealed
from snaproot.errors import Refused, SnaprootError
from snaproot.hashing import file_sha256, sha256
from snaproot.wording import size, some

SLACK = 128 << 10
"""Bytes beside the copies: directories, entries, an index beside the one that it replaces."""

RESERVE = 4 << 20
"""Bytes that stay free beside room for one more pair, which the next trial may need."""

Kept = Callable[[], Collection[str]]
"""Names the boot environments that a person wants to keep in the loader's menu."""

_SECTOR = 512  # what st_blocks counts (stat(2))
_NAMED = re.compile(rf"/{entry.COPIES}/({entry.PAIR.pattern})/".encode())


@dataclass(frozen=True, slots=True)
class Spare:
    """A pair that nothing needs: the boot environments that share it, and its size in bytes."""

    pair: str
    ids: tuple[str, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class Copies:
    """What is in one home."""

    home: Path

    def known(self, one: Bootable) -> Bootable:
        """Complete the digests of what was never sealed. Raises Refused for what cannot be read."""
        found = {
            "kernel": one.digests.kernel or sealed.digest(one, one.kernel),
            "initramfs": one.digests.initramfs or sealed.digest(one, one.initramfs),
        }
        return replace(one, digests=replace(one.digests, **found))

    def put(self, one: Bootable) -> None:
        """Copy what is not there as it was sealed, durably, and read it back past the cache.

        Raises Refused where the root has something else, SnaprootError where it cannot be written.
        """
        place = self._place(entry.pair(one))
        for directory in (place.parent, place):
            durable.make_directory(directory, mode=None)
        try:
            for left in place.glob(".*"):
                left.unlink()
        except OSError as error:
            raise SnaprootError(f"{place} cannot be written: {error.strerror}") from error
        _put(one, one.kernel, one.digests.kernel, place / entry.KERNEL)
        _put(one, one.initramfs, one.digests.initramfs, place / entry.INITRAMFS)

    def there(self, found: entry.Entry) -> bool:
        """Tell whether an entry leads to something, however that reads."""
        place = self._place(Path(found.kernel).parent.name)
        names = (entry.KERNEL, entry.INITRAMFS)
        with suppress(OSError):
            return all((place / name).stat().st_size for name in names)
        return False

    def lacks(self, one: Bootable) -> int:
        """Say how many bytes `put` would write. Raises Refused for what cannot be read."""
        place, lengths = self._place(entry.pair(one)), _lengths(one)
        missing = [name for name in lengths if _length(place / name) != lengths[name]]
        return sum(self._whole(lengths[name]) for name in missing)

    def fits(self, one: Bootable) -> bool:
        """Tell whether it can be copied and the next trial still finds room."""
        needed = self.lacks(one)
        biggest = max([needed, *map(self.size, self._pairs())])
        return needed == 0 or self.free() >= needed + SLACK + biggest + RESERVE

    def make_room(self, wanted: Sequence[Bootable], needed: Collection[str], kept: Kept) -> None:
        """Let go what is spare, the oldest first, until these can be copied.

        `needed` boots by itself; what is `kept` is asked for only where room is short. Raises
        Refused where it is not enough; then nothing has gone but what no entry named.
        """
        lacking = {entry.pair(one): self.lacks(one) for one in wanted}
        asked = sum(lacking.values())
        if asked == 0:
            return
        try:
            self.sweep(lacking)
            if self.free() < asked + SLACK:
                self._let_go(asked + SLACK, {*needed, *kept(), *(one.id for one in wanted)})
        except OSError as error:
            raise SnaprootError(f"{self.home} cannot be written: {error.strerror}") from error

    def spare(self, needed: Collection[str]) -> list[Spare]:
        """Name what could go, the oldest first: pairs that none of `needed` shares."""
        shared = _turned(dict(self._named()))
        free = [pair for pair, ids in shared.items() if not {*ids} & {*needed}]
        found = [Spare(pair, tuple(sorted(shared[pair])), self.size(pair)) for pair in free]
        return sorted(found, key=lambda one: one.ids[-1])

    def exclusive(self) -> dict[str, int]:
        """Say how many bytes would go with each entry, by boot environment. Raises OSError."""
        named = dict(self._named())
        alone = {pair: ids for pair, ids in _turned(named).items() if len(ids) == 1}
        return {
            id: sum(self.size(pair) for pair in pairs if pair in alone)
            for id, pairs in named.items()
        }

    def sweep(self, keep: Collection[str] = ()) -> None:
        """Remove the pairs that no entry names, beside those to `keep`. Raises OSError.

        An entry that cannot be read may name any: then nothing goes.
        """
        pairs = self._pairs()
        named = {pair for _, some in self._named() for pair in some} if pairs else set()
        for pair in pairs:
            if pair not in named and pair not in keep:
                self._remove(pair)

    def size(self, pair: str) -> int:
        """Say how many bytes a pair takes; none where it is not there."""
        with suppress(OSError):
            return sum(path.stat().st_blocks * _SECTOR for path in self._place(pair).iterdir())
        return 0

    def free(self) -> int:
        """Say how many bytes are free there. Raises OSError."""
        found = os.statvfs(self.home)
        return found.f_bavail * found.f_frsize

    def asks(self, one: Bootable) -> int:
        """Say how many bytes a pair like its own takes. Raises Refused for what cannot be read."""
        return sum(self._whole(length) for length in _lengths(one).values())

    def _whole(self, length: int) -> int:
        unit = os.statvfs(self.home).f_frsize
        return -(-length // unit) * unit

    def _let_go(self, asked: int, needed: Collection[str]) -> None:
        spare = self.spare(needed)
        if self.free() + sum(one.bytes for one in spare) < asked:
            raise self._full(asked, spare)
        for one in spare:
            if self.free() < asked:
                for id in one.ids:
                    (self._entries / f"{id}.cfg").unlink(missing_ok=True)
                durable.sync_directory(self._entries)
                self._remove(one.pair)

    def _full(self, asked: int, spare: Sequence[Spare]) -> Refused:
        ids = [id for one in spare for id in one.ids]
        freed = size(sum(one.bytes for one in spare))
        go = f", and {freed} more without the copies of {some(ids)}" if spare else ""
        return Refused(
            f"{size(asked)} are needed on {self.home.parent.parent} for a kernel and its "
            f"initramfs, {size(self.free())} are free there{go}; nothing was changed",
            hint="snaproot unpin lets what is kept there go, snaproot abandon what is pending; or "
            "delete what others have left there",
        )

    def _remove(self, pair: str) -> None:
        for path in self._place(pair).iterdir():
            path.unlink()
        self._place(pair).rmdir()
        durable.sync_directory(self.home / entry.COPIES)

    def _named(self) -> Iterator[tuple[str, set[str]]]:
        """Read which pairs each entry names, be it otherwise garbled. Raises OSError."""
        for path in self._entries.glob("*.cfg"):
            with durable.uncached(path) as file:
                yield path.stem, {name.decode() for name in _NAMED.findall(file.read())}

    def _pairs(self) -> list[str]:
        try:
            found = [path.name for path in (self.home / entry.COPIES).iterdir()]
        except FileNotFoundError:
            return []
        return [name for name in found if entry.PAIR.fullmatch(name)]

    def _place(self, pair: str) -> Path:
        return self.home / entry.COPIES / pair

    @property
    def _entries(self) -> Path:
        return self.home / "entries"


def _turned(named: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """Say which boot environments share each pair."""
    found: dict[str, list[str]] = {}
    for id, pairs in named.items():
        for pair in pairs:
            found.setdefault(pair, []).append(id)
    return found


def _put(one: Bootable, path: str, digest: str, place: Path) -> None:
    if _is(place, digest):
        return
    try:
        content = sealed.source(one, path).read_bytes()
    except OSError as error:
        raise sealed.unreadable(one, path, error) from error
    if sha256(content).hexdigest() != digest:
        raise sealed.changed(one, path)
    durable.write(place, content, mode=None)
    if not _is(place, digest):
        raise SnaprootError(
            f"{place} does not read back as it was written", hint="the medium may be failing"
        )


def _is(place: Path, digest: str) -> bool:
    with suppress(OSError), durable.uncached(place) as file:
        return file_sha256(file) == digest
    return False


def _lengths(one: Bootable) -> dict[str, int]:
    files = ((entry.KERNEL, one.kernel), (entry.INITRAMFS, one.initramfs))
    return {name: sealed.source(one, path).stat().st_size for name, path in files}


def _length(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return -1
