"""Proof through the real sandbox, on a root in miniature and its copy."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from integration import tinyroot
from integration.disk import disk
from integration.tinyroot import INITRAMFS, KERNEL
from snaproot.errors import Refused
from snaproot.filesystem import Workspace
from snaproot.proof import Proof, prove
from snaproot.sandbox import Sandbox

pytestmark = pytest.mark.real

INITRD = f"boot/initrd.img-{KERNEL}"
Prove = Callable[[], Proof]


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    """A parent and a target that is its copy."""
    parent, target = tmp_path / "parent", tmp_path / "target"
    tinyroot.build(parent)
    shutil.copytree(parent, target, symlinks=True)
    return parent, target


@pytest.fixture
def proved(roots: tuple[Path, Path]) -> Prove:
    parent, target = roots
    workspace = Workspace("b4k7q2x", target, {})
    return lambda: prove(
        Sandbox(workspace, writable=False), parent, kind="btrfs", devices=lambda _: True, links={}
    )


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    stats = {str(path): path.lstat() for path in root.rglob("*")}
    return {path: (stat.st_mtime_ns, stat.st_ino) for path, stat in stats.items()}


def test_both_initramfs_are_listed_and_nothing_is_changed(
    roots: tuple[Path, Path], proved: Prove
) -> None:
    parent, target = roots
    (target / INITRD).write_bytes(tinyroot.cpio((*INITRAMFS, "etc/more")))
    before = snapshot(parent), snapshot(target)
    assert proved() == Proof(KERNEL, f"/boot/vmlinuz-{KERNEL}", f"/{INITRD}")
    assert (snapshot(parent), snapshot(target)) == before


def test_what_the_initramfs_lost_is_named(roots: tuple[Path, Path], proved: Prove) -> None:
    _, target = roots
    (target / INITRD).write_bytes(tinyroot.cpio(["init", "usr/bin/busybox"]))
    with pytest.raises(Refused, match="has lost the module btrfs; the base is untouched"):
        proved()


def test_an_initramfs_that_is_no_archive_is_refused(
    roots: tuple[Path, Path], proved: Prove
) -> None:
    _, target = roots
    (target / INITRD).write_bytes(b"this is no archive\n" * 100)
    with pytest.raises(Refused, match=f"/{INITRD} cannot be listed"):
        proved()


@pytest.mark.parametrize("text", [None, "#!/bin/sh\nexit 3\n", "#!/usr/bin/missing\n"])
def test_a_snaproot_that_does_not_run_is_refused(
    roots: tuple[Path, Path], proved: Prove, text: str | None
) -> None:
    ours = roots[1] / "usr/bin/snaproot"
    if text is None:
        ours.unlink()
    else:
        ours.write_text(text)
    with pytest.raises(Refused, match="/usr/bin/snaproot does not run in it") as caught:
        proved()
    assert "\n" not in str(caught.value)


def test_no_tree_is_walked(tmp_path: Path) -> None:
    """Reading a directory leaves an access time behind: there must be none."""
    with disk(tmp_path) as top:
        parent, target = top / "parent", top / "target"
        tinyroot.build(parent)
        shutil.copytree(parent, target, symlinks=True)
        (target / INITRD).write_bytes(tinyroot.cpio((*INITRAMFS, "etc/more")))
        unread = _unread(target / "usr/share/doc"), _unread(target / "usr/lib/many")
        workspace = Workspace("b4k7q2x", target, {})
        reader = Sandbox(workspace, writable=False)
        prove(reader, parent, kind="btrfs", devices=lambda _: True, links={})
        assert [path.stat().st_atime for path in unread] == [0, 0]
        assert [list(path.iterdir()) for path in unread] == [[], []]
        assert all(path.stat().st_atime > 0 for path in unread)


def _unread(directory: Path) -> Path:
    directory.mkdir(parents=True)
    os.utime(directory, (0, 1))
    return directory
