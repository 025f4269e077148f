"""Checkpoints: what a log says its tree is, as the text of a note (C2SP tlog-checkpoint). Pure."""

import base64
import re
from dataclasses import dataclass

from snaproot.tlog.merkle import EMPTY
from snaproot.trust.facts import Distrusted

LARGEST = (1 << 63) - 1
"""Leaves in a tree; others keep the number in 64 bits with a sign."""
LONGEST = 255
"""Bytes of an origin; a cosignature has one byte for their number."""

_LINE = re.compile(r"[^\x00-\x1f\ud800-\udfff]+")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's name for itself, its number of leaves, and the RFC 6962 hash over them.

    `extensions` are lines that the log signs without anybody else vouching for them.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def require(self, *, origin: str, size: int, root: bytes) -> None:
        """Raise Distrusted unless it is of this log and this tree."""
        if self.origin != origin:
            what = f"the checkpoint is of the log {self.origin!r}, not of {origin!r}"
            raise Distrusted("checkpoint.origin", what)
        if self.size != size:
            what = f"the checkpoint of {origin!r} is of {self.size} entries, not of {size}"
            raise Distrusted("checkpoint.size", what)
        if self.root != root:
            what = f"the checkpoint of {origin!r} at {size} has another root than the one proved"
            raise Distrusted("checkpoint.root", what)


def parse(text: str) -> Checkpoint:
    """Read the text of a note as a checkpoint. Raises Distrusted for what is none."""
    *lines, after = text.split("\n")
    if after or len(lines) < 3 or not all(_LINE.fullmatch(line) for line in lines):  # noqa: PLR2004
        raise _malformed("it is not three lines or more, none of them empty")
    origin, size, root, *extensions = lines
    if len(origin.encode()) > LONGEST:
        raise _malformed(f"its origin has more than {LONGEST} bytes")
    return Checkpoint(origin, *_tree(size, root), tuple(extensions))


def _tree(size: str, root: str) -> tuple[int, bytes]:
    if not _SIZE.fullmatch(size) or int(size) > LARGEST:
        raise _malformed("its second line is no number of entries")
    hash = decoded(root)
    if hash is None or len(hash) != len(EMPTY):
        raise _malformed("its third line is no SHA-256 hash in base64")
    if size == "0" and hash != EMPTY:
        raise _malformed("its tree is empty, and has the root of another")
    return int(size), hash


def decoded(text: str) -> bytes | None:
    """Undo base64 (RFC 4648 §4) in the one way to write it; None for anything else."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if base64.b64encode(data).decode() == text else None


def _malformed(why: str) -> Distrusted:
    return Distrusted("checkpoint.malformed", f"this is no log's checkpoint: {why}")
