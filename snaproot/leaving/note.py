"""What leaving has come to, beside the record: which roots it made, and whether it is done.

Once it says `left`, the filesystem is no adopted one any more, whatever else is still there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from snaproot import durable, formats
from snaproot.errors import NeedsRecovery

FORMAT = 1
NAME = "leaving.json"


@dataclass(frozen=True, slots=True)
class Note:
    """One leaving: of `base`, to `place`. `made` are the numbers of the roots that it built.

    `aside` is where the original then is, empty for nowhere; `moves` says which name from the top
    level each area gets, by the number of its subvolume.
    """

    base: str = ""
    place: str = ""
    aside: str = ""
    made: tuple[int, ...] = ()
    left: bool = False
    moves: Mapping[int, str] = field(default_factory=dict)
    tight: tuple[str, ...] = ()


def load(record: Path) -> Note | None:
    """Read it; None where nobody has begun to leave. Raises NeedsRecovery for a damaged one."""
    path = record / NAME
    try:
        data = formats.parse(path.read_bytes(), "note of leaving", FORMAT)
        moves = {int(number): str(name) for number, name in data["moves"].items()}
        made = tuple(int(number) for number in data["made"])
        base, place, aside = (str(data[key]) for key in ("base", "place", "aside"))
        tight = tuple(map(str, data.get("tight", ())))
        return Note(base, place, aside, made, bool(data["left"]), moves, tight)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NeedsRecovery(
            f"{path} cannot be read ({error}); nothing was changed",
            hint=f"remove it, and snaproot deinit begins anew: rm {path}",
        ) from error


def has_left(record: Path) -> bool:
    """Tell whether a system has left. Raises NeedsRecovery where that cannot be read."""
    said = load(record)
    return said is not None and said.left


def save(record: Path, note: Note) -> None:
    """Remember it, durably."""
    said = {
        "format": FORMAT,
        "base": note.base,
        "place": note.place,
        "aside": note.aside,
        "made": note.made,
        "left": note.left,
        "moves": {str(number): name for number, name in note.moves.items()},
        "tight": note.tight,
    }
    durable.write(record / NAME, (json.dumps(said, indent=1) + "\n").encode(), mode=0o644)
