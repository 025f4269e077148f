"""The library's verifier, asked for one thing at a time."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from snaproot.trust.facts import Clock, Distrusted, SignedTime
from snaproot.trust.sigstore.reading import Bundle, Instance
from snaproot.trust.sigstore.reasons import VERIFYING, refusing, verifying

if TYPE_CHECKING:
    from sigstore.verify import Verifier
    from sigstore_models.trustroot import v1


@dataclass(frozen=True, slots=True)
class Times:
    """When something was signed: as timestamp authorities have it, and as the log has it.

    The log's word is worth what its entry is: nothing before that was verified.
    """

    stamped: tuple[SignedTime, ...]
    logged: tuple[datetime, ...]

    @property
    def all(self) -> tuple[datetime, ...]:
        return (*(stamp.time for stamp in self.stamped), *self.logged)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of each, by its place in the trusted root."""

    authority: int
    ct_log: int
    log: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """What an attestation carries. The library has looked at its signature, not into it."""

    payload_type: str
    payload: bytes


def times(bundle: Bundle, instance: Instance) -> Times:
    """Establish when it was signed, with each timestamp authority by itself.

    Their windows are held against it here: both ends are in them, which the library has otherwise.
    Raises Distrusted where nobody who is believed says when.
    """
    authorities = instance.root.timestamp_authorities
    by_each = [_established(bundle, instance, one) for one in range(len(authorities))]
    stamped = [
        (authority, time)
        for authority, found in zip(authorities, by_each, strict=True)
        for time in found.stamped
    ]
    # The log's is in every answer; without any authority it is asked for by itself.
    logged = (by_each or [_established(bundle, instance)])[0].logged
    believed = [
        SignedTime(Clock.AUTHORITY, time, authority.fingerprints[0], authority.fingerprints[1:])
        for authority, time in stamped
        if authority.window.holds([time])
    ]
    if not believed and not logged:
        raise _no_time(bundle, outside=bool(stamped))
    return Times(tuple(believed), logged)


def artifact(bundle: Bundle, instance: Instance, choice: Choice, digest: bytes) -> None:
    """Verify a signature of an artifact's SHA-256 against what was chosen alone.

    Raises Distrusted, and Unverifiable where the library fails.
    """
    from sigstore.hashes import Hashed
    from sigstore_models.common.v1 import HashAlgorithm

    hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=digest)
    with verifying(bundle.name):
        verifier = _verifier(instance, choice)
        verifier.verify_artifact(hashed, bundle.given, _Anybody())


def envelope(bundle: Bundle, instance: Instance, choice: Choice) -> Envelope:
    """Verify an attestation against what was chosen alone, and return what it carries.

    Raises Distrusted, and Unverifiable where the library fails.
    """
    with verifying(bundle.name):
        verifier = _verifier(instance, choice)
        return Envelope(*verifier.verify_dsse(bundle.given, _Anybody()))


class _Anybody:
    """A policy of the library's that leaves the question of whom to believe to ours."""

    def verify(self, cert: object) -> None:
        pass


def _verifier(instance: Instance, choice: Choice) -> "Verifier":
    model = instance.model
    return _over(
        model.model_copy(
            update={
                "certificate_authorities": [model.certificate_authorities[choice.authority]],
                "ctlogs": [model.ctlogs[choice.ct_log]],
                "tlogs": [model.tlogs[choice.log]],
                "timestamp_authorities": [_opened(one) for one in model.timestamp_authorities],
            }
        )
    )


def _over(model: "v1.TrustedRoot") -> "Verifier":
    from sigstore.models import TrustedRoot
    from sigstore.verify import Verifier

    return Verifier(trusted_root=TrustedRoot(model))


@dataclass(frozen=True, slots=True)
class _Found:
    stamped: tuple[datetime, ...]
    logged: tuple[datetime, ...]


def _established(bundle: Bundle, instance: Instance, authority: int | None = None) -> _Found:
    """Ask for the times that one timestamp authority, and the log, have signed."""
    from sigstore._internal.timestamp import TimestampSource

    model = instance.model
    asked = [] if authority is None else [_opened(model.timestamp_authorities[authority])]
    with verifying(bundle.name):
        verifier = _over(model.model_copy(update={"timestamp_authorities": asked}))
        with refusing(VERIFYING, "time.malformed", bundle.name):
            found = verifier._establish_time(bundle.given)  # noqa: SLF001 - no public one tells
    times = {
        source: tuple(one.time.astimezone(UTC) for one in found if one.source == source)
        for source in TimestampSource
    }
    return _Found(
        times[TimestampSource.TIMESTAMP_AUTHORITY], times[TimestampSource.TRANSPARENCY_SERVICE]
    )


def _opened(authority: "v1.CertificateAuthority") -> "v1.CertificateAuthority":
    always = {"start": datetime(1, 1, 1, tzinfo=UTC), "end": None}
    window = authority.valid_for.model_copy(update=always)
    return authority.model_copy(update={"valid_for": window})


def _no_time(bundle: Bundle, *, outside: bool) -> Distrusted:
    if outside:
        return Distrusted(
            "time.window",
            f"{bundle.name} was stamped outside the time for which the authority is believed",
        )
    if bundle.is_stamped:
        return Distrusted(
            "time.unverified", f"the timestamp of {bundle.name} is by nobody who is believed"
        )
    return Distrusted("time.none", f"nobody who is believed says when {bundle.name} was signed")
