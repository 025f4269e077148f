"""Help for asking real probes in real processes."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from snaproot.health import Finding, Outcome, Probe
from snaproot.health.runner import check


def put(path: Path, text: str, mode: int = 0o755) -> Path:
    """Write a program, or a file of another mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


@contextmanager
def first_on_path(directory: Path) -> Iterator[None]:
    """Find programs in a directory first."""
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{directory}:{before}"
    try:
        yield
    finally:
        os.environ["PATH"] = before


def answer(run: Callable[[], Outcome], *, timeout: float = 20, deadline: float = 30) -> Finding:
    """Ask one probe once."""
    (found,) = check([Probe("asked", run, timeout=timeout)], deadline).findings
    return found


def survivors(mark: str) -> list[int]:
    """Name the processes, ended ones too, that have a mark in their environment."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (place / "environ").read_bytes():
                found.append(int(place.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def zombies() -> list[int]:
    """Name our own children that have ended and were not waited for."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (place / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state == "Z" and int(parent) == os.getpid():
            found.append(int(place.name))
    return found
