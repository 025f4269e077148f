"""A root in miniature: enough of one to be adopted, entered, changed and proved bootable.

Used wherever Debian itself is not the point. Laid out as a stock Debian has it: not adopted yet.
"""

import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

from snaproot import __version__

KERNEL = "6.1.0-test"
INITRAMFS = (
    "init",
    "conf/initramfs.conf",
    "scripts/local",
    "usr/bin/busybox",
    f"usr/lib/modules/{KERNEL}/kernel/fs/btrfs/btrfs.ko",
    f"usr/lib/modules/{KERNEL}/modules.dep",
)
_BUSYBOX = Path("/usr/bin/busybox")
_COMMANDS = (
    *(
        "sh",
        "cat",
        "chmod",
        "chown",
        "cp",
        "cpio",
        "cut",
        "date",
        "dd",
        "df",
        "echo",
        "env",
        "expr",
    ),
    *("false", "find", "grep", "head", "hostname", "id", "ip", "kill", "ln", "ls"),
    *("mkdir", "mknod", "mount", "mv", "od", "printf", "ps", "pwd", "readlink", "rm", "rmdir"),
    *("sed", "seq", "sha256sum", "sleep", "sort", "stat", "sync", "tail", "tar", "test", "touch"),
    *("tr", "true", "truncate", "umount", "uname", "wc", "wget", "which", "xargs", "yes"),
)
_DIRECTORIES = (
    *("boot", "dev", "etc/apt", "home/user", "media", "mnt", "opt", "proc", "root", "run", "srv"),
    *("sys", "tmp", "usr/bin", "usr/sbin", "usr/lib/sysimage", "usr/local/bin", "var/cache"),
    *("var/lib/dpkg/info", "var/log", "var/spool", "var/tmp", f"usr/lib/modules/{KERNEL}"),
)
_STATUS = """\
Package: tiny
Status: install ok installed
Architecture: all
Version: 1.0

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 0.9
"""
_FILES = {
    "etc/group": "root:x:0:\nuser:x:1000:\n",
    "etc/hostname": "tiny\n",
    "etc/machine-id": "",
    "etc/nsswitch.conf": "passwd: files\n",
    "etc/os-release": 'ID=debian\nVERSION_ID="13"\nPRETTY_NAME="A tiny root"\n',
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\n",
    "home/user/letter": "Dear all\n",
    f"usr/lib/modules/{KERNEL}/modules.dep": "kernel/fs/btrfs/btrfs.ko:\n",
    "var/lib/dpkg/status": _STATUS,
    "var/log/messages": "something happened\n",
}
_SCRIPTS = {
    "usr/bin/lsinitramfs": '#!/bin/sh\nexec busybox cpio -t < "$1"\n',
    "usr/bin/snaproot": f"#!/bin/sh\necho snaproot {__version__}\n",
}


def build(
    path: Path,
    *,
    spec: str = "LABEL=tiny",
    subvolume: str = "@",
    initramfs: Sequence[str] = INITRAMFS,
) -> None:
    """Make the root in `path`, which is empty or not there yet.

    Its fstab mounts `spec` at / with `subvol=subvolume` (without it, if that is empty).
    """
    for name in _DIRECTORIES:
        (path / name).mkdir(parents=True)
    for link in ("bin", "sbin", "lib"):
        (path / link).symlink_to(f"usr/{link}")
    (path / "tmp").chmod(0o1777)
    (path / "var/tmp").chmod(0o1777)
    _programs(path)
    for name, text in _FILES.items():
        (path / name).write_text(text, encoding="utf-8")
    (path / "etc/shadow").chmod(0o640)
    option = f",subvol={subvolume}" if subvolume else ""
    (path / "etc/fstab").write_text(f"{spec} / btrfs defaults{option} 0 0\n", encoding="utf-8")
    (path / f"boot/vmlinuz-{KERNEL}").write_bytes(kernel(KERNEL))
    (path / f"boot/initrd.img-{KERNEL}").write_bytes(cpio(initramfs))


def kernel(version: str) -> bytes:
    """Make what the x86 boot protocol calls a kernel of that version: a header and nothing else."""
    image = bytearray(4096)
    image[0x1F1] = 4  # setup_sects
    image[0x1FE:0x200] = b"\x55\xaa"
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x206, 0x020F)
    struct.pack_into("<H", image, 0x20E, 0x400)  # kernel_version, counted from 0x200
    said = f"{version} (builder@tiny) #1 SMP".encode() + b"\0"
    image[0x600 : 0x600 + len(said)] = said
    return bytes(image)


def cpio(names: Sequence[str]) -> bytes:
    """Make an uncompressed newc archive of small files, with their directories (cpio(5))."""
    parents = {str(up) for name in names for up in Path(name).parents} - {"."}
    members = [_member(name, 0o040755, b"") for name in sorted(parents)]
    members += [_member(name, 0o100644, f"{name}\n".encode()) for name in names]
    return b"".join((*members, _member("TRAILER!!!", 0, b"")))


def _member(name: str, mode: int, data: bytes) -> bytes:
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    header = "070701" + "".join(f"{number:08X}" for number in fields)
    return _padded(header.encode() + name.encode() + b"\0") + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _programs(path: Path) -> None:
    shutil.copy(_BUSYBOX, path / "usr/bin/busybox")
    for name in _COMMANDS:
        (path / "usr/bin" / name).symlink_to("busybox")
    (path / "usr/sbin/init").symlink_to("../bin/busybox")
    for name, text in _SCRIPTS.items():
        (path / name).write_text(text, encoding="utf-8")
        (path / name).chmod(0o755)
