"""Merkle trees over the leaves of a log (RFC 9162, 2.1). Pure, and slow: trees are small here."""

from collections.abc import Sequence
from hashlib import sha256


def root(leaves: Sequence[bytes]) -> bytes:
    """Hash a tree of at least one leaf."""
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    middle = _middle(len(leaves))
    return sha256(b"\1" + root(leaves[:middle]) + root(leaves[middle:])).digest()


def proof(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """List the hashes that lead from a leaf to the root, the lowest first."""
    if len(leaves) == 1:
        return []
    middle = _middle(len(leaves))
    if index < middle:
        return [*proof(index, leaves[:middle]), root(leaves[middle:])]
    return [*proof(index - middle, leaves[middle:]), root(leaves[:middle])]


def _middle(size: int) -> int:
    """Find the largest power of two that is smaller."""
    return 1 << ((size - 1).bit_length() - 1)
