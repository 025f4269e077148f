"""What `doctor` says of one thing that was looked at. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a finding matters: a limit is said, but nothing is broken."""

    GOOD = "good"
    LIMIT = "limit"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what may help."""

    level: Level
    subject: str
    what: str
    hint: str = ""

    @property
    def bad(self) -> bool:
        """Only these make `doctor` end 3."""
        return self.level is Level.BAD

    @property
    def mark(self) -> str:
        """Name the level in a word of at most five letters."""
        return {Level.GOOD: "ok", Level.LIMIT: "limit", Level.BAD: "BAD"}[self.level]

    def shape(self) -> dict[str, object]:
        """Describe it for scripts."""
        return {
            "level": str(self.level),
            "subject": self.subject,
            "what": self.what,
            "hint": self.hint or None,
        }
