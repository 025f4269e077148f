"""Signed notes: a text, and lines that say who signed it (C2SP signed-note). Pure.

Nothing that a note says counts before a known key's signature over it was verified.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING

from snaproot.hashing import sha256
from snaproot.tlog import cosignature
from snaproot.tlog.checkpoint import LONGEST, decoded
from snaproot.tlog.cosignature import Statement
from snaproot.trust.facts import Distrusted, Unverifiable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

LARGEST = 1 << 20
"""Bytes of a note; a hundred signatures by ML-DSA-44 are a third of it."""
MOST = 100
"""Signatures of a note; C2SP wants 16 to be read."""

_DASH = "\N{EM DASH} "
_ID = 4  # bytes
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_NEWER = "python3-cryptography 48 or newer verifies ML-DSA-44"
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NAME = re.compile(r"[^\s+\x00-\x1f\ud800-\udfff]+")
_VKEY = re.compile(r"([^+]+)\+([0-9a-f]{8})\+(.+)")


class Kind(IntEnum):
    """How a key signs, by C2SP's numbers."""

    ED25519 = 1
    ECDSA = 2
    ED25519_COSIGNATURE = 4
    MLDSA44_COSIGNATURE = 6


_LENGTHS = {Kind.ED25519: 32, Kind.ED25519_COSIGNATURE: 32, Kind.MLDSA44_COSIGNATURE: 1312}


@dataclass(frozen=True, slots=True)
class Key:
    """A public key, and the name that it signs under.

    `material` is the bare key; of ECDSA, its SubjectPublicKeyInfo. Making one raises Distrusted for
    a name that no note can have, and for what is no key of its kind.
    """

    name: str
    kind: Kind
    material: bytes

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.name.encode()) > LONGEST:
            why = f"its name is not 1 to {LONGEST} bytes without spaces and plus signs"
            raise _no_key(self.name, why)
        if self.kind is Kind.ECDSA:
            _public_key(self.name, self.material)
        elif len(self.material) != _LENGTHS[self.kind]:
            raise _no_key(self.name, f"it is not {_LENGTHS[self.kind]} bytes long")

    @classmethod
    def parse(cls, vkey: str) -> "Key":
        """Read a verifier key, `NAME+ID+KEY`. Raises Distrusted for what is none."""
        found = _VKEY.fullmatch(vkey)
        data = decoded(found[3]) if found else None
        if found is None or not data:
            raise _no_key(vkey, "it is not NAME+ID+KEY, with 8 digits and base64")
        if data[0] not in set(Kind):
            what = f"the key {found[1]!r} is of the kind {data[0]}, which is not known here"
            raise Distrusted("key.kind", what)
        key = cls(found[1], Kind(data[0]), data[1:])
        if key.id.hex() != found[2]:
            what = f"the key {key.name!r} has the id {key.id.hex()}, not {found[2]}"
            raise Distrusted("key.id", what, hint="was all of it copied, and the name with it?")
        return key

    @property
    def id(self) -> bytes:
        """Four bytes that tell it from other keys of its name."""
        named = b"%s\n%c" % (self.name.encode(), self.kind)
        return sha256((b"" if self.kind is Kind.ECDSA else named) + self.material).digest()[:_ID]

    def accepts(self, message: bytes, signature: bytes) -> bool:
        """Verify a bare signature.

        Raises Unverifiable where the installed cryptography cannot do that for this kind.
        """
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

        try:
            _verify(self, message, signature)
        except InvalidSignature:
            return False
        except (ImportError, UnsupportedAlgorithm) as error:
            what = f"{self.name!r} signs by {self.kind.name}, which the library here cannot verify"
            raise Unverifiable("key.unsupported", what, hint=_NEWER) from error
        return True


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: by whom it claims to be. Of a cosignature, the time is in `value`."""

    name: str
    id: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends with a newline, and its signatures, none of them verified."""

    text: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class Signed:
    """Whose signature was verified, and of a cosignature, when it says that it was made."""

    key: Key
    time: datetime | None


