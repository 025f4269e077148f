"""Which policies have been in force, and since when, outside every boot environment.

Whoever asks later why something was accepted has to know by which policy. It is written before the
first thing is judged by a new one, so that no change goes unseen.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from snaproot import durable, formats
from snaproot.trust import modes
from snaproot.trust.believed import Believed
from snaproot.trust.documents import moment, written
from snaproot.trust.facts import Unverifiable
from snaproot.trust.store import Store

FORMAT = 1
NAME = "history.json"
_LARGEST = 64 << 20


@dataclass(frozen=True, slots=True)
class Change:
    """From when on a configuration was in force; digests are SHA-256 in hexadecimal.

    `revocations` is the version of the list, 0 without one.
    """

    time: datetime
    origin: str
    policy: str
    version: int
    trusted_root: str
    revocations: int

    @property
    def what(self) -> tuple[object, ...]:
        """What makes two of them the same configuration."""
        return (self.origin, self.policy, self.trusted_root, self.revocations)


def read(store: Store) -> tuple[Change, ...]:
    """Read all changes, the oldest first. Raises Unverifiable, Distrusted."""
    path = store.directory / NAME
    try:
        content = modes.read(path, owner=store.owner, within=store.within, limit=_LARGEST)
        return parse(content)
    except Unverifiable as error:
        if error.reason == "file.missing":
            return ()
        raise
    except ValueError as error:
        raise Unverifiable(
            "store.damaged",
            f"{path} is damaged ({error}); nobody can tell which policies were in force",
            hint=f"keep it for whoever asks, under another name: mv {path} {path}.damaged",
        ) from error


def note(store: Store, believed: Believed, now: datetime) -> bool:
    """Write down what is in force, if it is not what was before; tell whether it was. Durable.

    The caller holds snaproot's lock. Raises as `read` does, SnaprootError where it cannot be kept.
    """
    known, change = read(store), _change(believed, now)
    if known and known[-1].what == change.what:
        return False
    durable.make_directory(store.directory, mode=0o755)
    durable.write(store.directory / NAME, render((*known, change)), mode=0o644)
    return True


def parse(content: bytes) -> tuple[Change, ...]:
    """Read the file's bytes. Raises ValueError on damage, NewerFormat on a newer format. Pure."""
    data = formats.parse(content, "history of policies", FORMAT)
    try:
        return tuple(_read(one) for one in data["changes"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"missing or misplaced: {error}") from error


def render(changes: tuple[Change, ...]) -> bytes:
    """Write the file's bytes. Pure."""
    rows = [
        {
            "time": written(one.time),
            "origin": one.origin,
            "policy": one.policy,
            "version": one.version,
            "trusted_root": one.trusted_root,
            "revocations": one.revocations,
        }
        for one in changes
    ]
    return (json.dumps({"format": FORMAT, "changes": rows}, indent=1) + "\n").encode()


def _change(believed: Believed, now: datetime) -> Change:
    return Change(
        time=now,
        origin=believed.origin,
        policy=believed.policy.digest,
        version=believed.policy.version,
        trusted_root=believed.root_digest,
        revocations=believed.revocations.version if believed.revocations else 0,
    )


def _read(row: Mapping[str, object]) -> Change:
    texts = [row[name] for name in ("time", "origin", "policy", "trusted_root")]
    numbers = [row[name] for name in ("version", "revocations")]
    if not all(isinstance(one, str) for one in texts) or not all(type(n) is int for n in numbers):
        raise TypeError("a change has texts and numbers")
    time, origin, policy, trusted_root = map(str, texts)
    version, revocations = (int(str(number)) for number in numbers)
    return Change(moment(time), origin, policy, version, trusted_root, revocations)
