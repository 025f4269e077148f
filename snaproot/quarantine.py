"""What was reverted, and is refused until it differs or somebody asks for it again.

Content is the set of package versions that an update brings. The list lies beside the record,
outside every root.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from snaproot import durable, formats
from snaproot.environment import Environment, PackageChange
from snaproot.errors import NeedsRecovery, RevertedBefore
from snaproot.hashing import sha256

FORMAT = 1
NAME = "quarantine.json"
_KEPT = 50
"""How many are remembered, the newest; archives do not offer what was reverted long ago."""


@dataclass(frozen=True, slots=True)
class Reverted:
    """One content that was reverted: its digest, the target that had it, and why it was."""

    content: str
    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    """The list in its directory."""

    directory: Path

    @property
    def path(self) -> Path:
        return self.directory / NAME

    def load(self) -> tuple[Reverted, ...]:
        """Read the list, oldest first. Raises NeedsRecovery where it is damaged, or newer."""
        try:
            return parse(self.path.read_bytes())
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as error:
            raise NeedsRecovery(
                f"{self.path} cannot be read ({error}); nothing was changed",
                hint="move it away: what was reverted is then no longer refused",
            ) from error

    def add(self, environment: Environment, reason: str) -> None:
        """Refuse the content of a reverted boot environment from now on; durable, idempotent."""
        new = Reverted(environment.digests.packages, environment.id, reason)
        known = self.load()
        if new.content and new.content not in {one.content for one in known}:
            durable.write(self.path, render((*known, new)[-_KEPT:]), mode=0o644)

    def refuse(self, content: str) -> None:
        """Raise RevertedBefore if this content was reverted."""
        for one in self.load():
            if one.content == content:
                raise RevertedBefore(
                    f"these very package versions were reverted, as {one.target}: {one.reason}; "
                    "nothing was changed",
                    content=content,
                    hint="wait until an update differs, or try it again with --retry",
                )


def digest(changes: Iterable[PackageChange]) -> str:
    """Name what an update brings, by SHA-256; empty for one that changes no package. Pure.

    What was installed before has no part in it: the same update is the same on another day.
    """
    lines = sorted(f"{change.name} {change.after or '-'}\n" for change in changes)
    return sha256("".join(lines).encode()).hexdigest() if lines else ""


def parse(text: bytes) -> tuple[Reverted, ...]:
    """Read the list. Raises ValueError on damage, NewerFormat on a newer format. Pure."""
    data = formats.parse(text, "list of what was reverted", FORMAT)
    try:
        found = [Reverted(o["content"], o["target"], o["reason"]) for o in data["reverted"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"missing or misplaced: {error}") from error
    if not all(isinstance(value, str) for one in found for value in asdict(one).values()):
        raise ValueError("it is no list of what was reverted")
    return tuple(found)


def render(reverted: Iterable[Reverted]) -> bytes:
    """Write the list as JSON. Pure."""
    listed = {"format": FORMAT, "reverted": [asdict(one) for one in reverted]}
    return (json.dumps(listed, indent=1) + "\n").encode()
