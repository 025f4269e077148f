"""What the kernel refuses on a copy-on-write filesystem, told in our words."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from snaproot.errors import SnaprootError

_REASONS = {
    errno.ENOSPC: ("the filesystem is full", "snaproot cleanup, or delete something large"),
    errno.EDQUOT: ("a quota is used up", "raise it, or snaproot cleanup"),
    errno.EROFS: ("it is read-only", "is the filesystem mounted read-only, or damaged?"),
    errno.ETXTBSY: ("a swap file in it is active", "swapoff it, and keep it in areas/swap"),
    errno.EPERM: ("it is not permitted", "run it as root"),
    errno.EACCES: ("it is not permitted", "run it as root"),
    errno.ENOTTY: ("it is not on Btrfs", "is the right filesystem mounted there?"),
}


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Tell an OSError in one line: `what` could not be done, and why."""
    try:
        yield
    except OSError as error:
        raise failure(what, error) from error


def failure(what: str, error: OSError) -> SnaprootError:
    """Say what could not be done, and why, with a hint where there is one."""
    said = os.strerror(error.errno).lower() if error.errno else str(error)
    reason, hint = _REASONS.get(error.errno or 0, (said, ""))
    return SnaprootError(f"cannot {what}: {reason}", hint=hint)
