"""What of the ZFS backend can be told without a pool."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snaproot.areas import Area
from snaproot.filesystem.zfs.comparison import parse
from snaproot.filesystem.zfs.names import Names, id_of
from snaproot.filesystem.zfs.properties import (
    ENVIRONMENT,
    listed,
    longer,
    parts_of,
    set_aside,
    text_of,
)
from snaproot.filesystem.zfs.reasons import failure, printed

REPOSITORY = Path(__file__).resolve().parents[2]
OF_PYPI = ("lzc_create", "lzc_clone", "lzc_snapshot", "lzc_promote", "lzc_rename", "lzc_send")
"""Some of the 27 functions of pyzfs 0.2.3; it has neither channel programs nor a sync."""


def imported(*places: Path) -> str:
    """Ask the binding in a Python that has no packages but these, and return what it says."""
    words = [sys.executable, "-I", "-S", "-c"]
    code = (
        f"import sys; sys.path[:0] = {[str(place) for place in (REPOSITORY, *places)]}\n"
        "from snaproot.errors import SnaprootError\n"
        "try:\n from snaproot.filesystem.zfs import binding\n binding.exists('p')\n"
        "except SnaprootError as error:\n print(error, '|', error.hint)"
    )
    return subprocess.run([*words, code], capture_output=True, text=True, check=True).stdout


class TestBinding:
    def test_without_one_it_is_said_what_installs_it(self) -> None:
        assert "cannot be loaded" in imported()
        assert "apt install python3-pyzfs" in imported()

    def test_the_one_of_pypi_is_refused_and_nothing_in_it_is_called(self, tmp_path: Path) -> None:
        package = tmp_path / "libzfs_core"
        package.mkdir()
        (package / "exceptions.py").touch()
        calls = "".join(f"def {name}(*_):\n raise SystemExit(9)\n" for name in OF_PYPI)
        (package / "__init__.py").write_text(calls)
        said = imported(tmp_path)
        assert "is the pyzfs of PyPI" in said
        assert "apt install python3-pyzfs" in said

    @pytest.mark.parametrize(
        ("fault", "said", "hint"),
        [
            ("OSError('zfs_core')", "libzfs_core cannot be loaded (zfs_core)", "ldconfig"),
            ("exceptions.ZFSInitializationFailed(2)", "there is no /dev/zfs", "modprobe zfs"),
        ],
    )
    def test_what_it_lacks_itself_is_told(
        self, tmp_path: Path, fault: str, said: str, hint: str
    ) -> None:
        """Its library is looked for at the first call, and the module asked for then."""
        package = tmp_path / "libzfs_core"
        package.mkdir()
        (package / "exceptions.py").write_text(
            "class ZFSError(Exception):\n errno = 0\n message = ''\n"
            "class ZFSInitializationFailed(ZFSError):\n pass\n"
        )
        names = ("lzc_channel_program", "lzc_rename", "lzc_destroy", "lzc_sync", "lzc_exists")
        calls = "".join(f"def {name}(*_):\n raise {fault}\n" for name in names)
        (package / "__init__.py").write_text(f"from libzfs_core import exceptions\n{calls}")
        line, _, helps = imported(tmp_path).partition(" | ")
        assert said in line
        assert line.endswith("nothing was changed")
        assert helps.startswith(hint)


class TestProperties:
    @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=3000), st.integers(1, 9))
    def test_any_text_comes_back(self, text: str, times: int) -> None:
        known: dict[str, str] = {}
        for version in (text * times, "other", text):
            parts, head = parts_of(version, known)
            for value in {**parts, **head}.values():
                assert value.isascii()
                assert value.isprintable()
                assert len(value) <= 8000
            assert not parts.keys() & {ENVIRONMENT}
            before = text_of(known) if known else None
            known |= parts
            assert before is None or text_of(known) == before
            known |= head
            assert text_of(known) == version

    @pytest.mark.parametrize("parts", [1, 16, 17, 40])
    def test_what_is_not_listed_is_known_to_be_longer(self, parts: int) -> None:
        known: dict[str, str] = {}
        for _ in range(2):  # one slot, and the other
            said, head = parts_of("x" * 8000 * parts, known)
            known |= said | head
            assert longer(known) == (not {*said, *head} <= {*listed()})
            assert longer(known) == (parts > 16)
        assert not longer({})
        assert not longer({ENVIRONMENT: "staging"})

    @pytest.mark.parametrize("head", ["", "staging", "a 1", "a x y", "a 2 0123", "c 1 0123"])
    def test_a_head_that_does_not_fit_is_damage(self, head: str) -> None:
        with pytest.raises(ValueError, match="properties"):
            text_of({ENVIRONMENT: head, f"{ENVIRONMENT}.a.0": "text"})

    def test_what_is_set_aside_is_never_replaced(self) -> None:
        known = {ENVIRONMENT: "b 1 0", f"{ENVIRONMENT}.b.0": "text", "readonly": "on"}
        first = set_aside(known)
        assert first == {"org.snaproot:damaged-1": "b 1 0", "org.snaproot:damaged-1.b.0": "text"}
        assert not set_aside({**known, **first}).keys() & first.keys()


class TestNames:
    def test_ids_are_read_from_datasets_of_the_container_alone(self) -> None:
        assert id_of("rpool/ROOT/b4k7q2x") == "b4k7q2x"
        for other in ("rpool/ROOT", "rpool/ROOT/b1/etc", "rpool/b1", "rpool/ROOT/ubuntu_12"):
            assert id_of(other) is None

    def test_areas_are_ours_or_stay_where_they_are(self) -> None:
        names = Names("rpool")
        ours = Area(name="var", subvolume="@snaproot/areas/var", mount="/var")
        stayed = Area(name="home", subvolume="rpool/USERDATA/home", mount="/home")
        assert names.area(ours) == "rpool/snaproot/areas/var"
        assert names.area(stayed) == "rpool/USERDATA/home"


class TestDifference:
    def test_every_kind_of_line_is_read(self) -> None:
        said = (
            "M\t/view/root/\n+\t/view/root/a\\0040b\n-\t/view/root/back\\0134slash\n"
            "R\t/view/root/old\t/view/root/new\nM\t/view/root/linked\t(+1)\n"
            "M\t/view/root/bytes\\0377\n"
        )
        found = parse(said, [Path("/"), Path("/view/root"), Path("/elsewhere")])
        assert found.touched == {b"", b"a b", b"new", b"linked", b"bytes\xff"}
        assert found.gone == {b"back\\slash"}
        assert found.moved == ((b"old", b"new"),)

    def test_another_mount_point_is_found(self) -> None:
        found = parse("M\t/usr/bin\n", [Path("/"), Path("/view/root")])
        assert found.touched == {b"usr/bin"}

    @pytest.mark.parametrize("said", ["?\t/a\n", "R\t/a\n", "M\n", "M\t/elsewhere/a\n"])
    def test_what_is_not_known_is_no_difference(self, said: str) -> None:
        with pytest.raises(ValueError, match="zfs diff"):
            parse(said, [Path("/view/root")])


class TestReasons:
    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            ("cannot set property for 'p/a': out of space", "the pool is full"),
            ("cannot set property for 'p': pool is read-only", "the pool is read-only"),
            ("cannot destroy 'p/a': dataset is busy", "it is busy"),
            ("cannot open 'p': no such pool", "there is no such dataset"),
            ("cannot create 'x': name is too long", "the name is too long"),
            ("cannot set property for 'p/a': permission denied", "it is not permitted"),
            ("The ZFS modules are not loaded.\nTry running 'modprobe zfs'", "/dev/zfs"),
        ],
    )
    def test_what_programs_print_is_told_in_our_words(self, said: str, reason: str) -> None:
        told = failure("do it", printed(said), said)
        assert reason in str(told)
        assert told.hint

    def test_what_is_not_known_is_repeated(self) -> None:
        assert "cannot do it: strange things" in str(failure("do it", 0, "strange things"))
        assert os.strerror(5) not in str(failure("do it", 5))
