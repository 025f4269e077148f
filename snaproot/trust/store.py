"""Where the verifier's configuration lies: one directory, outside every boot environment.

`configuration.json` holds all that was delivered together, with its digests: one rename puts the
new set in place of the old. `pin.json` holds the TUF root that is believed, `floors.json` the
versions below which nothing is. `metadata/` is python-tuf's, which syncs nothing of what it writes:
what a power cut can take from it is in the other three.

All are read as `modes` does. Whoever writes here holds snaproot's lock.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from snaproot import durable, formats
from snaproot.hashing import sha256
from snaproot.trust import floors, modes
from snaproot.trust.facts import Distrusted, Unverifiable
from snaproot.trust.floors import Floors

FORMAT = 1
POLICY = "policy.toml"
TRUSTED_ROOT = "trusted_root.json"
REVOCATIONS = "revocations.json"
FILES = (POLICY, TRUSTED_ROOT, REVOCATIONS)
"""What can be delivered; the first has to be."""
LIMIT = 1 << 20
"""How many bytes one of them may have."""

Check = Callable[[Mapping[str, bytes]], Mapping[str, int]]
"""Looks at all files together, by name, before any is used.

Gives the versions of `policy` and `revocations`; raises Distrusted, Unverifiable or ConfigError.
"""

_CONFIGURATION = "configuration.json"
_PIN = "pin.json"
_FLOORS = "floors.json"
_READ = 6 * len(FILES) * LIMIT + LIMIT  # JSON writes a byte as six, at worst
_AGAIN = "have it delivered: snaproot trust update"

_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Delivered:
    """One file: its text, and the SHA-256 of its bytes in hexadecimal."""

    text: str
    sha256: str

    @property
    def content(self) -> bytes:
        return self.text.encode()


@dataclass(frozen=True, slots=True)
class Configuration:
    """What was delivered last, as one set.

    `versions` are those of the TUF roles and, as far as they were told, of policy and revocations.
    `expires` is when the first of the TUF roles does: after that nobody has vouched for it lately.
    """

    files: Mapping[str, Delivered]
    versions: Mapping[str, int]
    updated: datetime
    expires: datetime

    @property
    def policy(self) -> Delivered:
        return self.files[POLICY]

    @property
    def trusted_root(self) -> Delivered | None:
        return self.files.get(TRUSTED_ROOT)

    @property
    def revocations(self) -> Delivered | None:
        return self.files.get(REVOCATIONS)


@dataclass(frozen=True, slots=True)
class Pin:
    """The newest TUF root that was reached from the first one, as its file has it.

    `accepted` has the SHA-256 of the signed part of every root on the way, by version.
    """

    root: bytes
    accepted: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Store:
    """The directory. `owner` and `within` are for `modes.read`."""

    directory: Path
    owner: int = 0
    within: Path = field(default_factory=lambda: Path("/"))

    @property
    def metadata(self) -> Path:
        return self.directory / "metadata"

    @property
    def incoming(self) -> Path:
        return self.directory / "incoming"

    @property
    def afresh(self) -> str:
        """Say how to begin with another root: all that was ever seen is forgotten then."""
        names = f"{_PIN}, {_CONFIGURATION} and {_FLOORS}"
        return f"remove {names} in {self.directory}, and pin the root again"

    def configuration(self) -> Configuration | None:
        """Read what was delivered last; None where no root was ever pinned.

        Raises Unverifiable where it is damaged, or nothing came under the pinned root yet;
        Distrusted for an older set that was put back, or a file that others could have written.
        """
        found = self._parsed(_CONFIGURATION, parse_configuration, "nothing is trusted", _AGAIN)
        if found is None:
            self._never_pinned()
            return None
        kept = {name: found.versions.get(name, 0) for name in (floors.POLICY, floors.REVOCATIONS)}
        for name in self.floors().undercut(kept):
            raise Distrusted(
                "store.rollback",
                f"{self.directory} holds {name} in version {kept[name]}, and had a later one "
                "before; nothing is trusted",
                hint=_AGAIN,
            )
        return found

    def pin(self) -> Pin | None:
        """Read the pinned root; None where there is none. Raises Unverifiable, Distrusted."""
        hint = f"remove {self.directory / _PIN}, then: snaproot trust update --root FILE"
        return self._parsed(_PIN, parse_pin, "no delivery can be verified", hint)

    def floors(self) -> Floors:
        """Read the floors; none where no root was ever pinned.

        Raises Unverifiable where they are missing beside a pin, or damaged; Distrusted.
        """
        still = "no rollback would be noticed, so nothing is trusted"
        hint = f"if nobody meddled, {self.afresh}"
        found = self._parsed(_FLOORS, floors.parse, still, hint)
        beside = (_PIN, _CONFIGURATION)
        if found is None and any(self._bytes(name) is not None for name in beside):
            what = f"{self.directory / _FLOORS} is missing; {still}"
            raise Unverifiable("store.damaged", what, hint=hint)
        return found or Floors()

    def prepare(self) -> None:
        """Make the directories, and clear away what a power cut left in them; idempotent.

        Raises Distrusted, before anything is written, where others than root could meddle.
        """
        self._bytes(_PIN)
        durable.make_directory(self.directory, mode=0o755)
        durable.make_directory(self.metadata)
        self.clear()
        durable.make_directory(self.incoming)

    def clear(self) -> None:
        """Remove what an update leaves behind, whether it ended or was cut."""
        shutil.rmtree(self.incoming, ignore_errors=True)
        half_written = ((self.metadata, "tmp*"), (self.directory, ".*.json.*"))  # tuf's, and ours
        for path in (found for place, names in half_written for found in place.glob(names)):
            with suppress(OSError):
                path.unlink()

    def raise_floors(self, seen: Mapping[str, int]) -> None:
        """Believe nothing below these versions any more; durable, idempotent.

        The directory has to be there: see `prepare`.
        """
        lowest = self.floors()
        if (higher := lowest.raised(seen)) != lowest or self._bytes(_FLOORS) is None:
            self._write(_FLOORS, floors.render(higher))

    def save_pin(self, pin: Pin) -> None:
        """Put this root in place of the one before; durable.

        The floors are there before the first one is: missing beside a pin, they were lost.
        """
        self.raise_floors({})
        self._write(_PIN, render_pin(pin))

    def save_configuration(self, configuration: Configuration) -> None:
        """Put this set in place of the one before; durable."""
        self._write(_CONFIGURATION, render_configuration(configuration))

    def _never_pinned(self) -> None:
        """Raise Unverifiable if there was a root: an emptied store is not a fresh one."""
        if self.pin() is not None or self.floors().has_root:
            raise Unverifiable(
                "store.empty",
                f"{self.directory} has no configuration; nothing is trusted",
                hint=_AGAIN,
            )

    def _write(self, name: str, content: bytes) -> None:
        durable.write(self.directory / name, content, mode=0o644)

    def _parsed(
        self, name: str, parse: Callable[[bytes], _Read], still: str, hint: str
    ) -> _Read | None:
        content = self._bytes(name)
        try:
            return None if content is None else parse(content)
        except ValueError as error:
            path = self.directory / name
            what = f"{path} is damaged ({error}); {still}"
            raise Unverifiable("store.damaged", what, hint=hint) from error

    def _bytes(self, name: str) -> bytes | None:
        path = self.directory / name
        try:
            return modes.read(path, owner=self.owner, within=self.within, limit=_READ)
        except Unverifiable as error:
            if error.reason == "file.missing":
                return None
            raise


def delivered(content: bytes) -> Delivered:
    """Take in one file. Raises ValueError where it is no UTF-8. Pure."""
    return Delivered(content.decode(), sha256(content).hexdigest())


def parse_configuration(text: bytes) -> Configuration:
    """Read a delivered set. Raises ValueError on damage, NewerFormat on a newer format. Pure."""
    data = formats.parse(text, "delivered configuration", FORMAT)
    try:
        files = {name: _file(name, one) for name, one in data["files"].items()}
        times = [datetime.fromtimestamp(data[name], UTC) for name in ("updated", "expires")]
        versions = floors.checked(data["versions"])
    except (KeyError, TypeError, AttributeError, OverflowError, OSError) as error:
        raise ValueError(f"missing or misplaced: {error}") from error
    if POLICY not in files:
        raise ValueError(f"it lacks {POLICY}")
    return Configuration(MappingProxyType(files), versions, *times)


def render_configuration(configuration: Configuration) -> bytes:
    """Write a delivered set as JSON. Pure."""
    return _json(
        {
            "updated": int(configuration.updated.timestamp()),
            "expires": int(configuration.expires.timestamp()),
            "versions": dict(configuration.versions),
            "files": {
                name: {"sha256": one.sha256, "text": one.text}
                for name, one in configuration.files.items()
            },
        }
    )


def parse_pin(text: bytes) -> Pin:
    """Read a pin. Raises ValueError on damage, NewerFormat on a newer format. Pure."""
    data = formats.parse(text, "pinned root", FORMAT)
    try:
        accepted = {int(version): _text(one) for version, one in data["accepted"].items()}
        root = _text(data["root"]).encode()
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"missing or misplaced: {error}") from error
    return Pin(root, MappingProxyType(accepted))


def render_pin(pin: Pin) -> bytes:
    """Write a pin as JSON. Pure."""
    accepted = {str(version): one for version, one in sorted(pin.accepted.items())}
    return _json({"root": pin.root.decode(), "accepted": accepted})


def _json(fields: Mapping[str, object]) -> bytes:
    return (json.dumps({"format": FORMAT, **fields}, indent=1) + "\n").encode()


def _file(name: str, data: Mapping[str, object]) -> Delivered:
    if name not in FILES:
        raise ValueError(f"{name} is none of the files that are delivered")
    found = delivered(_text(data["text"]).encode())
    if found.sha256 != data["sha256"]:
        raise ValueError(f"{name} does not have its digest")
    return found


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("it is no text")
    return value
