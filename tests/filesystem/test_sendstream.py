"""Streams made by hand; integration compares real ones with a walk of both trees."""

import io
import struct

import pytest

from snaproot.filesystem.btrfs.sendstream import parse
from snaproot.filesystem.comparison import Difference

SNAPSHOT, MKFILE, MKDIR, RENAME, LINK, UNLINK, RMDIR = 2, 3, 4, 9, 10, 11, 12
SET_XATTR, CHMOD, UTIMES, END, UPDATE_EXTENT, ENCODED_WRITE = 13, 18, 20, 21, 22, 25
PATH, PATH_TO, DATA = 15, 16, 19


def command(number: int, *attributes: tuple[int, bytes], tail: bytes = b"") -> bytes:
    payload = b"".join(struct.pack("<HH", k, len(v)) + v for k, v in attributes) + tail
    return struct.pack("<IHI", len(payload), number, 0) + payload


def on(number: int, path: bytes, to: bytes | None = None) -> bytes:
    return command(number, (PATH, path), *(() if to is None else ((PATH_TO, to),)))


def stream(*commands: bytes, version: int = 1) -> bytes:
    return b"btrfs-stream\0" + struct.pack("<I", version) + b"".join(commands)


def parsed(*commands: bytes, version: int = 1) -> Difference:
    whole = stream(on(SNAPSHOT, b"newer"), *commands, command(END), version=version)
    return parse(io.BytesIO(whole))


def test_a_replaced_file_ends_under_its_final_name() -> None:
    found = parsed(
        on(MKFILE, b"o259-8-0"),
        on(UNLINK, b"usr/tool"),
        on(RENAME, b"o259-8-0", b"usr/tool"),
        on(UPDATE_EXTENT, b"usr/tool"),
        on(UTIMES, b"usr/tool"),
    )
    assert found == Difference(touched=frozenset([b"usr/tool"]), gone=frozenset([b"usr/tool"]))


def test_what_is_removed_in_a_renamed_directory_had_its_older_name() -> None:
    found = parsed(
        on(RENAME, b"dir", b"o258-7-0"),
        on(UNLINK, b"o258-7-0/file"),
        on(RMDIR, b"o258-7-0"),
        on(MKDIR, b"dir"),
    )
    assert found.gone == {b"dir/file", b"dir"}
    assert found.touched == {b"dir"}
    assert not found.moved


def test_a_move_there_and_back_is_none() -> None:
    assert parsed(on(RENAME, b"a", b"o1-1-0"), on(RENAME, b"o1-1-0", b"a")) == Difference()


def test_what_changes_in_a_moved_directory_has_its_newer_name() -> None:
    found = parsed(on(RENAME, b"old", b"new"), on(CHMOD, b"new/sub/file"))
    assert found == Difference(touched=frozenset([b"new/sub/file"]), moved=((b"old", b"new"),))


def test_names_that_change_places() -> None:
    found = parsed(on(RENAME, b"a", b"o1-1-0"), on(RENAME, b"b", b"a"), on(RENAME, b"o1-1-0", b"b"))
    assert found.moved == ((b"a", b"b"), (b"b", b"a"))


def test_timestamps_alone_are_nothing() -> None:
    assert parsed(on(UTIMES, b""), on(UTIMES, b"usr")) == Difference()


def test_the_root_itself_may_change() -> None:
    assert parsed(on(CHMOD, b"")).touched == {b""}


def test_any_bytes_are_a_name() -> None:
    assert parsed(on(LINK, b"a b\n\xff")).touched == {b"a b\n\xff"}


def test_data_of_version_2_has_no_length() -> None:
    tail = struct.pack("<H", DATA) + b"x" * 100_000
    found = parsed(command(ENCODED_WRITE, (PATH, b"file"), tail=tail), version=2)
    assert found.touched == {b"file"}


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"btrfs-stream\0",
        b"zfs-stream" + bytes(20),
        stream(command(END), version=4),
        stream(on(MKFILE, b"a")),
        stream(on(MKFILE, b"a"), command(END))[:-1],
        stream(command(MKFILE, tail=b"\x0f\0\xff\0a"), command(END)),
        stream(command(MKFILE, tail=b"\x0f"), command(END)),
        stream(command(MKFILE), command(END)),
        stream(on(RENAME, b"a"), command(END)),
    ],
)
def test_what_is_cut_short_or_foreign_is_no_difference(damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r"stream|attribute|path"):
        parse(io.BytesIO(damaged))
