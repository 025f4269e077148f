"""The whole of a private Sigstore, and what it is told to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypedDict, Unpack

from tests.trust.private import authority, log, timestamps, transparency
from tests.trust.private.authority import Authority, Leaf, Signer
from tests.trust.private.certificates import DAY, MINUTE
from tests.trust.private.contents import Artifact, Content
from tests.trust.private.encoding import Json, base64, chain, written
from tests.trust.private.keys import Key
from tests.trust.private.log import Entry, Log
from tests.trust.private.timestamps import Stamp, Tsa
from tests.trust.private.transparency import CtLog

_BUNDLE = "application/vnd.dev.sigstore.bundle"
V01, V02, V03 = (f"{_BUNDLE}+json;version=0.{number}" for number in (1, 2, 3))
V03_NEW = f"{_BUNDLE}.v0.3+json"
ROOT = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
_START = -30 * DAY


class How(TypedDict, total=False):
    """How something is signed; what is not said is done right.

    `who` is a certificate to be issued, or a signer who has one. `signed`: other bytes than the
    content's. `key`: another key than the certificate's. Without `stamps`: one in Rekor v2, none
    in v1, which has a time of its own.
    """

    who: Leaf | Signer
    rekor: int
    entry: Entry
    stamps: Sequence[Stamp]
    signed: bytes
    key: Key
    media: str


@dataclass(frozen=True, slots=True)
class Instance:
    """A certificate authority, a CT log, a Rekor of each version, a timestamp authority."""

    now: datetime
    ca: Authority
    ct: CtLog
    logs: Mapping[int, Log]
    tsa: Tsa

    def issue(self, leaf: Leaf) -> Signer:
        """Give somebody a certificate."""
        return authority.issue(leaf, self.ca, self.ct, self.now)

    def sign(self, content: Content | bytes, **how: Unpack[How]) -> Json:
        """Sign, log and timestamp; return the bundle."""
        content = Artifact(content) if isinstance(content, bytes) else content
        who, rekor = how.get("who", Leaf()), how.get("rekor", 2)
        signer = who if isinstance(who, Signer) else self.issue(who)
        signature = how.get("key", signer.key).sign(how.get("signed", content.message))
        stamps = how.get("stamps", (Stamp(),) if rekor == 2 else ())
        media = how.get("media", V03_NEW)
        entry = log.record(
            content.entry(rekor, signer, signature),
            how.get("entry", Entry()),
            self.logs[rekor],
            self.now,
        )
        material = self._certified(signer, media) | {"tlogEntries": [entry]}
        if stamps:
            material["timestampVerificationData"] = self._stamped(stamps, signature)
        return {
            "mediaType": media,
            "verificationMaterial": material,
            **content.part(signature),
        }

    def trusted_root(
        self,
        *,
        cas: Sequence[Json] | None = None,
        ct: Sequence[Json] | None = None,
        logs: Sequence[Json] | None = None,
        tsas: Sequence[Json] | None = None,
    ) -> Json:
        """Write trusted_root.json; each list is, unless it is given, of the instance's own."""
        during = self.during()
        return {
            "mediaType": ROOT,
            "tlogs": _or(logs, [one.trusted(during) for one in self.logs.values()]),
            "certificateAuthorities": _or(cas, [self.ca.trusted(during)]),
            "ctlogs": _or(ct, [self.ct.trusted(during)]),
            "timestampAuthorities": _or(tsas, [self.tsa.trusted(during)]),
        }

    def during(self, start: timedelta = _START, end: timedelta | None = None) -> Json:
        """Write a validity window; both ends are in it, and relative to now."""
        window = {"start": written(self.now + start)}
        return window if end is None else window | {"end": written(self.now + end)}

    def foreign(self) -> "Instance":
        """Make another one, of the same names."""
        return create(self.now)

    def _stamped(self, stamps: Sequence[Stamp], signature: bytes) -> Json:
        made = [timestamps.respond(one, self.tsa, signature, self.now) for one in stamps]
        return {"rfc3161Timestamps": [{"signedTimestamp": base64(one)} for one in made]}

    @staticmethod
    def _certified(signer: Signer, media: str) -> Json:
        listed = chain(signer.certificate)
        if media in {V01, V02}:
            return {"x509CertificateChain": listed}
        return {"certificate": listed["certificates"][0]}


def create(now: datetime | None = None) -> Instance:
    """Make an instance; all that it signs has to do with `now`, by default five minutes ago."""
    now = (now or datetime.now(UTC) - 5 * MINUTE).replace(microsecond=0)
    return Instance(
        now=now,
        ca=authority.create(now),
        ct=transparency.ct_log(),
        logs={1: log.first(now), 2: log.second()},
        tsa=timestamps.create(now),
    )


def _or(given: Sequence[Json] | None, own: list[Json]) -> list[Json]:
    return own if given is None else list(given)
