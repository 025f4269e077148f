"""Every boot loader of Debian, installed and removed in a target: nothing outside it changes."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration import debian
from integration import disk as loop
from snaproot.filesystem import Workspace
from snaproot.packages import aptoutput
from snaproot.packages.apt import Apt
from snaproot.run import Completed, run
from snaproot.sandbox import Sandbox

pytestmark = pytest.mark.real
SUITE = "trixie"
LOADERS = ("grub-pc", "grub-efi-amd64-signed", "shim-signed", "systemd-boot", "efibootmgr")
# By their paths: no shim is asked.
ATTEMPTS = (
    "/usr/sbin/grub-install --target=i386-pc --force {disk}",
    "/usr/sbin/grub-bios-setup --force {disk}",
    "/usr/bin/bootctl install",
    "/usr/bin/efibootmgr --create --disk {disk}",
    "/usr/sbin/modprobe btrfs",
    "/usr/bin/mount {disk} /mnt",
)


def _packages() -> Path:
    base = debian.base(SUITE)
    return debian.kept(f"loaders-{SUITE}-{base.name.rsplit('-', 1)[1]}", _fetch)


def _caches(home: Path) -> dict[str, Path]:
    return {inside: home / ours for inside, ours in Apt().caches().items()}


def _fetch(home: Path) -> None:
    """Keep the loaders' packages, and the kernel's, as the suite has them."""
    for ours in _caches(home).values():
        ours.mkdir(parents=True)
    image = debian.base(SUITE) / "root.img"
    with debian.disk(SUITE, home, image=image) as top:
        sandbox = Sandbox(Workspace("b1", top / "@", {}), False, _caches(home))
        lean = ["-oDir::Cache::pkgcache=", "-oDir::Cache::srcpkgcache=", "--yes", "--download-only"]
        sandbox.run(["apt-get", *lean[:2], "update"], network=True)
        wanted = ("--reinstall", "install", *LOADERS, _kernel(top / "@"))
        sandbox.run(["apt-get", *lean, *wanted], network=True)


def _kernel(root: Path) -> str:
    return f"linux-image-{next((root / 'usr/lib/modules').iterdir()).name}"


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    image = debian.base(SUITE) / "root.img"
    with debian.disk(SUITE, tmp_path_factory.mktemp("loaders"), image=image) as mounted:
        yield mounted


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Make what a loader's package would write to: an ESP, a boot partition, a disk with an MBR."""
    for name in ("esp/EFI/debian/grub.cfg", "esp/EFI/BOOT/BOOTX64.EFI", "boot/grub/grubenv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{name}, as it was\n")
    home = tmp_path / f"{loop.MARK}{os.getpid()}-disk"
    home.mkdir()
    with loop.attached(home / f"{loop.MARK}mbr.img", "8M") as device:
        Path(device).write_bytes(b"\xeb\x63" + b"m" * 508 + b"\x55\xaa" + b"gap" * 4096)
        yield tmp_path, device


def _digest(outside: Path, device: str) -> str:
    run(["sync"])
    # The disk is read as a disk: its image gets a new time whenever the kernel flushes it.
    found = sorted(p for p in outside.rglob("*") if p.is_file() and loop.MARK not in p.name)
    known = [
        f"{p}{p.stat().st_mode}{p.stat().st_mtime_ns}".encode() + p.read_bytes() for p in found
    ]
    return hashlib.sha256(b"".join((*known, Path(device).read_bytes()))).hexdigest()


def test_loaders_come_and_go_and_the_machine_stays(top: Path, outside: tuple[Path, str]) -> None:
    target, (_, disk) = top / "target", outside
    run(["btrfs", "-q", "subvolume", "snapshot", str(top / "@"), str(target)])
    kernel = _kernel(target)
    sandbox = Sandbox(Workspace("b1", target, {}), True, _caches(_packages()))
    _prepare(sandbox, disk)
    before = (_digest(*outside), _efi())

    made = _apt(sandbox, "--reinstall", "install", *LOADERS, kernel)
    assert aptoutput.hook_warnings(made.output) == ()
    assert (target / f"boot/initrd.img-{kernel.removeprefix('linux-image-')}").is_file()
    for attempt in ATTEMPTS:
        argv = attempt.format(disk=disk).split()
        assert sandbox.run(argv, check=False).status != 0, attempt
    assert sandbox.run(["update-grub"]).shimmed == ("update-grub",)
    _apt(sandbox, "purge", *LOADERS, "grub-common", kernel)

    assert not (target / "usr/sbin/grub-install").exists()
    assert (_digest(*outside), _efi()) == before


def _prepare(sandbox: Sandbox, disk: str) -> None:
    """Ask grub-pc for the disk; what is left out is time that a test can do without."""
    root = sandbox.workspace.root
    (root / "asked").write_text(f"grub-pc grub-pc/install_devices multiselect {disk}\n")
    sandbox.run(["debconf-set-selections", "/asked"])
    (root / "etc/dpkg/dpkg.cfg.d/fast").write_text("force-unsafe-io\n")
    (root / "etc/initramfs-tools/conf.d/fast").write_text("COMPRESSLEVEL=1\n")


def _apt(sandbox: Sandbox, *words: str) -> Completed:
    argv = ["apt-get", "--yes", "--allow-remove-essential", "-oDpkg::Use-Pty=false", *words]
    return sandbox.run(argv, extra={"DEBIAN_FRONTEND": "noninteractive"})


def _efi() -> list[str]:
    """List the firmware's variables, where this machine has them."""
    variables = Path("/sys/firmware/efi/efivars")
    return sorted(os.listdir(variables)) if variables.is_dir() else []  # noqa: PTH208
