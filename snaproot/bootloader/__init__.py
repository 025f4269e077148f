"""What snaproot asks of a boot loader. Every method is atomic, durable and idempotent."""

from dataclasses import dataclass
from typing import Protocol

from snaproot.state import LoaderView


@dataclass(frozen=True, slots=True)
class Capability:
    """What the loader can do by itself, found by experiment, and a sentence for people."""

    counts: bool
    one_shot: bool
    summary: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What arming hands to the loader."""

    deployment: str
    target: str
    good: str
    tries: int


class Bootloader(Protocol):
    """The loader's persistent choice. Raises SnaprootError where it cannot be written."""

    def capability(self) -> Capability:
        """Say what this loader can do; asked before staging."""

    def view(self) -> LoaderView:
        """Read everything the loader will read, at once."""

    def arm(self, trial: Trial) -> None:
        """Publish the target and make it the next boot, in one write at the end.

        Raises Refused if what was written does not read back.
        """

    def settle(self, good: str) -> None:
        """Make `good` the choice and forget any trial, in one write. Also mends a garbled file."""

    def spend(self, good: str) -> None:
        """Take all tries away in one write: the next boot is `good`. Keeps the deployment."""

    def withdraw(self, id: str) -> None:
        """Remove the entry of a boot environment that is about to be deleted."""
