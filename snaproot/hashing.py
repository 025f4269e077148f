"""SHA-256. Its library is loaded where something is hashed: most commands do not.

libcrypto and what comes with it are a tenth of what starting costs.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash
    from io import BufferedReader, FileIO


def sha256(data: bytes = b"") -> "_Hash":
    """Begin a digest with this data."""
    import hashlib

    return hashlib.sha256(data)


def file_sha256(file: "BufferedReader | FileIO") -> str:
    """Name the rest of an open file by its digest, in hexadecimal."""
    import hashlib

    return hashlib.file_digest(file, "sha256").hexdigest()
