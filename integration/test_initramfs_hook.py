"""What the makers of real initramfs take of snaproot: by whether ZFS can be mounted there.

Debian's ZFS is in contrib, and a stand-in for its hook puts in what the real one does.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration import debian
from snaproot import initramfs
from snaproot.run import Completed, run
from tests.health.asking import put

pytestmark = pytest.mark.real

ZFS_HOOK = """\
#!/bin/sh
[ "$1" != prereqs ] || exit 0
. /usr/share/initramfs-tools/hook-functions
copy_exec /usr/sbin/mount.zfs
"""
ZFS_MODULE = """\
check() { return 0; }
install() { inst_multiple mount.zfs; }
"""


@pytest.fixture(params=debian.SUITES)
def tools(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Yield a root with initramfs-tools and the package."""
    with debian.disk(request.param, tmp_path) as top:
        yield top / "@"


@pytest.fixture(params=debian.DRACUT)
def dracut(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Yield a root with dracut and the package."""
    with debian.disk(request.param, tmp_path) as top:
        yield top / "@"


def inside(root: Path, *argv: str) -> Completed:
    places = ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run", "--tmpfs", "/tmp")  # noqa: S108
    bound = ("--bind", str(root), "/", "--setenv", "PATH", "/usr/sbin:/usr/bin")
    return run(["bwrap", "--die-with-parent", "--unshare-all", *bound, *places, *argv])


def kernel(root: Path) -> str:
    return next((root / "usr/lib/modules").iterdir()).name


def test_initramfs_tools(tools: Path) -> None:
    def made(*more: str) -> frozenset[str]:
        inside(tools, "mkinitramfs", "-o", "/made", *more, kernel(tools))
        return initramfs.paths(inside(tools, "lsinitramfs", "/made").output)

    put(tools / "usr/sbin/mount.zfs", "#!/bin/sh\n")
    hook = "scripts/local-bottom/snaproot"
    without = made()
    assert hook not in without
    put(tools / "usr/share/initramfs-tools/hooks/zfs", ZFS_HOOK)
    assert hook in made("-k")
    (order,) = (tools / "var/tmp").glob("mkinitramfs_*/scripts/local-bottom/ORDER")
    assert f'/{hook} "$@"\n' in order.read_text()
    (tools / "usr/share/initramfs-tools/hooks/zfs").unlink()
    (tools / "usr/share/initramfs-tools/hooks/snaproot").unlink()
    (tools / "usr/share/initramfs-tools" / hook).unlink()
    assert made() == without, "where there is no ZFS, the package makes no difference"


@pytest.mark.slow  # it alone needs a root of forky, which is made anew from packages
def test_dracut(dracut: Path) -> None:
    def made() -> frozenset[str]:
        inside(dracut, "dracut", "--force", "--no-hostonly", "/made", kernel(dracut))
        return initramfs.paths(inside(dracut, "lsinitrd", "/made").output)

    put(dracut / "usr/sbin/mount.zfs", "#!/bin/sh\n")
    hook = "var/lib/dracut/hooks/pre-pivot/00-snaproot-etc.sh"
    assert hook not in made()
    put(dracut / "usr/lib/dracut/modules.d/90zfs/module-setup.sh", f"#!/bin/bash\n{ZFS_MODULE}")
    assert hook in made()
