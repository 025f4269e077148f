"""What adoption remembers beside the record: what it found, and what is still the original's."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from snaproot import durable, formats
from snaproot.adoption.decisions import AreaPlan, How, Nested, Policy
from snaproot.adoption.shape import ORIGINAL
from snaproot.adoption.sysimage import StateLink
from snaproot.areas import Area, Backup, Kind
from snaproot.errors import NeedsRecovery, Refused
from snaproot.filesystem.layout import Layout

FORMAT = 1
NAME = "adoption.json"
_KNOWN = (
    *("format", "id", "unfinished", "root", "os", "default", "findings", "masked", "writable"),
    "shared",
)


@dataclass(frozen=True, slots=True)
class Shared:
    """What becomes areas after a promotion: until then these are the original's directories."""

    areas: tuple[AreaPlan, ...]
    nested: tuple[Nested, ...]
    links: tuple[StateLink, ...]

    @property
    def lent(self) -> tuple[AreaPlan, ...]:
        """Those whose content is the original's."""
        return tuple(plan for plan in self.areas if plan.how in {How.CARVED, How.SNAPSHOT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One adoption; `id` is the boot environment that it made.

    `default` is what the filesystem's pointer named: a subvolume's number, or a dataset.
    `masked` are units of systemd's that had not been masked before.
    `unfinished` names a BE that is still to be made the default. `shared` is None once all areas
    are subvolumes of ours. `writable`: the original is to stay what it is, for its own tools.
    """

    id: str
    root: str
    os: str
    default: int | str
    findings: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    unfinished: str = ""
    writable: bool = False
    shared: Shared | None = None
    extra: Mapping[str, object] = field(default_factory=dict)


def load(layout: Layout) -> Note | None:
    """Read it; None where there is none. Raises NeedsRecovery for a damaged one."""
    path = layout.record / NAME
    try:
        return _parsed(formats.parse(path.read_bytes(), "note of the adoption", FORMAT))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NeedsRecovery(
            f"{path} cannot be read ({error}); nothing was changed", hint="snaproot recover"
        ) from error


def save(layout: Layout, note: Note) -> None:
    """Replace it, durably."""
    known: dict[str, object] = asdict(replace(note, extra={}))
    known.pop("extra")
    text = json.dumps({"format": FORMAT, **note.extra, **known}, indent=1) + "\n"
    durable.write(layout.record / NAME, text.encode(), mode=0o644)


def unfinished(top: Path, base: str) -> Refused | None:
    """Say why nothing can be staged yet; None where the base and all areas are ours."""
    note = load(Layout(top))
    if base == ORIGINAL and note is not None and note.writable:
        return Refused(
            f"the base is {base}, a writable root, which only its own package manager changes; "
            "nothing was changed",
            hint="snaproot init makes a sealed one of it",
        )
    if base == ORIGINAL and (note is None or note.shared is not None or not note.id):
        return Refused(
            f"the base is {base}, which no adopted root has taken over yet; nothing was changed",
            hint="reboot into its trial, or snaproot init",
        )
    if note is not None and note.shared is not None and note.id == base:
        return Refused(
            f"{base} still uses the original's directories, which become areas at the next boot; "
            "nothing was changed",
            hint="reboot once more",
        )
    return None


def still_shared(top: Path) -> list[str]:
    """Name the shared places that are directories of the original root itself.

    Raises NeedsRecovery where the note is missing or damaged, and nobody can tell.
    """
    shared = _existing(top).shared
    return [plan.area.mount for plan in shared.lent] if shared else []


def was_top_level(top: Path) -> bool:
    """Tell whether the filesystem's top level itself was adopted. Raises as `still_shared`."""
    return _existing(top).root == ""


def _existing(top: Path) -> Note:
    found = load(Layout(top))
    if found is None:
        raise NeedsRecovery(
            f"{Layout(top).record / NAME} is missing, so what the original root is still "
            "needed for cannot be determined; nothing was changed"
        )
    return found


def _parsed(data: Mapping[str, Any]) -> Note:
    shared = data.get("shared")
    return Note(
        id=str(data["id"]),
        root=str(data["root"]),
        os=str(data["os"]),
        default=_pointed(data["default"]),
        findings=tuple(map(str, data["findings"])),
        masked=tuple(map(str, data.get("masked", ()))),
        unfinished=str(data["unfinished"]),
        writable=data.get("writable") is True,
        shared=None if shared is None else _shared(shared),
        extra={key: value for key, value in data.items() if key not in _KNOWN},
    )


def _pointed(found: object) -> int | str:
    if not isinstance(found, int | str):
        raise TypeError("default")
    return found


def _shared(data: Mapping[str, Any]) -> Shared:
    return Shared(
        areas=tuple(_area_plan(one) for one in data["areas"]),
        nested=tuple(Nested(**{**one, "policy": Policy(one["policy"])}) for one in data["nested"]),
        links=tuple(StateLink(**one) for one in data["links"]),
    )


def _area_plan(data: Mapping[str, Any]) -> AreaPlan:
    area = data["area"]
    kinds = {"kind": Kind(area["kind"]), "backup": Backup(area["backup"])}
    return AreaPlan(Area(**{**area, **kinds}), How(data["how"]), data["source"], data["inner"])
