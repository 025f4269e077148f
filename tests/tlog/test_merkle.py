"""Proofs about a log's tree, against trees that are hashed in full."""

import hashlib
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snaproot.tlog.merkle import EMPTY, leaf_hash, node_hash, verify_consistency, verify_inclusion
from snaproot.trust.facts import Distrusted

# RFC 6962 §2.1, literally

Leaves = list[bytes]


def root(leaves: Leaves) -> bytes:
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = split(leaves)
    return hashlib.sha256(b"\1" + root(leaves[:k]) + root(leaves[k:])).digest()


def path(m: int, leaves: Leaves) -> Leaves:
    if len(leaves) == 1:
        return []
    k = split(leaves)
    if m < k:
        return [*path(m, leaves[:k]), root(leaves[k:])]
    return [*path(m - k, leaves[k:]), root(leaves[:k])]


def proof(m: int, leaves: Leaves, *, known: bool = True) -> Leaves:
    if m == len(leaves):
        return [] if known else [root(leaves)]
    k = split(leaves)
    if m <= k:
        return [*proof(m, leaves[:k], known=known), root(leaves[k:])]
    return [*proof(m - k, leaves[k:], known=False), root(leaves[:k])]


def split(leaves: Leaves) -> int:
    """The largest power of two that is smaller than their number."""
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return k


ENTRIES = [f"entry {number}".encode() for number in range(70)]
sizes = st.integers(1, len(ENTRIES))


@dataclass(frozen=True)
class Inclusion:
    index: int
    size: int
    leaf: bytes
    root: bytes
    proof: tuple[bytes, ...]

    @classmethod
    def of(cls, index: int, size: int) -> "Inclusion":
        leaves = ENTRIES[:size]
        return cls(index, size, leaf_hash(leaves[index]), root(leaves), (*path(index, leaves),))

    def verify(self) -> None:
        verify_inclusion(self.leaf, self.index, self.size, self.root, self.proof)


@dataclass(frozen=True)
class Consistency:
    old: int
    new: int
    old_root: bytes
    new_root: bytes
    proof: tuple[bytes, ...]

    @classmethod
    def of(cls, old: int, new: int) -> "Consistency":
        roots = root(ENTRIES[:old]), root(ENTRIES[:new])
        return cls(old, new, *roots, (*proof(old, ENTRIES[:new]),) if old else ())

    def verify(self) -> None:
        verify_consistency(self.old, self.old_root, self.new, self.new_root, self.proof)


def test_the_hashes_of_the_literature() -> None:
    """From Certificate Transparency's reference tree."""
    assert root([]) == EMPTY
    assert leaf_hash(b"").hex().startswith("6e340b9cffb37a98")
    assert node_hash(leaf_hash(b""), leaf_hash(b"\0")).hex().startswith("fac54203e7cc696c")


REFERENCE = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243")]
REFERENCE += [bytes(range(0x50, 0x58)), bytes(range(0x60, 0x70))]
REFERENCE_ROOT = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_proofs_of_the_literature() -> None:
    """The same tree: the sixth of eight entries; eight entries after six."""
    whole = bytes.fromhex(REFERENCE_ROOT)
    shared = (
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    )
    fifth = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
    inclusion = [bytes.fromhex(text) for text in (fifth, *shared)]
    verify_inclusion(leaf_hash(REFERENCE[5]), 5, 8, whole, inclusion)
    pair = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
    six = bytes.fromhex("76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef")
    verify_consistency(6, six, 8, whole, [bytes.fromhex(text) for text in (pair, *shared)])


def test_every_entry_of_every_tree_is_included() -> None:
    for size in range(1, 34):
        for index in range(size):
            Inclusion.of(index, size).verify()


def test_every_tree_continues_every_smaller_one() -> None:
    for new in range(34):
        for old in range(new + 1):
            Consistency.of(old, new).verify()


