"""The certificate transparency log: signed certificate timestamps (RFC 6962, 3.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from cryptography import x509

from tests.trust.private import der
from tests.trust.private.encoding import Json, base64, public_key
from tests.trust.private.keys import Key, p256

_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_PRECERTIFICATE = 1
_SHA256, _ECDSA = 4, 3  # RFC 5246, 7.4.1.4.1


@dataclass(frozen=True, slots=True)
class CtLog:
    """A log of certificates. Replace its key or its id, and it lies."""

    key: Key
    id: bytes
    name: str = "ct.example"

    def trusted(self, valid_for: Json, details: str = "") -> Json:
        """Write its entry of trusted_root.json."""
        return {
            "baseUrl": f"https://{self.name}",
            "hashAlgorithm": "SHA2_256",
            "publicKey": public_key(self.key.spki, details or self.key.details, valid_for),
            "logId": {"keyId": base64(self.id)},
        }


@dataclass(frozen=True, slots=True)
class Sct:
    """How a certificate was logged; what is not said is done right.

    `by`: another log than the instance's. `content` and `issuer` (a key's hash) are signed in the
    place of the certificate's own. `late`: after the certificate begins to be valid. `told`: how
    much later than what is signed the list says that it was.
    """

    by: CtLog | None = None
    content: bytes | None = None
    issuer: bytes | None = None
    late: timedelta = timedelta()
    told: timedelta = timedelta()
    hash: int = _SHA256


def ct_log() -> CtLog:
    key = p256()
    return CtLog(key, key.id)


def extension(
    scts: Sequence[Sct], log: CtLog, content: bytes, issuer: bytes, when: datetime
) -> x509.UnrecognizedExtension:
    """List timestamps of a certificate: `content` is its TBS without them, `issuer` a key's DER."""
    made = b"".join(
        _vector(2, _timestamp(sct, sct.by or log, content, issuer, when)) for sct in scts
    )
    return x509.UnrecognizedExtension(_LIST, der.octets(_vector(2, made)))


def _timestamp(sct: Sct, log: CtLog, content: bytes, issuer: bytes, when: datetime) -> bytes:
    signed, told = _milliseconds(when + sct.late), _milliseconds(when + sct.late + sct.told)
    of = sct.issuer or sha256(issuer).digest()
    entry = _number(2, _PRECERTIFICATE) + of + _vector(3, sct.content or content)
    signature = log.key.sign(b"\0\0" + signed + entry + _vector(2, b""))
    algorithm = bytes([sct.hash, _ECDSA])
    return b"\0" + log.id + told + _vector(2, b"") + algorithm + _vector(2, signature)


def _milliseconds(when: datetime) -> bytes:
    return _number(8, int(when.timestamp()) * 1000)


def _number(octets: int, value: int) -> bytes:
    return value.to_bytes(octets, "big")


def _vector(octets: int, content: bytes) -> bytes:
    return _number(octets, len(content)) + content
