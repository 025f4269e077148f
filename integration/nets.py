"""Network namespaces for tests: an empty one, and a pair that can reach each other."""

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from snaproot.run import run

_CLONE_NEWNS = 0x00020000
_CLONE_NEWNET = 0x40000000
_NAMES = Path("/run/netns")


@contextmanager
def namespace() -> Iterator[str]:
    """Make a network namespace with nothing but a loopback interface that is down."""
    name = f"snaproot-test-{os.getpid()}-{uuid4().hex[:8]}"
    run(["ip", "netns", "add", name])
    try:
        yield name
    finally:
        run(["ip", "netns", "delete", name], check=False)


@contextmanager
def pair() -> Iterator[tuple[str, str]]:
    """Make two: 192.0.2.1 with a default route by the other, 192.0.2.2."""
    with namespace() as ours, namespace() as theirs:
        run(
            ["ip", "-n", ours, "link", "add", "up0", "type", "veth", "peer", "up1", "netns", theirs]
        )
        for name, link, address in ((ours, "up0", "192.0.2.1/24"), (theirs, "up1", "192.0.2.2/24")):
            run(["ip", "-n", name, "address", "add", address, "dev", link])
            run(["ip", "-n", name, "link", "set", link, "up"])
        run(["ip", "-n", ours, "route", "add", "default", "via", "192.0.2.2"])
        yield ours, theirs


def enter(name: str, *, resolver: Path | None = None) -> None:
    """Move this process into a namespace for good, with a resolv.conf(5) of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if resolver is not None:
        assert libc.unshare(_CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
        run(["mount", "--make-rprivate", "/"])
        run(["mount", "--bind", str(resolver), str(Path("/etc/resolv.conf").resolve())])
    with (_NAMES / name).open() as place:
        assert libc.setns(place.fileno(), _CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())


def inside(name: str, live: Callable[[], object]) -> threading.Thread:
    """Start a thread that lives in a namespace; its sockets stay there."""

    def entered() -> None:
        enter(name)
        live()

    thread = threading.Thread(target=entered, daemon=True)
    thread.start()
    return thread
