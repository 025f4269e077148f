"""What a boot environment rests on: what was verified when it was made. Pure.

Kept in environment.toml, so that a revocation finds it later. It holds what a revocation can name,
nothing else of the facts; texts alone, so that any format can keep it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from snaproot.configschema import Form
from snaproot.trust.documents import Fields, bad_digest, bad_text, require_shallow, written
from snaproot.trust.facts import Clock, Facts, Keys, SignedTime, Unverifiable
from snaproot.trust.statement import Release, bad_product
from snaproot.trust.versions import bad_version

FORMAT = 1
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Signature:
    """One bundle that counted: by whom, with which keys, and when, as others say."""

    identity: str
    issuer: str
    keys: Keys
    times: tuple[SignedTime, ...]
    attestation: str = ""


@dataclass(frozen=True, slots=True)
class Rests:
    """Of one artifact: its digest, its signatures, and the configuration that accepted it.

    All digests are SHA-256 in hexadecimal; that of the artifact is empty where there was none, and
    a policy alone let something in. `product` and `version` are those of its release
    statement, and empty without one.
    """

    digest: str
    signatures: tuple[Signature, ...] = ()
    product: str = ""
    version: str = ""
    policy: str = ""
    trusted_root: str = ""


def of(facts: Iterable[Facts], release: Release | None, *, policy: str, trusted_root: str) -> Rests:
    """Say what an accepted artifact rests on; there has to be a fact.

    `policy` and `trusted_root` are the SHA-256 of those files.
    """
    counted = tuple(facts)
    return Rests(
        digest=counted[0].digest,
        signatures=tuple(signature(one) for one in counted),
        product=release.name if release else "",
        version=release.version if release else "",
        policy=policy,
        trusted_root=trusted_root,
    )


def signature(facts: Facts) -> Signature:
    """Take what a revocation can name."""
    return Signature(facts.identity, facts.issuer, facts.keys, facts.times, facts.attestation)


def as_dict(rests: Rests) -> dict[str, object]:
    """Make plain values of it: texts, numbers, lists and dictionaries."""
    return {
        "format": FORMAT,
        "digest": rests.digest,
        "product": rests.product,
        "version": rests.version,
        "policy": rests.policy,
        "trusted_root": rests.trusted_root,
        "signatures": [_signature_as_dict(one) for one in rests.signatures],
    }


def from_dict(values: Mapping[str, object]) -> Rests:
    """Read it back. Raises Unverifiable (`rests.malformed`): nobody can say whether it stands."""
    try:
        require_shallow(values, _DEEPEST)
        return _read(Fields("rests", values))
    except ValueError as error:
        raise Unverifiable(
            "rests.malformed",
            f"what the boot environment rests on cannot be read ({error})",
        ) from error


def _signature_as_dict(one: Signature) -> dict[str, object]:
    return {
        "identity": one.identity,
        "issuer": one.issuer,
        "attestation": one.attestation,
        "certificate": one.keys.certificate,
        "authorities": [*one.keys.authorities],
        "ct_key": one.keys.ct_key,
        "log_key": one.keys.log_key,
        "times": [
            {
                "clock": str(time.clock),
                "time": written(time.time),
                "by": time.by,
                "under": [*time.under],
            }
            for time in one.times
        ],
    }


def _read(given: Fields) -> Rests:
    given.only("format", "digest", "product", "version", "policy", "trusted_root", "signatures")
    if given.number("format", 1) != FORMAT:
        raise ValueError(f"it is of another format than {FORMAT}; a newer snaproot wrote it")
    found = Rests(
        digest=given.text("digest", _or_empty(bad_digest)),
        product=given.text("product", _or_empty(bad_product)),
        version=given.text("version", _or_empty(bad_version)),
        policy=given.text("policy", _or_empty(bad_digest)),
        trusted_root=given.text("trusted_root", _or_empty(bad_digest)),
        signatures=tuple(
            _read_signature(Fields.of("signature", one)) for one in given.items("signatures")
        ),
    )
    if found.signatures and not found.digest:
        raise ValueError("it has signatures, and not what they are of")
    return found


def _read_signature(given: Fields) -> Signature:
    given.only(
        *("identity", "issuer", "attestation", "certificate", "authorities"),
        *("ct_key", "log_key", "times"),
    )
    return Signature(
        identity=given.text("identity", _any),
        issuer=given.text("issuer", _any),
        attestation=given.text("attestation", _or_empty(bad_digest)),
        keys=Keys(
            certificate=given.text("certificate", bad_digest),
            authorities=given.texts("authorities", bad_digest),
            ct_key=given.text("ct_key", bad_digest),
            log_key=given.text("log_key", bad_digest),
        ),
        times=tuple(_read_time(Fields.of("time", one)) for one in given.items("times")),
    )


def _read_time(given: Fields) -> SignedTime:
    given.only("clock", "time", "by", "under")
    return SignedTime(
        Clock(given.text("clock", bad_text)),
        given.moment("time"),
        given.text("by", bad_digest),
        given.texts("under", bad_digest),
    )


def _or_empty(form: Form) -> Form:
    return lambda text: form(text) if text else ""


def _any(_: str) -> str:
    return ""
