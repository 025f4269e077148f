"""revocations.json: from its bytes to a list, and whether one list may take another's place. Pure.

Digests and fingerprints are SHA-256, written `sha256:` and 64 digits:

    {"schema": 1, "version": 4, "issued": "2026-11-20T00:00:00Z", "expires": "2027-02-20T00:00:00Z",
     "entries": [{"kind": "log-key", "value": "sha256:…", "since": "2026-11-01T00:00:00Z"},
                 {"kind": "identity", "value": "rel@example.org", "issuer": "https://…"},
                 {"kind": "version", "value": "image<=1.2.3", "reason": "CVE-2026-…"}]}
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from snaproot.hashing import sha256
from snaproot.trust.documents import Fields, bad_digest, bad_text, load
from snaproot.trust.facts import Distrusted, Unverifiable
from snaproot.trust.floors import REVOCATIONS, Floors
from snaproot.trust.patterns import bad_identity
from snaproot.trust.policy import Expired, RevocationRules
from snaproot.trust.statement import bad_product
from snaproot.trust.versions import bad_version

SCHEMA = 1
LARGEST = 4 << 20
"""Bytes of a list; an entry has about 150."""

_PREFIX = "sha256:"
_NEVER = datetime.max.replace(tzinfo=UTC)
_VERSION = re.compile(r"([^<=]+)(?:<=|=)([^<=]+)")


class Kind(StrEnum):
    """What is revoked. `value` is a SHA-256, but a name for an identity and for versions.

    ATTESTATION: of the payload, as bundles can be written in several ways. CERTIFICATE, CA and TSA:
    of the certificate's DER; CT_KEY and LOG_KEY: of the key's SubjectPublicKeyInfo. POLICY and
    TRUSTED_ROOT: of those files.
    """

    DIGEST = "digest"
    ATTESTATION = "attestation"
    CERTIFICATE = "certificate"
    IDENTITY = "identity"
    VERSION = "version"
    CA = "ca"
    CT_KEY = "ct-key"
    LOG_KEY = "log-key"
    TSA = "tsa"
    POLICY = "policy"
    TRUSTED_ROOT = "trusted-root"


WITH_SINCE = frozenset({Kind.CERTIFICATE, Kind.IDENTITY, Kind.CA, Kind.CT_KEY, Kind.LOG_KEY})
"""What may have been good before. Never a timestamp authority: it is what would say when."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that is believed no more, or since a time; digests without their prefix."""

    kind: Kind
    value: str
    issuer: str = ""
    since: datetime | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Revocations:
    """One list. `skipped` are entries of unknown kinds that may be skipped; `digest` the file's."""

    version: int
    issued: datetime
    expires: datetime
    entries: tuple[Entry, ...]
    skipped: tuple[str, ...] = ()
    digest: str = ""


def parse(content: bytes, name: str = "the revocation list") -> Revocations:
    """Read a list. Raises Unverifiable: `revocations.malformed`, `.schema`, `.unknown-kind`."""
    try:
        return _read(Fields("list", load(content, LARGEST)), sha256(content).hexdigest())
    except ValueError as error:
        raise Unverifiable(
            "revocations.malformed",
            f"{name} cannot be meant as it stands: {error}; nothing was verified",
        ) from error


def supersedes(old: Revocations, new: Revocations) -> bool:
    """Tell whether a list may take the place of another: newer, and no entry gone or weaker."""
    return new.version > old.version and not _vanished(old, new)


def require_successor(old: Revocations, new: Revocations) -> None:
    """Raise Distrusted unless the new list supersedes the old, or is the very same.

    `revocations.rollback` for one that is not newer, `revocations.vanished` for one that lacks an
    entry.
    """
    if new.version == old.version and new.digest == old.digest:
        return
    if new.version <= old.version:
        what = f"the revocation list has version {new.version}, and {old.version} is here"
        raise Distrusted("revocations.rollback", f"{what}; it was not taken")
    gone = _vanished(old, new)
    if gone:
        what = f"version {new.version} of the revocation list has lost {gone} of {old.version}"
        raise Distrusted("revocations.vanished", f"{what}; it was not taken")


