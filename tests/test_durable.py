"""Old content or new, never a mixture; one holder of the lock."""

import os
import signal
import stat
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import pytest

from snaproot.durable import (
    holder,
    locked,
    make_directory,
    set_aside,
    sync_directory,
    sync_filesystem,
    write,
)
from snaproot.errors import Busy, ExitCode, SnaprootError


def test_content_and_mode_are_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, b"one")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"one", 0o600)
    write(path, b"two", mode=0o644)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"two", 0o644)


def test_the_umask_does_not_decide(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        write(tmp_path / "file", b"x", mode=0o644)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


def test_an_open_file_keeps_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, b"old")
    with path.open("rb") as reader:
        write(path, b"new")
        assert reader.read() == b"old"


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "file").symlink_to(victim)
    write(tmp_path / "file", b"new")
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "file").is_symlink()


def test_nothing_is_left_beside_it(tmp_path: Path) -> None:
    for _ in range(3):
        write(tmp_path / "file", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place/kept").write_text("kept")
    with pytest.raises(SnaprootError, match="what was there is still there") as caught:
        write(tmp_path / "place", b"x")
    assert caught.value.exit_code is ExitCode.FAILED
    assert caught.value.hint
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["kept", "place"]


def test_a_directory_that_is_missing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SnaprootError, match="no such file or directory; what was") as caught:
        write(tmp_path / "missing/file", b"x")
    assert "\n" not in str(caught.value)


def test_a_reader_sees_one_or_the_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([65 + n]) * (1 << 16) for n in range(4)]
    write(path, contents[0])
    done = threading.Event()
    seen: set[bytes] = set()

    def look() -> None:
        while not done.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=look)
    reader.start()
    for n in range(40):
        write(path, contents[n % 4])
    done.set()
    reader.join()
    assert seen <= set(contents)


def test_a_new_directory_is_made_durable(tmp_path: Path) -> None:
    make_directory(tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    (tmp_path / "new/kept").touch()
    make_directory(tmp_path / "new")
    assert (tmp_path / "new/kept").exists()
    sync_directory(tmp_path)


@pytest.mark.parametrize("place", ["file", "missing/new"])
def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SnaprootError, match=r"cannot write .*; what was there is still there"):
        make_directory(tmp_path / place)


def test_the_mode_of_a_directory_is_as_asked_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        make_directory(tmp_path / "new", mode=0o755)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o755


def test_a_full_disk_does_not_keep_anybody_from_the_lock(tmp_path: Path) -> None:
    """Else nobody could clean up: the name in the lock is a courtesy."""
    (tmp_path / "lock").symlink_to("/dev/full")
    with locked(tmp_path / "lock", "snaproot cleanup"):
        pass


def test_who_waits_too_long_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, "snaproot upgrade"):
        start = time.monotonic()
        with pytest.raises(Busy) as caught, locked(path, "snaproot list", wait=0.15):
            raise AssertionError("two hold the lock")
        assert 0.15 <= time.monotonic() - start < 5
    assert f"snaproot upgrade (process {os.getpid()}) is at work" in str(caught.value)
    assert "--wait" in caught.value.hint
    assert caught.value.exit_code is ExitCode.FAILED


def test_who_waits_long_enough_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    order: list[str] = []

    def wait() -> None:
        with locked(path, "second"):
            order.append(holder(path))

    with locked(path, "first"):
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.1)
        order.append(holder(path))
    waiting.join()
    assert [name.split()[0] for name in order] == ["first", "second"]


def test_a_command_that_is_no_utf8_can_hold_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with locked(lock, "run \udcff"):
        assert holder(lock).startswith("run ")


def test_a_file_that_cannot_be_set_aside_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "record.json").mkdir()
    with pytest.raises(SnaprootError, match="cannot write"):
        set_aside(tmp_path / "record.json")


def test_a_failure_inside_gives_the_lock_back(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path / "lock", "one"):
        raise KeyError
    with locked(tmp_path / "lock", "two", wait=0):
        assert holder(tmp_path / "lock").startswith("two (process")


def test_a_longer_name_before_leaves_nothing_behind(tmp_path: Path) -> None:
    with locked(tmp_path / "lock", "a very long command line"):
        pass
    with locked(tmp_path / "lock", "ls"):
        assert holder(tmp_path / "lock") == f"ls (process {os.getpid()})"


def test_nobody_holds_what_is_not_locked(tmp_path: Path) -> None:
    assert holder(tmp_path / "lock") == ""
    assert not (tmp_path / "lock").exists()
    with locked(tmp_path / "lock", "one"):
        pass
    assert holder(tmp_path / "lock") == ""


def test_a_killed_holder_blocks_nobody(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    ready, child = os.pipe(), os.fork()
    if child == 0:
        with locked(path, "killed"):
            os.write(ready[1], b"x")
            signal.pause()
        os._exit(0)
    assert os.read(ready[0], 1) == b"x"
    assert holder(path) == f"killed (process {child})"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with locked(path, "next", wait=0):
        assert holder(path).startswith("next")


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SnaprootError, match="cannot write"), locked(tmp_path / "no/lock", "one"):
        raise AssertionError("there is no lock")


def test_a_child_does_not_inherit_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, "one"):
        inode = path.stat().st_ino
        held = [
            n
            for n in (int(path.name) for path in Path("/proc/self/fd").iterdir())
            if _inode(n) == inode
        ]
        assert held
        assert not any(os.get_inheritable(n) for n in held)


def _inode(descriptor: int) -> int:
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return 0


def test_a_filesystem_is_written_out_and_one_that_is_none_is_told(tmp_path: Path) -> None:
    sync_filesystem(tmp_path)
    with pytest.raises(SnaprootError, match=r"cannot write .*none"):
        sync_filesystem(tmp_path / "none")


@pytest.mark.parametrize(("mode", "after"), [(0o600, 1), (None, 2)])
def test_on_fat_a_file_is_synced_under_its_new_name(
    tmp_path: Path, mode: int | None, after: int
) -> None:
    calls: list[str] = []

    def watch(_frame: FrameType, event: str, call: object) -> None:
        if event == "c_call" and call in {os.fsync, os.rename}:
            calls.append(getattr(call, "__name__", ""))

    sys.setprofile(watch)
    try:
        write(tmp_path / "file", b"content", mode=mode)
    finally:
        sys.setprofile(None)
    assert calls == ["fsync", "rename", *["fsync"] * after]
