"""What the background upgrade remembers: which update failed, and when it is tried again.

An update is the set of package versions that it brings. The notes lie beside the record, outside
every root; a typed `upgrade` never asks them.
"""

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from snaproot import durable, formats
from snaproot.errors import NeedsRecovery

FORMAT = 1
NAME = "background.json"
_FIRST, _LONGEST = timedelta(hours=6), timedelta(days=14)
_DOUBLED = 8  # times, then the longest pause is reached


@dataclass(frozen=True, slots=True)
class Failure:
    """One update that could not be staged: its digest, how often in a row, when last, and why."""

    content: str
    times: int
    last: datetime
    reason: str

    @property
    def again(self) -> datetime:
        """Say from when on the same is tried again: 6 hours later, then doubled, up to 14 days."""
        doubled = min(self.times - 1, _DOUBLED)
        return self.last + min(_FIRST * (1 << doubled), _LONGEST)

    @property
    def said(self) -> str:
        """Say what failed, and when it is tried again."""
        often = "once" if self.times == 1 else f"{self.times} times in a row"
        last, again = (f"{at.astimezone():%Y-%m-%d %H:%M}" for at in (self.last, self.again))
        return (
            f"the same update failed {often}, last on {last} ({self.reason}); it is tried again "
            f"after {again}, or when it differs"
        )

    def holds(self, content: str, now: datetime) -> bool:
        """Tell whether this update has to wait; a clock that was put back holds nothing."""
        return content == self.content and self.last <= now < self.again


@dataclass(frozen=True, slots=True)
class Notes:
    """All that is remembered. `told` is the reverted update that was told of last."""

    failure: Failure | None = None
    told: str = ""

    def failing(self, content: str, now: datetime, reason: str) -> "Notes":
        """Note one more failure of an update, the first one if it was another one's turn."""
        before = self.failure
        times = before.times if before and before.content == content else 0
        return Notes(Failure(content, times + 1, now, reason), self.told)


@dataclass(frozen=True, slots=True)
class Notebook:
    """The notes in their directory."""

    directory: Path

    @property
    def path(self) -> Path:
        return self.directory / NAME

    def load(self) -> Notes:
        """Read them. Raises NeedsRecovery where they are damaged, or newer."""
        try:
            return parse(self.path.read_bytes())
        except FileNotFoundError:
            return Notes()
        except (OSError, ValueError) as error:
            raise NeedsRecovery(
                f"{self.path} cannot be read ({error}); nothing was changed",
                hint="move it away: what failed in the background is then tried again at once",
            ) from error

    def save(self, notes: Notes) -> None:
        """Replace them durably."""
        durable.write(self.path, render(notes), mode=0o644)

    def forget_failure(self) -> None:
        """Forget what failed: an upgrade came through, or none is needed.

        What cannot be read stays for the next run in the background, which says so.
        """
        try:
            notes = self.load()
        except NeedsRecovery:
            return
        if notes.failure is not None:
            self.save(replace(notes, failure=None))


def parse(text: bytes) -> Notes:
    """Read the notes. Raises ValueError on damage, NewerFormat on a newer format. Pure."""
    data = formats.parse(text, "list of what failed in the background", FORMAT)
    try:
        failure, told = data["failure"], data["told"]
        return Notes(_failure(failure) if failure is not None else None, _text(told))
    except (KeyError, TypeError) as error:
        raise ValueError(f"missing or misplaced: {error}") from error


def render(notes: Notes) -> bytes:
    """Write the notes as JSON. Pure."""
    failure = notes.failure
    shown = {**asdict(failure), "last": failure.last.isoformat()} if failure else None
    data = {"format": FORMAT, "failure": shown, "told": notes.told}
    return (json.dumps(data, indent=1) + "\n").encode()


def _failure(data: dict[str, object]) -> Failure:
    times, last = data["times"], datetime.fromisoformat(_text(data["last"]))
    if type(times) is not int or times < 1 or last.tzinfo is None:
        raise TypeError("times is a number, last has a zone")
    return Failure(_text(data["content"]), times, last, _text(data["reason"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value
