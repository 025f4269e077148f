"""Waiting for others of snaproot's own: who only looks holds no lock, and is done soon.

What one of them is mounting, or has mounted in its own namespace, is busy for all until then.
"""

import errno
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
WAIT = 10.0  # seconds
_PAUSE = 0.1  # seconds


def patiently(attempt: Callable[[], T]) -> T:
    """Try until it is not busy.

    Raises what the last attempt raises, or the first that failed for another reason.
    """
    end = time.monotonic() + WAIT
    while True:
        try:
            return attempt()
        except Exception as error:
            if getattr(error, "errno", None) != errno.EBUSY or time.monotonic() >= end:
                raise
        time.sleep(_PAUSE)
