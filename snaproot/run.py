"""The one way to start a program: an argv list, a short environment, nothing on stdin, no shell."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from snaproot.errors import CommandFailed, SnaprootError, TimedOut

_KEPT = ("PATH", "TERM")
_FIXED = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
_TAIL = 1 << 14  # bytes of what a bounded program said
_LAST_WORDS = 0.2  # seconds for them to come through the pipe

Line = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Completed:
    """What a program said: `output` is stdout, with stderr where the two were merged.

    `errors` is stderr where they were not; `shimmed` what a sandbox kept from the machine.
    """

    status: int
    output: str
    errors: str = ""
    shimmed: tuple[str, ...] = ()


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Build a child's environment from an allow-list."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, **_FIXED, **(extra or {})}


def run(
    argv: Sequence[str],
    *,
    extra: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    check: bool = True,
) -> Completed:
    """Run to the end and return stdout.

    Raises CommandFailed (with stderr) on a status other than 0 if `check`, SnaprootError where
    it cannot be started.
    """
    try:
        done = subprocess.run(
            [*argv],
            env=environment(extra),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            pass_fds=pass_fds,
            check=False,
        )
    except OSError as error:
        raise _unstartable(argv, error) from error
    output, errors = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    if check and done.returncode != 0:
        raise CommandFailed(tuple(argv), done.returncode, output + errors)
    return Completed(done.returncode, output, errors)


def bounded(argv: Sequence[str], seconds: float) -> Completed:
    """Run for at most so long, in `/`, and return what it said: stdout and stderr, the last of it.

    The process group is killed at the end, whatever the end was: background processes keep no pipe
    open and do not stay. Raises TimedOut, with what was said until then, SnaprootError where it
    cannot be started.
    """
    reader, writer = os.pipe()
    try:
        child = subprocess.Popen(
            [*argv],
            env=environment(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
            start_new_session=True,
        )
    except OSError as error:
        os.close(reader)
        raise _unstartable(argv, error) from error
    finally:
        os.close(writer)
    said = _Tail(reader)
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired as error:
        raise TimedOut(tuple(argv), seconds, _killed(child, said)) from error
    except BaseException:
        _killed(child, said)
        raise
    return Completed(child.returncode, _killed(child, said))


class _Tail:
    """The last that comes out of a pipe, read as it comes so that the writer never waits."""

    def __init__(self, reader: int) -> None:
        self.said = bytearray()
        self.thread = threading.Thread(target=self._drain, args=(reader,), daemon=True)
        self.thread.start()

    def text(self) -> str:
        """Return what came: all of it, unless somebody outside of the group holds the pipe."""
        self.thread.join(_LAST_WORDS)
        return self.said[-_TAIL:].decode(errors="replace")

    def _drain(self, reader: int) -> None:
        with os.fdopen(reader, "rb", buffering=0) as pipe:
            while chunk := pipe.read(_TAIL):
                self.said += chunk
                del self.said[:-_TAIL]


def _killed(child: "subprocess.Popen[bytes]", said: _Tail) -> str:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    return said.text()


def restart() -> None:
    """Reboot this machine in order, through its boot loader.

    Without these variables systemctl(1) would rather load a kernel by itself, or change the root
    alone, where somebody has prepared that.
    """
    skipped = ("SYSTEMCTL_SKIP_AUTO_KEXEC", "SYSTEMCTL_SKIP_AUTO_SOFT_REBOOT")
    run(["systemctl", "reboot"], extra=dict.fromkeys(skipped, "1"))


def stream(
    argv: Sequence[str],
    line: Line,
    *,
    extra: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Completed:
    """Run to the end and hand over each line of stdout and stderr as it comes.

    The child gets a process group of its own, which is killed if we are interrupted.
    """
    try:
        child = subprocess.Popen(
            [*argv],
            env=environment(extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=pass_fds,
            start_new_session=True,
        )
    except OSError as error:
        raise _unstartable(argv, error) from error
    lines: list[str] = []
    with child:
        try:
            for raw in child.stdout or ():
                lines.append(raw.decode(errors="replace"))
                line(lines[-1].rstrip("\n"))
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
    return Completed(child.returncode, "".join(lines))


def pipe(argv: Sequence[str], read: Callable[[int], None]) -> None:
    """Run a program whose stdout `read` consumes by descriptor, as `btrfs send` is read.

    Raises CommandFailed on a status other than 0, once `read` is through.
    """
    try:
        started = subprocess.Popen(
            [*argv],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        raise _unstartable(argv, error) from error
    with started as child:
        said: list[bytes] = []
        drain = threading.Thread(target=lambda: said.extend(child.stderr or ()))
        drain.start()
        try:
            read(child.stdout.fileno() if child.stdout else -1)
        except BaseException:
            child.kill()
            raise
        finally:
            drain.join()
    if child.returncode != 0:
        raise CommandFailed(tuple(argv), child.returncode, b"".join(said).decode(errors="replace"))


def interactive(
    argv: Sequence[str],
    *,
    extra: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> int:
    """Run with the caller's own terminal, and return the status."""
    with _terminal_kept():
        try:
            return subprocess.run(
                [*argv], env=environment(extra), pass_fds=pass_fds, check=False
            ).returncode
        except OSError as error:
            raise _unstartable(argv, error) from error


@contextmanager
def _terminal_kept() -> Iterator[None]:
    """Take the terminal back: a shell in a process namespace cannot name the group it was from."""
    ours = os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    try:
        yield
    finally:
        if ours:
            before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(0, os.getpgrp())
            signal.signal(signal.SIGTTOU, before)


def _unstartable(argv: Sequence[str], error: OSError) -> SnaprootError:
    if isinstance(error, FileNotFoundError):
        hint = f"install the package with {argv[0]}"
        return SnaprootError(f"{argv[0]}: no such program", hint=hint)
    reason = (error.strerror or str(error)).lower()
    return SnaprootError(f"{argv[0]} cannot be started: {reason}")
