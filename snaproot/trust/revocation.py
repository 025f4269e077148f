"""What is believed no more, whoever signed it. Pure.

A list is JSON, delivered and signed as the policy is. Entries never go away, and a kind that this
release does not know refuses the whole list: to skip it would be to accept what somebody had good
reason to name. What is revoked is looked for first, and again in what is installed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from snaproot.trust.facts import Distrusted, Facts
from snaproot.trust.rests import Rests, Signature, signature
from snaproot.trust.revocationlist import Entry, Kind, Revocations
from snaproot.trust.statement import is_release, release
from snaproot.trust.versions import order

_KEYS = frozenset({Kind.CA, Kind.CT_KEY, Kind.LOG_KEY, Kind.TSA})


@dataclass(frozen=True, slots=True)
class Revoked:
    """One entry that hits; `reason` is `revoked.<kind>`."""

    entry: Entry
    reason: str
    message: str

    @property
    def whole(self) -> bool:
        """Tell whether the artifact is revoked, not only one of its signatures."""
        return self.entry.kind in {*_WHOLE, Kind.VERSION}

    def error(self) -> Distrusted:
        """Make the refusal of it."""
        return Distrusted(
            self.reason,
            f"{self.message}; it was not accepted",
            hint="another version of it may be good: ask who publishes the list of revocations",
        )


def check(revocations: Revocations, facts: Facts) -> list[Revoked]:
    """Name each entry that hits what one bundle establishes."""
    product, version = _released(facts)
    rests = Rests(facts.digest, (signature(facts),), product, version)
    return check_installed(revocations, rests)


def check_digest(revocations: Revocations, digest: str) -> list[Revoked]:
    """Name each entry that hits an artifact, by its SHA-256 in hexadecimal, before all else."""
    return check_installed(revocations, Rests(digest))


def check_configuration(revocations: Revocations, policy: str, trusted_root: str) -> list[Revoked]:
    """Name each entry that hits one of these files, by their SHA-256 in hexadecimal."""
    return check_installed(revocations, Rests("", policy=policy, trusted_root=trusted_root))


def check_installed(revocations: Revocations, rests: Rests) -> list[Revoked]:
    """Name each entry that hits what was recorded when an artifact was installed."""
    found = []
    for entry in revocations.entries:
        what = _hit(entry, rests, revocations)
        if what:
            told = f": {entry.why}" if entry.why else ""
            message = f"{what} is revoked{told} (version {revocations.version} of the list)"
            found.append(Revoked(entry, f"revoked.{entry.kind}", message))
    return found


def _hit(entry: Entry, rests: Rests, revocations: Revocations) -> str:
    """Say what is revoked; empty if it is none of this."""
    if entry.kind is Kind.VERSION:
        hit = _version_hit(entry.value, rests)
        return f"{rests.product} {rests.version}" if hit else ""
    if entry.kind in _WHOLE:
        named = _WHOLE[entry.kind](rests)
        return f"{_WORDS[entry.kind]} {entry.value}" if named == entry.value else ""
    for one in rests.signatures:
        if _names(entry, one) and not _stands(entry, one, revocations):
            return f"{_WORDS[entry.kind]} {entry.value}"
    return ""


def _names(entry: Entry, one: Signature) -> bool:
    of_issuer = entry.kind is not Kind.IDENTITY or entry.issuer == one.issuer
    return of_issuer and entry.value in _NAMED[entry.kind](one)


def _stands(entry: Entry, one: Signature, revocations: Revocations) -> bool:
    """Tell whether it was signed while what is revoked was still to be trusted.

    Somebody else has to say so: whoever has a stolen key can give any date. So no time counts that
    comes from a key on this list, whatever entry names it, and whatever its own `since` says.
    """
    if entry.since is None:
        return False
    revoked = {other.value for other in revocations.entries if other.kind in _KEYS}
    return any(
        time.time < entry.since for time in one.times if revoked.isdisjoint(time.fingerprints)
    )


def _version_hit(value: str, rests: Rests) -> bool:
    up_to = "<=" in value
    product, _, version = value.partition("<=" if up_to else "=")
    if not rests.version or rests.product != product:
        return False
    mine, named = order(rests.version), order(version)
    return mine <= named if up_to else mine == named


def _released(facts: Facts) -> tuple[str, str]:
    """Read name and version; what cannot be meant as a release is refused by the policy."""
    if facts.statement is None or not is_release(facts.statement):
        return "", ""
    try:
        said = release(facts.statement)
    except Distrusted:
        return "", ""
    return said.name, said.version


_WHOLE: Mapping[Kind, Callable[[Rests], str]] = MappingProxyType(
    {
        Kind.DIGEST: lambda rests: rests.digest,
        Kind.POLICY: lambda rests: rests.policy,
        Kind.TRUSTED_ROOT: lambda rests: rests.trusted_root,
    }
)
_NAMED: Mapping[Kind, Callable[[Signature], tuple[str, ...]]] = MappingProxyType(
    {
        Kind.ATTESTATION: lambda one: (one.attestation,),
        Kind.CERTIFICATE: lambda one: (one.keys.certificate,),
        Kind.IDENTITY: lambda one: (one.identity,),
        Kind.CA: lambda one: one.keys.authorities,
        Kind.CT_KEY: lambda one: (one.keys.ct_key,),
        Kind.LOG_KEY: lambda one: (one.keys.log_key,),
        Kind.TSA: lambda one: tuple(key for time in one.times for key in time.fingerprints),
    }
)
_WORDS: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.DIGEST: "the artifact",
        Kind.ATTESTATION: "the attestation",
        Kind.CERTIFICATE: "the certificate",
        Kind.IDENTITY: "the signer",
        Kind.CA: "the certificate authority",
        Kind.CT_KEY: "the key of the certificate log",
        Kind.LOG_KEY: "the key of the log",
        Kind.TSA: "the timestamp authority",
        Kind.POLICY: "the policy",
        Kind.TRUSTED_ROOT: "the trusted root",
    }
)
