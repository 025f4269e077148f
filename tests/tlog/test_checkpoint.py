"""What is a checkpoint, and which one."""

import hashlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from snaproot.tlog import checkpoint
from snaproot.tlog.checkpoint import LARGEST, LONGEST, Checkpoint
from snaproot.trust.facts import Distrusted
from tests.tlog.signers import ORIGIN, ROOT, SIZE, base64d, head

NONE = hashlib.sha256().digest()
HASH = base64d(ROOT)


def test_the_example_of_the_specification() -> None:
    """C2SP tlog-checkpoint."""
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    found = checkpoint.parse(text)
    root = "0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62"
    assert found == Checkpoint("example.com/behind-the-sofa", 20852163, bytes.fromhex(root))


def test_extension_lines_are_kept() -> None:
    found = checkpoint.parse(head(extensions=("Timestamp: 1689177396617352539", "x y")))
    assert found.extensions == ("Timestamp: 1689177396617352539", "x y")


@pytest.mark.parametrize("origin", ["go.sum database tree", "rekor.example - 26057", "ä+", " "])
def test_an_origin_is_any_line(origin: str) -> None:
    assert checkpoint.parse(head(origin)).origin == origin


BAD = {
    "nothing": "",
    "an empty line": "\n",
    "empty lines": "\n\n\n",
    "two lines": f"{ORIGIN}\n5\n",
    "no end": f"{ORIGIN}\n5\n{HASH}",
    "no origin": f"\n5\n{HASH}\n",
    "an empty line more": f"{ORIGIN}\n5\n{HASH}\n\n",
    "an empty extension": f"{ORIGIN}\n5\n{HASH}\nmore\n\nmore\n",
    "half an extension": f"{ORIGIN}\n5\n{HASH}\nmore",
    "lines of DOS": f"{ORIGIN}\r\n5\r\n{HASH}\r\n",
    "a zero byte": f"{ORIGIN}\0\n5\n{HASH}\n",
    "no Unicode": f"{ORIGIN}\ud800\n5\n{HASH}\n",
    "a long origin": f"{'o' * (LONGEST + 1)}\n5\n{HASH}\n",
    "a long origin in UTF-8": f"{'ö' * 128}\n5\n{HASH}\n",
    "too many entries": f"{ORIGIN}\n{LARGEST + 1}\n{HASH}\n",
    "far too many entries": f"{ORIGIN}\n{'9' * 5000}\n{HASH}\n",
    "an empty tree's other root": f"{ORIGIN}\n0\n{HASH}\n",
    "no padding": f"{ORIGIN}\n5\n{HASH[:-1]}\n",
    "more padding": f"{ORIGIN}\n5\n{HASH}=\n",
    "a space": f"{ORIGIN}\n5\n{HASH} \n",
    "loose bits": f"{ORIGIN}\n5\n{HASH[:-2]}{chr(ord(HASH[-2]) + 1)}=\n",
    "a short hash": f"{ORIGIN}\n5\n{base64d(ROOT[:31])}\n",
    "a long hash": f"{ORIGIN}\n5\n{base64d(ROOT + b'x')}\n",
    "hexadecimal": f"{ORIGIN}\n5\n{ROOT.hex()}\n",
    "base64 of URLs": f"{ORIGIN}\n5\n{'-_' * 21}8=\n",
    "no ASCII": f"{ORIGIN}\n5\né{HASH[1:]}\n",
}
NO_SIZES = ("05", "00", "+5", "-5", "5 ", " 5", "5_0", "0x5", "5.0", "five", "\u0665", "1\u0665")
BAD |= {f"{size!a} entries": f"{ORIGIN}\n{size}\n{HASH}\n" for size in NO_SIZES}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_is_no_checkpoint(text: str) -> None:
    with pytest.raises(Distrusted) as caught:
        checkpoint.parse(text)
    assert caught.value.reason == "checkpoint.malformed"


@pytest.mark.parametrize(
    ("size", "root"), [(0, NONE), (1, ROOT), (LARGEST, ROOT)], ids=["empty", "one", "largest"]
)
def test_sizes_to_the_bounds(size: int, root: bytes) -> None:
    found = checkpoint.parse(head("o" * LONGEST, size, root))
    assert (found.size, found.root) == (size, root)


@pytest.mark.parametrize(
    ("origin", "size", "root", "reason"),
    [
        ("log.example", SIZE, ROOT, "checkpoint.origin"),
        (ORIGIN, SIZE - 1, ROOT, "checkpoint.size"),
        (ORIGIN, SIZE, NONE, "checkpoint.root"),
    ],
)
def test_it_is_of_no_other_tree(origin: str, size: int, root: bytes, reason: str) -> None:
    with pytest.raises(Distrusted) as caught:
        checkpoint.parse(head()).require(origin=origin, size=size, root=root)
    assert caught.value.reason == reason


def test_it_is_of_its_own() -> None:
    checkpoint.parse(head()).require(origin=ORIGIN, size=SIZE, root=ROOT)


lines = st.one_of(
    st.text(max_size=8),
    st.integers(-1, 1 << 65).map(str),
    st.binary(min_size=30, max_size=34).map(base64d),
    st.sampled_from([HASH, base64d(NONE), "", "0"]),
)


@given(st.one_of(st.text(), st.lists(lines, max_size=5).map(lambda found: "\n".join([*found, ""]))))
@example(head())
@settings(deadline=None)
def test_there_is_one_text_for_each_checkpoint(text: str) -> None:
    try:
        found = checkpoint.parse(text)
    except Distrusted:
        return
    assert head(found.origin, found.size, found.root, found.extensions) == text
