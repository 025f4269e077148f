"""python-tuf as a client: what it verifies, and the one place that knows its exceptions.

The library's own words are neither reasons nor messages. Versions, expiry and roles are read from
its one private attribute, which also takes the time to judge by; a test holds on to that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from tuf.api import exceptions as tuf
from tuf.api.metadata import (  # type: ignore[attr-defined] # public, but not marked as exported
    Metadata,
    Root,
    Signed,
    Snapshot,
    Targets,
    Timestamp,
)
from tuf.api.serialization import DeserializationError
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from snaproot.hashing import sha256
from snaproot.trust import floors
from snaproot.trust.facts import Distrusted, Unverifiable
from snaproot.trust.fetching import Directory, Mirror
from snaproot.trust.store import LIMIT, Store

STILL = "what was delivered before still holds"
"""The end of each message of a delivery."""
OLD_COPY = "the source may be an old copy: try another"

_ROLES = (Root.type, Timestamp.type, Snapshot.type, Targets.type)
_ROOT_LIMIT = 512_000  # bytes; python-tuf's own
_MISSING = {403, 404}

_FAULTS: tuple[tuple[type[Exception], str], ...] = (
    (tuf.UnsignedMetadataError, "delivery.threshold"),
    (tuf.ExpiredMetadataError, "delivery.expired"),
    (tuf.LengthOrHashMismatchError, "delivery.mixed"),
    (tuf.BadVersionNumberError, "delivery.rollback"),
    (DeserializationError, "delivery.malformed"),
    (tuf.RepositoryError, "delivery.mixed"),
    (tuf.DownloadLengthMismatchError, "delivery.malformed"),
    (tuf.DownloadError, "delivery.unreachable"),
    (Exception, "delivery.malformed"),
)
"""What python-tuf raises, the particular before the general."""

_WORDS = {
    "delivery.threshold": "is not signed by enough of the keys that the root names for it",
    "delivery.expired": "has expired",
    "delivery.mixed": "does not belong to the metadata that names it",
    "delivery.rollback": "is older than what was seen before",
    "delivery.target": "is not the file that was signed",
    "delivery.root": "is signed by the keys of another root than the pinned one",
    "delivery.malformed": "is no TUF metadata, or too long",
    "delivery.missing": "is not there",
    "delivery.unreachable": "cannot be read",
}
_HINTS = {
    "delivery.expired": "is the clock right? Else the source is no longer kept up to date",
    "delivery.root": "is it the right source? A new root is reached by rotation, signed by the old",
    "delivery.rollback": OLD_COPY,
    "delivery.missing": "is the medium in, and the whole repository on it?",
}
_NO_ANSWER = {"delivery.malformed", "delivery.missing", "delivery.unreachable"}


@dataclass(frozen=True, slots=True)
class SignedRoot:
    """A root that its own keys signed; the digest is the SHA-256 of the signed part."""

    content: bytes
    version: int
    digest: str


def signed_root(content: bytes) -> SignedRoot:
    """Read a root's file. Raises Distrusted (`delivery.root`) where it is something else."""
    try:
        found = Metadata[Root].from_bytes(content if len(content) <= _ROOT_LIMIT else b"")
        found.signed.verify_delegate(Root.type, found.signed_bytes, found.signatures)
    except Exception as error:  # python-tuf lets out more than it says
        what = f"the file is no TUF root that its own keys signed; {STILL}"
        raise Distrusted("delivery.root", what) from error
    return SignedRoot(content, found.signed.version, sha256(found.signed_bytes).hexdigest())


