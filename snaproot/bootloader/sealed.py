"""What a loader is to load, read out of a root and compared with what sealing recorded."""

from pathlib import Path

from snaproot import durable
from snaproot.bootloader import Bootable
from snaproot.errors import Refused
from snaproot.hashing import file_sha256
from snaproot.inside import Inside


def source(one: Bootable, path: str) -> Path:
    """Say where a file of its root is here, behind links too. Raises Refused where it is not."""
    try:
        here = Inside(one.root).locate(path)
        here.stat()
    except OSError as error:
        raise unreadable(one, path, error) from error
    return here


def digest(one: Bootable, path: str) -> str:
    """Digest what is on the medium. Raises Refused for what cannot be read."""
    try:
        with durable.uncached(source(one, path)) as file:
            return file_sha256(file)
    except OSError as error:
        raise unreadable(one, path, error) from error


def check(one: Bootable) -> None:
    """Raise Refused where its kernel or initramfs is not what was sealed, or cannot be read."""
    for path, wanted in ((one.kernel, one.digests.kernel), (one.initramfs, one.digests.initramfs)):
        found = digest(one, path)
        if wanted and found != wanted:
            raise changed(one, path)


def changed(one: Bootable, path: str) -> Refused:
    """Say that a file is not what was sealed."""
    return Refused(
        f"{one.id}: {path} is not what was sealed; it was not armed",
        hint=f"snaproot verify {one.id}",
    )


def unreadable(one: Bootable, path: str, error: OSError) -> Refused:
    """Say that a file cannot be read."""
    return Refused(f"{one.id}: {path} cannot be read: {error.strerror}")
