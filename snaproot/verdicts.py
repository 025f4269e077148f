"""The verdict log: one line of canonical JSON (RFC 8785) for each verdict, outside every root.

Lines are only ever added. A line that a power cut tore is closed off, kept and told, never
repaired: the canonical form is what a signature or a hash chain over the log can be made of.
"""

import errno
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from snaproot.durable import sync_directory
from snaproot.errors import SnaprootError

FORMAT = 1
NAME = "verdicts.jsonl"
_BLOCK = 1 << 16
_EXACT = 1 << 53  # beyond it a whole number is none that every JSON reader has
_TEXTS = ("time", "boot_id", "deployment", "kind", "target", "base", "result", "by", "reason")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verdict: about which deployment, given in which boot, by whom, on what evidence.

    `time` is ISO 8601 in UTC; `result` good, bad or unknown; `by` health, hand or recovery.
    `extra` holds keys of a newer snaproot.
    """

    time: str
    boot_id: str
    deployment: str
    kind: str
    target: str
    base: str
    result: str
    by: str
    reason: str
    findings: Sequence[Mapping[str, object]] = ()
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes two verdicts one that was written twice."""
        return (self.deployment, self.boot_id, self.result, self.by, self.reason)


@dataclass(frozen=True, slots=True)
class Log:
    """What could be read, oldest first, and the line numbers (from 1) of what could not."""

    verdicts: tuple[Verdict, ...]
    damaged: tuple[int, ...]


def render(verdict: Verdict) -> bytes:
    """Write a verdict as one canonical line.

    Raises RuntimeError for evidence that has no canonical form: floats, huge numbers, objects.
    """
    import rfc8785

    known = {name: getattr(verdict, name) for name in _TEXTS}
    findings = [*verdict.findings]
    shape = _exact({**verdict.extra, **known, "format": FORMAT, "findings": findings})
    return rfc8785.dumps(cast("Any", shape)) + b"\n"


def parse(line: bytes) -> Verdict:
    """Read one line. Raises ValueError where it is no verdict that this snaproot knows."""
    try:
        data = json.loads(line)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError("it is no verdict")
    texts: dict[str, Any] = {name: data.get(name) for name in _TEXTS}
    findings = data.get("findings")
    if not isinstance(findings, list) or not all(isinstance(one, dict) for one in findings):
        raise ValueError("its findings are no list of objects")
    if not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("its keys are missing or misplaced")
    extra = {k: v for k, v in data.items() if k not in {*_TEXTS, "format", "findings"}}
    return Verdict(**texts, findings=findings, extra=extra)


def append(path: Path, verdict: Verdict) -> None:
    """Add a verdict durably; one that is the last already (a repeated step) is not added again.

    Raises SnaprootError where the log cannot be written: what was in it still is.
    """
    line = render(verdict)
    try:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            _append(descriptor, line)
            os.fsync(descriptor)  # also of a line that is there: a cut may have come before
        finally:
            os.close(descriptor)
        sync_directory(path.parent)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SnaprootError(
            f"cannot write the verdict to {path}: {reason}; what was there is still there",
            hint="is the filesystem full, or mounted read-only?",
        ) from error


def read(path: Path) -> Log:
    """Read the log; a missing one is empty. Raises SnaprootError where it cannot be read."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Log((), ())
    except OSError as error:
        raise _unreadable(path, error) from error
    found = {number: _readable(line) for number, line in enumerate(content.split(b"\n"), 1) if line}
    return Log(
        tuple(verdict for verdict in found.values() if verdict),
        tuple(number for number, verdict in found.items() if verdict is None),
    )


def last(path: Path) -> Verdict | None:
    """Read the newest verdict, without the rest of the log; None if there is none.

    Raises SnaprootError where the log cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        return _last(descriptor)
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        os.close(descriptor)


def _append(descriptor: int, line: bytes) -> None:
    size = os.fstat(descriptor).st_size
    torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
    newest = None if torn else _last(descriptor)
    if newest is not None and newest.identity == parse(line).identity:
        return
    whole = (b"\n" if torn else b"") + line
    written = 0
    try:
        written = os.write(descriptor, whole)
    finally:
        if written != len(whole):  # a full disk: leave no torn line behind
            with suppress(OSError):
                os.ftruncate(descriptor, size)
    if written != len(whole):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _last(descriptor: int) -> Verdict | None:
    """Read back from the end, in ever larger pieces, until a whole verdict is in them."""
    size, length = os.fstat(descriptor).st_size, _BLOCK
    while True:
        start = max(size - length, 0)
        lines = os.pread(descriptor, size - start, start).split(b"\n")
        whole = lines if start == 0 else lines[1:]
        for line in reversed(whole):
            if line and (verdict := _readable(line)):
                return verdict
        if start == 0:
            return None
        length *= 4


def _readable(line: bytes) -> Verdict | None:
    try:
        return parse(line)
    except ValueError:
        return None


def _exact(value: object) -> object:
    """Check that a value reads the same everywhere; what is no Unicode becomes `?`."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < _EXACT:
        return int(value)
    if isinstance(value, Mapping):
        return {str(_exact(name)): _exact(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(one) for one in value]
    raise RuntimeError(f"{value!r} has no place in a verdict")


def _unreadable(path: Path, error: OSError) -> SnaprootError:
    reason = (error.strerror or str(error)).lower()
    return SnaprootError(f"cannot read {path}: {reason}", hint="only root may")
