"""Processes that end with whoever asked for them, children of children included.

A process that has become the subreaper (prctl(2)) inherits every descendant whose parent ended,
whatever session it fled to: so whoever kills its children until it has none has killed them all.
"""

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PATIENCE = 0.5  # seconds for a killed process to be gone; one that waits for a disk may never be
_TICK = 0.005
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Handler = Callable[[int, FrameType | None], object] | signal.Handlers


def forked(
    live: Callable[[], None], *, end: signal.Signals, handlers: Mapping[signal.Signals, Handler]
) -> int:
    """Start a silent process with a session of its own that lives `live`; return its id.

    It is sent `end` when we end, adopts what its own children leave, and never returns into the
    caller's code: no signal reaches it before it has its own handlers.
    """
    us = os.getpid()
    held = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        pid = os.fork()
        if pid != 0:
            return pid
        try:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
            os.setsid()  # ^C on the terminal is for snaproot, which then tells its processes
            end_with(us, end)
            adopt_orphans()
            silence()
            live()
        finally:
            os._exit(0)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def adopt_orphans() -> None:
    """Inherit descendants whose parent ends, instead of init."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_with(parent: int, number: signal.Signals) -> None:
    """Be sent a signal when the parent ends; end at once if it already has."""
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def silence() -> None:
    """Point stdin, stdout and stderr to /dev/null: a probe has nobody to talk to."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    if null > 2:  # noqa: PLR2004 - the three above
        os.close(null)


def end(pid: int) -> int | None:
    """Kill a child and its process group, and return its wait status.

    None if it cannot be had in half a second: the kernel does not let go of it.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return _waited(pid)


def end_all_but(kept: set[int]) -> None:
    """Kill every child that is not kept, then what this makes our children, until none is left."""
    stuck: set[int] = set()
    while strays := {*children()} - kept - stuck:
        stuck |= {pid for pid in strays if end(pid) is None}


def children() -> list[int]:
    """Name the processes whose parent we are, the ended but unreaped among them (proc(5))."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    try:
        return [int(pid) for pid in listed.read_text().split()]
    except OSError:  # a kernel without CONFIG_PROC_CHILDREN
        return [pid for pid, parent in _everybody() if parent == os.getpid()]


def _everybody() -> Iterator[tuple[int, int]]:
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            after_name = (place / "stat").read_text(errors="replace").rpartition(")")[2]
            yield int(place.name), int(after_name.split()[1])


def _waited(pid: int) -> int | None:
    until = time.monotonic() + _PATIENCE
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
        if time.monotonic() >= until:
            return None
        time.sleep(_TICK)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
