"""The authority that gives signers their certificates: a root, an intermediate, short lives."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from tests.trust.private import certificates
from tests.trust.private.certificates import LONG, MINUTE, Certified, Life, blank, uses
from tests.trust.private.encoding import Json, authority, encoded
from tests.trust.private.identity import Identity, person
from tests.trust.private.keys import Key, p256
from tests.trust.private.transparency import CtLog, Sct, extension


@dataclass(frozen=True, slots=True)
class Signer:
    """A key and its certificate, which may sign more than once."""

    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return encoded(self.certificate)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


@dataclass(frozen=True, slots=True)
class Authority:
    """Who issues, and the root of that. Replace the issuer's key, and it lies."""

    issuer: Certified
    root: Certified

    def trusted(self, valid_for: Json) -> Json:
        """Write its entry of trusted_root.json."""
        chain = (self.issuer.certificate, self.root.certificate)
        return authority("ca", chain, valid_for, "fulcio")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A signer's certificate; what is not said is as Fulcio does it.

    `life` is relative to the instance's now. Empty `usages` or `extended`: no such extension.
    `by` is another authority than the instance's. `more` are further, critical extensions.
    """

    identity: Identity = field(default_factory=person)
    life: Life = (-MINUTE, 9 * MINUTE)
    key: Callable[[], Key] = p256
    usages: tuple[str, ...] = ("digital_signature",)
    extended: tuple[ObjectIdentifier, ...] = (ExtendedKeyUsageOID.CODE_SIGNING,)
    may_issue: bool = False
    scts: tuple[Sct, ...] = (Sct(),)
    by: Authority | None = None
    more: tuple[x509.ExtensionType, ...] = ()


def create(
    now: datetime, *, of_root: Life = LONG, of_issuer: Life = LONG, may_issue: bool = True
) -> Authority:
    """Make an authority; `may_issue` is the intermediate's right to."""
    root = certificates.root("ca", now, of_root)
    issuer = certificates.intermediate("ca-issuer", root, now, of_issuer, may_issue=may_issue)
    return Authority(issuer, root)


def issue(leaf: Leaf, ca: Authority, log: CtLog, now: datetime) -> Signer:
    """Make a signer: log the certificate first, then issue it with what the log answered."""
    key, issuer = leaf.key(), (leaf.by or ca).issuer
    builder = _profile(leaf, key, issuer, now)
    if leaf.scts:
        content = issuer.issue(builder).tbs_certificate_bytes
        logged = extension(leaf.scts, log, content, issuer.spki, now + leaf.life[0])
        builder = builder.add_extension(logged, critical=False)
    return Signer(issuer.issue(builder), key)


def _profile(leaf: Leaf, key: Key, issuer: Certified, now: datetime) -> x509.CertificateBuilder:
    builder = blank(x509.Name([]), key, now, leaf.life).add_extension(issuer.mark, critical=False)
    for said, critical in _extensions(leaf):
        builder = builder.add_extension(said, critical=critical)
    return builder


def _extensions(leaf: Leaf) -> Iterator[tuple[x509.ExtensionType, bool]]:
    """Yield what a certificate says, and whether it is critical; the subject is empty."""
    if leaf.identity.names:
        yield x509.SubjectAlternativeName(leaf.identity.names), True
    if leaf.usages:
        yield uses(*leaf.usages), True
    if leaf.extended:
        yield x509.ExtendedKeyUsage(leaf.extended), False
    if leaf.may_issue:
        yield x509.BasicConstraints(ca=True, path_length=None), True
    yield from ((said, False) for said in leaf.identity.extensions())
    yield from ((said, True) for said in leaf.more)
