"""What others could have written is not believed, and nothing is read through a link."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from snaproot.errors import ExitCode
from snaproot.trust.facts import Distrusted, Unverifiable
from snaproot.trust.modes import read

ME = os.getuid()


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A directory with `etc/policy` in it; what is above is not looked at."""
    (tmp_path / "etc").mkdir(mode=0o755)
    (tmp_path / "etc/policy").write_bytes(b"believed")
    (tmp_path / "etc/policy").chmod(0o644)
    (tmp_path / "else").mkdir(mode=0o755)
    (tmp_path / "else/policy").write_bytes(b"evil")
    (tmp_path / "else/policy").chmod(0o644)
    tmp_path.chmod(0o755)
    return tmp_path


def test_what_only_its_owner_can_write_is_read(top: Path) -> None:
    assert read(top / "etc/policy", owner=ME, within=top) == b"believed"


def link_the_file(top: Path) -> None:
    (top / "etc/policy").unlink()
    (top / "etc/policy").symlink_to(top / "else/policy")


def link_the_directory(top: Path) -> None:
    (top / "etc").rename(top / "before")
    (top / "etc").symlink_to("before")


def link_to_nothing(top: Path) -> None:
    (top / "etc/policy").unlink()
    (top / "etc/policy").symlink_to("nothing")


def a_pipe(top: Path) -> None:
    (top / "etc/policy").unlink()
    os.mkfifo(top / "etc/policy", 0o644)


def a_directory(top: Path) -> None:
    (top / "etc/policy").unlink()
    (top / "etc/policy").mkdir(mode=0o755)


def a_file_on_the_way(top: Path) -> None:
    (top / "etc").rename(top / "before")
    (top / "etc").write_bytes(b"")


def mode(name: str, bits: int) -> Callable[[Path], None]:
    return lambda top: (top / name).chmod(bits)


@pytest.mark.parametrize(
    ("spoil", "reason", "named"),
    [
        (mode("etc/policy", 0o664), "file.mode", "etc/policy can be written by its group"),
        (mode("etc/policy", 0o646), "file.mode", "etc/policy can be written by everybody"),
        (mode("etc", 0o775), "file.mode", "etc can be written by its group"),
        (mode("etc", 0o1777), "file.mode", "etc can be written by everybody"),
        (mode(".", 0o757), "file.mode", "can be written by everybody"),
        (link_the_file, "file.link", "etc/policy is a symbolic link"),
        (link_the_directory, "file.link", "etc is a symbolic link"),
        (link_to_nothing, "file.link", "etc/policy is a symbolic link"),
        (a_pipe, "file.kind", "not a regular file"),
        (a_directory, "file.kind", "not a regular file"),
        (a_file_on_the_way, "file.kind", "etc is not a directory"),
    ],
)
def test_anything_else_is_refused(
    top: Path, spoil: Callable[[Path], None], reason: str, named: str
) -> None:
    spoil(top)
    with pytest.raises(Distrusted, match=named) as caught:
        read(top / "etc/policy", owner=ME, within=top)
    assert caught.value.reason == reason
    assert caught.value.exit_code is ExitCode.REFUSED


def test_what_belongs_to_somebody_else_is_refused(top: Path) -> None:
    with pytest.raises(Distrusted, match=f"belongs to user {ME}, not to user") as caught:
        read(top / "etc/policy", owner=ME + 1, within=top)
    assert caught.value.reason == "file.owner"


def test_from_the_very_top_a_place_for_everybody_is_refused() -> None:
    """As sshd does: /tmp is sticky, and still not a place for this."""
    link = Path("/tmp") / f"snaproot-{os.getpid()}-{ME}"  # noqa: S108 - that is the point
    with pytest.raises(Distrusted) as caught:
        read(link)
    assert caught.value.reason == "file.mode"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda top: (top / "etc/policy").unlink(), "file.missing"),
        (lambda top: (top / "etc").rename(top / "aside"), "file.missing"),
        (lambda top: (top / "etc/policy").write_bytes(b"x" * 101), "file.size"),
    ],
    ids=["missing", "without its directory", "too long"],
)
def test_what_cannot_be_read_is_no_empty_file(
    top: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    spoil(top)
    with pytest.raises(Unverifiable) as caught:
        read(top / "etc/policy", owner=ME, within=top, limit=100)
    assert caught.value.reason == reason


def swap(top: Path) -> None:
    """Put a link to what is evil where the directory was."""
    if not (top / "aside").exists():
        (top / "etc").rename(top / "aside")
        (top / "etc").symlink_to("else")


@pytest.mark.parametrize("moment", range(4))
def test_who_swaps_meanwhile_gets_nothing_read(top: Path, moment: int) -> None:
    """Before whichever step it is done, what is read was judged."""
    for name in ("etc", "else"):
        (top / name / "conf").mkdir(mode=0o755)
        (top / name / "policy").rename(top / name / "conf/policy")
    opens = 0

    def watch(_frame: FrameType, event: str, call: object) -> None:
        nonlocal opens
        if event == "c_call" and call is os.open:
            if opens == moment:
                swap(top)
            opens += 1

    sys.setprofile(watch)
    try:
        seen = outcome(top, "etc/conf/policy")
    finally:
        sys.setprofile(None)
    assert opens > moment
    assert seen == ("file.link" if moment < 2 else "believed")


def outcome(top: Path, name: str = "etc/policy") -> str:
    try:
        return read(top / name, owner=ME, within=top).decode()
    except (Distrusted, Unverifiable) as error:
        return error.reason


def open_now() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def test_no_descriptor_is_left_open(top: Path) -> None:
    before = open_now()
    for spoil in (a_directory, mode("etc", 0o755), mode("etc/policy", 0o666), link_the_directory):
        spoil(top)
        outcome(top)
    assert open_now() == before


def test_a_path_elsewhere_is_misuse(top: Path) -> None:
    for path in (top, top.parent / "policy"):
        with pytest.raises(RuntimeError, match="is not within"):
            read(path, owner=ME, within=top)
