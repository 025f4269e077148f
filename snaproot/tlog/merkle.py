"""The hash tree over a log's entries, and the two proofs about it (RFC 6962 §2.1). Pure.

A proof is a list of hashes, those near the leaves first. How many belong in it, and on which side
each one stands, follows from the sizes of the trees: a proof of another length is refused unread.
"""

from collections.abc import Sequence

from snaproot.hashing import sha256
from snaproot.trust.facts import Distrusted

EMPTY = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
"""The root of a tree without leaves: SHA-256 of nothing."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash an entry as a leaf."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two neighbours into the node above them."""
    return sha256(b"\x01" + left + right).digest()


def verify_inclusion(
    leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]
) -> None:
    """Verify that this leaf hash is the one at `index`, from 0, in the tree of this size and root.

    Raises Distrusted. It does not prove that size and root belong together: a checkpoint says so.
    """
    if not 0 <= index < size:
        raise _malformed("inclusion", f"there is no entry {index} among {size}")
    inner, border = _shape(index, size)
    _require_hashes("inclusion", proof, inner + border, leaf, root)
    if _joined(leaf, proof[:inner], proof[inner:], index) != root:
        what = f"the log's tree of {size} entries does not have this one at {index}"
        raise Distrusted("inclusion.root", what)


def verify_consistency(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Verify that the tree of `new` leaves begins with all leaves of the one of `old`.

    Raises Distrusted.
    """
    if not 0 <= old <= new:
        raise _malformed("consistency", f"a log of {old} entries has not become one of {new}")
    _require_hashes("consistency", proof, _length(old, new), old_root, new_root)
    if _roots(old, old_root, new, new_root, proof) != (old_root, new_root):
        what = f"the log of {new} entries is no continuation of the one of {old}"
        raise Distrusted("consistency.root", what)


def _shape(index: int, size: int) -> tuple[int, int]:
    """Count the levels up to where a leaf's way meets the last leaf's, and the left turns above.

    Above, only those levels have a sibling: the full trees on the left.
    """
    inner = (index ^ (size - 1)).bit_length()
    return inner, (index >> inner).bit_count()


def _joined(node: bytes, inner: Sequence[bytes], border: Sequence[bytes], index: int) -> bytes:
    """Hash from a node up to a root: each sibling is on the left where the index has a bit."""
    for level, sibling in enumerate(inner):
        pair = (sibling, node) if index >> level & 1 else (node, sibling)
        node = node_hash(*pair)
    for sibling in border:
        node = node_hash(sibling, node)
    return node


def _length(old: int, new: int) -> int:
    """Say how many hashes prove it; the old root itself is not among them."""
    if old in (0, new):
        return 0
    inner, border = _shape(old - 1, new)
    return inner - _height(old) + border + (not _is_full(old))


def _roots(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """Make both roots of a proof; without one, of what is true of any two trees."""
    if old == 0:
        return EMPTY, new_root if new else EMPTY
    if old == new:
        return new_root, old_root
    seed, *rest = (old_root, *proof) if _is_full(old) else proof
    inner, path = _shape(old - 1, new)[0] - _height(old), (old - 1) >> _height(old)
    below, left = rest[:inner], rest[inner:]
    within = [node for level, node in enumerate(below) if path >> level & 1]
    return _joined(seed, (), [*within, *left], 0), _joined(seed, below, left, path)


def _height(size: int) -> int:
    """Return the height of the last full tree in one of this size."""
    return (size & -size).bit_length() - 1


def _is_full(size: int) -> bool:
    return size.bit_count() == 1


def _require_hashes(what: str, proof: Sequence[bytes], length: int, *others: bytes) -> None:
    if len(proof) != length:
        raise _malformed(what, f"it has {len(proof)} hashes, and would have {length}")
    if any(len(one) != len(EMPTY) for one in (*others, *proof)):
        raise _malformed(what, "it is not made of SHA-256 hashes")


def _malformed(what: str, why: str) -> Distrusted:
    return Distrusted(f"{what}.malformed", f"this is no proof of {what}: {why}")
