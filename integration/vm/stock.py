"""Making stock Debian: what its installer does, on a partitioned disk, without its questions."""

import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integration import debian
from integration import disk as loop
from integration.vm import parts
from integration.vm.disks import alone
from integration.vm.guest import PASSWORD
from integration.vm.qemu import Hardware, started
from snaproot.errors import SnaprootError
from snaproot.run import run

PACKAGES = (
    *("dbus", "grub-efi-amd64", "grub-efi-amd64-signed", "iproute2", "libpam-systemd"),
    "shim-signed",
)
_HERE = Path(__file__).parent
_FINISH = "finish.sh"
_TAIL = 3000  # characters of what a failed program said
_FINISHING = 240.0  # seconds
_FSTAB = """\
UUID={own} / btrfs defaults,subvol=@ 0 0
UUID={own} /home btrfs defaults,subvol=@home 0 0
UUID={boot} /boot/efi vfat umask=0077 0 1
"""
_GRUB = {
    "GRUB_TIMEOUT": "0",
    "GRUB_CMDLINE_LINUX_DEFAULT": '""',
    "GRUB_CMDLINE_LINUX": '"console=ttyS0"',
    "GRUB_TERMINAL": "console",
}


def make(home: Path, root: Path) -> None:
    disk = home / f"{loop.MARK}disk.img"
    with timed("stock: partitions, and a copy of the base"):
        parts.partitioned(disk, root)
    with opened(home, disk) as top:
        with timed("stock: packages"):
            _install(home, top / "@")
        with timed("stock: configuration"):
            _configure(top / "@", disk)
        hardware = _direct(home, top / "@", parts.uuid(disk, parts.ROOT_AT, parts.ROOT_SIZE))
    with timed("stock: grub-install and update-grub, in a machine"):
        _finish(home, disk, hardware)
    with opened(home, disk) as top:
        (top / f"@/{_FINISH}").unlink()
        run(["fstrim", str(top)])
    disk.rename(home / "disk.img")


def _install(home: Path, root: Path) -> None:
    """Fetch and install what a bootable Debian has, with this machine's settings for fetching."""
    settings = home / "apt.conf"
    settings.write_text(f'{debian.options()}APT::Sandbox::User "root";\n', encoding="utf-8")
    answer = "grub-efi-amd64 grub2/force_efi_extra_removable boolean true"
    script = (
        f"echo {answer} | debconf-set-selections; apt-get -q update; apt-get -q install -y "
        f"--no-install-recommends -o Dpkg::Options::=--force-unsafe-io {' '.join(PACKAGES)}; "
        "apt-get clean; rm -rf /var/lib/apt/lists/*"
    )
    given = ("--ro-bind", str(settings), "/run/apt.conf")
    names = ("--ro-bind", "/etc/resolv.conf", "/etc/resolv.conf")
    said = ("env", "APT_CONFIG=/run/apt.conf", "DEBIAN_FRONTEND=noninteractive")
    inside(root, (*given, *names), *said, "sh", "-ec", script)
    settings.unlink()


def _configure(root: Path, disk: Path) -> None:
    """Make the choices that a person makes while installing, and give the host its agent."""
    etc = root / "etc"
    own, boot = (
        parts.uuid(disk, at, size)
        for at, size in ((parts.ROOT_AT, parts.ROOT_SIZE), (parts.ESP_AT, parts.ESP_SIZE))
    )
    (etc / "fstab").write_text(_FSTAB.format(own=own, boot=boot), encoding="ascii")
    (etc / "hostname").write_text("debian\n", encoding="ascii")
    (etc / "hosts").write_text("127.0.0.1 localhost\n127.0.1.1 debian\n", encoding="ascii")
    (etc / "machine-id").write_text(f"{uuid.uuid4().hex}\n", encoding="ascii")
    (etc / "resolv.conf").unlink(missing_ok=True)
    (root / "boot/efi").mkdir(exist_ok=True)
    (etc / "testbed").mkdir()
    shutil.copy(_HERE / "agent.sh", etc / "testbed/agent.sh")
    shutil.copy(_HERE / "agent.service", etc / "systemd/system/testbed-agent.service")
    shutil.copy(_HERE / "finish.sh", root / _FINISH)
    (root / _FINISH).chmod(0o755)
    words = "; ".join(f"sed -i '/^#*{k}=/d' $f; echo '{k}={v}' >>$f" for k, v in _GRUB.items())
    enable = "systemctl enable -q testbed-agent.service"
    said = f"f=/etc/default/grub; {words}; echo root:{PASSWORD} | chpasswd; {enable}"
    inside(root, (), "sh", "-ec", said)


def _direct(home: Path, root: Path, uuid: str) -> Hardware:
    """Describe a machine whose firmware is handed the kernel, and that runs `finish.sh`."""
    for name in ("vmlinuz", "initrd.img"):
        shutil.copy(next((root / "boot").glob(f"{name}-*")), home / name)
    words = f"root=UUID={uuid} rootflags=subvol=@ rw console=ttyS0 quiet panic=-1 init=/{_FINISH}"
    return Hardware(kernel=home / "vmlinuz", initrd=home / "initrd.img", append=words)


def _finish(home: Path, disk: Path, hardware: Hardware) -> None:
    shutil.copy(hardware.firmware()[1], home / "vars.fd")
    with started(home, disk, home / "vars.fd", hardware) as machine:
        machine.serial.wait("^testbed: finished", _FINISHING)
        machine.ended(60)
    for name in ("vmlinuz", "initrd.img"):
        (home / name).unlink()


@contextmanager
def opened(home: Path, disk: Path) -> Iterator[Path]:
    """Mount the top level of a layer that is being made."""
    with alone(), parts.mounted(disk, home / "top") as top:
        yield top


def inside(root: Path, bound: tuple[str, ...], *argv: str) -> None:
    """Run a program of a root, in it: none of its services starts."""
    apart = ("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup")
    words = ("bwrap", "--die-with-parent", *apart, "--bind", str(root), "/")
    places = ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run", "--tmpfs", "/tmp")  # noqa: S108
    done = run([*words, *places, *bound, *argv], check=False)
    if done.status:
        raise SnaprootError(f"{argv}: {(done.output + done.errors)[-_TAIL:]}")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say what a step took."""
    begun = time.monotonic()
    yield
    print(f"image: {what}: {time.monotonic() - begun:.1f} s", flush=True)
