"""The kernel modules of ZFS, built once for the kernel of the base root, and Debian's packages.

What is kept has `debs/` (the modules are a package of their own), `tests/` (what the tests import,
as packages), `versions` (of the kernel and of ZFS), `zfs_config.h` (what configure found) and
`stages`, with the second in which each began.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from integration import debian, powercut
from integration import disk as loop
from integration.vm import disks
from integration.vm.stock import inside, timed
from snaproot.run import run

SUITE = "trixie"
ZFS = ("python3-pyzfs", "zfs-initramfs", "zfsutils-linux")
PYTHON = (
    *("python3-hypothesis", "python3-pytest", "python3-rfc8785", "python3-rich"),
    *("python3-tomli-w", "python3-typer"),
)
"""What snaproot and its tests import."""

_HERE = Path(__file__).parent
_SCRIPT = _HERE / "module.sh"


def built() -> Path:
    """Return the directory with modules and packages; build it if it is not there."""
    base = debian.base(SUITE)
    words = " ".join((base.name, kernel(base / "root.img"), *ZFS, *PYTHON))
    digest = sha256(b"\0".join((words.encode(), _SCRIPT.read_bytes()))).hexdigest()
    return debian.kept(f"zfs-{SUITE}-{digest[:16]}", lambda home: _build(home, base / "root.img"))


def kernel(image: Path) -> str:
    """Return the version of the kernel in a root's image. The image stays as it is."""
    with disks.alone(), _looked_at(image) as top:
        return next((top / "@/lib/modules").iterdir()).name


def install(root: Path, kept: Path, *, without: str = "") -> None:
    """Install the packages in a directory, by the root's own dpkg, offline."""
    debs = sorted(deb.name for deb in kept.iterdir() if deb.name.split("_")[0] != without)
    given = ("--ro-bind", str(kept), "/run/debs", "--chdir", "/run/debs")
    said = ("env", "DEBIAN_FRONTEND=noninteractive")
    inside(root, given, *said, "dpkg", "--force-unsafe-io", "--install", *debs)


@contextmanager
def _looked_at(image: Path) -> Iterator[Path]:
    with disks.home() as home:
        top = home / "top"
        top.mkdir()
        run(["mount", "-t", "btrfs", "-o", "loop,ro,subvolid=5", str(image), str(top)])
        device = run(["findmnt", "-n", "-o", "SOURCE", "-v", str(top)]).output.strip()
        try:
            yield top
        finally:
            loop.unmounted(top)
            powercut.forget(device)


def _build(home: Path, image: Path) -> None:
    """Build in a copy of the root, so that it fits and nothing of the compiler stays."""
    copy = home / f"{loop.MARK}root.img"
    settings = home / "apt.conf"
    settings.write_text(f'{debian.options()}APT::Sandbox::User "root";\n', encoding="utf-8")
    given = (
        *("--ro-bind", str(settings), "/run/apt.conf", "--bind", str(home), "/out"),
        *("--ro-bind", str(_SCRIPT), "/run/module.sh"),
        *("--ro-bind", "/etc/resolv.conf", "/etc/resolv.conf"),
    )
    said = ("env", "APT_CONFIG=/run/apt.conf", "DEBIAN_FRONTEND=noninteractive")
    with timed("zfs: modules"), debian.copied(image, copy) as top:
        inside(top / "@", given, *said, "sh", "/run/module.sh", " ".join(ZFS), " ".join(PYTHON))
    copy.unlink()
    settings.unlink()


if __name__ == "__main__":
    print(built())
