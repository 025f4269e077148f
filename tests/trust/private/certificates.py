"""Certificates of authorities, and what all certificates share."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from tests.trust.private.keys import Key, p256

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
LONG = (-1000 * DAY, 3000 * DAY)
"""The life of an authority, from the moment that all is relative to."""

Life = tuple[timedelta, timedelta]
_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True, slots=True)
class Certified:
    """A key and the certificate for it."""

    certificate: x509.Certificate
    key: Key

    def issue(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        """Sign a certificate in this one's name."""
        return builder.issuer_name(self.certificate.subject).sign(self.key.private, self.key.hash)

    @property
    def mark(self) -> x509.AuthorityKeyIdentifier:
        """How what it issues points to it."""
        found = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found.value)

    @property
    def spki(self) -> bytes:
        """The certified key, which is not the one that signs where somebody lies."""
        return self.certificate.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )


def named(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "example"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def uses(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use in names for use in _USES})


def blank(subject: x509.Name, key: Key, now: datetime, life: Life) -> x509.CertificateBuilder:
    """Begin a certificate with the fields that all of them have."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + life[0])
        .not_valid_after(now + life[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public), critical=False)
    )


def root(name: str, now: datetime, life: Life = LONG) -> Certified:
    key, subject = p256(), named(name)
    builder = _authority(blank(subject, key, now, life), depth=None)
    return Certified(builder.issuer_name(subject).sign(key.private, key.hash), key)


def intermediate(
    name: str, by: Certified, now: datetime, life: Life = LONG, *, may_issue: bool = True
) -> Certified:
    key = p256()
    builder = blank(named(name), key, now, life).add_extension(by.mark, critical=False)
    if may_issue:
        builder = _authority(builder, depth=0)
    return Certified(by.issue(builder), key)


def _authority(builder: x509.CertificateBuilder, depth: int | None) -> x509.CertificateBuilder:
    constraints = x509.BasicConstraints(ca=True, path_length=depth)
    return builder.add_extension(constraints, critical=True).add_extension(
        uses("key_cert_sign", "crl_sign"), critical=True
    )
