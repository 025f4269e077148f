"""Writes DER (X.690), as much of it as certificates and timestamps need. Pure."""

from datetime import UTC, datetime
from itertools import chain

NULL = b"\x05\x00"


def tagged(tag: int, *content: bytes) -> bytes:
    """Write a value with a tag of one octet."""
    body = b"".join(content)
    return bytes([tag]) + _length(len(body)) + body


def sequence(*parts: bytes) -> bytes:
    return tagged(0x30, *parts)


def set_of(*parts: bytes) -> bytes:
    """Write a SET OF; DER sorts what is in it."""
    return tagged(0x31, *sorted(parts))


def context(number: int, *parts: bytes) -> bytes:
    """Write a constructed value with a context-specific tag, such as [0]."""
    return tagged(0xA0 | number, *parts)


def integer(value: int) -> bytes:
    return tagged(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def octets(content: bytes) -> bytes:
    return tagged(0x04, content)


def text(content: str) -> bytes:
    """Write a UTF8String."""
    return tagged(0x0C, content.encode())


def time(when: datetime) -> bytes:
    """Write a GeneralizedTime of whole seconds."""
    return tagged(0x18, when.astimezone(UTC).strftime("%Y%m%d%H%M%SZ").encode())


def oid(dotted: str) -> bytes:
    first, second, *rest = (int(number) for number in dotted.split("."))
    return tagged(0x06, bytes(chain.from_iterable(map(_arc, (40 * first + second, *rest)))))


def _arc(number: int) -> bytes:
    octet, rest = number & 0x7F, number >> 7
    return (_more(rest) if rest else b"") + bytes([octet])


def _more(number: int) -> bytes:
    return bytes(octet | 0x80 for octet in _arc(number))


def _length(length: int) -> bytes:
    if length < 0x80:
        return bytes([length])
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets
