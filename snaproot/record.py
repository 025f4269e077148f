"""The record on disk: one JSON file outside every boot environment, replaced atomically.

Unknown keys are kept, so that an older snaproot does not drop what a newer one wrote. A newer
format is never written over, and an older one is kept until the root that wrote it is promoted:
whatever a trial writes, its base can read.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import cast

from snaproot import durable, formats
from snaproot.environment import ID
from snaproot.errors import NeedsRecovery, SnaprootError
from snaproot.state import FORMAT, READER, Deployment, Kind, Phase, Record

NAME = "record.json"


def render(record: Record) -> bytes:
    """Write the record as JSON: its format number first, then who can read that."""
    readable = {"format": record.format, "reader": record.reader}
    return (json.dumps({**readable, **_record_fields(record)}, indent=1) + "\n").encode()


def parse(text: bytes) -> Record:
    """Read a record. Raises ValueError on damage, NewerFormat on a newer format."""
    data = formats.parse(text, "record", FORMAT)
    try:
        return _record(data)
    except (KeyError, TypeError) as error:
        raise ValueError(f"missing or misplaced: {error}") from error


@dataclass(frozen=True, slots=True)
class Records:
    """Loads and saves the record in its directory."""

    directory: Path

    @property
    def path(self) -> Path:
        return self.directory / NAME

    def load(self) -> Record:
        """Read it. Raises NeedsRecovery if it is missing or damaged, NewerFormat if it is newer."""
        try:
            return parse(self.path.read_bytes())
        except PermissionError as error:
            raise SnaprootError(f"{self.path} may not be read", hint="only root may") from error
        except (OSError, ValueError) as error:
            raise NeedsRecovery(
                f"{self.path} cannot be read ({error}); no root was touched",
                hint="snaproot recover builds it anew from what the filesystem shows",
            ) from error

    def save(self, record: Record) -> None:
        """Replace it atomically and durably."""
        durable.write(self.path, render(record))

    def set_aside(self) -> Path | None:
        """Keep a damaged record under a name of its own, where the new one will not replace it.

        Nothing else changes: until the new one is saved the damaged one is in its place.
        """
        if not self.path.exists():
            return None
        return durable.set_aside(self.path)


def _record_fields(record: Record) -> dict[str, object]:
    return {
        **record.extra,
        "base": record.base,
        "last": record.last,
        "newest": record.newest,
        "work": _deployment_fields(record.work),
        "pending": _deployment_fields(record.pending),
    }


def _deployment_fields(deployment: Deployment | None) -> dict[str, object] | None:
    if deployment is None:
        return None
    known = {f.name: getattr(deployment, f.name) for f in fields(Deployment) if f.name != "extra"}
    replaces = _deployment_fields(deployment.replaces)
    return {**deployment.extra, **known, "replaces": replaces}


def _record(data: Mapping[str, object]) -> Record:
    known = ("format", "reader", "base", "last", "newest", "work", "pending")
    work, pending = _deployment(data["work"]), _deployment(data["pending"])
    if work is not None and work.phase is not Phase.STAGING:
        raise TypeError(f"work that is {work.phase}")
    if pending is not None and pending.phase is Phase.STAGING:
        raise TypeError(f"a pending deployment that is {pending.phase}")
    return Record(
        base=_id(data["base"]),
        format=cast(int, data["format"]),  # checked by parse
        reader=_text(data.get("reader", READER)),
        last=_id_or_none(data["last"]),
        newest=_id_or_none(data.get("newest", "")),
        work=work,
        pending=pending,
        extra={key: value for key, value in data.items() if key not in known},
    )


def _deployment(data: object) -> Deployment | None:
    """Read a deployment; a key with a default may be missing, as an older snaproot lacks it."""
    if data is None:
        return None
    if not isinstance(data, dict):
        raise TypeError("a deployment is an object")
    names = {f.name for f in fields(Deployment)} - {"extra"}
    known = {name: value for name, value in data.items() if name in names}
    typed = {
        "kind": Kind(known["kind"]),
        "phase": Phase(known["phase"]),
        "trial_boots": _texts(known.get("trial_boots", [])),
        "given_back": _texts(known.get("given_back", [])),
        "replaces": _deployment(known.get("replaces")),
        "extra": {name: value for name, value in data.items() if name not in names},
    }
    return _checked(Deployment(**{**known, **typed}))


def _checked(deployment: Deployment) -> Deployment:
    for name in ("id", "parent", "base", "target"):
        _id(getattr(deployment, name))
    for name in ("boot_id", "reason"):
        _text(getattr(deployment, name))
    for name in ("tries", "attempts_used", "attempts_given_back"):
        if type(getattr(deployment, name)) is not int:
            raise TypeError(f"{name} is a number")
    for name in ("created_target", "bad"):
        if type(getattr(deployment, name)) is not bool:
            raise TypeError(f"{name} is true or false")
    return deployment


def _id(value: object) -> str:
    """Check an id: it becomes a path, and what it names may be deleted."""
    if not ID.fullmatch(_text(value)):
        raise TypeError(f"{value!r} is no id")
    return _text(value)


def _id_or_none(value: object) -> str:
    return "" if value == "" else _id(value)


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return tuple(_text(item) for item in value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value
