"""From a bundle to facts: the story of a verification, from top to bottom.

What it names is chosen from the trusted root and held against its window, then the library verifies
against that and nothing else. Whom to believe is not asked here.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from snaproot.hashing import sha256
from snaproot.tlog import checkpoint as checkpoints
from snaproot.tlog import note as notes
from snaproot.trust import clock, statement
from snaproot.trust.certificate import Certificate
from snaproot.trust.facts import Clock, Distrusted, Facts, Keys, SignedTime, Unverifiable
from snaproot.trust.root import LogKey, chosen_authorities, chosen_log
from snaproot.trust.sigstore import verifying
from snaproot.trust.sigstore.reading import Bundle, Instance
from snaproot.trust.sigstore.verifying import Choice, Envelope, Times

_AHEAD = timedelta(minutes=5)
"""How far the clock of who signed may be before ours."""


def establish(bundle: Bundle, instance: Instance, digest: str, now: datetime) -> Facts:
    """Verify a bundle for the artifact that has this SHA-256, in hexadecimal.

    Raises Distrusted for what cannot be believed, Unverifiable where there is no answer.
    """
    clock.check(now)
    certificate, root = bundle.certificate, instance.root
    times = verifying.times(bundle, instance)
    _check_times(certificate, times, now)
    ct_log = chosen_log(root.ct_logs, certificate.promise.log, "sct", [certificate.promise.time])
    log = chosen_log(root.logs, bundle.log, "log", times.all)
    authorities = chosen_authorities(root.authorities, certificate.issued_by, times.all)
    choices = [Choice(authority, ct_log, log) for authority in authorities]
    choice, envelope = _verified(bundle, instance, choices, digest)
    _check_checkpoint(bundle, root.logs[log])
    keys = Keys(
        certificate=certificate.fingerprint,
        authorities=root.authorities[choice.authority].fingerprints,
        ct_key=root.ct_logs[ct_log].fingerprint,
        log_key=root.logs[log].fingerprint,
    )
    facts = Facts(
        digest=digest,
        identity=certificate.identity,
        issuer=certificate.issuer,
        claims=certificate.claims,
        keys=keys,
        times=_signed(times, keys),
        checkpoint=bundle.checkpoint,
    )
    return facts if envelope is None else _attested(facts, envelope)


def _check_times(certificate: Certificate, times: Times, now: datetime) -> None:
    """Hold what was established against our own clock, and the certificate's few minutes."""
    first, last = certificate.valid
    if max(times.all) > now + _AHEAD:
        raise Unverifiable(
            "clock.behind",
            f"it was signed at {max(times.all):%Y-%m-%d %H:%M}, and our clock says "
            f"{now:%Y-%m-%d %H:%M}; nothing was verified",
            hint="is the clock right? timedatectl(1)",
        )
    if min(times.all) < first:
        raise Distrusted(
            "certificate.not-yet-valid", "it was signed before the certificate was valid"
        )
    if max(times.all) > last:
        raise Distrusted("certificate.expired", "it was signed when the certificate had expired")


def _verified(
    bundle: Bundle, instance: Instance, choices: Sequence[Choice], digest: str
) -> tuple[Choice, Envelope | None]:
    """Try the authorities that may have issued the certificate: two may have the same name."""
    *others, last = choices
    for choice in others:
        try:
            return choice, _verified_by(bundle, instance, choice, digest)
        except Distrusted as error:
            if error.reason != "certificate.chain":
                raise
    return last, _verified_by(bundle, instance, last, digest)


def _verified_by(
    bundle: Bundle, instance: Instance, choice: Choice, digest: str
) -> Envelope | None:
    if bundle.is_attestation:
        return verifying.envelope(bundle, instance, choice)
    verifying.artifact(bundle, instance, choice, bytes.fromhex(digest))
    return None


def _check_checkpoint(bundle: Bundle, log: LogKey) -> None:
    """Compare what the log has signed with what the library believes of the bundle."""
    signed = checkpoints.parse(notes.parse(bundle.checkpoint).text)
    if signed.size != bundle.tree_size:
        raise Distrusted(
            "log.tree-size",
            f"{bundle.name} says that the log has {bundle.tree_size} entries, "
            f"and the log says {signed.size}",
        )
    if not log.signs_for(signed.origin):
        raise Distrusted("log.origin", f"{signed.origin!r} is not the log that {bundle.name} names")


def _signed(times: Times, keys: Keys) -> tuple[SignedTime, ...]:
    logged = (SignedTime(Clock.LOG, time, keys.log_key) for time in times.logged)
    return (*times.stamped, *logged)


def _attested(facts: Facts, envelope: Envelope) -> Facts:
    """Add what a statement says; it has to be about this artifact."""
    said = statement.parse(envelope.payload_type, envelope.payload, facts.digest)
    return replace(facts, statement=said, attestation=sha256(envelope.payload).hexdigest())
