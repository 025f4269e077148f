"""What a witness signs, byte by byte."""

import struct
from datetime import UTC, datetime

import pytest

from snaproot.tlog import cosignature
from snaproot.tlog.cosignature import Statement
from snaproot.trust.facts import Distrusted
from tests.tlog.signers import NOON, ROOT, head

TEXT = head()
WHEN = struct.pack(">Q", NOON)
both = pytest.mark.parametrize("form", ["ed25519", "mldsa44"])


def made(form: str, signature: bytes, text: str = TEXT) -> Statement | None:
    if form == "mldsa44":
        return cosignature.mldsa44("w.example", text, signature)
    return cosignature.ed25519(text, signature)


def test_the_message_of_the_specification() -> None:
    """C2SP tlog-cosignature, its example."""
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    found = made("ed25519", struct.pack(">Q", 1679315147) + b"signature", text)
    assert found == Statement(
        b"cosignature/v1\ntime 1679315147\n" + text.encode(),
        b"signature",
        datetime(2023, 3, 20, 12, 25, 47, tzinfo=UTC),
    )


def test_the_structure_of_the_specification() -> None:
    """C2SP tlog-cosignature, `cosigned_message`."""
    found = cosignature.mldsa44("w.example/ö", TEXT, WHEN + b"signature")
    assert found is not None
    assert found.message == (
        b"subtree/v1\n\0"
        b"\x0cw.example/\xc3\xb6"
        b"\x00\x00\x00\x00\x6a\xb1\x3b\x80"
        b"\x14log.example/releases"
        b"\x00\x00\x00\x00\x00\x00\x00\x00"
        b"\x00\x00\x00\x00\x01\x3e\x2d\xc3" + ROOT
    )
    assert found.signature == b"signature"


def test_the_first_form_covers_extension_lines_and_the_second_has_none() -> None:
    extended = head(extensions=("more",))
    found = made("ed25519", WHEN + b"s", extended)
    assert found is not None
    assert found.message.endswith(b"\nmore\n")
    assert made("mldsa44", WHEN + b"s", extended) is None


@both
def test_a_time_of_zero_says_nothing_about_when(form: str) -> None:
    found = made(form, bytes(8) + b"s")
    assert found is not None
    assert found.time is None


@both
@pytest.mark.parametrize(
    "signature",
    [b"", WHEN[:7], WHEN, b"\xff" * 9, struct.pack(">Qs", 253_402_300_800, b"s")],
    ids=["empty", "half a time", "a time alone", "beyond 63 bits", "beyond the calendar"],
)
def test_what_is_no_cosignature(form: str, signature: bytes) -> None:
    assert made(form, signature) is None


@both
def test_the_last_second_of_the_calendar(form: str) -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    found = made(form, struct.pack(">Q", int(last.timestamp())) + b"s")
    assert found is not None
    assert found.time == last


@both
def test_only_checkpoints_are_cosigned(form: str) -> None:
    with pytest.raises(Distrusted) as caught:
        made(form, WHEN + b"s", f"{TEXT}\n")
    assert caught.value.reason == "checkpoint.malformed"
