"""What a signed statement says of an artifact: in-toto Statement v1, and two predicates. Pure.

That somebody signed it is not enough: they may have signed it about something else, or said no.
So nothing counts whose meaning is not known here (in-toto attestation, spec/v1; SLSA provenance
v1). Fields that those specifications let anybody add are skipped, as they say; a release statement
is our own, and has none.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from snaproot.trust.documents import Fields, RepeatedKey, bad_digest, bad_text, load
from snaproot.trust.facts import Distrusted
from snaproot.trust.versions import bad_version

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
RELEASE = "https://snaproot.org/attestation/release/v1"
"""Our own predicate: `Release` is what it says. It names a format; nothing is fetched there."""

LARGEST = 4 << 20
"""Bytes of a payload: provenance of thousands of dependencies has about one MiB."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """How something was built (SLSA provenance v1): by whom, how, with which parameters."""

    builder: str
    build_type: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Release:
    """What its publisher says an artifact is. Name and version come from here, never a file's name.

    `rollback_index` only grows, by the publisher's will: an older one is refused, while a version
    may go back. `payload` holds further digests by name, in hexadecimal. It needs a snaproot and a
    policy of these versions, or newer.
    """

    name: str
    version: str
    channel: str
    rollback_index: int
    payload: Mapping[str, str]
    issued: datetime
    expires: datetime | None = None
    snaproot: str = "0"
    policy: int = 0


def parse(payload_type: str, payload: bytes, digest: str) -> Mapping[str, object]:
    """Read the payload of an attestation, which has to be about this SHA-256 in hexadecimal.

    Raises Distrusted: `statement.payload-type`, `.malformed`, `.duplicate-key`, `.type` or
    `.subject`.
    """
    if payload_type != PAYLOAD_TYPE:
        raise Distrusted(
            "statement.payload-type", f"what was signed is {payload_type[:80]!r}, no statement"
        )
    values = _loaded(payload)
    if values.get("_type") != STATEMENT:
        raise Distrusted(
            "statement.type", f"the statement is of type {_shown(values.get('_type'))}"
        )
    if not isinstance(values.get("predicateType"), str):
        raise _malformed("it does not say what kind of statement it is")
    _require_subject(values, digest)
    return MappingProxyType(values)


def provenance(statement: Mapping[str, object]) -> Provenance:
    """Read the predicate of SLSA provenance v1.

    Raises Distrusted: `statement.predicate` for another one, `statement.malformed`.
    """
    predicate = _predicate(statement, PROVENANCE)
    try:
        build = predicate.inner("buildDefinition")
        parameters = build.inner("externalParameters").values
        builder = predicate.inner("runDetails").inner("builder")
        return Provenance(
            builder=builder.text("id", bad_text),
            build_type=build.text("buildType", bad_text),
            parameters=MappingProxyType({**parameters}),
        )
    except ValueError as error:
        raise _malformed(str(error)) from error


def require_build(
    made: Provenance, builder: str, build_type: str, parameters: Mapping[str, object]
) -> None:
    """Compare with what is expected; an empty `build_type` is any.

    A parameter that nobody expects may mean anything, so it is refused (SLSA, "Verifying
    artifacts"). Raises Distrusted: `statement.builder`, `.build-type`, `.parameters`.
    """
    if made.builder != builder:
        raise Distrusted("statement.builder", f"it was built by {made.builder}, not by {builder}")
    if build_type and made.build_type != build_type:
        raise Distrusted(
            "statement.build-type", f"it was built by way of {made.build_type}, not {build_type}"
        )
    for name in {**parameters, **made.parameters}:
        if name not in parameters:
            raise _unexpected(f"it was built with a parameter {name[:60]!r} that is not expected")
        if name not in made.parameters:
            raise _unexpected(f"it was built without the parameter {name!r}")
        if _canonical(made.parameters[name]) != _canonical(parameters[name]):
            raise _unexpected(f"it was built with another value of the parameter {name!r}")


def release(statement: Mapping[str, object]) -> Release:
    """Read a release statement's predicate.

    Raises Distrusted: `statement.predicate` for another one, `statement.release`.
    """
    predicate = _predicate(statement, RELEASE)
    try:
        return _release(predicate)
    except ValueError as error:
        raise Distrusted(
            "statement.release", f"the release statement cannot be meant: {error}"
        ) from error


def is_release(statement: Mapping[str, object] | None) -> bool:
    """Tell whether it says that it is a release statement."""
    return statement is not None and statement.get("predicateType") == RELEASE


def bad_product(text: str) -> str:
    """Say what a product's name should be, as the end of a sentence; empty if it is that."""
    good = text.isascii() and text[:1].isalnum() and len(text) <= 64  # noqa: PLR2004
    good = good and not text.lower().strip("abcdefghijklmnopqrstuvwxyz0123456789._-")
    return "" if good else "is a name of at most 64 letters, digits and . _ -"


def _loaded(payload: bytes) -> Mapping[str, object]:
    try:
        return load(payload, LARGEST)
    except RepeatedKey as error:
        raise Distrusted("statement.duplicate-key", f"the statement is unclear: {error}") from error
    except ValueError as error:
        raise _malformed(str(error)) from error


def _require_subject(values: Mapping[str, object], digest: str) -> None:
    subjects = values.get("subject")
    if not isinstance(subjects, list):
        raise _malformed("it has no list of subjects")
    if digest not in [_sha256(subject) for subject in subjects]:
        raise Distrusted(
            "statement.subject", f"the statement is about something else, not about {digest}"
        )


def _sha256(subject: object) -> object:
    digests = subject.get("digest") if isinstance(subject, dict) else None
    if not isinstance(digests, dict):
        raise _malformed("a subject has no digests")
    return digests.get("sha256")


def _predicate(statement: Mapping[str, object], wanted: str) -> Fields:
    said = statement.get("predicateType")
    if said != wanted:
        raise Distrusted("statement.predicate", f"the statement is {_shown(said)}, not {wanted}")
    try:
        return Fields.of("predicate", statement.get("predicate"))
    except ValueError as error:
        raise _malformed(str(error)) from error


def _release(given: Fields) -> Release:
    given.only(
        *("name", "version", "channel", "rollback_index", "payload", "requires", "issued"),
        "expires",
    )
    requires = given.inner("requires") if "requires" in given.values else Fields("requires", {})
    requires.only("snaproot", "policy")
    return Release(
        name=given.text("name", bad_product),
        version=given.text("version", bad_version),
        channel=given.text("channel", bad_product, ""),
        rollback_index=given.number("rollback_index", 0),
        payload=_payload(given.inner("payload")),
        issued=given.moment("issued"),
        expires=given.moment_or_none("expires"),
        snaproot=requires.text("snaproot", bad_version, "0"),
        policy=requires.number("policy", 0, 0),
    )


def _payload(given: Fields) -> Mapping[str, str]:
    names = {name: bad_product(name) for name in given.values}
    for name, wanted in names.items():
        if wanted:
            raise ValueError(f"the name {name[:60]!r} of a digest {wanted}")
    return MappingProxyType({name: given.text(name, bad_digest) for name in names})


def _canonical(value: object) -> str:
    """Write a value so that equal texts are equal values: to Python, true is 1 and 1.0."""
    return json.dumps(value, sort_keys=True)


def _shown(value: object) -> str:
    return repr(value[:80]) if isinstance(value, str) else "none"


def _unexpected(what: str) -> Distrusted:
    return Distrusted("statement.parameters", what)


def _malformed(why: str) -> Distrusted:
    return Distrusted("statement.malformed", f"what was signed is no statement: {why}")
