"""The archive of the demonstration, judged by a real apt in a real Debian root."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration import archive, debian
from integration.archive import Archive
from snaproot.run import Completed, run

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    image = debian.base("trixie") / "root.img"
    with debian.disk("trixie", tmp_path_factory.mktemp("disk"), image=image) as mounted:
        yield mounted


@pytest.fixture
def root(top: Path) -> Iterator[Path]:
    run(["btrfs", "-q", "subvolume", "snapshot", str(top / "@"), str(top / "copy")])
    yield top / "copy"
    run(["btrfs", "-q", "subvolume", "delete", str(top / "copy")])


@pytest.fixture
def served(root: Path, tmp_path: Path) -> Archive:
    made = Archive.create(root / "srv/archive", tmp_path, debian.raw("trixie"))
    made.publish(*archive.GOOD)
    made.install(root)
    return made


def apt(root: Path, *words: str) -> Completed:
    inside = ("bwrap", "--die-with-parent", "--unshare-net", "--bind", str(root), "/")
    kernel = ("--proc", "/proc", "--dev", "/dev")
    return run([*inside, *kernel, "sh", "-c", f"apt-get -y {' '.join(words)} 2>&1"], check=False)


@pytest.mark.usefixtures("served")
def test_apt_sees_three_upgrades_and_a_new_package(root: Path) -> None:
    assert apt(root, "update").status == 0
    planned = apt(root, "--simulate", "dist-upgrade").output
    assert "3 upgraded, 1 newly installed, 0 to remove" in planned
    assert f"Inst {archive.NEW} " in planned


def test_an_unsigned_archive_is_refused(served: Archive, root: Path) -> None:
    served.unsign()
    assert apt(root, "update").status != 0


def test_a_strangers_signature_is_refused(served: Archive, root: Path) -> None:
    served.sign_wrongly()
    refused = apt(root, "update")
    assert refused.status != 0
    assert "is not signed" in refused.output


def test_a_changed_package_is_refused(served: Archive, root: Path) -> None:
    served.tamper(archive.SCRIPT)
    assert apt(root, "update").status == 0
    refused = apt(root, "dist-upgrade")
    assert refused.status != 0
    assert "Hash Sum mismatch" in refused.output or "unexpected size" in refused.output


@pytest.mark.usefixtures("served")
def test_the_upgrade_does_what_the_demonstration_says(root: Path) -> None:
    apt(root, "update")
    assert apt(root, "dist-upgrade").status == 0
    assert archive.WORDS in (root / "etc/issue").read_text()
    assert (root / archive.MARK).exists()
    assert (root / "usr/bin" / archive.NEW).exists()


def test_the_failing_package_fails(served: Archive, root: Path) -> None:
    served.publish(archive.FAILING)
    apt(root, "update")
    assert apt(root, "dist-upgrade").status != 0
    assert archive.FAILING in run(["chroot", str(root), "dpkg", "--audit"]).output


def test_another_revision_is_higher(served: Archive, root: Path) -> None:
    served.publish(archive.SCRIPT, revision=2)
    apt(root, "update")
    assert "+demo2" in apt(root, "--simulate", "install", archive.SCRIPT).output


def test_no_agent_outlives_it(served: Archive) -> None:
    names = [p.read_text() for p in Path("/proc").glob("[0-9]*/cmdline")]
    assert not [name for name in names if str(served.keys) in name]
