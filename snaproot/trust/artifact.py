"""What a signature is about: a file, hashed as it streams by, or a digest that is all there is."""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from snaproot.errors import UsageError
from snaproot.hashing import sha256
from snaproot.trust.facts import Unverifiable

PREFIX = "sha256:"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHUNK = 1 << 20
_LARGE = 256 << 20
"""Bytes that take about a second."""


def takes_long(named: str) -> bool:
    """Tell whether hashing is worth to be watched."""
    if named.startswith(PREFIX):
        return False
    try:
        return Path(named).stat().st_size > _LARGE
    except OSError:
        return False


def digest(named: str, report: Callable[[float], None]) -> str:
    """Return the SHA-256, in hexadecimal, of a file's name or of `sha256:HEX`.

    `report` hears the fraction that was read. Raises UsageError for a digest that is none,
    Unverifiable for what cannot be read to its end or changed its length meanwhile.
    """
    if named.startswith(PREFIX):
        return _given(named)
    try:
        return _of_file(Path(named), report)
    except OSError as error:
        raise Unverifiable(
            "artifact.unreadable", f"cannot read {named}: {_why(error)}; nothing was verified"
        ) from error


def beside(named: str) -> list[Path]:
    """List the bundles beside an artifact: `NAME.sigstore.json`, `NAME.anything.sigstore.json`."""
    if named.startswith(PREFIX):
        return []
    path = Path(named)
    found = path.parent.glob("*.sigstore.json")
    return sorted(one for one in found if one.name.startswith(f"{path.name}."))


def content(path: Path, most: int) -> bytes:
    """Read a small file; one byte more than `most` where it is larger. Raises Unverifiable."""
    try:
        with open(path, "rb", opener=_at_once) as file:
            _regular(path, file.fileno())
            return file.read(most + 1)
    except OSError as error:
        raise Unverifiable(
            "file.unreadable", f"cannot read {path}: {_why(error)}; nothing was verified"
        ) from error


def _given(named: str) -> str:
    if not _DIGEST.fullmatch(named):
        raise UsageError(
            f"{named} is no digest", hint="sha256: and 64 digits, 0 to 9 and a to f; ./ for a file"
        )
    return named.removeprefix(PREFIX)


def _of_file(path: Path, report: Callable[[float], None]) -> str:
    """Hash what is opened once: a file that is replaced meanwhile is still the one that was hashed.

    Unbuffered, into one piece of memory: as fast as openssl(1), whatever the size.
    """
    hashed, piece, read = sha256(), memoryview(bytearray(_CHUNK)), 0
    with open(path, "rb", buffering=0, opener=_at_once) as file:
        size = _regular(path, file.fileno())
        while length := file.readinto(piece):
            hashed.update(piece[:length])
            read += length
            report(min(read / size, 1.0) if size else 1.0)
    if read != size:
        raise Unverifiable(
            "artifact.changed", f"{path} changed its length while it was read; nothing was verified"
        )
    return hashed.hexdigest()


def _at_once(path: str, flags: int) -> int:
    """Open without waiting for whoever might write to a pipe."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _regular(path: Path, descriptor: int) -> int:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise Unverifiable("artifact.unreadable", f"{path} is no file; nothing was verified")
    return found.st_size


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