def require_current(
    revocations: Revocations, rules: RevocationRules | None, floors: Floors, now: datetime
) -> bool:
    """Tell whether a list serves in its grace only: degraded, but accepted by the policy.

    Raises Distrusted: `revocations.rollback`, `revocations.expired`.
    """
    least = max(floors.of(REVOCATIONS), rules.minimum_version if rules else 1)
    if revocations.version < least:
        what = f"the revocation list has version {revocations.version}, and {least} is the least"
        raise Distrusted("revocations.rollback", f"{what}; nothing was accepted")
    if now < revocations.expires:
        return False
    graceful = rules is not None and rules.expired is Expired.GRACE
    if rules is not None and graceful and now - revocations.expires <= rules.grace:
        return True
    raise Distrusted(
        "revocations.expired",
        f"the revocation list expired at {revocations.expires:%Y-%m-%d %H:%M %Z}; "
        "nothing was accepted",
    )


def _read(given: Fields, digest: str) -> Revocations:
    if given.number("schema", 1) != SCHEMA:
        raise Unverifiable(
            "revocations.schema",
            f"the revocation list has schema {given.values['schema']}, and this snaproot reads "
            f"{SCHEMA}; nothing was verified",
            hint="a newer snaproot is needed",
        )
    given.only("schema", "version", "issued", "expires", "entries")
    issued, expires = given.moment("issued"), given.moment("expires")
    if expires <= issued:
        raise ValueError("it expires before it is issued")
    items = [Fields.of("entry", item) for item in given.items("entries")]
    return Revocations(
        version=given.number("version", 1),
        issued=issued,
        expires=expires,
        entries=tuple(_entry(item, issued) for item in items if not _may_be_skipped(item)),
        skipped=tuple(
            json.dumps(item.values, sort_keys=True) for item in items if _may_be_skipped(item)
        ),
        digest=digest,
    )


def _may_be_skipped(given: Fields) -> bool:
    kind = given.text("kind", bad_text)
    critical = given.truth("critical", default=True)
    if kind not in set(Kind) and critical:
        raise Unverifiable(
            "revocations.unknown-kind",
            f"the revocation list names a {kind!r}, which this snaproot does not know; nothing was "
            "verified",
            hint="a newer snaproot is needed",
        )
    return kind not in set(Kind)


def _entry(given: Fields, issued: datetime) -> Entry:
    kind = Kind(given.text("kind", bad_text))
    more = {"issuer"} if kind is Kind.IDENTITY else set()
    more |= {"since"} if kind in WITH_SINCE else set()
    given.only("kind", "value", "critical", "reason", *more)
    since = given.moment_or_none("since")
    if since is not None and since > issued:
        raise ValueError("an entry is revoked since after the list was issued")
    return Entry(
        kind=kind,
        value=_value(kind, given),
        issuer=given.text("issuer", bad_identity) if kind is Kind.IDENTITY else "",
        since=since,
        why=given.text("reason", bad_text, ""),
    )


def _value(kind: Kind, given: Fields) -> str:
    if kind is Kind.IDENTITY:
        return given.text("value", bad_identity)
    if kind is Kind.VERSION:
        return given.text("value", _bad_versions)
    return given.text("value", _bad_prefixed).removeprefix(_PREFIX)


def _bad_versions(text: str) -> str:
    found = _VERSION.fullmatch(text)
    if not found or bad_product(found[1]) or bad_version(found[2]):
        return "is like image<=1.2.3 or image=1.2.3"
    return ""


def _bad_prefixed(text: str) -> str:
    prefixed = text.startswith(_PREFIX) and not bad_digest(text.removeprefix(_PREFIX))
    return "" if prefixed else f"is {_PREFIX} and 64 digits of 0-9 and a-f"


def _vanished(old: Revocations, new: Revocations) -> str:
    """Name the first entry that the new list lacks, or has from a later time on; empty if none."""
    strictest: dict[tuple[Kind, str, str], datetime | None] = {}
    for entry in new.entries:
        key = (entry.kind, entry.value, entry.issuer)
        strictest[key] = _earlier(strictest.get(key, entry.since), entry.since)
    for entry in old.entries:
        since = strictest.get((entry.kind, entry.value, entry.issuer), _NEVER)
        if _earlier(since, entry.since) != since:
            return f"the {entry.kind} {entry.value}"
    return next((f"the entry {one}" for one in old.skipped if one not in new.skipped), "")


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    """Choose what revokes more: from the beginning, or from the earlier time on."""
    return None if one is None or other is None else min(one, other)