class Client:
    """One run of the TUF client workflow, from a trusted root on.

    Each method raises Distrusted (`delivery.rollback`, `.threshold`, `.expired`, `.mixed`,
    `.target`, `.root`) or Unverifiable (`delivery.unreachable`, `.missing`, `.malformed`,
    `store.unwritable`), and nothing else.
    """

    def __init__(
        self, source: Directory | Mirror, store: Store, root: bytes, now: datetime
    ) -> None:
        self.name = source.name
        self._store = store
        self._fetcher = _Watched(source)
        try:
            self._updater = Updater(
                str(store.metadata),
                "metadata",
                str(store.incoming),
                "targets",
                self._fetcher,
                bootstrap=root,
            )
        except OSError as error:
            raise _unwritable(store, error) from error
        self._trusted = self._updater._trusted_set  # noqa: SLF001 - there is no public way
        self._trusted.reference_time = now

    def refresh(self) -> None:
        """Verify root, timestamp, snapshot and targets."""
        with self._faults():
            self._updater.refresh()

    def target(self, name: str) -> bytes | None:
        """Fetch a file and verify it; None if the repository names none."""
        with self._faults():
            found = self._updater.get_targetinfo(name)
        if found is None:
            return None
        if found.length > LIMIT:
            raise self.unfit(name, f"has more than {LIMIT} bytes")
        place = self._store.incoming / name
        with self._faults():
            self._updater.download_target(found, str(place))
            return place.read_bytes()

    def unfit(self, name: str, what: str) -> Distrusted:
        """Say what is wrong with a file that was signed."""
        return Distrusted("delivery.target", f"{self.name}: {name} {what}; {STILL}")

    def roots(self, after: int) -> Iterator[SignedRoot]:
        """Give the roots that were verified, from the one after this version on."""
        for version in range(after + 1, self._trusted.root.version + 1):
            with self._faults():
                path = self._store.metadata / "root_history" / f"{version}.root.json"
                content = path.read_bytes()
            yield signed_root(content)

    def versions(self) -> dict[str, int]:
        """Give the version of each role that is verified by now."""
        return {role: signed.version for role, signed in self._roles().items()}

    def floors(self) -> dict[str, int]:
        """Give the floors that these versions make."""
        named = self._trusted.root.roles
        found: dict[str, int] = {}
        for role, version in self.versions().items():
            found |= floors.of_role(role, named[role].keyids, version)
        return found

    def expires(self) -> datetime:
        """Tell when the first of the roles does."""
        return min(signed.expires for signed in self._roles().values())

    def _roles(self) -> dict[str, Signed]:
        return {role: self._trusted[role] for role in _ROLES if role in self._trusted}

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # as above
            raise self._fault(error) from error

    def _fault(self, error: Exception) -> Distrusted | Unverifiable:
        if isinstance(error, OSError):
            return _unwritable(self._store, error)
        reason = self._refined(next(name for kind, name in _FAULTS if isinstance(error, kind)))
        if isinstance(error, tuf.DownloadHTTPError) and error.status_code in _MISSING:
            reason = "delivery.missing"
        why = f" ({error})" if reason == "delivery.unreachable" else ""
        kind = Unverifiable if reason in _NO_ANSWER else Distrusted
        what = f"{self.name}: {self._subject(reason)} {_WORDS[reason]}{why}; {STILL}"
        return kind(reason, what, hint=_HINTS.get(reason, ""))

    def _refined(self, reason: str) -> str:
        """Tell apart what python-tuf has one exception for."""
        if self._fetcher.asked.startswith("targets/"):
            mismatch = reason in {"delivery.mixed", "delivery.malformed"}
            return "delivery.target" if mismatch else reason
        if reason == "delivery.rollback" and not self._is_older():
            return "delivery.mixed"
        if reason == "delivery.threshold" and self._is_another():
            return "delivery.root"
        return reason

    def _is_older(self) -> bool:
        """Tell rollback from mixture: a snapshot that its timestamp does not name is the latter."""
        if Snapshot.type not in self._trusted:
            return Timestamp.type in self._trusted
        came = Metadata[Snapshot].from_bytes(self._fetcher.came).signed
        named = self._trusted.timestamp.snapshot_meta.version
        return came.type == Snapshot.type and came.version == named

    def _is_another(self) -> bool:
        """Tell whether the source shows another root of the pinned version; chooses words only."""
        pinned = self._trusted.root
        name = f"metadata/{pinned.version}.root.json"
        try:
            shown = Metadata[Root].from_bytes(self._fetcher.look(name))
        except (tuf.DownloadError, tuf.RepositoryError):
            return False
        return shown.signed != pinned

    def _subject(self, reason: str) -> str:
        now = self._trusted.reference_time
        expired = [role for role, signed in self._roles().items() if signed.is_expired(now)]
        if reason == "delivery.expired" and expired:
            return f"metadata/{expired[0]}.json"
        return self._fetcher.asked


def _unwritable(store: Store, error: OSError) -> Unverifiable:
    said = (error.strerror or str(error)).lower()
    return Unverifiable(
        "store.unwritable",
        f"cannot write below {store.directory}: {said}; {STILL}",
        hint="is the filesystem full, or mounted read-only?",
    )


class _Watched(FetcherInterface):
    """Remembers what was asked for last, and the metadata that came: errors are about that."""

    def __init__(self, source: FetcherInterface) -> None:
        self.asked = ""
        self.came = b""
        self._source = source

    def _fetch(self, url: str) -> Iterator[bytes]:
        self.asked = url
        return self._source.fetch(url)

    def download_bytes(self, url: str, max_length: int) -> bytes:
        self.came = super().download_bytes(url, max_length)
        return self.came

    def look(self, url: str) -> bytes:
        """Fetch something without remembering it."""
        return self._source.download_bytes(url, _ROOT_LIMIT)
