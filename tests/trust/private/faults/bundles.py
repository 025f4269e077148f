"""Faults of bundles: their form, and the signature over an artifact."""

from base64 import b64decode
from collections.abc import Callable, Mapping

from tests.trust.private import edits, keys
from tests.trust.private.authority import Leaf
from tests.trust.private.case import Case, Make, case, statement
from tests.trust.private.edits import (
    CERTIFICATE,
    CHAIN,
    ENTRY,
    MATERIAL,
    SIGNATURE,
    Edit,
    both,
    change,
    drop,
    put,
)
from tests.trust.private.encoding import base64, chain
from tests.trust.private.instance import V01, V02, V03_NEW, Instance

_RAW = f"{CERTIFICATE}/rawBytes"
_DIGEST = "messageSignature/messageDigest"
_HINT = {"hint": "a key"}


def _edited(*changes: Edit) -> Make:
    return lambda it: case(it, edit=both(*changes))


def _media(media: str) -> Make:
    """Name another format; what it holds is as the newest has it."""
    return _edited(put("mediaType", media))


def _written(how: Callable[[bytes], bytes]) -> Make:
    return lambda it: case(it, text=how)


def _two_contents(it: Instance) -> Case:
    """Hold an envelope beside the signature; each is the signer's."""
    signer = it.issue(Leaf())
    other = it.sign(statement(), who=signer)
    return case(it, who=signer, edit=put(edits.ENVELOPE, other[edits.ENVELOPE]))


def _issuer_first(it: Instance) -> Case:
    signer = it.issue(Leaf())
    listed = chain(it.ca.issuer.certificate, signer.certificate)
    return case(it, who=signer, media=V02, edit=put(CHAIN, listed))


def _certificate_of_the_issuer(it: Instance) -> Case:
    return case(it, edit=put(CERTIFICATE, chain(it.ca.issuer.certificate)["certificates"][0]))


def _chain_in_the_newest(it: Instance) -> Case:
    return case(it, media=V02, edit=put("mediaType", V03_NEW))


_FORMS: Mapping[str, Make] = {
    "media-unknown": _media("application/vnd.dev.sigstore.bundle.v0.9+json"),
    "media-none": _edited(drop("mediaType")),
    "media-with-chain": _chain_in_the_newest,
    "media-without-chain": _media(V02),
    "media-without-promise": lambda it: case(it, media=V01),
    "field-unknown": _edited(put("more", "more")),
    "field-unknown-inside": _edited(put(f"{ENTRY}/more", "more")),
    "field-twice": _written(lambda text: b'{"mediaType": "unknown",' + text[1:]),
    "field-number": _edited(change(f"{ENTRY}/inclusionProof/treeSize", int)),
    "field-list": _edited(put("messageSignature", [])),
    "field-null": _edited(put(MATERIAL, None)),
    "not-json": _written(lambda text: text[:-1]),
    "not-an-object": _written(lambda text: b"[" + text + b"]"),
    "not-utf8": _written(lambda text: text.replace(b'"mediaType"', b'"media\xff"')),
    "empty": _written(lambda _: b""),
    "too-deep": _written(lambda _: b"[" * 100_000),
    "and-more": _written(lambda text: text + b"{}"),
    "neither-signature-nor-envelope": _edited(drop("messageSignature")),
    "signature-and-envelope": _two_contents,
}
_CERTIFICATES: Mapping[str, Make] = {
    "key-instead-of-certificate": _edited(drop(CERTIFICATE), put(f"{MATERIAL}/publicKey", _HINT)),
    "key-beside-certificate": _edited(put(f"{MATERIAL}/publicKey", _HINT)),
    "certificate-missing": _edited(drop(CERTIFICATE)),
    "certificate-empty": _edited(put(_RAW, "")),
    "certificate-not-der": _edited(put(_RAW, base64(b"a certificate"))),
    "certificate-and-more": _edited(change(_RAW, lambda text: base64(b64decode(text) + b"\0"))),
    "certificate-flipped": _edited(change(_RAW, edits.flipped)),
    "certificate-of-the-issuer": _certificate_of_the_issuer,
    "chain-empty": lambda it: case(it, media=V02, edit=put(f"{CHAIN}/certificates", [])),
    "chain-issuer-first": _issuer_first,
}
_BASE64: Mapping[str, Make] = {
    f"base64-{name}": _edited(put(path, "****"))
    for name, path in {
        "signature": SIGNATURE,
        "digest": f"{_DIGEST}/digest",
        "certificate": _RAW,
        "body": f"{ENTRY}/canonicalizedBody",
        "log-id": f"{ENTRY}/logId/keyId",
        "root": f"{ENTRY}/inclusionProof/rootHash",
        "hash": f"{ENTRY}/inclusionProof/hashes/0",
    }.items()
}
_SIGNATURES: Mapping[str, Make] = {
    "artifact-other": lambda it: case(it, artifact=b"another image\n"),
    "artifact-empty": lambda it: case(it, artifact=b""),
    "artifact-and-more": lambda it: case(it, artifact=b"the image\n\n"),
    "digest-other": _edited(put(f"{_DIGEST}/digest", base64(bytes(32)))),
    "digest-algorithm-other": _edited(put(f"{_DIGEST}/algorithm", "SHA2_512")),
    "digest-algorithm-unknown": _edited(put(f"{_DIGEST}/algorithm", "MD5")),
    "signature-over-other": lambda it: case(it, signed=b"another image\n"),
    "signature-by-another-key": lambda it: case(it, key=keys.p256()),
    "signature-flipped": lambda it: case(it, rekor=1, edit=change(SIGNATURE, edits.flipped)),
    "signature-empty": _edited(put(SIGNATURE, "")),
    "signature-missing": _edited(drop(SIGNATURE)),
    "signature-with-junk": _edited(change(SIGNATURE, lambda text: f"{text[:9]}*{text[9:]}")),
}
BUNDLES: Mapping[str, Make] = {**_FORMS, **_CERTIFICATES, **_BASE64, **_SIGNATURES}
