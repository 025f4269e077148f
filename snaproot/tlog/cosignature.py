"""What a witness signs: that it saw a checkpoint, and when (C2SP tlog-cosignature). Pure.

Its signature comes with the time in front: seconds since 1970 in eight bytes. 0 says nothing about
when, which a log does that signs as a witness would.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from snaproot.tlog import checkpoint

_TIME = 8  # bytes
_LATEST = 253_402_300_799  # the end of the year 9999; the format has 63 bits


@dataclass(frozen=True, slots=True)
class Statement:
    """What exactly was signed, the signature without its time, and the time."""

    message: bytes
    signature: bytes
    time: datetime | None


def ed25519(text: str, signature: bytes) -> Statement | None:
    """Make the statement of a `cosignature/v1` about a checkpoint's text.

    None where the signature is none of that form. Raises Distrusted for text that is no checkpoint.
    """
    checkpoint.parse(text)
    seconds = _seconds(signature)
    if seconds is None:
        return None
    message = f"cosignature/v1\ntime {seconds}\n{text}".encode()
    return Statement(message, signature[_TIME:], _moment(seconds))


def mldsa44(name: str, text: str, signature: bytes) -> Statement | None:
    """Make the statement of a `subtree/v1` about a checkpoint's whole tree, by a witness's name.

    None where the signature is none of that form, and where the checkpoint has extension lines:
    it would not cover them. Raises Distrusted for text that is no checkpoint.
    """
    seen = checkpoint.parse(text)
    seconds = _seconds(signature)
    if seconds is None or seen.extensions:
        return None
    parts = (
        b"subtree/v1\n\x00",
        _counted(name),
        _uint64(seconds),
        _counted(seen.origin),
        _uint64(0),
        _uint64(seen.size),
        seen.root,
    )
    return Statement(b"".join(parts), signature[_TIME:], _moment(seconds))


def _seconds(signature: bytes) -> int | None:
    seconds = int.from_bytes(signature[:_TIME])
    return seconds if len(signature) > _TIME and seconds <= _LATEST else None


def _moment(seconds: int) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _counted(text: str) -> bytes:
    """Write a text of at most 255 bytes, its length in front (RFC 8446 §3.4)."""
    data = text.encode()
    return bytes([len(data)]) + data


def _uint64(number: int) -> bytes:
    return number.to_bytes(8)
