"""Bundles and trusted roots, read once from bytes: nothing is looked up by a name afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snaproot.hashing import sha256
from snaproot.trust import certificate as certificates
from snaproot.trust import documents
from snaproot.trust.certificate import Certificate
from snaproot.trust.facts import Distrusted, Unverifiable
from snaproot.trust.root import Authority, LogKey, Root, Window
from snaproot.trust.sigstore.reasons import READING, refusing, said

if TYPE_CHECKING:
    from sigstore.models import Bundle as Given
    from sigstore_models.common.v1 import PublicKey, TimeRange
    from sigstore_models.trustroot import v1

LARGEST = 16 << 20
"""Bytes of a bundle or trusted root: an attestation of thousands of files has a few MiB."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """One bundle: what it says, and the library's own object, which verifies it."""

    name: str
    given: "Given"
    certificate: Certificate
    log: bytes
    checkpoint: str
    tree_size: int
    is_attestation: bool
    is_stamped: bool


@dataclass(frozen=True, slots=True)
class Instance:
    """A trusted root: what it says, and the library's own model, which is narrowed."""

    root: Root
    model: "v1.TrustedRoot"


def bundle(raw: bytes, name: str) -> Bundle:
    """Read a bundle; `name` tells it in errors. Raises Distrusted."""
    from sigstore.models import Bundle as Given

    if len(raw) > LARGEST:
        raise Distrusted("bundle.size", f"{name} is larger than {LARGEST >> 20} MiB")
    with refusing(READING, "bundle.malformed", name):
        _check_media_type(documents.load(raw, LARGEST), name)
        given = Given.from_json(raw)
        entry = given.log_entry._inner  # noqa: SLF001 - it has no public name
        checkpoint = entry.inclusion_proof.checkpoint
        with refusing({}, "log.entry", f"the log entry of {name}"):
            documents.load(entry.canonicalized_body, LARGEST)
        return Bundle(
            name=name,
            given=given,
            certificate=certificates.read(given.signing_certificate),
            log=entry.log_id.key_id,
            checkpoint=checkpoint.envelope if checkpoint else "",
            tree_size=entry.inclusion_proof.tree_size,
            is_attestation=given._inner.dsse_envelope is not None,  # noqa: SLF001 - it neither
            is_stamped=given.verification_material.timestamp_verification_data is not None,
        )


def instance(raw: bytes, name: str) -> Instance:
    """Read a trusted root; `name` tells it in errors. Raises Unverifiable."""
    from sigstore.models import TrustedRoot
    from sigstore_models.trustroot import v1

    if len(raw) > LARGEST:
        raise Unverifiable("root.size", f"{name} is larger than {LARGEST >> 20} MiB")
    try:
        documents.load(raw, LARGEST)
        model = v1.TrustedRoot.from_json(raw)
        TrustedRoot(model)  # which alone looks at the media type
        read = Instance(_root(raw, model), model)
    except Exception as error:
        raise Unverifiable(
            "root.malformed", f"{name} is no trusted root: {said(error)}; nothing was verified"
        ) from error
    return _complete(read, name)


def _check_media_type(said: Mapping[str, object], name: str) -> None:
    from sigstore.models import Bundle as Given

    if said.get("mediaType") not in {str(kind) for kind in Given.BundleType}:
        raise Distrusted(
            "bundle.media-type", f"{name} is no bundle of a kind that this release knows"
        )


def _complete(read: Instance, name: str) -> Instance:
    root = read.root
    if not (root.authorities and root.ct_logs and root.logs):
        raise Unverifiable(
            "root.incomplete",
            f"{name} lacks an authority, a certificate log or a log, so nobody could be believed",
        )
    return read


def _root(raw: bytes, model: "v1.TrustedRoot") -> Root:
    return Root(
        fingerprint=sha256(raw).hexdigest(),
        authorities=tuple(_authority(one) for one in model.certificate_authorities),
        ct_logs=tuple(_log_key(one) for one in model.ctlogs),
        logs=tuple(_log_key(one) for one in model.tlogs),
        timestamp_authorities=tuple(_authority(one) for one in model.timestamp_authorities),
    )


def _authority(given: "v1.CertificateAuthority") -> Authority:
    from cryptography.x509 import load_der_x509_certificate

    chain = [load_der_x509_certificate(one.raw_bytes) for one in given.cert_chain.certificates]
    if not chain:
        raise ValueError("an authority has no certificate")
    return Authority(
        issuers=tuple(certificates.as_issuer(one) for one in chain),
        fingerprints=tuple(certificates.fingerprint(one) for one in chain),
        valid=Window(
            max(one.not_valid_before_utc for one in chain),
            min(one.not_valid_after_utc for one in chain),
        ),
        window=_window(given.valid_for),
    )


def _log_key(given: "v1.TransparencyLogInstance") -> LogKey:
    raw = given.public_key.raw_bytes or b""
    usable = _usable(given.public_key)
    return LogKey(
        log=given.log_id.key_id,
        fingerprint=sha256(raw).hexdigest(),
        window=_window(given.public_key.valid_for),
        usable=usable,
        bare=_bare(raw) if usable else b"",
    )


def _window(given: "TimeRange | None") -> Window:
    """Read a window; one without a beginning would hold before there was a key."""
    if given is None or given.start is None:
        raise ValueError("a key or an authority has no validFor, or one without a start")
    if not all(time is None or time.tzinfo for time in (given.start, given.end)):
        raise ValueError("a validFor does not say of which time zone it is")
    return Window(given.start, given.end)


def _usable(key: "PublicKey") -> bool:
    """Ask the library whether it can verify with a key: it would leave out others in silence."""
    from sigstore._internal.trust import Key

    try:
        Key(key)
    except Exception:  # noqa: BLE001 - whatever it raises, the key cannot be used
        return False
    return True


def _bare(raw: bytes) -> bytes:
    """Unwrap a key of Ed25519; empty for any other kind."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    key = load_der_public_key(raw)
    return key.public_bytes_raw() if isinstance(key, Ed25519PublicKey) else b""
