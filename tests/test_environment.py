import pytest

from snaproot.environment import Installed, PackageChange, brought

MAWK, TREE, ZSTD = (Installed(name, "1", "5a" * 32) for name in ("mawk", "tree", "zstd"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([], [MAWK, TREE]),
        ([PackageChange("zstd", "", "1")], [MAWK, TREE, ZSTD]),
        ([PackageChange("zstd", "0", "1")], [MAWK, TREE, ZSTD]),
        ([PackageChange("zstd", "", "2")], [MAWK, TREE, Installed("zstd", "2")]),
        ([PackageChange("tree", "1", "2")], [MAWK, Installed("tree", "2")]),
        ([PackageChange("tree", "1", "")], [MAWK]),
        ([PackageChange("gone", "1", "")], [MAWK, TREE]),
        ([PackageChange("a", "", "1")], [Installed("a", "1"), MAWK, TREE]),
    ],
    ids=[
        *("nothing", "new", "upgraded", "another-version", "nobody-vouches", "removed", "unknown"),
        "sorted",
    ],
)
def test_what_was_brought_and_is_still_there(
    changes: list[PackageChange], expected: list[Installed]
) -> None:
    assert brought([MAWK, TREE], changes, [ZSTD]) == tuple(expected)
