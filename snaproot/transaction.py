"""The story of a deployment. The only module that changes the system.

Every operation: record the intent, take steps that may be repeated, record the result. What is on
disk if the plug is pulled between any two lines is what `recover` finds and finishes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from snaproot.bootloader import Bootloader, Trial
from snaproot.environment import Environment, Standing
from snaproot.errors import NothingToDo, Refused
from snaproot.filesystem import Filesystem, Workspace
from snaproot.ids import Names
from snaproot.record import Records
from snaproot.state import (
    Decision,
    Deployment,
    Do,
    Kind,
    Phase,
    Record,
    Situation,
    TrialArgument,
    recovered,
)
from typing import Protocol


class Ledger(Protocol):
    """Where the record is kept: on disk in `record.Records`."""

    def load(self) -> Record: ...
    def save(self, record: Record) -> None: ...


@dataclass(frozen=True, slots=True)
class Boot:
    """What the kernel says of this boot; all empty with `--sysroot`."""

    id: str = ""
    trial: TrialArgument | None = None
    skipped: bool = False


Build = Callable[[Workspace, str], Environment]
"""Change the writable target (second argument: its parent), prove it, and describe it."""
