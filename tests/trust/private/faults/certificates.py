"""Faults of certificates, of who issued them, and of how they were logged."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.trust.private import certificates, der, keys
from tests.trust.private.authority import Authority, Leaf, create
from tests.trust.private.case import Case, Make, case
from tests.trust.private.certificates import DAY, MINUTE
from tests.trust.private.edits import CHAIN, put
from tests.trust.private.encoding import chain
from tests.trust.private.identity import ISSUER, PERSON, Identity, email, person
from tests.trust.private.instance import V02, Instance
from tests.trust.private.transparency import Sct

_OTHER = "https://other.example"
_UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), der.NULL)
_PAST, _FUTURE = (-100 * DAY, -DAY), (DAY, 100 * DAY)


def _leaf(leaf: Leaf) -> Make:
    return lambda it: case(it, who=leaf)


def _issuer(number: int, value: bytes) -> Make:
    """Name the issuer, in one of the two extensions, in another way."""
    return _leaf(Leaf(replace(person(), raw={number: value})))


def _issued_by(made: Callable[[Instance], Authority]) -> Make:
    return lambda it: case(it, who=Leaf(by=made(it)))


def _trusted(made: Callable[[datetime], Authority]) -> Make:
    """Let the authority itself be unusual: it is the one that is trusted."""
    return lambda it: case(replace(it, ca=made(it.now)))


def _logged(*made: Callable[[Instance], Sct]) -> Make:
    return lambda it: case(it, who=Leaf(scts=tuple(one(it) for one in made)))


def _lying(it: Instance) -> Authority:
    return replace(it.ca, issuer=replace(it.ca.issuer, key=keys.p256()))


def _brings_its_issuer(it: Instance) -> Case:
    """Bring the issuer, of a root that is trusted, in the bundle only."""
    issuer = certificates.intermediate("another-issuer", it.ca.root, it.now)
    signer = it.issue(Leaf(by=Authority(issuer, it.ca.root)))
    brought = put(CHAIN, chain(signer.certificate, issuer.certificate))
    return case(it, who=signer, media=V02, edit=brought)


_ISSUERS: Mapping[str, Make] = {
    "ca-foreign": _issued_by(lambda it: it.foreign().ca),
    "ca-key-other": _issued_by(_lying),
    "ca-only-in-bundle": _brings_its_issuer,
    "ca-issuer-expired": _trusted(lambda now: create(now, of_issuer=_PAST)),
    "ca-issuer-not-yet-valid": _trusted(lambda now: create(now, of_issuer=_FUTURE)),
    "ca-issuer-may-not-issue": _trusted(lambda now: create(now, may_issue=False)),
    "ca-root-expired": _trusted(lambda now: create(now, of_root=_PAST)),
}
_LEAVES: Mapping[str, Make] = {
    "leaf-expired": _leaf(Leaf(life=(-20 * MINUTE, -10 * MINUTE))),
    "leaf-not-yet-valid": _leaf(Leaf(life=(MINUTE, 11 * MINUTE))),
    "leaf-without-digital-signature": _leaf(Leaf(usages=("key_agreement",))),
    "leaf-without-usage": _leaf(Leaf(usages=())),
    "leaf-without-code-signing": _leaf(Leaf(extended=(ExtendedKeyUsageOID.CLIENT_AUTH,))),
    "leaf-without-extended-usage": _leaf(Leaf(extended=())),
    "leaf-rsa": _leaf(Leaf(key=keys.rsa2048)),
    "leaf-ed25519": _leaf(Leaf(key=keys.ed25519)),
    "leaf-p521": _leaf(Leaf(key=keys.p521)),
    "leaf-is-ca": _leaf(Leaf(may_issue=True)),
    "leaf-for-certificates": _leaf(Leaf(usages=("digital_signature", "key_cert_sign"))),
    "leaf-critical-extension": _leaf(Leaf(more=(_UNKNOWN,))),
}
_IDENTITIES: Mapping[str, Make] = {
    "identity-other": lambda it: case(it, identity="other@example.org"),
    "identity-longer": lambda it: case(it, identity=f"{PERSON}.evil.example"),
    "identity-shorter": lambda it: case(it, identity=PERSON.removesuffix(".org")),
    "identity-in-capitals": lambda it: case(it, identity=PERSON.upper()),
    "identity-empty": lambda it: case(it, identity=""),
    "identity-none": _leaf(Leaf(Identity(()))),
    "identity-one-of-two": _leaf(Leaf(Identity((email(PERSON), email("other@example.org"))))),
    "identity-of-a-host": lambda it: case(
        it, who=Leaf(Identity((x509.DNSName("host.example"),))), identity="host.example"
    ),
    "issuer-other": lambda it: case(it, issuer=_OTHER),
    "issuer-longer": lambda it: case(it, issuer=f"{ISSUER}/"),
    "issuer-none": _leaf(Leaf(replace(person(), issuer_in=()))),
    "issuer-only-old": _leaf(Leaf(replace(person(), issuer_in=(1,)))),
    "issuer-old-differs": _issuer(1, _OTHER.encode()),
    "issuer-not-der": _issuer(8, ISSUER.encode()),
    "issuer-of-another-type": _issuer(8, der.tagged(0x16, ISSUER.encode())),
    "issuer-and-more": _issuer(8, der.text(ISSUER) + der.NULL),
}
_SCTS: Mapping[str, Make] = {
    "sct-none": _leaf(Leaf(scts=())),
    "sct-two": _leaf(Leaf(scts=(Sct(), Sct()))),
    "sct-log-foreign": _logged(lambda it: Sct(by=it.foreign().ct)),
    "sct-key-other": _logged(lambda it: Sct(by=replace(it.ct, key=keys.p256()))),
    "sct-log-unknown": _logged(lambda it: Sct(by=replace(it.ct, id=bytes(32)))),
    "sct-content-other": _leaf(Leaf(scts=(Sct(content=b"another certificate"),))),
    "sct-issuer-other": _leaf(Leaf(scts=(Sct(issuer=bytes(32)),))),
    "sct-time-altered": _leaf(Leaf(scts=(Sct(told=MINUTE),))),
    "sct-hash-other": _leaf(Leaf(scts=(Sct(hash=6),))),
}
CERTIFICATES: Mapping[str, Make] = {**_ISSUERS, **_LEAVES, **_IDENTITIES, **_SCTS}