def parse(data: bytes | str) -> Note:
    """Read a note. Raises Distrusted for what is none."""
    head, gap, tail = _readable(data).rpartition("\n\n")
    *lines, after = tail.split("\n", MOST)
    if not gap or after or not lines:
        raise _malformed(f"it does not end in an empty line and 1 to {MOST} lines of signatures")
    return Note(f"{head}\n", tuple(_signature(line) for line in lines))


def verify(note: Note, keys: Iterable[Key]) -> tuple[Signed, ...]:
    """Say which of these keys signed it: one of them, at least.

    Raises Distrusted if none did, and if one of them seems to have: other keys' lines mean nothing.
    Raises Unverifiable where the installed cryptography does not suffice.
    """
    found = signed(note, keys)
    if not found:
        raise Distrusted("note.unsigned", "the note has no signature by a key that is believed")
    return found


def signed(note: Note, keys: Iterable[Key], *, what: str = "note") -> tuple[Signed, ...]:
    """Say which of these keys signed it, if any; a signature of theirs that is bad raises as above.

    `what` is whose signatures they are, for the reason: `note.signature`, `witness.signature`.
    """
    return tuple(
        _verified(note.text, key, signature, what)
        for key, signature in _claims(note, dict.fromkeys(keys))
    )


def _claims(note: Note, keys: Iterable[Key]) -> Iterator[tuple[Key, Signature]]:
    """Pair signatures with the keys that they claim to be by; with all, if ids collide."""
    labels = [(key.name, key.id, key) for key in keys]
    for signature in note.signatures:
        for name, id, key in labels:
            if (name, id) == (signature.name, signature.id):
                yield key, signature


def _verified(text: str, key: Key, signature: Signature, what: str) -> Signed:
    statement = _statement(text, key, signature.value)
    if statement is None or not key.accepts(statement.message, statement.signature):
        message = f"the signature of {key.name!r} is none of its key over this note"
        raise Distrusted(f"{what}.signature", message)
    return Signed(key, statement.time)


def _statement(text: str, key: Key, signature: bytes) -> Statement | None:
    match key.kind:
        case Kind.ED25519 | Kind.ECDSA:
            return Statement(text.encode(), signature, None)
        case Kind.ED25519_COSIGNATURE:
            return cosignature.ed25519(text, signature)
        case Kind.MLDSA44_COSIGNATURE:
            return cosignature.mldsa44(key.name, text, signature)


def _readable(data: bytes | str) -> str:
    try:
        raw = data.encode() if isinstance(data, str) else data
        text = raw.decode()
    except UnicodeError as error:
        raise _malformed("it is not UTF-8") from error
    if len(raw) > LARGEST:
        raise _malformed(f"it has more than {LARGEST} bytes")
    if _CONTROL.search(text):
        raise _malformed("it has control characters")
    return text


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    value = decoded(encoded)
    signs = line.startswith(_DASH) and _NAME.fullmatch(name) is not None
    if not signs or value is None or len(value) <= _ID:
        raise _malformed(f"{line[:60]!r} is no line of a signature")
    return Signature(name, value[:_ID], value[_ID:])


def _verify(key: Key, message: bytes, signature: bytes) -> None:
    """Raise InvalidSignature unless it is one of this key."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.hashes import SHA256

    if key.kind is Kind.ECDSA:
        _public_key(key.name, key.material).verify(signature, message, ECDSA(SHA256()))
    elif key.kind is Kind.MLDSA44_COSIGNATURE:
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

        MLDSA44PublicKey.from_public_bytes(key.material).verify(signature, message)
    else:
        Ed25519PublicKey.from_public_bytes(key.material).verify(signature, message)


def _public_key(name: str, material: bytes) -> "EllipticCurvePublicKey":
    """Read an ECDSA key as note keys have it, in the one way to write it."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_der_public_key,
    )

    try:
        key = load_der_public_key(material)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _no_key(name, "it cannot be read") from error
    if not isinstance(key, EllipticCurvePublicKey) or key.curve.name not in _CURVES:
        raise _no_key(name, "its curve is none of NIST's")
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != material:
        raise _no_key(name, "it is not in DER")
    return key


def _malformed(why: str) -> Distrusted:
    return Distrusted("note.malformed", f"this is no signed note: {why}")


def _no_key(name: str, why: str) -> Distrusted:
    return Distrusted("key.malformed", f"{name[:60]!r} is no key of a note: {why}")
