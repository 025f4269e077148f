"""The timestamp authority: RFC 3161 tokens, in CMS (RFC 5652) written by hand."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.trust.private import certificates, der, keys
from tests.trust.private.certificates import LONG, Certified, Life, blank, named, uses
from tests.trust.private.encoding import Json, authority, encoded

SHA256, SHA1 = "2.16.840.1.101.3.4.2.1", "1.3.14.3.2.26"
TOKEN, DATA = "1.2.840.113549.1.9.16.1.4", "1.2.840.113549.1.7.1"
"""Content types: what a token holds, and what it does not."""
_SIGNED_DATA, _ECDSA_SHA256 = "1.2.840.113549.1.7.2", "1.2.840.10045.4.3.2"
_CONTENT_TYPE, _DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.47"  # ESSCertIDv2, RFC 5816
_POLICY = "1.3.6.1.4.1.57264.2"


@dataclass(frozen=True, slots=True)
class Tsa:
    """An authority for times, and its chain from the signer to the root."""

    signer: Certified
    chain: tuple[x509.Certificate, ...]

    def trusted(self, valid_for: Json) -> Json:
        """Write its entry of trusted_root.json."""
        return authority("tsa", self.chain, valid_for, "tsa")


@dataclass(frozen=True, slots=True)
class Stamp:
    """A timestamp over a signature; what is not said is done right.

    `by`: another authority than the instance's. `late`: after the instance's now. `over`: other
    bytes than the signature. `holds`: the type of the content; `content_type`, `digest` and
    `certificate` are what the signed attributes say of that, of its hash, and of the hash of the
    signer's certificate. `bare`: without that certificate.
    """

    by: Tsa | None = None
    late: timedelta = timedelta()
    over: bytes | None = None
    status: int = 0
    imprint: str = SHA256
    holds: str = TOKEN
    content_type: str = TOKEN
    digest: bytes | None = None
    certificate: bytes | None = None
    bare: bool = False
    serial: int = 1


def create(
    now: datetime,
    *,
    life: Life = LONG,
    purpose: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.TIME_STAMPING,
    critical: bool = True,
) -> Tsa:
    """Make an authority; life, purpose and its weight are those of the signing certificate."""
    root, key = certificates.root("tsa", now), keys.p256()
    builder = blank(named("tsa-signer"), key, now, life)
    builder = builder.add_extension(root.mark, critical=False)
    builder = builder.add_extension(uses("digital_signature"), critical=True)
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=critical)
    signer = Certified(root.issue(builder), key)
    return Tsa(signer, (signer.certificate, root.certificate))


def respond(stamp: Stamp, tsa: Tsa, signature: bytes, now: datetime) -> bytes:
    """Write a TimeStampResp (RFC 3161, 2.4.2)."""
    tsa = stamp.by or tsa
    message = signature if stamp.over is None else stamp.over
    token = _token(stamp, tsa, _info(stamp, message, now + stamp.late))
    return der.sequence(der.sequence(der.integer(stamp.status)), token)


def _info(stamp: Stamp, message: bytes, when: datetime) -> bytes:
    """Write the TSTInfo: what was there, and when."""
    imprint = der.sequence(_algorithm(stamp.imprint), der.octets(sha256(message).digest()))
    return der.sequence(
        der.integer(1), der.oid(_POLICY), imprint, der.integer(stamp.serial), der.time(when)
    )


def _token(stamp: Stamp, tsa: Tsa, info: bytes) -> bytes:
    """Write the ContentInfo with the SignedData around an info."""
    certificate = b"" if stamp.bare else der.context(0, encoded(tsa.signer.certificate))
    return der.sequence(
        der.oid(_SIGNED_DATA),
        der.context(
            0,
            der.sequence(
                der.integer(3),
                der.set_of(_algorithm(SHA256)),
                der.sequence(der.oid(stamp.holds), der.context(0, der.octets(info))),
                certificate,
                der.set_of(_signer(stamp, tsa, info)),
            ),
        ),
    )


def _signer(stamp: Stamp, tsa: Tsa, info: bytes) -> bytes:
    """Write the SignerInfo. What is signed is the attributes as a SET, what is sent has tag [0]."""
    attributes = der.set_of(*_attributes(stamp, tsa, info))
    certificate = tsa.signer.certificate
    return der.sequence(
        der.integer(1),
        der.sequence(certificate.issuer.public_bytes(), der.integer(certificate.serial_number)),
        _algorithm(SHA256),
        b"\xa0" + attributes[1:],
        der.sequence(der.oid(_ECDSA_SHA256)),
        der.octets(tsa.signer.key.sign(attributes)),
    )


def _attributes(stamp: Stamp, tsa: Tsa, info: bytes) -> tuple[bytes, ...]:
    digest = stamp.digest or sha256(info).digest()
    certificate = stamp.certificate or sha256(encoded(tsa.signer.certificate)).digest()
    shown = der.sequence(der.sequence(der.sequence(der.octets(certificate))))
    return (
        _attribute(_CONTENT_TYPE, der.oid(stamp.content_type)),
        _attribute(_DIGEST, der.octets(digest)),
        _attribute(_SIGNING_CERTIFICATE, shown),
    )


def _attribute(kind: str, value: bytes) -> bytes:
    return der.sequence(der.oid(kind), der.set_of(value))


def _algorithm(name: str) -> bytes:
    return der.sequence(der.oid(name), der.NULL)
