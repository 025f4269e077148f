"""A TUF repository in a directory, made and signed anew for each test.

python-tuf's data model writes it: what is under test is how its client is used.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from securesystemslib.signer import (  # type: ignore[attr-defined] # as below
    CryptoSigner,
)
from tuf.api.metadata import (  # type: ignore[attr-defined] # public, but not marked as exported
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

Files = dict[str, bytes]
LASTS = timedelta(days=365)
ROLES = ("root", "timestamp", "snapshot", "targets")


def signers(number: int = 1) -> list[CryptoSigner]:
    return [CryptoSigner.generate_ed25519() for _ in range(number)]


def new_keys() -> dict[str, list[CryptoSigner]]:
    """Give the root three keys, of which two have to sign, and the other roles one each."""
    return {"root": signers(3), "timestamp": signers(), "snapshot": signers(), "targets": signers()}


@dataclass
class Repository:
    """Below `path`; `lasts` is for how long what is signed from now on holds."""

    path: Path
    now: datetime
    keys: dict[str, list[CryptoSigner]] = field(default_factory=new_keys)
    versions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ROLES, 0))
    lasts: dict[str, timedelta] = field(default_factory=lambda: dict.fromkeys(ROLES, LASTS))
    hashed: bool = True  # metadata names metadata by digest, too

    def __post_init__(self) -> None:
        (self.path / "metadata").mkdir(parents=True)
        (self.path / "targets").mkdir()
        self.rotate()

    @property
    def root(self) -> bytes:
        return self.root_file(self.versions["root"]).read_bytes()

    def root_file(self, version: int) -> Path:
        return self.path / f"metadata/{version}.root.json"

    def rotate(self, *roles: str, by: list[CryptoSigner] | None = None) -> None:
        """Publish the next root, with new keys for these roles; `by` replaces the old signers."""
        before = self.keys["root"][:2]
        fresh = new_keys()
        self.keys |= {role: fresh[role] for role in roles}
        root = Root(self._next("root"), expires=self._expires("root"), consistent_snapshot=True)
        root.roles = {role: Role([], 2 if role == "root" else 1) for role in ROLES}
        for role, keys in self.keys.items():
            for key in keys:
                root.add_key(key.public_key, role)
        signed = Metadata(root)
        sign(signed, *(before if by is None else by), *self.keys["root"][:2])
        self.root_file(root.version).write_bytes(signed.to_bytes())

    def publish(self, files: Files, *, told: Files | None = None) -> None:
        """Publish these files as the next version; `told` is what is signed in place of some."""
        targets = Targets(self._next("targets"), expires=self._expires("targets"))
        for path, content in files.items():
            signed = (told or {}).get(path, content)
            targets.targets[path] = TargetFile.from_data(path, signed, ["sha256"])
            digest = sha256(signed).hexdigest()
            (self.path / f"targets/{digest}.{path}").write_bytes(content)
        written = self.write(targets, f"{targets.version}.targets.json")
        self.publish_snapshot(targets.version, written)

    def publish_snapshot(self, targets: int, content: bytes | None = None) -> None:
        """Publish a snapshot that names these targets, and a timestamp that names it."""
        named = self._named(targets, content)
        version = self._next("snapshot")
        snapshot = Snapshot(
            version, expires=self._expires("snapshot"), meta={"targets.json": named}
        )
        self.publish_timestamp(version, self.write(snapshot, f"{version}.snapshot.json"))

    def publish_timestamp(self, snapshot: int, content: bytes | None = None) -> None:
        """Publish a timestamp that names this snapshot."""
        named = self._named(snapshot, content)
        version = self._next("timestamp")
        self.write(
            Timestamp(version, expires=self._expires("timestamp"), snapshot_meta=named),
            "timestamp.json",
        )

    def write(self, signed: Timestamp | Snapshot | Targets, name: str) -> bytes:
        metadata: Metadata[Any] = Metadata(signed)
        sign(metadata, *self.keys[signed.type])
        content = metadata.to_bytes()
        (self.path / "metadata" / name).write_bytes(content)
        return content

    def _named(self, version: int, content: bytes | None) -> MetaFile:
        if content is None or not self.hashed:
            return MetaFile(version)
        return MetaFile(version, len(content), {"sha256": sha256(content).hexdigest()})

    def _next(self, role: str) -> int:
        self.versions[role] += 1
        return self.versions[role]

    def _expires(self, role: str) -> datetime:
        return (self.now + self.lasts[role]).replace(microsecond=0)


def sign(metadata: Metadata[Any], *keys: CryptoSigner) -> None:
    for key in keys:
        metadata.sign(key, append=True)


@contextmanager
def served(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve on this machine only, in a thread that has ended when this does."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def mirrored(path: Path) -> AbstractContextManager[str]:
    """Serve a directory."""
    return served(partial(_Quiet, directory=str(path)))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass
