"""What mounts a boot environment's /etc in an initramfs, on a real pool. Runs in a bench."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from contrib.debian import build
from integration.zfs import bed
from snaproot.mountinfo import mount_of
from snaproot.run import Completed, run

SCRIPT = build.SOURCE / "contrib/initramfs/snaproot-etc.sh"
ROOT = "bed/ROOT/b1"
SHELLS = (["dash"], ["busybox", "sh"])


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Yield where a sealed root is mounted, whose /etc is not."""
    own = ["-o", "canmount=noauto"]
    top = tmp_path / "root"
    top.mkdir()
    disk = tmp_path / "disk"
    disk.touch()
    os.truncate(disk, 256 << 20)
    with bed.pool(str(disk)):
        run(["zfs", "create", "-p", "-u", *own, "-o", "mountpoint=/", ROOT])
        mount = ["mount.zfs", "-o", "zfsutil", ROOT, str(top)]  # mount(8) would say rw
        run(mount)
        (top / "etc").mkdir()
        run(["umount", str(top)])
        run(["zfs", "create", "-u", *own, "-o", "mountpoint=/etc", f"{ROOT}/etc"])
        run(["zfs", "set", "readonly=on", ROOT])
        run(mount)
        try:
            yield top
        finally:
            run(["umount", "-R", str(top)], check=False)


def booted(root: Path, shell: list[str], *, rounds: int = 1) -> Completed:
    """Run it as dracut does; who is asked for help gives up after some rounds."""
    dracut = f'NEWROOT={root}; emergency_shell() {{ echo "$*"; exit 1; }}; . {SCRIPT}'
    again = "; ".join([dracut] * rounds)
    return run([*shell, "-c", again], check=False)


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_it_is_mounted_writable_below_a_sealed_root(root: Path, shell: list[str]) -> None:
    assert booted(root, shell, rounds=2).status == 0
    here = mount_of(root / "etc")
    assert (here.point, here.source) == (root / "etc", f"{ROOT}/etc")
    (root / "etc/machine-id").write_text("x")
    assert mount_of(root).source == ROOT
    assert Path("/proc/mounts").read_text().count(f" {root}/etc ") == 1
    with pytest.raises(OSError, match="Read-only"):
        (root / "x").write_text("x")


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_what_zfs_initramfs_mounted_is_made_writable(root: Path, shell: list[str]) -> None:
    run(["mount.zfs", "-o", "zfsutil", f"{ROOT}/etc", str(root / "etc")])
    with pytest.raises(OSError, match="Read-only"):
        (root / "etc/x").write_text("x")
    assert booted(root, shell).status == 0
    (root / "etc/x").write_text("x")


def test_one_that_cannot_be_mounted_is_loud(root: Path) -> None:
    elsewhere = root.parent / "etc"
    run(["zfs", "set", "mountpoint=none", f"{ROOT}/etc"])
    assert booted(root, ["dash"]).status == 0, "it is nobody's /etc then"
    run(["zfs", "set", "mountpoint=/etc", f"{ROOT}/etc"])
    (root.parent / "bin").mkdir()
    broken = root.parent / "bin/mount.zfs"
    broken.write_text("#!/bin/sh\necho no >&2; exit 1\n")
    broken.chmod(0o755)
    done = subprocess.run(
        [
            "/bin/dash",
            "-c",
            f"NEWROOT={root}; emergency_shell() {{ echo $*; exit 9; }}; . {SCRIPT}",
        ],
        env={"PATH": f"{broken.parent}:/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 9
    assert b"the /etc of this boot environment cannot be mounted on" in done.stdout
    assert not elsewhere.exists()
