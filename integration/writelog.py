"""The log of block writes that QEMU's blklogwrites keeps, and the disks a power cut leaves. Pure.

The format is dm-log-writes' (Linux, drivers/md/dm-log-writes.c): a superblock sector, then per
request one sector of header, followed by what was written. All integers are little-endian.
"""

import hashlib
import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from itertools import combinations

SECTOR = 512
BLOCK = 4096
MAGIC = 0x6A736677736872
_SUPERBLOCK = struct.Struct("<QQQL")
_HEADER = struct.Struct("<QQQQ")
_ZEROS = bytes(BLOCK)


class Flag(IntFlag):
    """What a request asked for besides writing."""

    FLUSH = 1
    FUA = 2
    DISCARD = 4
    MARK = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """One request, in the order of completion; `offset` and `length` in bytes."""

    offset: int
    length: int
    flags: Flag
    data: bytes

    @property
    def flushes(self) -> bool:
        return bool(self.flags & Flag.FLUSH)

    @property
    def durable(self) -> bool:
        """Never lost once it completed, whatever came before it."""
        return bool(self.flags & Flag.FUA)


def parse(log: bytes | memoryview) -> list[Entry]:
    """Read every entry so far, of a log that may still grow into zeros.

    Raises ValueError on something that is no log, or one with another sector size.
    """
    magic, version, _, sector_size = _SUPERBLOCK.unpack_from(log)
    if (magic, version, sector_size) != (MAGIC, 1, SECTOR):
        raise ValueError(f"no write log: magic {magic:x}, version {version}, sector {sector_size}")
    return list(_entries(log))


def _entries(log: bytes | memoryview) -> Iterator[Entry]:
    at = SECTOR
    while at + SECTOR <= len(log):
        sector, sectors, flags, _ = _HEADER.unpack_from(log, at)
        if not (sectors or flags):
            return
        at += SECTOR
        length = sectors * SECTOR
        stored = 0 if flags & Flag.DISCARD else length
        data = bytes(log[at : at + stored])
        if len(data) != stored:
            raise ValueError(f"the log ends inside an entry of {length} bytes")
        yield Entry(sector * SECTOR, length, Flag(flags), data)
        at += stored


@dataclass(slots=True)
class Image:
    """A disk as its non-zero blocks, and a fingerprint that is equal for equal disks."""

    size: int
    blocks: dict[int, bytes] = field(default_factory=dict)
    fingerprint: int = 0

    def copy(self) -> "Image":
        return Image(self.size, dict(self.blocks), self.fingerprint)

    def apply(self, entry: Entry) -> None:
        """Do to the disk what one request did; discarded sectors read as zeros."""
        data = entry.data if entry.data else bytes(entry.length)
        at, end = entry.offset, entry.offset + entry.length
        while at < end:
            number, skip = divmod(at, BLOCK)
            part = data[at - entry.offset : at - entry.offset + BLOCK - skip]
            self.put(number, self._patched(number, skip, part))
            at += len(part)

    def put(self, number: int, content: bytes) -> None:
        """Replace one whole block."""
        old = self.blocks.pop(number, _ZEROS)
        if content != _ZEROS:
            self.blocks[number] = content
        self.fingerprint ^= _mark(number, old) ^ _mark(number, content)

    def _patched(self, number: int, skip: int, part: bytes) -> bytes:
        if len(part) == BLOCK:
            return part
        old = self.blocks.get(number, _ZEROS)
        return old[:skip] + part + old[skip + len(part) :]


def _mark(number: int, content: bytes) -> int:
    if content == _ZEROS:
        return 0
    digest = hashlib.blake2b(content, digest_size=16, salt=number.to_bytes(16, "little"))
    return int.from_bytes(digest.digest(), "little")


@dataclass(frozen=True, slots=True)
class Cut:
    """One disk after a power cut: `at` requests had completed, `lost` of those did not last."""

    at: int
    lost: int
    image: Image


def cuts(base: Image, log: Sequence[Entry], *, reorderings: int, seed: int = 0) -> Iterator[Cut]:
    """Rebuild every distinct disk that a cut can leave, in the order of the log.

    Beside each prefix, at most `reorderings` subsets of the requests since the last flush are left
    out at each flush: a disk may write its cache in any order, but what was flushed has to last.
    """
    chance = random.Random(seed)  # noqa: S311 - to sample, not to hide
    seen = {base.fingerprint}
    for cut in _all_cuts(base, log, reorderings, chance):
        if cut.image.fingerprint not in seen:
            seen.add(cut.image.fingerprint)
            yield cut


def _all_cuts(
    base: Image, log: Sequence[Entry], reorderings: int, chance: random.Random
) -> Iterator[Cut]:
    durable = base.copy()
    prefix = base.copy()
    cached: list[Entry] = []
    for at, entry in enumerate(log):
        if entry.flushes:
            yield from _reordered(durable, cached, at, reorderings, chance)
        if entry.length:
            prefix.apply(entry)
            cached.append(entry)
            yield Cut(at + 1, 0, prefix.copy())
        if entry.flushes:
            durable, cached = prefix.copy(), []


def _reordered(
    durable: Image, cached: Sequence[Entry], at: int, most: int, chance: random.Random
) -> Iterator[Cut]:
    losable = [index for index, entry in enumerate(cached) if not entry.durable]
    for lost in _losses(losable, most, chance):
        image = durable.copy()
        for index, entry in enumerate(cached):
            if index not in lost:
                image.apply(entry)
        yield Cut(at, len(lost), image)


def _losses(losable: Sequence[int], most: int, chance: random.Random) -> Iterator[frozenset[int]]:
    """Choose what is lost: every subset where there are few, else some at random."""
    if 2 ** len(losable) <= most:
        for size in range(1, len(losable) + 1):
            yield from map(frozenset, combinations(losable, size))
    else:
        for _ in range(most):
            share = chance.choice((0.1, 0.5, 0.9))
            yield frozenset(index for index in losable if chance.random() < share)
