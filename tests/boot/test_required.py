"""What Debian's tools look for comes and goes with what is armed, and what others wrote stays."""

from pathlib import Path

import pytest

from snaproot.boot import required


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path


def settle(run: Path, target: str = "", *packages: str) -> None:
    required.settle(
        target,
        packages,
        flag=run / "reboot-required",
        listed=run / "reboot-required.pkgs",
        ours=run / "snaproot",
    )


def there(run: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in run.iterdir() if path.is_file()}


def test_it_names_the_target_and_the_packages(run: Path) -> None:
    settle(run, "b2", "zstd", "mawk", "zstd")
    found = there(run)
    assert found["reboot-required"].startswith("*** System restart required ***")
    assert "b2" in found["reboot-required"]
    assert found["reboot-required.pkgs"] == "mawk\nzstd\n"
    assert (run / "reboot-required").stat().st_mode & 0o777 == 0o644


def test_it_goes_when_nothing_waits_any_more(run: Path) -> None:
    settle(run, "b2", "mawk")
    settle(run, "b3")
    assert there(run)["reboot-required.pkgs"] == "snaproot\n"
    assert "b3" in there(run)["reboot-required"]
    settle(run)
    assert there(run) == {}
    assert not [*(run / "snaproot").iterdir()]
    settle(run)


@pytest.mark.parametrize("text", ["", "*** System restart required ***\n"])
def test_what_others_wrote_before_stays(run: Path, text: str) -> None:
    (run / "reboot-required").write_text(text)
    (run / "reboot-required.pkgs").write_text("linux-image-6.12\n")
    before = there(run)
    settle(run, "b2", "mawk")
    assert there(run) == before
    settle(run)
    assert there(run) == before


def test_what_others_added_stays(run: Path) -> None:
    settle(run, "b2", "mawk")
    with (run / "reboot-required.pkgs").open("a") as file:
        file.write("libc6\n")
    settle(run)
    assert there(run) == {"reboot-required.pkgs": "mawk\nlibc6\n"}


def test_killed_before_the_place_was_written_it_is_written_the_next_time(run: Path) -> None:
    settle(run, "b2", "mawk")
    (run / "reboot-required").unlink()
    settle(run, "b3", "mawk")
    assert "b3" in there(run)["reboot-required"]
    settle(run)
    assert there(run) == {}
