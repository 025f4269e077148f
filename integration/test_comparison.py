"""Send streams against the truth: random histories of a root, compared by walking both trees."""

# Names here are any bytes, which pathlib cannot hold.
# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH112, PTH114, PTH123, PTH208, PTH211

import os
import random
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from integration.disk import disk
from snaproot.filesystem import Change, manifest
from snaproot.filesystem.btrfs import binding
from snaproot.filesystem.btrfs.comparison import candidates, compare

pytestmark = pytest.mark.real

NAMES = (
    b"a",
    b"b",
    b"c d",
    b"e\nf",
    b"g\\n",
    b"\\",
    b"-",
    b"= x",
    b"\xff\xfe",
    "ü".encode(),
    b"o257-7-0",
)
Step = Callable[[random.Random, bytes], None]


def new_file(chance: random.Random, path: bytes) -> None:
    with open(path, "xb") as file:
        file.write(b"%d" % chance.randrange(3) * chance.randrange(1, 9000))


def write(chance: random.Random, path: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(chance.randrange(20_000))
        file.write(b"%d" % chance.randrange(1 << 30))


def replace(chance: random.Random, path: bytes) -> None:
    """As dpkg does: another inode takes the name."""
    beside = path + b".dpkg-new"
    new_file(chance, beside)
    os.rename(beside, path)


def same_again(_: random.Random, path: bytes) -> None:
    """Another inode with the same content is no change."""
    with open(path, "rb") as old, open(path + b".dpkg-new", "xb") as new:
        new.write(old.read())
    os.chmod(path + b".dpkg-new", stat.S_IMODE(os.lstat(path).st_mode))
    os.rename(path + b".dpkg-new", path)


def punch(_: random.Random, path: bytes) -> None:
    os.truncate(path, os.lstat(path).st_size + 100_000)


def chmod(chance: random.Random, path: bytes) -> None:
    os.chmod(path, chance.choice((0o600, 0o755, 0o4755, 0o1777)))


def chown(chance: random.Random, path: bytes) -> None:
    os.chown(path, chance.randrange(3), chance.randrange(3), follow_symlinks=False)


def attribute(chance: random.Random, path: bytes) -> None:
    name = chance.choice(("user.x", "user.y"))
    if name in os.listxattr(path, follow_symlinks=False) and chance.random() < 0.5:
        os.removexattr(path, name, follow_symlinks=False)
    else:
        os.setxattr(path, name, b"%d" % chance.randrange(3), follow_symlinks=False)


def touch(_: random.Random, path: bytes) -> None:
    os.utime(path, follow_symlinks=False)


def remove(_: random.Random, path: bytes) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        for name in os.listdir(path):
            remove(_, path + b"/" + name)
        os.rmdir(path)
    else:
        os.unlink(path)


OLD: tuple[Step, ...] = (
    write, write, replace, replace, same_again, punch, chmod, chown, attribute, touch, remove,
)  # fmt: skip
CONTENT = {write, replace, same_again, punch}
NEW: tuple[Step, ...] = (
    new_file,
    new_file,
    lambda _, path: os.mkdir(path),
    lambda _, path: os.mkdir(path),
    lambda _, path: os.mkfifo(path),
    lambda chance, path: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, chance.randrange(9))),
    lambda chance, path: os.symlink(chance.choice(NAMES), path),
)


def everything(root: Path) -> list[bytes]:
    return sorted(path for path in manifest.walk(root) if path)


def mutate(chance: random.Random, root: Path, steps: int) -> None:
    top = os.fsencode(root) + b"/"
    for _ in range(steps):
        paths = everything(root)
        directories = [b"", *(p for p in paths if os.path.isdir(top + p))]
        place = top + chance.choice(directories).rstrip(b"/") + b"/" + chance.choice(NAMES)
        kind = chance.randrange(10) if paths else 0
        with suppress(OSError, IndexError):
            if kind < 3:
                chance.choice(NEW)(chance, place)
            elif kind < 5:
                os.rename(top + chance.choice(paths), place)
            elif kind == 5:
                os.link(top + chance.choice(paths), place, follow_symlinks=False)
            elif kind == 6:
                swap(top + chance.choice(paths), top + chance.choice(paths), top)
            else:
                step = chance.choice(OLD)
                fit = files(top, paths) if step in CONTENT else paths
                step(chance, top + chance.choice(fit))


def files(top: bytes, paths: list[bytes]) -> list[bytes]:
    """What may be opened without waiting for somebody at the other end."""
    return [path for path in paths if stat.S_ISREG(os.lstat(top + path).st_mode)]


def swap(one: bytes, other: bytes, top: bytes) -> None:
    """Let two names change places, which makes send use temporary ones."""
    os.rename(one, top + b".aside")
    try:
        os.rename(other, one)
    finally:
        os.rename(top + b".aside", other)


def states(root: Path) -> Mapping[bytes, bytes]:
    tree = manifest.Tree(root)
    found = {path: tree.state(path) for path in manifest.walk(root)}
    return {path: state for path, state in found.items() if state is not None}


def truth(older: Path, newer: Path) -> Mapping[bytes, Change]:
    before, after = states(older), states(newer)
    added = dict.fromkeys(after.keys() - before.keys(), Change.ADDED)
    removed = dict.fromkeys(before.keys() - after.keys(), Change.REMOVED)
    changed = {p: Change.CHANGED for p in before.keys() & after.keys() if before[p] != after[p]}
    return {**added, **removed, **changed}


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with disk(tmp_path_factory.mktemp("comparison")) as made:
        yield made


@pytest.mark.parametrize("seed", range(20))
def test_a_stream_says_what_a_walk_says(top: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a history to replay, not a secret
    root, older, newer = (top / f"{seed}-{name}" for name in ("root", "older", "newer"))
    binding.create(root)
    mutate(chance, root, 60)
    binding.snapshot(root, older, read_only=True)
    mutate(chance, root, chance.choice((1, 5, 60, 200)))
    binding.snapshot(root, newer, read_only=True)
    assert compare(older, newer) == truth(older, newer)
    assert compare(newer, older) == truth(newer, older)
    assert not compare(newer, newer)

    digest = manifest.write(top / f"{seed}.list", older)
    listed = top / f"{seed}-child.list"
    digest = manifest.extend(listed, top / f"{seed}.list", digest, newer, candidates(older, newer))
    assert manifest.load(listed, digest) == states(newer)
