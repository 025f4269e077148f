"""The errors that leave snaproot, and the exit code that each one means.

A message says what happened, to what, and what is still true. Misuse of our own functions is not
here: it raises `RuntimeError`.
"""

from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path, PurePath


class ExitCode(IntEnum):
    """What a script may rely on (DESIGN.md §6)."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    RECOVER = 4
    NOTHING = 77


class SnaprootError(Exception):
    """Something in the world went wrong; the running system is unchanged."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def details(self) -> Mapping[str, object]:
        """Return what scripts are told beside the words."""
        return {}


class UsageError(SnaprootError):
    """The words of the command line, or a question with nobody to answer it."""

    exit_code = ExitCode.USAGE


class Refused(SnaprootError):
    """Policy, proof, capability or state says no; nothing was tried."""

    exit_code = ExitCode.REFUSED


class RevertedBefore(Refused):
    """The same content was reverted on a verdict; `content` is its digest."""

    def __init__(self, message: str, *, content: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.content = content


class NoRoom(Refused):
    """Too little is free; `shape` has the figures, and what could go, for scripts."""

    def __init__(self, message: str, *, hint: str, shape: Mapping[str, object]) -> None:
        super().__init__(message, hint=hint)
        self.shape = shape

    def details(self) -> Mapping[str, object]:
        return {"room": self.shape}


class NotAdopted(Refused):
    """No system of snaproot's; its package may be installed on any other."""


class NeedsRecovery(SnaprootError):
    """An interrupted or damaged state that `snaproot recover` has to settle first."""

    exit_code = ExitCode.RECOVER


class NewerFormat(NeedsRecovery):
    """A file outside the boot environments that only a newer snaproot may touch."""


class NothingToDo(SnaprootError):
    """What was asked for is already so."""

    exit_code = ExitCode.NOTHING


class Busy(SnaprootError):
    """Another snaproot holds the lock."""


class ConfigError(SnaprootError):
    """A configuration file cannot be meant as it stands."""

    exit_code = ExitCode.USAGE

    def __init__(self, path: PurePath, line: int, message: str, *, hint: str = "") -> None:
        super().__init__(f"{path}:{line}: {message}", hint=hint)


class CommandFailed(SnaprootError):
    """A program that was run ended with something other than 0."""

    def __init__(self, argv: tuple[str, ...], status: int, output: str, *, hint: str = "") -> None:
        ended = f"exited {status}" if status >= 0 else f"was killed by signal {-status}"
        last = output.strip().splitlines()[-1:] or [""]
        detail = f": {last[0].strip()}" if last[0].strip() else ""
        super().__init__(f"{Path(argv[0]).name} {ended}{detail}", hint=hint)
        self.argv = argv
        self.status = status
        self.output = output

    def details(self) -> Mapping[str, object]:
        """Return the program's own exit status."""
        return {"status": self.status}


class TimedOut(SnaprootError):
    """A program that was run had not ended when its time was up, and was killed."""

    def __init__(self, argv: tuple[str, ...], seconds: float, output: str) -> None:
        super().__init__(f"{Path(argv[0]).name} had not ended after {seconds:g} s")
        self.argv = argv
        self.output = output
