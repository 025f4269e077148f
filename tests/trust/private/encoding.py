"""JSON as Sigstore writes it (protobuf's mapping), and base64. Pure."""

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

Json = dict[str, Any]


def base64(content: bytes) -> str:
    return b64encode(content).decode()


def canonical(value: Json) -> bytes:
    """Write JSON as RFC 8785 has it, for objects of ASCII, whole numbers and objects."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def written(when: datetime) -> str:
    """Write a time as RFC 3339 does."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def public_key(spki: bytes, details: str, valid_for: Json) -> Json:
    return {"rawBytes": base64(spki), "keyDetails": details, "validFor": valid_for}


def chain(*certificates: x509.Certificate) -> Json:
    return {"certificates": [{"rawBytes": base64(encoded(one))} for one in certificates]}


def encoded(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def authority(
    name: str, certificates: tuple[x509.Certificate, ...], valid_for: Json, service: str
) -> Json:
    """Write an entry of certificateAuthorities or timestampAuthorities."""
    return {
        "subject": {"organization": "example", "commonName": name},
        "uri": f"https://{service}.example",
        "certChain": chain(*certificates),
        "validFor": valid_for,
    }
