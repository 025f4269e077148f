"""No link in a target leads out of it."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snaproot.inside import Inside


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "usr/sbin").mkdir(parents=True)
    (root / "usr/lib/systemd").mkdir(parents=True)
    (root / "usr/lib/systemd/systemd").write_text("inside")
    (root / "sbin").symlink_to("usr/sbin")
    (root / "lib").symlink_to("/usr/lib")
    (root / "usr/sbin/init").symlink_to("/lib/systemd/systemd")
    (root / "loop").symlink_to("loop")
    (root / "nowhere").symlink_to("/etc/passwd")
    (root / "up").symlink_to("../../../../../../../../../../usr/lib/systemd/systemd")
    (root / "var").mkdir()
    return root


@pytest.mark.parametrize(
    "path", ["/sbin/init", "sbin//./init", "/usr/sbin/../sbin/init", "/up", "/../../sbin/init"]
)
def test_links_are_followed_within_the_root(root: Path, path: str) -> None:
    assert Inside(root).locate(path) == root / "usr/lib/systemd/systemd"
    assert Inside(root).holds(path)


@pytest.mark.parametrize("path", ["/nowhere", "/etc/passwd", "/loop", "/sbin/init/x", "/up/.."])
def test_what_is_only_outside_is_missing(root: Path, path: str) -> None:
    inside = Inside(root)
    assert not inside.holds(path) or inside.locate(path).is_relative_to(root)


def test_a_loop_and_a_missing_file_say_so(root: Path) -> None:
    with pytest.raises(OSError, match="Too many levels"):
        Inside(root).locate("/loop")
    with pytest.raises(FileNotFoundError):
        Inside(root).locate("/nowhere")
    with pytest.raises(NotADirectoryError):
        Inside(root).locate("/usr/lib/systemd/systemd/x")


def test_a_last_link_can_be_looked_at_itself(root: Path) -> None:
    assert Inside(root).locate("/sbin/init", follow=False) == root / "usr/sbin/init"
    with pytest.raises(FileNotFoundError):
        Inside(root).locate("/sbin/missing", follow=False)


def test_an_area_is_seen_where_it_is_mounted(root: Path, tmp_path: Path) -> None:
    area = tmp_path / "area"
    (area / "lib").mkdir(parents=True)
    (area / "lib/dpkg").symlink_to("/usr/lib/systemd")
    (area / "lib/back").symlink_to("../../sbin/init")
    inside = Inside(root, {"/var": area})
    assert inside.locate("/var/lib/dpkg", follow=False) == area / "lib/dpkg"
    assert inside.locate("/var/lib/dpkg/systemd") == root / "usr/lib/systemd/systemd"
    assert inside.locate("/var/lib/back") == root / "usr/lib/systemd/systemd"
    assert inside.locate("/var/lib/..") == area


steps = st.sampled_from(["a", "b", "c", "..", ".", "", "/a", "/", "../..", "/b/c"])
paths = st.lists(steps, min_size=1, max_size=5).map("/".join)


@given(st.dictionaries(st.sampled_from(["a", "b", "c", "d/a", "d/b"]), paths), paths)
def test_whatever_the_links_nothing_outside_is_found(links: dict[str, str], asked: str) -> None:
    with TemporaryDirectory() as directory:
        check_that_it_stays_inside(Path(directory).resolve(), links, asked)


def check_that_it_stays_inside(outside: Path, links: dict[str, str], asked: str) -> None:
    for name in ("a", "b", "c"):
        (outside / name).write_text("outside")
    root = outside / "deep/root"
    (root / "d").mkdir(parents=True)
    for name, target in links.items():
        (root / name).symlink_to(target or ".")
    try:
        found = Inside(root).locate(f"/d/{asked}")
    except OSError:
        return
    assert found == root or found.parent.resolve().is_relative_to(root)
    assert not found.is_symlink()
