"""The list of digests on plain directories; integration has every kind of file."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snaproot.filesystem import Change, PathChange, manifest

NAMES = st.sets(
    st.binary(min_size=1, max_size=12).filter(
        lambda n: not {*n} & {0, 47} and n not in (b".", b"..")
    ),
    min_size=1,
    max_size=8,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "root"
    for name in ("usr/bin/tool", "usr/lib/old", "etc/host.conf"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name)
    return place


@given(names=NAMES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_name_survives(names: set[bytes], tmp_path: Path) -> None:
    line = b"".join(manifest._entry(name, b"f 0644 0 0 - x") for name in names)
    target = tmp_path / "files.list"
    digest = manifest._finish(target, bytearray(line), "", len(line))
    assert manifest.load(target, digest).keys() == names


def test_a_childs_list_is_its_parents_and_what_changed(root: Path, tmp_path: Path) -> None:
    parent, child = tmp_path / "parent", tmp_path / "child"
    digest = manifest.write(parent, root)
    (root / "usr/lib/old").unlink()
    (root / "usr/lib/new").write_text("new")
    newer = manifest.extend(child, parent, digest, root, [b"usr/lib/old", b"usr/lib/new"])
    assert child.read_bytes().startswith(parent.read_bytes())
    assert manifest.load(child, newer).keys() == set(manifest.walk(root))
    assert manifest.compare(manifest.load(parent, digest), root, lambda _: None) == [
        PathChange("/usr/lib/new", Change.ADDED),
        PathChange("/usr/lib/old", Change.REMOVED),
    ]


def test_etc_is_not_listed(root: Path, tmp_path: Path) -> None:
    digest = manifest.write(tmp_path / "list", root)
    (root / "etc/host.conf").write_text("edited")
    assert not manifest.compare(manifest.load(tmp_path / "list", digest), root, lambda _: None)


def test_no_link_on_the_way_is_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").write_text("outside")
    (root / "usr/share").symlink_to(tmp_path / "elsewhere")
    tree = manifest.Tree(root)
    assert tree.state(b"usr/share/file") is None
    assert (tree.state(b"usr/share") or b"").startswith(b"l ")


@pytest.mark.parametrize("damaged", range(0, 300, 17))
def test_no_byte_of_a_list_may_change(root: Path, tmp_path: Path, damaged: int) -> None:
    parent, child = tmp_path / "parent", tmp_path / "child"
    digest = manifest.write(parent, root)
    digest = manifest.extend(child, parent, digest, root, [b"usr/bin/tool"])
    content = bytearray(child.read_bytes())
    content[damaged % len(content)] ^= 0x20
    child.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged|digest|unpack"):
        manifest.load(child, digest)


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_list_that_was_cut_is_not_inherited(root: Path, tmp_path: Path, kept: int) -> None:
    parent = tmp_path / "parent"
    digest = manifest.write(parent, root)
    parent.write_bytes(parent.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"cut short|digest"):
        manifest.extend(tmp_path / "child", parent, digest, root, [])


def test_another_list_is_not_inherited(root: Path, tmp_path: Path) -> None:
    manifest.write(tmp_path / "parent", root)
    with pytest.raises(ValueError, match="digest"):
        manifest.extend(tmp_path / "child", tmp_path / "parent", "0" * 64, root, [])
