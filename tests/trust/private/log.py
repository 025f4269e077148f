"""Rekor, v1 and v2: an append-only log that proves what it holds."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.trust.private import keys, merkle, note
from tests.trust.private.encoding import Json, base64, canonical, public_key
from tests.trust.private.keys import Key
from tests.trust.private.note import Head, Witness, as_it_is

_BEFORE, _AFTER = 5, 2
"""Entries of others: each proof is to have hashes of either side."""


@dataclass(frozen=True, slots=True)
class Log:
    """A log. Replace its key, id or version, and it lies.

    `offset`: in v1, what came before this tree; an entry's own index counts it, its proof does not.
    """

    version: int
    name: str
    origin: str
    key: Key
    id: bytes
    offset: int = 0
    leaves: list[bytes] = field(default_factory=lambda: _others(0, _BEFORE))

    def trusted(self, valid_for: Json, details: str = "") -> Json:
        """Write its entry of trusted_root.json."""
        return {
            "baseUrl": f"https://{self.name}",
            "hashAlgorithm": "SHA2_256",
            "publicKey": public_key(self.key.spki, details or self.key.details, valid_for),
            "logId": {"keyId": base64(self.id)},
        }

    def append(self, leaf: bytes) -> int:
        """Add an entry, and some of others behind it; say where it is."""
        index = len(self.leaves)
        self.leaves.extend((leaf, *_others(index + 1, _AFTER)))
        return index

    @property
    def head(self) -> Head:
        return Head(self.origin, len(self.leaves), merkle.root(self.leaves))


@dataclass(frozen=True, slots=True)
class Entry:
    """How a log records something; what is not said is done right.

    `by`: another log than the instance's. `body`, `leaf` and `head` change what is to be logged,
    the bytes of it, and what the checkpoint says, before anything is signed. `late`: after the
    instance's now, for v1's time.
    """

    by: Log | None = None
    body: Callable[[Json], Json] = as_it_is
    leaf: Callable[[bytes], bytes] = as_it_is
    head: Callable[[Head], Head] = as_it_is
    late: timedelta = timedelta()
    witnesses: tuple[Witness, ...] = ()


def first(now: datetime) -> Log:
    """Make a Rekor v1: ECDSA, and a tree that has predecessors."""
    key = keys.p256()
    tree = int(now.timestamp())
    return Log(1, "rekor.example", f"rekor.example - {tree}", key, key.id, offset=10_000)


def second() -> Log:
    """Make a Rekor v2: Ed25519, named as notes name it."""
    key, name = keys.ed25519(), "log2026.rekor.example"
    return Log(2, name, name, key, note.key_id(name, note.ED25519, key.raw))


def record(body: Json, how: Entry, log: Log, now: datetime) -> Json:
    """Log a body, and write the entry as a bundle holds it."""
    log, body = how.by or log, how.body(body)
    leaf = how.leaf(canonical(body))
    index = log.append(leaf)
    entry: Json = {
        "logIndex": str(log.offset + index),
        "logId": {"keyId": base64(log.id)},
        "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
        "inclusionProof": _proof(log, index, how, now),
        "canonicalizedBody": base64(leaf),
    }
    return entry | (_promise(log, entry, now + how.late) if log.version == 1 else {})


def promise(log: Log, entry: Json, seconds: int) -> bytes:
    """Sign that an entry is, or will be, logged as of a time: v1's signed entry timestamp."""
    said = {
        "body": entry["canonicalizedBody"],
        "integratedTime": seconds,
        "logID": log.id.hex(),
        "logIndex": int(entry["logIndex"]),
    }
    return log.key.sign(canonical(said))


def checkpoint(log: Log, head: Head, witnesses: tuple[Witness, ...], now: datetime) -> str:
    """Sign what a log says, and have it cosigned."""
    lines = [note.line(log.name, log.id, log.key.sign(head.text.encode()))]
    lines += [one.cosign(head, now) for one in witnesses]
    return f"{head.text}\n{''.join(lines)}"


def _promise(log: Log, entry: Json, when: datetime) -> Json:
    seconds = int(when.timestamp())
    signed = base64(promise(log, entry, seconds))
    return {
        "integratedTime": str(seconds),
        "inclusionPromise": {"signedEntryTimestamp": signed},
    }


def _proof(log: Log, index: int, how: Entry, now: datetime) -> Json:
    head = log.head
    return {
        "logIndex": str(index),
        "treeSize": str(head.size),
        "rootHash": base64(head.root),
        "hashes": [base64(one) for one in merkle.proof(index, log.leaves)],
        "checkpoint": {"envelope": checkpoint(log, how.head(head), how.witnesses, now)},
    }


def _others(index: int, number: int) -> list[bytes]:
    return [f"entry {index + count}, somebody else's".encode() for count in range(number)]
