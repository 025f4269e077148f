"""The parser of QEMU's write log, and which disks it says a power cut can leave."""

import struct

import pytest

from integration.writelog import BLOCK, MAGIC, SECTOR, Cut, Entry, Flag, Image, cuts, parse

SIZE = 64 * BLOCK


def superblock(*, magic: int = MAGIC, sector_size: int = SECTOR) -> bytes:
    return struct.pack("<QQQL", magic, 1, 0, sector_size).ljust(SECTOR, b"\0")


def request(sector: int, data: bytes, flags: int = 0) -> bytes:
    header = struct.pack("<QQQQ", sector, len(data) // SECTOR, flags, 0)
    return header.ljust(SECTOR, b"\0") + data


def discard(sector: int, sectors: int) -> bytes:
    return struct.pack("<QQQQ", sector, sectors, int(Flag.DISCARD), 0).ljust(SECTOR, b"\0")


def written(block: int, letter: str, *, fua: bool = False) -> Entry:
    return Entry(block * BLOCK, BLOCK, Flag(2 * fua), letter.encode() * BLOCK)


FLUSH = Entry(0, 0, Flag.FLUSH, b"")


def content(image: Image) -> str:
    last = max(image.blocks, default=-1)
    return "".join(chr(image.blocks.get(n, b".")[0]) for n in range(last + 1))


def disks(*log: Entry, reorderings: int = 0) -> set[str]:
    return {content(cut.image) for cut in cuts(Image(SIZE), log, reorderings=reorderings)}


def test_log_is_read_entry_by_entry_up_to_the_unwritten_rest() -> None:
    body = request(8, b"a" * SECTOR) + request(0, b"", 1) + discard(16, 8) + request(24, b"b" * 512)
    entries = parse(superblock() + body + bytes(10 * SECTOR))
    assert entries == [
        Entry(8 * SECTOR, SECTOR, Flag(0), b"a" * SECTOR),
        FLUSH,
        Entry(16 * SECTOR, 8 * SECTOR, Flag.DISCARD, b""),
        Entry(24 * SECTOR, SECTOR, Flag(0), b"b" * SECTOR),
    ]


@pytest.mark.parametrize(
    "log",
    [
        superblock(magic=1),
        superblock(sector_size=4096),
        superblock() + request(8, b"a" * 2 * SECTOR)[:-SECTOR],
    ],
    ids=["no log", "other sectors", "torn entry"],
)
def test_what_is_no_log_is_refused(log: bytes) -> None:
    with pytest.raises(ValueError, match="log"):
        parse(log)


def test_part_of_a_block_leaves_the_rest_of_it() -> None:
    image = Image(SIZE)
    image.put(1, b"o" * BLOCK)
    image.apply(Entry(BLOCK + SECTOR, BLOCK, Flag(0), b"n" * BLOCK))
    assert image.blocks[1] == b"o" * SECTOR + b"n" * (BLOCK - SECTOR)
    assert image.blocks[2] == b"n" * SECTOR + bytes(BLOCK - SECTOR)


def test_discarded_blocks_read_as_zeros() -> None:
    image = Image(SIZE)
    empty = image.fingerprint
    image.put(3, b"x" * BLOCK)
    image.apply(Entry(3 * BLOCK, BLOCK, Flag.DISCARD, b""))
    assert (image.blocks, image.fingerprint) == ({}, empty)


def test_fingerprint_tells_disks_apart_by_content_and_by_place() -> None:
    here, there, both = Image(SIZE), Image(SIZE), Image(SIZE)
    here.put(0, b"x" * BLOCK)
    there.put(1, b"x" * BLOCK)
    both.put(0, b"x" * BLOCK)
    both.put(1, b"x" * BLOCK)
    assert len({image.fingerprint for image in (Image(SIZE), here, there, both)}) == 4
    both.put(1, bytes(BLOCK))
    assert both.fingerprint == here.fingerprint


def test_every_prefix_is_a_disk() -> None:
    assert disks(written(0, "a"), written(1, "b"), FLUSH, written(0, "c")) == {"a", "ab", "cb"}


def test_equal_disks_are_met_once() -> None:
    log = [written(0, "a"), FLUSH, FLUSH, written(0, "a"), written(0, "b"), written(0, "a")]
    assert [content(c.image) for c in cuts(Image(SIZE), log, reorderings=0)] == ["a", "b"]


def test_what_was_flushed_is_never_lost_and_what_was_not_may_be() -> None:
    log = (written(0, "a"), FLUSH, written(1, "b"), written(2, "c"), FLUSH)
    assert disks(*log, reorderings=50) == {"a", "ab", "a.c", "abc"}


def test_forced_unit_access_is_never_lost() -> None:
    log = (written(0, "a"), written(1, "b", fua=True), written(2, "c"), FLUSH)
    assert all(found == "a" or found[1] == "b" for found in disks(*log, reorderings=50))


def test_a_rewritten_block_shows_the_last_write_that_lasted() -> None:
    log = (written(0, "a"), written(0, "b"), written(1, "c"), FLUSH)
    assert disks(*log, reorderings=80) == {"a", "b", "bc", "ac", ".c"}


def test_sampling_is_the_same_in_every_run() -> None:
    log = [entry for n in range(12) for entry in (written(n, "x"), written(n + 20, "y"))] + [FLUSH]

    def sampled() -> list[tuple[int, int, int]]:
        found: list[Cut] = list(cuts(Image(SIZE), log, reorderings=5, seed=7))
        return [(c.at, c.lost, c.image.fingerprint) for c in found]

    assert sampled() == sampled()
