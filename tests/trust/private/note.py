"""Checkpoints as signed notes, and the witnesses that cosign them (C2SP)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from tests.trust.private.encoding import base64

T = TypeVar("T")
ED25519, COSIGNATURE, MLDSA44 = 1, 4, 6
"""Signature types of c2sp.org/signed-note and c2sp.org/tlog-cosignature."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a log says that it is: c2sp.org/tlog-checkpoint, with its extension lines."""

    origin: str
    size: int
    root: bytes
    lines: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        said = (self.origin, str(self.size), base64(self.root), *self.lines)
        return "".join(f"{line}\n" for line in said)


def as_it_is(said: T) -> T:
    return said


@dataclass(frozen=True, slots=True)
class Witness:
    """Somebody who cosigns what logs say, with Ed25519 or ML-DSA-44.

    `late`: after the instance's now. `says`: what it signs in the place of what the log says.
    """

    name: str
    private: Ed25519PrivateKey | MLDSA44PrivateKey
    late: timedelta = timedelta()
    says: Callable[[Head], Head] = as_it_is

    @property
    def kind(self) -> int:
        return COSIGNATURE if isinstance(self.private, Ed25519PrivateKey) else MLDSA44

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    def vkey(self) -> str:
        """Write the key as c2sp.org/signed-note's verifier keys are written."""
        key = key_id(self.name, self.kind, self.public)[:4]
        return f"{self.name}+{key.hex()}+{base64(bytes([self.kind]) + self.public)}"

    def cosign(self, head: Head, now: datetime) -> str:
        """Write the line that says: `head` was consistent now, and the largest seen."""
        when = int((now + self.late).timestamp())
        stamp = when.to_bytes(8, "big")
        made = stamp + self.private.sign(self._message(self.says(head), when, stamp))
        return line(self.name, key_id(self.name, self.kind, self.public), made)

    def _message(self, head: Head, when: int, stamp: bytes) -> bytes:
        if self.kind == COSIGNATURE:
            return f"cosignature/v1\ntime {when}\n{head.text}".encode()
        span = bytes(8) + head.size.to_bytes(8, "big")
        names = _short(self.name) + stamp + _short(head.origin)
        return b"subtree/v1\n\0" + names + span + head.root


def witness(name: str = "witness.example/w1") -> Witness:
    return Witness(name, Ed25519PrivateKey.generate())


def quantum_witness(name: str = "witness.example/w2") -> Witness:
    """Make a witness that signs with ML-DSA-44."""
    return Witness(name, MLDSA44PrivateKey.generate())


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """Name a key; a note shows four octets of it, Rekor v2 all."""
    return sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()


def line(name: str, key: bytes, signature: bytes) -> str:
    """Write a signature line, which begins with U+2014."""
    return f"\u2014 {name} {base64(key[:4] + signature)}\n"


def _short(text: str) -> bytes:
    return bytes([len(text.encode())]) + text.encode()
