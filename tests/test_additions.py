"""What an update adds below /var is put there once, and nothing of anybody else's is touched."""

from pathlib import Path

import pytest

from snaproot.additions import Applied, apply


@pytest.fixture
def applied(tmp_path: Path) -> Applied:
    return Applied(tmp_path / "record/additions")


@pytest.fixture(autouse=True)
def laid_out(tmp_path: Path) -> None:
    (tmp_path / "record").mkdir()
    (tmp_path / "var/lib").mkdir(parents=True)


def added(tmp_path: Path, id: str, **files: str) -> Path:
    source = tmp_path / id
    for name, content in files.items():
        place = source / "var/lib" / name.replace("__", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)
    return source


def put(tmp_path: Path, applied: Applied, id: str, source: Path) -> list[str]:
    return sorted(apply(source, {"/var": tmp_path / "var"}, applied, id))


def test_what_is_missing_is_put_in_place_with_its_mode(tmp_path: Path, applied: Applied) -> None:
    source = added(tmp_path, "b1", app__data="1")
    (source / "var/lib/app").chmod(0o2750)
    (source / "var/lib/app/data").chmod(0o640)
    (source / "var/lib/link").symlink_to("app/data")
    found = put(tmp_path, applied, "b1", source)
    assert found == ["/var/lib/app", "/var/lib/app/data", "/var/lib/link"]
    assert (tmp_path / "var/lib/app").stat().st_mode & 0o7777 == 0o2750
    assert (tmp_path / "var/lib/app/data").stat().st_mode & 0o7777 == 0o640
    assert (tmp_path / "var/lib/link").read_text() == "1"
    assert applied.done("b1")


def test_what_is_there_stays(tmp_path: Path, applied: Applied) -> None:
    (tmp_path / "var/lib/app").mkdir()
    (tmp_path / "var/lib/app/data").write_text("a service's")
    source = added(tmp_path, "b1", app__data="1", app__new="2")
    assert put(tmp_path, applied, "b1", source) == ["/var/lib/app/new"]
    assert (tmp_path / "var/lib/app/data").read_text() == "a service's"


def test_once_is_once(tmp_path: Path, applied: Applied) -> None:
    source = added(tmp_path, "b1", data="1")
    put(tmp_path, applied, "b1", source)
    (tmp_path / "var/lib/data").unlink()
    assert put(tmp_path, applied, "b1", source) == []
    assert not (tmp_path / "var/lib/data").exists()


def test_a_later_one_replaces_only_what_nobody_touched(tmp_path: Path, applied: Applied) -> None:
    put(tmp_path, applied, "b1", added(tmp_path, "b1", untouched="1", touched="1"))
    (tmp_path / "var/lib/touched").write_text("a service's")
    later = added(tmp_path, "b2", untouched="2", touched="2")
    assert put(tmp_path, applied, "b2", later) == ["/var/lib/untouched"]
    assert (tmp_path / "var/lib/untouched").read_text() == "2"
    assert (tmp_path / "var/lib/touched").read_text() == "a service's"


def test_no_link_of_an_area_is_followed(tmp_path: Path, applied: Applied) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "var/lib/app").symlink_to(tmp_path / "etc")
    assert put(tmp_path, applied, "b1", added(tmp_path, "b1", app__shadow="root")) == []
    assert list((tmp_path / "etc").iterdir()) == []


def test_a_cut_before_the_mark_is_repeated(tmp_path: Path, applied: Applied) -> None:
    source = added(tmp_path, "b1", a="1", b="2")
    (tmp_path / "var/lib/a").write_text("1")
    assert put(tmp_path, applied, "b1", source) == ["/var/lib/a", "/var/lib/b"]
    assert set(applied.files("b1")) == {"/var/lib/a", "/var/lib/b"}
    assert not list((tmp_path / "var/lib").glob(".*"))


def test_what_a_cut_left_aside_is_removed(tmp_path: Path, applied: Applied) -> None:
    aside = tmp_path / "var/lib/.snaproot-aside-x1"
    aside.mkdir()
    (aside / "new").write_text("half")
    put(tmp_path, applied, "b1", added(tmp_path, "b1", data="1"))
    assert [path.name for path in (tmp_path / "var/lib").iterdir()] == ["data"]


def test_a_file_does_not_take_the_place_of_a_directory(tmp_path: Path, applied: Applied) -> None:
    put(tmp_path, applied, "b1", added(tmp_path, "b1", app__data="1"))
    assert put(tmp_path, applied, "b2", added(tmp_path, "b2", app="2")) == []
    assert (tmp_path / "var/lib/app/data").read_text() == "1"


def test_a_directory_does_not_take_the_place_of_a_file(tmp_path: Path, applied: Applied) -> None:
    put(tmp_path, applied, "b1", added(tmp_path, "b1", app="1"))
    assert put(tmp_path, applied, "b2", added(tmp_path, "b2", app__data="2")) == []
    assert (tmp_path / "var/lib/app").read_text() == "1"


def test_the_nearest_area_gets_it(tmp_path: Path, applied: Applied) -> None:
    source = added(tmp_path, "b1", app__data="1")
    areas = {"/var": tmp_path / "var", "/var/lib/app": tmp_path / "app"}
    (tmp_path / "app").mkdir()
    apply(source, areas, applied, "b1")
    assert (tmp_path / "app/data").read_text() == "1"


def test_a_damaged_list_counts_as_nothing_known(tmp_path: Path, applied: Applied) -> None:
    put(tmp_path, applied, "b1", added(tmp_path, "b1", data="1"))
    (applied.directory / "b1.json").write_text("garbled")
    assert applied.files("b1") == {}
    assert put(tmp_path, applied, "b2", added(tmp_path, "b2", data="2")) == []
    assert (tmp_path / "var/lib/data").read_text() == "1"
