from pathlib import Path

import pytest

from snaproot.config import Conffiles, Manager, PackageSettings
from snaproot.errors import Refused, SnaprootError
from snaproot.packages import detect
from snaproot.packages.apt import Apt
from snaproot.trust.policy import Archives, Leave, Packages


@pytest.mark.parametrize("place", ["usr/bin/apt-get", "usr/lib/sysimage/dpkg/status"])
def test_a_debian_root_has_apt(tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).touch()
    assert detect(tmp_path, PackageSettings(conffiles=Conffiles.NEW)) == Apt(Conffiles.NEW)


def test_the_rules_of_the_policy_are_bound(tmp_path: Path) -> None:
    rules = Packages(archives=Archives.VERIFIED, downgrade=Leave.ALLOW)
    settings = PackageSettings(manager=Manager.APT)
    assert detect(tmp_path, settings, rules) == Apt(Conffiles.KEEP, rules)


def test_an_unknown_root_is_refused_unless_told(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no package manager"):
        detect(tmp_path, PackageSettings())
    assert detect(tmp_path, PackageSettings(manager=Manager.APT)) == Apt()


def test_the_database_beside_the_root_is_read_first(tmp_path: Path) -> None:
    for place, version in (("usr/lib/sysimage/dpkg", "2"), ("var/lib/dpkg", "1")):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "status").write_text(
            f"Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: {version}\n"
        )
    assert Apt().installed(tmp_path) == {"a": "2"}
    with pytest.raises(SnaprootError, match="no dpkg status"):
        Apt().installed(tmp_path / "etc")


def test_no_link_of_a_root_leads_out(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("Package: a\nStatus: install ok installed\nVersion: 1\n")
    dpkg = tmp_path / "root/usr/lib/sysimage/dpkg"
    dpkg.mkdir(parents=True)
    (dpkg / "status").symlink_to(tmp_path / "status")
    with pytest.raises(SnaprootError, match="no dpkg status"):
        Apt().installed(tmp_path / "root")
    with pytest.raises(Refused, match="no package manager"):
        detect(tmp_path / "root", PackageSettings())