@given(sizes, st.data())
@settings(deadline=None)
def test_an_entry_is_included_nowhere_else(size: int, data: st.DataObject) -> None:
    index, other = (data.draw(st.integers(0, size - 1)) for _ in range(2))
    true = Inclusion.of(index, size)
    if index != other:
        assert refused(replace(true, index=other))
        assert refused(replace(true, leaf=leaf_hash(ENTRIES[other])))
    assert refused(replace(true, leaf=leaf_hash(b"another"))) == "inclusion.root"
    assert refused(replace(true, root=root(ENTRIES[: size - 1])))


@given(sizes, st.data())
@settings(deadline=None)
def test_a_log_continues_no_other(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    true = Consistency.of(old, new)
    other = root([*ENTRIES[: old - 1], b"another"])
    assert refused(replace(true, old_root=other)) == "consistency.root"
    forked = root([b"another", *ENTRIES[1:new]])
    assert refused(replace(true, new_root=forked)) == "consistency.root"
    if old < new:
        assert refused(replace(true, old_root=true.new_root, new_root=true.old_root))
        assert refused(replace(true, old=new, new=old)) == "consistency.malformed"


@given(st.booleans(), sizes, st.data())
@settings(deadline=None)
def test_a_changed_proof_proves_nothing(inclusion: bool, size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    true = Inclusion.of(index, size) if inclusion else Consistency.of(index, size)
    changed = data.draw(changes(true.proof))
    if changed != true.proof:
        assert refused(replace(true, proof=changed))


@st.composite
def changes(draw: st.DrawFn, proof: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """One hash more, less, cut, another, or elsewhere."""
    hashes = list(proof)
    at = draw(st.integers(0, len(hashes)))
    one = draw(st.sampled_from([*hashes, EMPTY, b"", b"short", bytes(32), bytes(33)]))
    match draw(st.sampled_from(["more", "less", "other", "none", "turned"])):
        case "more":
            hashes.insert(at, one)
        case "less":
            del hashes[at : at + 1]
        case "other":
            hashes[at : at + 1] = [one]
        case "none":
            hashes.clear()
        case _:
            hashes.reverse()
    return tuple(hashes)


@pytest.mark.parametrize(
    ("index", "size"), [(0, 0), (1, 1), (-1, 1), (-1, 5), (5, 5), (0, -1), (1 << 64, 1 << 63)]
)
def test_there_is_no_entry_beyond_a_tree(index: int, size: int) -> None:
    made = Inclusion(index, size, EMPTY, EMPTY, ())
    assert refused(made) == "inclusion.malformed"


@pytest.mark.parametrize(("index", "size"), [(1, 1), (-1, 2)])
def test_there_is_none_even_if_the_hashes_fit(index: int, size: int) -> None:
    true = Inclusion.of(1, 2) if index == size else Inclusion.of(7, 8)
    assert refused(replace(true, index=index, size=size)) == "inclusion.malformed"


def test_where_a_hash_ends_is_not_for_the_proof_to_say() -> None:
    true = Inclusion.of(0, 2)
    leaf, sibling = true.leaf + true.proof[0][:1], true.proof[0][1:]
    assert refused(replace(true, leaf=leaf, proof=(sibling,))) == "inclusion.malformed"


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 5, 7, 8])
def test_a_tree_continues_itself_without_a_proof(number: int) -> None:
    true = Consistency.of(number, number)
    assert refused(replace(true, proof=(EMPTY,))) == "consistency.malformed"
    assert refused(replace(true, new_root=bytes(32))) == "consistency.root"
    assert refused(replace(true, old_root=bytes(32), new_root=bytes(32))) == (
        "" if number else "consistency.root"
    )


def test_every_tree_continues_the_empty_one_alone() -> None:
    true = Consistency.of(0, 5)
    assert refused(replace(true, old_root=bytes(32))) == "consistency.root"
    assert refused(replace(true, old=-1)) == "consistency.malformed"
    assert refused(replace(Consistency.of(3, 4), old=-3)) == "consistency.malformed"


def refused(what: Inclusion | Consistency) -> str:
    """The reason; empty where it verifies."""
    try:
        what.verify()
    except Distrusted as error:
        return error.reason
    return ""
