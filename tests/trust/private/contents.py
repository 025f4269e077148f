"""What can be signed, and how each version of Rekor records it. Pure.

Rekor v1: hashedrekord 0.0.1 and dsse 0.0.1. Rekor v2: hashedrekord 0.0.2 for both, where an
envelope is the hash of its PAE (secure-systems-lab/dsse, protocol.md).
"""

from dataclasses import dataclass
from hashlib import sha256, sha384

from tests.trust.private.authority import Signer
from tests.trust.private.encoding import Json, base64, canonical

IN_TOTO = "application/vnd.in-toto+json"


@dataclass(frozen=True, slots=True)
class Artifact:
    """Bytes whose digest is signed."""

    content: bytes

    @property
    def message(self) -> bytes:
        return self.content

    def part(self, signature: bytes) -> Json:
        """Write what the bundle says of it."""
        digest = {"algorithm": "SHA2_256", "digest": base64(sha256(self.content).digest())}
        return {"messageSignature": {"messageDigest": digest, "signature": base64(signature)}}

    def entry(self, version: int, signer: Signer, signature: bytes) -> Json:
        """Write the body of its log entry."""
        if version == 2:
            return _recorded("SHA2_256", sha256(self.content).digest(), signer, signature)
        return _entry(
            "hashedrekord",
            {
                "data": {"hash": _sha256(self.content)},
                "signature": {
                    "content": base64(signature),
                    "publicKey": {"content": base64(signer.pem)},
                },
            },
        )


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload that is signed with its type: DSSE."""

    payload: bytes
    payload_type: str = IN_TOTO

    @property
    def message(self) -> bytes:
        """Its PAE."""
        kind = self.payload_type.encode()
        sizes = str(len(kind)).encode(), str(len(self.payload)).encode()
        return b" ".join((b"DSSEv1", sizes[0], kind, sizes[1], self.payload))

    def part(self, signature: bytes) -> Json:
        """Write what the bundle says of it."""
        return {
            "dsseEnvelope": {
                "payload": base64(self.payload),
                "payloadType": self.payload_type,
                "signatures": [{"sig": base64(signature)}],
            }
        }

    def entry(self, version: int, signer: Signer, signature: bytes) -> Json:
        """Write the body of its log entry."""
        if version == 2:
            return self._hashed(signer, signature)
        made = {"signature": base64(signature), "verifier": base64(signer.pem)}
        envelope = canonical(self.part(signature)["dsseEnvelope"])
        return _entry(
            "dsse",
            {
                "envelopeHash": _sha256(envelope),
                "payloadHash": _sha256(self.payload),
                "signatures": [made],
            },
        )

    def _hashed(self, signer: Signer, signature: bytes) -> Json:
        """Record the hash that goes with the signer's key, as the algorithm registry has it."""
        if "P384" in signer.key.details:
            return _recorded("SHA2_384", sha384(self.message).digest(), signer, signature)
        return _recorded("SHA2_256", sha256(self.message).digest(), signer, signature)


Content = Artifact | Envelope


def _entry(kind: str, spec: Json, version: str = "0.0.1") -> Json:
    return {"apiVersion": version, "kind": kind, "spec": spec}


def _recorded(algorithm: str, digest: bytes, signer: Signer, signature: bytes) -> Json:
    verifier = {
        "keyDetails": signer.key.details,
        "x509Certificate": {"rawBytes": base64(signer.der)},
    }
    spec = {
        "data": {"algorithm": algorithm, "digest": base64(digest)},
        "signature": {"content": base64(signature), "verifier": verifier},
    }
    return _entry("hashedrekord", {"hashedRekordV002": spec}, "0.0.2")


def _sha256(content: bytes) -> Json:
    return {"algorithm": "sha256", "value": sha256(content).hexdigest()}
