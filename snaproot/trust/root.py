"""A Sigstore instance as its trusted_root.json tells it: who issues, who logs, and when. Pure.

Each authority and key has a window, `validFor`. sigstore's client must hold signatures against it
(protobuf-specs, sigstore_trustroot.proto) and sigstore-python does so for timestamp authorities
alone: closing a window would revoke nothing. So what a bundle names is chosen here, its window is
compared with the times that were established, and the library is left with nothing else to choose.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from snaproot.hashing import sha256
from snaproot.trust.facts import Distrusted


@dataclass(frozen=True, slots=True)
class Window:
    """When an authority or a key may be believed, both ends included; without an end until now."""

    start: datetime
    end: datetime | None = None

    def holds(self, times: Sequence[datetime]) -> bool:
        return all(self.start <= time and (not self.end or time <= self.end) for time in times)


@dataclass(frozen=True, slots=True)
class LogKey:
    """One key of a transparency log; `log` is how the log names itself with it.

    `usable` is false for a kind of key that this release does not know. `bare` is one of Ed25519
    without its wrapping, else empty.
    """

    log: bytes
    fingerprint: str
    window: Window
    usable: bool
    bare: bytes = b""

    def signs_for(self, origin: str) -> bool:
        """Tell whether a checkpoint of this origin can be its log's.

        A log that names itself as C2SP signed-note has it says so; one that names itself by its key
        alone (RFC 6962) might be any.
        """
        if self.log.hex() == self.fingerprint or not self.bare:
            return True
        return self.log == sha256(origin.encode() + b"\n\x01" + self.bare).digest()


@dataclass(frozen=True, slots=True)
class Issuer:
    """How a certificate names who issued it: a subject and, if it says so, the id of a key."""

    subject: bytes
    key: bytes = b""

    def may_be(self, other: "Issuer") -> bool:
        return self.subject == other.subject and (not self.key or self.key == other.key)


@dataclass(frozen=True, slots=True)
class Authority:
    """A chain of certificates, from who signs to the root.

    `valid` is when all of them are, by themselves; `window` when the trusted root has it so.
    """

    issuers: tuple[Issuer, ...]
    fingerprints: tuple[str, ...]
    valid: Window
    window: Window


@dataclass(frozen=True, slots=True)
class Root:
    """All that may be believed, in the order of the file; `fingerprint` is the file's own."""

    fingerprint: str
    authorities: tuple[Authority, ...]
    ct_logs: tuple[LogKey, ...]
    logs: tuple[LogKey, ...]
    timestamp_authorities: tuple[Authority, ...]


def chosen_log(keys: Sequence[LogKey], log: bytes, what: str, times: Sequence[datetime]) -> int:
    """Name the one key of the log that a bundle names, if it may be believed for those times.

    `what` begins the reason: `sct` or `log`. Raises Distrusted.
    """
    named = [index for index, key in enumerate(keys) if key.log == log]
    if not named:
        raise Distrusted(
            f"{what}.unknown", f"the trusted root has no log {log.hex()[:16]}; it was not believed"
        )
    usable = [index for index in named if keys[index].usable]
    if not usable:
        raise Distrusted(f"{what}.key-kind", f"the key of log {log.hex()[:16]} is of unknown kind")
    current = [index for index in usable if keys[index].window.holds(times)]
    if not current:
        raise Distrusted(
            f"{what}.window",
            f"log {log.hex()[:16]} was used outside the time for which its key is believed",
        )
    return current[0]


def chosen_authorities(
    authorities: Sequence[Authority], issuer: Issuer, times: Sequence[datetime]
) -> list[int]:
    """Name the authorities that may have issued for `issuer` at those times.

    Several may, where the certificate does not say by which key. Raises Distrusted.
    """
    named = [
        index
        for index, one in enumerate(authorities)
        if any(issuer.may_be(other) for other in one.issuers)
    ]
    if not named:
        raise Distrusted(
            "certificate.issuer-unknown",
            "the trusted root does not have who issued the certificate; it was not believed",
        )
    valid = [index for index in named if authorities[index].valid.holds(times)]
    if not valid:
        raise Distrusted(
            "certificate.issuer-expired",
            "who issued the certificate has one that was not valid at that time",
        )
    current = [index for index in valid if authorities[index].window.holds(times)]
    if not current:
        raise Distrusted(
            "certificate.issuer-window",
            "the certificate was used outside the time for which its issuer is believed",
        )
    return current
