"""Roots laid out as distributions do it, on a real Btrfs: what adoption has to cope with."""

import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from integration import tinyroot
from snaproot.run import run

_PLACEHOLDER = 2  # what a snapshot has for a nested subvolume; its times are those of the look


def debian(top: Path, name: str = "@", *, home: bool = True) -> Path:
    """Make a Debian or Ubuntu: the root in `@` or `@rootfs`, perhaps `@home`."""
    lines = [] if not home else ["LABEL=tiny /home btrfs noatime,subvol=@home 0 2"]
    root = subvolume(top / name)
    tinyroot.build(root, subvolume=name)
    if home:
        apart(top / "@home", root / "home")
    fstab(root, *lines)
    return root


def fedora(top: Path) -> Path:
    """Make a Fedora: `root` and `home`, the kernel in an ext4 `/boot` of its own."""
    root = subvolume(top / "root")
    tinyroot.build(root, subvolume="root")
    apart(top / "home", root / "home")
    os_release(root, "Fedora Linux 42")
    (root / "var/lib/dpkg/status").unlink()
    (root / "var/lib/dpkg/info").rmdir()
    (root / "var/lib/dpkg").rmdir()
    put(root / "usr/lib/sysimage/rpm/rpmdb.sqlite", "packages\n")
    (root / "var/lib/rpm").symlink_to("../../usr/lib/sysimage/rpm")
    put(root / "var/lib/alternatives/iptables", "auto\n")
    fstab(
        root,
        "LABEL=tiny /home btrfs subvol=home,compress=zstd:1 0 0",
        "UUID=0b007-ext4 /boot ext4 defaults 1 2",
        "UUID=E5B0-0001 /boot/efi vfat umask=0077,shortname=winnt 0 2",
    )
    return root


def opensuse(top: Path) -> Path:
    """Make an openSUSE: the root is a snapshot and the default, its places are siblings."""
    for name in ("@", "@/var", "@/home", "@/root", "@/srv", "@/opt", "@/.snapshots"):
        subvolume(top / name)
    (top / "@/usr").mkdir()
    (top / "@/boot/grub2").mkdir(parents=True)
    for name in ("@/usr/local", "@/boot/grub2/x86_64-efi"):
        subvolume(top / name)
    (top / "@/.snapshots/1").mkdir()
    root = subvolume(top / "@/.snapshots/1/snapshot")
    tinyroot.build(root, subvolume="")
    os_release(root, "openSUSE Tumbleweed")
    run(["cp", "-a", f"{root}/var/.", str(top / "@/var")])
    put(top / "@/boot/grub2/x86_64-efi/normal.mod", "a module\n")
    (root / "boot/grub2").mkdir()
    put(root / "etc/snapper/configs/root", 'SUBVOLUME="/"\n')
    points = ("var", "home", "root", "srv", "opt", ".snapshots", "usr/local")
    places = (*points, "boot/grub2/x86_64-efi")
    fstab(root, *(f"LABEL=tiny /{p} btrfs subvol=/@/{p} 0 0" for p in places))
    run(["btrfs", "subvolume", "set-default", str(root)])
    return root


def arch(top: Path) -> Path:
    """Make an Arch as its installer does: `@`, `@home`, `@log`, `@pkg`, numbers in fstab."""
    root = subvolume(top / "@")
    tinyroot.build(root)
    os_release(root, "Arch Linux")
    (root / "var/cache/pacman/pkg").mkdir(parents=True)
    put(root / "var/lib/pacman/local/ALPM_DB_VERSION", "9\n")
    put(root / "etc/pacman.conf", "[options]\n#DBPath      = /var/lib/pacman/\n[core]\n")
    (root / "boot/vmlinuz-6.1.0-test").rename(root / "boot/vmlinuz-linux")
    put(root / f"usr/lib/modules/{tinyroot.KERNEL}/pkgbase", "linux\n")
    apart(top / "@home", root / "home")
    apart(top / "@log", root / "var/log")
    apart(top / "@pkg", root / "var/cache/pacman/pkg")
    numbers = {name: subvolume_id(top / name) for name in ("@home", "@log", "@pkg")}
    fstab(
        root,
        f"LABEL=tiny /home btrfs rw,relatime,subvolid={numbers['@home']},subvol=/@home 0 0",
        f"LABEL=tiny /var/log btrfs rw,relatime,subvolid={numbers['@log']} 0 0",
        f"LABEL=tiny /var/cache/pacman/pkg btrfs rw,subvol=/@pkg,subvolid={numbers['@pkg']} 0 0",
    )
    return root


