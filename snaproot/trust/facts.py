"""What verifying establishes, and the two ways in which it ends without. Pure.

A reason is a stable code, `<what>.<what is wrong with it>`: scripts, tests and the verdict log rely
on it, people read the message. The library's own words are never either.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from snaproot.errors import Refused, SnaprootError


class Distrusted(Refused):
    """Verified, and found wanting: the answer is no, and will be next time. `reason` says why."""

    def __init__(self, reason: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason

    def details(self) -> Mapping[str, object]:
        return {"reason": self.reason}


class Unverifiable(SnaprootError):
    """No answer: what would be needed to verify is missing, damaged or not to be believed."""

    def __init__(self, reason: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason

    def details(self) -> Mapping[str, object]:
        return {"reason": self.reason}


class Clock(StrEnum):
    """Who says when something was signed."""

    AUTHORITY = "timestamp authority"  # RFC 3161
    LOG = "log"  # Rekor v1's signed entry timestamp


@dataclass(frozen=True, slots=True)
class SignedTime:
    """A time that somebody signed, and the fingerprint of their key or certificate.

    `under` are those of the certificates that issued theirs, up to the root.
    """

    clock: Clock
    time: datetime
    by: str
    under: tuple[str, ...] = ()

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Name all that this time rests on."""
        return (self.by, *self.under)


@dataclass(frozen=True, slots=True)
class Keys:
    """Fingerprints (SHA-256, hexadecimal) of all that a verification rests on.

    Certificates by their DER, keys by their SubjectPublicKeyInfo.
    """

    certificate: str
    authorities: tuple[str, ...]  # of the chain that issued it, from the issuer to the root
    ct_key: str
    log_key: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What one bundle establishes about one artifact. Nothing in here is a hint.

    `digest` is the artifact's, in hexadecimal: what was signed, or what a signed statement was
    asked about. `claims` are Fulcio's certificate extensions, by the names of policy.toml.
    """

    digest: str
    identity: str
    issuer: str
    keys: Keys
    times: tuple[SignedTime, ...]
    checkpoint: str  # the log's signed note, with the cosignatures of witnesses
    claims: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    statement: Mapping[str, object] | None = None  # of in-toto, where it is an attestation
    attestation: str = ""  # SHA-256 of the payload that the statement was read from

    @property
    def signed(self) -> datetime:
        """When it was signed, at the latest."""
        return max(time.time for time in self.times)

    @property
    def predicate(self) -> str | None:
        """What kind of statement it is, where it is an attestation."""
        kind = self.statement.get("predicateType") if self.statement else None
        return kind if isinstance(kind, str) else None
