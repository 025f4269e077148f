"""Keys that sign notes and checkpoints, the bytes laid out here once more."""

import base64
import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from snaproot.tlog.note import Key, Kind

ORIGIN, SIZE = "log.example/releases", 20852163
ROOT = hashlib.sha256(b"the tree").digest()
NOON = 1_790_000_000
"""Seconds, in September 2026."""


def base64d(data: bytes) -> str:
    return base64.b64encode(data).decode()


def head(
    origin: str = ORIGIN, size: int = SIZE, root: bytes = ROOT, extensions: tuple[str, ...] = ()
) -> str:
    return "".join(f"{line}\n" for line in (origin, size, base64d(root), *extensions))


@dataclass(frozen=True)
class Signer:
    """A key with its private half; `sign` takes a message and returns the bare signature."""

    key: Key
    sign: Callable[[bytes], bytes]

    @property
    def vkey(self) -> str:
        key = self.key
        return f"{key.name}+{key.id.hex()}+{base64d(bytes([key.kind]) + key.material)}"

    def line(self, text: str, time: int = NOON) -> str:
        """Sign a note's text; a cosignature is of this time."""
        if self.key.kind in {Kind.ED25519, Kind.ECDSA}:
            return self._line(self.sign(text.encode()))
        message = f"cosignature/v1\ntime {time}\n{text}".encode()
        if self.key.kind is Kind.MLDSA44_COSIGNATURE:
            message = subtree(self.key.name, text, time)
        return self._line(struct.pack(">Q", time) + self.sign(message))

    def _line(self, signature: bytes) -> str:
        return f"— {self.key.name} {base64d(self.key.id + signature)}\n"


def subtree(name: str, text: str, time: int) -> bytes:
    origin, size, root = text.split("\n")[:3]
    by, of = name.encode(), origin.encode()
    form = f">12sB{len(by)}sQB{len(of)}sQQ32s"
    tree = (0, int(size), base64.b64decode(root))
    return struct.pack(form, b"subtree/v1\n\0", len(by), by, time, len(of), of, *tree)


def signed(text: str, *signers: Signer, time: int = NOON) -> str:
    return f"{text}\n" + "".join(signer.line(text, time) for signer in signers)


def ed25519(name: str, kind: Kind = Kind.ED25519, seed: str = "") -> Signer:
    private = Ed25519PrivateKey.from_private_bytes(_seed(seed or name))
    return Signer(Key(name, kind, private.public_key().public_bytes_raw()), private.sign)


def witness(name: str) -> Signer:
    return ed25519(name, Kind.ED25519_COSIGNATURE)


def mldsa44(name: str) -> Signer:
    private = MLDSA44PrivateKey.from_seed_bytes(_seed(name))
    public = private.public_key().public_bytes_raw()
    return Signer(Key(name, Kind.MLDSA44_COSIGNATURE, public), private.sign)


def ecdsa(name: str, curve: ec.EllipticCurve | None = None) -> Signer:
    private = ec.derive_private_key(int.from_bytes(_seed(name)), curve or ec.SECP256R1())
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    key = Key(name, Kind.ECDSA, private.public_key().public_bytes(*form))
    return Signer(key, lambda message: private.sign(message, ec.ECDSA(SHA256())))


def _seed(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
