"""GRUB's environment block: what GRUB writes is read, what GRUB would not take is never written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snaproot.bootloader import envblock
from snaproot.bootloader.envblock import SECTOR, SIZE, Env
from snaproot.environment import ID

HEAD = b"# GRUB Environment Block\n"
IDS = st.from_regex(ID, fullmatch=True)
ENVS = st.builds(
    Env,
    good=IDS,
    trial=st.just("") | IDS,
    deployment=st.just("") | IDS,
    tries=st.integers(0, 9),
    once=st.just("") | IDS,
    canary=st.sampled_from(["", "0", "1"]),
)


def block(text: str, fill: bytes = b"#") -> bytes:
    return (HEAD + text.encode()).ljust(SIZE, fill)


@given(ENVS)
def test_what_is_written_reads_back_from_one_sector(env: Env) -> None:
    content = envblock.render(env)
    assert len(content) == SIZE
    assert content[SECTOR:] == b"#" * (SIZE - SECTOR)
    assert envblock.parse(content) == env


@given(st.binary(max_size=1100))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    assert envblock.parse(content) is None or content.startswith(HEAD)


def test_what_grub_leaves_is_read() -> None:
    """An empty value, a variable that is gone, our own in another order."""
    left = block("once=\ncanary=1\ngood=b1\ntries=0\n")
    assert envblock.parse(left) == Env(good="b1", canary="1")


def test_a_stranger_is_passed_over_and_not_kept() -> None:
    read = envblock.parse(block("saved_entry=x y\ngood=b1\n"))
    assert read == Env(good="b1")
    assert b"saved_entry" not in envblock.render(read)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(SIZE),
        block("good=b1\n")[:SECTOR],
        block("good=b1\n") + b"#",
        block("good=b1\n")[1:] + b"#",
        block("good=b1\n", b"\0"),
        block("good=b1\n", b" "),
        block("good=b1").replace(b"#" * 8, b"\n#######", 1)[:SIZE] + b"x",
        block("saved_entry=debian\n"),
        block("trial=b2\n"),
        block("good=b1\ngood=b2\n"),
        block("good=../b1\n"),
        block("good=1\n"),
        block("good=b1\ntries=10\n"),
        block("good=b1\ntries=-1\n"),
        block("good=b1\ntries=\u0661\n"),
        block("good=b1\ndeployment=d1 init=/bin/sh\n"),
        block("good=b1\ncanary=2\n"),
        block("good=b1\nno variable\n"),
        block("good=b1\n=x\n"),
        block("good=b1\\\n2\n"),
    ],
)
def test_what_is_damaged_or_foreign_is_no_file(content: bytes) -> None:
    assert envblock.parse(content) is None


@pytest.mark.parametrize(
    "env",
    [
        Env(good=""),
        Env(good="b1\nonce=b2"),
        Env(good="b1", tries=10),
        Env(good="b1", tries=-1),
        Env(good="b1", trial="B"),
        Env(good="b1", canary="x"),
    ],
)
def test_what_grub_would_not_take_is_misuse(env: Env) -> None:
    with pytest.raises(RuntimeError):
        envblock.render(env)


@given(st.text(st.characters(codec="ascii"), max_size=60))
def test_any_value_survives_the_escapes(value: str) -> None:
    content = block(f"name={envblock.escaped(value)}\n")
    assert envblock.variables(content) == {"name": value}
