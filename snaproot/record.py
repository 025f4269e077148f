"""The record on disk: one JSON file outside every boot environment, replaced atomically.

Unknown keys are kept, so that an older snaproot does not drop what a newer one wrote; a newer
format is never written over.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from snaproot import durable
from snaproot.errors import NeedsRecovery, Refused
from snaproot.state import Deployment, Kind, Phase, Record

FORMAT = 1
NAME = "record.json"


def render(record: Record) -> bytes:
    """Write the record as JSON, its format number first."""
    return (json.dumps({"format": FORMAT, **_record_fields(record)}, indent=1) + "\n").encode()


def parse(text: bytes) -> Record:
    """Read a record. Raises ValueError on damage, Refused on a newer format."""
    data = json.loads(text)
    if not (isinstance(data, dict) and isinstance(data.get("format"), int)):
        raise ValueError("it is no record")  # noqa: TRY004 - of the text, not of an argument
    if data["format"] > FORMAT:
        raise Refused(
            f"the record has format {data['format']}, this snaproot reads {FORMAT}; "
            "nothing was changed",
            hint="use the snaproot that wrote it, or a newer one",
        )
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
        """Read it. Raises NeedsRecovery if it is missing or damaged, Refused if it is newer."""
        try:
            return parse(self.path.read_bytes())
        except (FileNotFoundError, ValueError) as error:
            raise NeedsRecovery(
                f"{self.path} cannot be read ({error}); no root was touched",
                hint="snaproot recover builds it anew from what the filesystem shows",
            ) from error

    def save(self, record: Record) -> None:
        """Replace it atomically and durably."""
        durable.write(self.path, render(record))

    def set_aside(self) -> Path | None:
        """Keep a damaged record beside the place of the new one."""
        if not self.path.exists():
            return None
        aside = self.path.with_name(f"{NAME}.damaged")
        durable.write(aside, self.path.read_bytes())
        return aside


def _record_fields(record: Record) -> dict[str, object]:
    return {
        **record.extra,
        "base": record.base,
        "last": record.last,
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
    known = ("format", "base", "last", "work", "pending")
    return Record(
        base=_text(data["base"]),
        last=_text(data["last"]),
        work=_deployment(data["work"]),
        pending=_deployment(data["pending"]),
        extra={key: value for key, value in data.items() if key not in known},
    )


def _deployment(data: object) -> Deployment | None:
    if data is None:
        return None
    if not isinstance(data, dict):
        raise TypeError("a deployment is an object")
    names = {f.name for f in fields(Deployment)} - {"extra"}
    known = {name: value for name, value in data.items() if name in names}
    typed = {
        "kind": Kind(known["kind"]),
        "phase": Phase(known["phase"]),
        "trial_boots": tuple(_text(boot) for boot in known["trial_boots"]),
        "replaces": _deployment(known["replaces"]),
        "extra": {name: value for name, value in data.items() if name not in names},
    }
    return _checked(Deployment(**{**known, **typed}))


def _checked(deployment: Deployment) -> Deployment:
    for name in ("id", "parent", "base", "target", "boot_id", "reason"):
        _text(getattr(deployment, name))
    for name in ("tries", "attempts_used", "attempts_given_back"):
        if type(getattr(deployment, name)) is not int:
            raise TypeError(f"{name} is a number")
    for name in ("created_target", "bad"):
        if type(getattr(deployment, name)) is not bool:
            raise TypeError(f"{name} is true or false")
    return deployment


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value
