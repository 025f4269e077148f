"""The one error boundary: words, hints and exit codes for whatever leaves a verb."""

import signal
import sys
from collections.abc import Sequence
from types import FrameType

import typer

from snaproot.cli import app
from snaproot.cli.app import Call
from snaproot.errors import ExitCode, SnaprootError, UsageError
from snaproot.output import Output

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_UnreadableWords: type[Exception] = next(
    c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException"
)
"""What typer raises for words that it cannot read; it has no public name for it."""


class Interrupted(BaseException):
    """Somebody wants us to stop: not an error, but cleanups run."""


def guarded(words: Sequence[str]) -> int:
    """Run one command line and return its exit code; only what is unexpected leaves this."""
    output = Output()
    if not words:
        app(["--help"], standalone_mode=False, prog_name="snaproot", obj=Call(output))
        return ExitCode.USAGE
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    try:
        return int(
            app(list(words), standalone_mode=False, prog_name="snaproot", obj=Call(output)) or 0
        )
    except SnaprootError as error:
        output.error(error)
        return error.exit_code
    except _UnreadableWords as error:
        output.json = output.json or "--json" in words
        output.error(_in_our_words(error))
        return ExitCode.USAGE
    except Interrupted as error:
        output.end_line()
        output.error(_interrupted(error))
        return ExitCode.FAILED
    except BrokenPipeError:
        # Whoever read us has gone: what is left in the buffer must not raise again at exit.
        sys.stdout = None
        return ExitCode.FAILED


def _interrupt(number: int, _: FrameType | None) -> None:
    for other in _SIGNALS:  # the cleanup that now begins is short, and must not be cut as well
        signal.signal(other, signal.SIG_IGN)
    raise Interrupted(signal.Signals(number).name)


def _interrupted(error: Interrupted) -> SnaprootError:
    return SnaprootError(
        f"stopped by {error}; the running system is unchanged",
        hint="snaproot status shows what is true now",
    )


def _in_our_words(error: BaseException) -> UsageError:
    said = getattr(error, "format_message", lambda: str(error))()
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "snaproot"
    message = said[:1].lower() + said[1:].rstrip(".")
    return UsageError(message, hint=f"see {command} --help")
