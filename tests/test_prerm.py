"""The package's own script before it is removed: it knows a boot environment by its mounts."""

import subprocess
from pathlib import Path

import pytest

from contrib.debian import build

BTRFS = "22 1 0:21 /{} / rw - btrfs /dev/vda2 rw,subvolid=5\n"
ZFS = "22 1 0:21 / / ro,relatime shared:1 - zfs {} rw,xattr\n"
ETC = "23 22 0:22 / /etc rw - zfs {} rw,xattr\n"
ROOT = "tank/ROOT/b4k7q2x"


def prerm(tmp_path: Path, mounts: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run it on a machine where `boot removal` has nothing against it."""
    text = (build.HERE / "prerm.in").read_text(encoding="utf-8")
    for name in ("mountinfo", "boot"):
        (tmp_path / name).write_text(mounts if name == "mountinfo" else "#!/bin/sh\n")
    (tmp_path / "boot").chmod(0o755)
    text = text.replace("/proc/self/mountinfo", str(tmp_path / "mountinfo"))
    text = text.replace("/usr/lib/snaproot/boot", str(tmp_path / "boot"))
    text = text.replace("/usr/lib/snaproot/python", str(tmp_path))
    (tmp_path / "prerm").write_text(text)
    argv = ["sh", str(tmp_path / "prerm"), *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "mounts",
    [
        BTRFS.format("@snaproot/environments/b1/root"),
        "20 1 0:3 / / rw - rootfs rootfs rw\n" + BTRFS.format("@snaproot/environments/b1/root"),
        ZFS.format(ROOT) + ETC.format(f"{ROOT}/etc"),
        ZFS.format("my\\040tank/ROOT/b1") + ETC.format("my\\040tank/ROOT/b1/etc"),
    ],
)
def test_it_stays_in_a_boot_environment(tmp_path: Path, mounts: str) -> None:
    done = prerm(tmp_path, mounts, "remove")
    assert done.returncode == 1
    assert "this root is one of its boot environments" in done.stderr
    assert prerm(tmp_path, mounts, "upgrade", "2").returncode == 0


@pytest.mark.parametrize(
    "mounts",
    [
        "",
        BTRFS.format("@"),
        BTRFS.format("@snaproot/areas/environments"),
        ZFS.format("tank/ROOT/debian"),
        ZFS.format("tank/ROOT/debian") + ETC.format("tank/etc"),
        ZFS.format("tank/debian") + ETC.format("tank/debian/etc"),
        "22 1 0:21 / / rw - ext4 /dev/vda2 rw\n",
    ],
)
def test_it_goes_from_any_other_root(tmp_path: Path, mounts: str) -> None:
    done = prerm(tmp_path, mounts, "remove")
    assert (done.returncode, done.stderr) == (0, "")
