"""A signing certificate by Fulcio's profile, read before the library sees it.

The profile is stricter here than in the library where it would let the caller choose: one name, one
issuer, a key of a kind that it can verify. Extensions: Fulcio's oid-info.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from snaproot.hashing import sha256
from snaproot.trust.facts import Distrusted
from snaproot.trust.root import Issuer

if TYPE_CHECKING:
    from cryptography.x509 import Certificate as X509
    from cryptography.x509 import ExtensionType

_Kind = TypeVar("_Kind", bound="ExtensionType")

_ARC = "1.3.6.1.4.1.57264.1"
_OTHER_NAME = f"{_ARC}.7"
_ISSUER_RAW, _ISSUER = 1, 8
CLAIMS: Mapping[str, int] = MappingProxyType(
    {
        "build_signer_uri": 9,
        "build_signer_digest": 10,
        "runner_environment": 11,
        "source_repository": 12,
        "source_repository_digest": 13,
        "source_repository_ref": 14,
        "source_repository_id": 15,
        "source_repository_owner": 16,
        "source_repository_owner_id": 17,
        "build_config_uri": 18,
        "build_config_digest": 19,
        "build_trigger": 20,
        "run_invocation": 21,
        "source_repository_visibility": 22,
    }
)
"""What a policy calls a claim, and the last arc of its extension."""


@dataclass(frozen=True, slots=True)
class Promise:
    """The signed certificate timestamp: the log's name for itself, and when it saw this."""

    log: bytes
    time: datetime


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a signing certificate says. Nothing of it is believed before it was verified."""

    fingerprint: str
    identity: str
    issuer: str
    claims: Mapping[str, str]
    issued_by: Issuer
    valid: tuple[datetime, datetime]
    promise: Promise


def read(certificate: "X509") -> Certificate:
    """Read a leaf. Raises Distrusted where it is not of the profile."""
    _check_key(certificate)
    _check_usage(certificate)
    return Certificate(
        fingerprint=fingerprint(certificate),
        identity=_identity(certificate),
        issuer=_issuer(certificate),
        claims=_claims(certificate),
        issued_by=_issued_by(certificate),
        valid=(certificate.not_valid_before_utc, certificate.not_valid_after_utc),
        promise=_promise(certificate),
    )


def as_issuer(certificate: "X509") -> Issuer:
    """Return how those that this one issues name it."""
    from cryptography import x509

    own = _extended(certificate, x509.SubjectKeyIdentifier)
    return Issuer(certificate.subject.public_bytes(), own.digest if own else b"")


def fingerprint(certificate: "X509") -> str:
    """Return the SHA-256 of the DER, in hexadecimal."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def _check_key(certificate: "X509") -> None:
    """Refuse keys that the library cannot verify with: it would raise what is not its own."""
    from cryptography.hazmat.primitives.asymmetric import ec

    key = certificate.public_key()
    known = (ec.SECP256R1, ec.SECP384R1)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, known):
        raise Distrusted(
            "certificate.key-kind",
            "the certificate has a key that is neither on P-256 nor on P-384; it was not believed",
        )


def _check_usage(certificate: "X509") -> None:
    """Look for both usages: without any, the library raises what is not its own."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    usage = _extended(certificate, x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        raise Distrusted(
            "certificate.key-usage", "the certificate is not for signatures; it was not believed"
        )
    extended = _extended(certificate, x509.ExtendedKeyUsage)
    if extended is None or ExtendedKeyUsageOID.CODE_SIGNING not in extended:
        raise Distrusted(
            "certificate.extended-usage",
            "the certificate is not for signing code; it was not believed",
        )


def _issued_by(certificate: "X509") -> Issuer:
    from cryptography import x509

    named = _extended(certificate, x509.AuthorityKeyIdentifier)
    return Issuer(certificate.issuer.public_bytes(), (named and named.key_identifier) or b"")


def _identity(certificate: "X509") -> str:
    from cryptography import x509

    names = list(_extended(certificate, x509.SubjectAlternativeName) or ())
    if len(names) != 1:
        raise Distrusted(
            "certificate.names", f"the certificate has {len(names)} names, not one; whose is it?"
        )
    return _name(names[0])


def _name(name: object) -> str:
    from cryptography import x509

    if isinstance(name, x509.RFC822Name | x509.UniformResourceIdentifier):
        return _printable(name.value)
    if isinstance(name, x509.OtherName) and name.type_id.dotted_string == _OTHER_NAME:
        return _utf8(name.value)
    raise Distrusted(
        "certificate.name-kind", "the certificate's name is neither e-mail, URI nor user name"
    )


def _issuer(certificate: "X509") -> str:
    """Who authenticated the identity: in two extensions, which must not disagree."""
    raw, encoded = _extension(certificate, _ISSUER_RAW), _extension(certificate, _ISSUER)
    said = {_text(raw)} if raw is not None else set()
    said |= {_utf8(encoded)} if encoded is not None else set()
    if len(said) != 1:
        raise Distrusted(
            "certificate.issuer-claim",
            f"the certificate names {len(said)} issuers of its identity, not one",
        )
    return said.pop()


def _claims(certificate: "X509") -> Mapping[str, str]:
    found = {name: _extension(certificate, arc) for name, arc in CLAIMS.items()}
    return MappingProxyType({name: _utf8(value) for name, value in found.items() if value})


def _promise(certificate: "X509") -> Promise:
    from datetime import UTC

    from cryptography import x509

    listed = _extended(certificate, x509.PrecertificateSignedCertificateTimestamps)
    if listed is None:
        raise Distrusted(
            "sct.missing", "no log has promised to show the certificate; it was not believed"
        )
    promises = list(listed)
    if len(promises) != 1:
        raise Distrusted("sct.count", f"the certificate has {len(promises)} promises, not one")
    return Promise(promises[0].log_id, promises[0].timestamp.replace(tzinfo=UTC))


def _extended(certificate: "X509", kind: type[_Kind]) -> _Kind | None:
    from cryptography.x509 import ExtensionNotFound

    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except ExtensionNotFound:
        return None


def _extension(certificate: "X509", arc: int) -> bytes | None:
    from cryptography import x509

    wanted = x509.ObjectIdentifier(f"{_ARC}.{arc}")
    for extension in certificate.extensions:
        if extension.oid == wanted and isinstance(extension.value, x509.UnrecognizedExtension):
            return extension.value.value
    return None


def _utf8(der: bytes) -> str:
    """Read a DER UTF8String, and nothing behind it."""
    from cryptography.hazmat import asn1

    try:
        return _printable(asn1.decode_der(str, der))
    except ValueError:
        raise Distrusted(
            "certificate.extension", "an extension of the certificate is malformed"
        ) from None


def _text(content: bytes) -> str:
    try:
        return _printable(content.decode())
    except UnicodeDecodeError:
        raise Distrusted(
            "certificate.extension", "an extension of the certificate is not UTF-8"
        ) from None


def _printable(text: str) -> str:
    """Let no name through that looks like another one, or writes to a terminal."""
    if not text.isprintable():
        raise Distrusted(
            "certificate.extension", "an extension of the certificate has control characters"
        )
    return text