def flat(top: Path) -> Path:
    """Make a root right at the top level."""
    tinyroot.build(top, subvolume="")
    return top


def docker(root: Path) -> None:
    """Nest what container engines and systemd nest."""
    for name in ("var/lib/docker/btrfs/subvolumes/0a1b", "var/lib/docker/btrfs/subvolumes/2c3d"):
        put(subvolume(root / name) / "etc/hostname", f"{Path(name).name}\n")
    put(subvolume(root / "var/lib/machines") / "README", "machines\n")
    put(subvolume(root / "var/lib/machines/trixie") / "etc/hostname", "trixie\n")
    put(subvolume(root / "var/lib/portables") / "README", "portables\n")
    put(subvolume(root / "data") / "ledger", "all of it\n")
    sealed = root / "var/lib/machines/trixie"
    run(["btrfs", "property", "set", str(sealed), "ro", "true"])


def subvolume(path: Path) -> Path:
    """Make an empty subvolume, with what leads to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    run(["btrfs", "subvolume", "create", str(path)])
    return path


def subvolume_id(path: Path) -> int:
    """Number a subvolume."""
    return int(run(["btrfs", "inspect-internal", "rootid", str(path)]).output)


def apart(path: Path, place: Path) -> None:
    """Move the content of a directory into a subvolume of its own."""
    subvolume(path)
    for child in place.iterdir():
        run(["mv", str(child), str(path)])


def put(path: Path, text: str) -> None:
    """Write a file, with what leads to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def os_release(root: Path, name: str) -> None:
    """Call a root by a name."""
    put(root / "etc/os-release", f'PRETTY_NAME="{name}"\n')


def fstab(root: Path, *lines: str) -> None:
    """Add lines to a root's fstab."""
    with (root / "etc/fstab").open("a") as file:
        file.write("".join(f"{line}\n" for line in ("# what else is mounted", *lines)))


def digest(root: Path, *, without: Sequence[str] = ()) -> str:
    """Digest everything below a place but access times, subvolumes nested in it included."""
    told = hashlib.sha256()
    for place, directories, names in os.walk(root):
        directories.sort()
        directories[:] = [name for name in directories if name not in without]
        for name in sorted((*directories, *names, ".")):
            told.update(_entry(Path(place) / name, str(Path(place).relative_to(root) / name)))
    return told.hexdigest()


def _entry(path: Path, name: str) -> bytes:
    seen = path.lstat()
    content = b""
    if stat.S_ISLNK(seen.st_mode):
        content = os.fsencode(path.readlink())
    elif stat.S_ISREG(seen.st_mode):
        content = path.read_bytes()
    attributes = [(a, os.getxattr(path, a, follow_symlinks=False)) for a in sorted(_names(path))]
    fields = (name, seen.st_ino, seen.st_mode, seen.st_uid, seen.st_gid, seen.st_nlink)
    passing = name in {".", "./."} or seen.st_ino == _PLACEHOLDER
    times = (0, 0) if passing else (seen.st_mtime_ns, seen.st_ctime_ns)
    return repr((fields, times, attributes, hashlib.sha256(content).hexdigest())).encode()


def _names(path: Path) -> list[str]:
    return os.listxattr(path, follow_symlinks=False)
