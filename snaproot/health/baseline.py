"""What was already wrong on the last good root, and is no fault of the next one.

One JSON file outside every boot environment, replaced atomically; keys that are not known are kept.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from snaproot import durable, formats
from snaproot.errors import SnaprootError

FORMAT = 1
NAME = "baseline.json"


@dataclass(frozen=True, slots=True)
class Baseline:
    """Units that had failed, and the error counters of the devices by device id or GUID.

    `recorded` is when (ISO 8601) and `environment` on which root; both empty if never.
    """

    failed_units: tuple[str, ...] = ()
    device_errors: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    recorded: str = ""
    environment: str = ""
    extra: Mapping[str, object] = field(default_factory=dict)

    def shape(self) -> dict[str, object]:
        """Describe it as JSON."""
        return {
            "failed_units": [*self.failed_units],
            "device_errors": {device: {**counts} for device, counts in self.device_errors.items()},
            "recorded": self.recorded or None,
            "environment": self.environment or None,
        }


def render(baseline: Baseline) -> bytes:
    """Write it as JSON, its format number first."""
    shape = {"format": FORMAT, **baseline.extra, **baseline.shape()}
    return (json.dumps(shape, indent=1) + "\n").encode()


def parse(text: bytes) -> Baseline:
    """Read it. Raises ValueError on damage, NewerFormat on a newer format."""
    data = formats.parse(text, "baseline", FORMAT)
    known = {"format", "failed_units", "device_errors", "recorded", "environment"}
    return Baseline(
        failed_units=_texts(data.get("failed_units", [])),
        device_errors=_counters(data.get("device_errors", {})),
        recorded=_text(data.get("recorded") or ""),
        environment=_text(data.get("environment") or ""),
        extra={key: value for key, value in data.items() if key not in known},
    )


def load(directory: Path) -> Baseline:
    """Read the baseline in a directory; a missing one is empty.

    Raises SnaprootError for one that cannot be read, NewerFormat for a newer one.
    """
    path = directory / NAME
    try:
        return parse(path.read_bytes())
    except FileNotFoundError:
        return Baseline()
    except (OSError, ValueError) as error:
        raise SnaprootError(
            f"{path} cannot be read ({error}); no root was touched",
            hint="snaproot health baseline --record takes a new one",
        ) from error


def save(directory: Path, baseline: Baseline) -> None:
    """Replace the baseline atomically and durably."""
    durable.write(directory / NAME, render(baseline))


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is no list")  # noqa: TRY004 - of the file, not of our call
    return tuple(_text(one) for one in value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")  # noqa: TRY004
    return value


def _counters(value: object) -> Mapping[str, Mapping[str, int]]:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} are no counters")  # noqa: TRY004
    return {device: _counts(counts) for device, counts in value.items()}


def _counts(value: object) -> Mapping[str, int]:
    if not isinstance(value, dict) or not all(type(one) is int for one in value.values()):
        raise ValueError(f"{value!r} are no counts")
    return value
