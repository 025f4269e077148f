"""Disk images of Debian with its root on ZFS, layer by layer, as `images` has those on Btrfs.

One pool, `rpool`, of which Debian's GRUB reads `/boot`: `rpool/ROOT/debian` is the root and the
pool's `bootfs`, `rpool/home` is `/home`.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from inspect import getsource
from pathlib import Path

from integration import debian
from integration import disk as loop
from integration.vm import disks as machines
from integration.vm import images, parts
from integration.vm.qemu import Hardware
from integration.vm.stock import opened as stock_opened
from integration.vm.stock import timed
from integration.zfs import bench, module
from snaproot.run import run

SUITE = module.SUITE
POOL = "rpool"
ROOT = "/mnt"
"""Where what is mounted of a disk that is opened has its `/`."""

ESP = "/esp"

_FILL = Path(__file__).with_name("fill.sh")
_RUNNING = 900.0  # seconds
_SECTOR = 512
_POOL_TYPE = "6A898CC3-1DD2-11B2-99A6-080020736631"
_TABLE = f"""\
label: gpt
start={parts.ESP_AT // _SECTOR}, size={parts.ESP_SIZE // _SECTOR}, type=U
start={parts.ROOT_AT // _SECTOR}, size={parts.ROOT_SIZE // _SECTOR}, type={_POOL_TYPE}
"""
_LEFT_OUT = ("./.snapshots", "./boot/grub/*", "./tmp/*", "./run/*", "./var/cache/apt/*")


def packaged() -> Path:
    """Return Debian with snaproot's package, installed before ZFS is, by the root's own dpkg."""
    made, zfs = images.packaged(SUITE), module.built()
    sources = (getsource(function).encode() for function in (_archived, _partitioned))
    own = (*sources, _TABLE.encode(), _FILL.read_bytes())
    name = _named("zfs-packaged", made.name.encode(), zfs.name.encode(), *own)
    return debian.kept(name, lambda home: _packaged(home, made, zfs))


def adopted() -> Path:
    """Return the same, adopted by this checkout's snaproot, and proven by a boot."""
    made = packaged()
    name = _named("zfs-adopted", made.name.encode(), Path(__file__).read_bytes())
    return debian.kept(name, lambda home: _adopted(home, made))


@contextmanager
def opened(disk: Path, *others: Path) -> Iterator[bench.Bench]:
    """Lend a machine that has the disk of one that is off: its pool imported, its ESP at `ESP`.

    None of the pool's filesystems is mounted, nothing is by the end. Raises SnaprootError where
    the pool is ill, before or after.
    """
    with (
        machines.home() as home,
        bench.running(home, bench.packed(home), disk, *others) as guest,
    ):
        device, healthy = f"/dev/disk/by-id/virtio-{disk.stem}-part", f"zpool status -x {POOL}"
        guest.run(f"mkdir {ESP} && mount {device}1 {ESP}")
        guest.run(f"zpool import -f -N -d {device}2 -o cachefile=none -R {ROOT} {POOL}")
        guest.run(f"{healthy} | grep 'is healthy'")
        yield bench.Bench(guest)
        guest.run(f"umount {ESP} && {healthy} | grep 'is healthy' && zpool export {POOL}")


def _named(kind: str, *content: bytes) -> str:
    digest = sha256(b"\0".join(content)).hexdigest()
    return f"machine-{SUITE}-{kind}-{digest[:16]}"


def _packaged(home: Path, made: Path, zfs: Path) -> None:
    """Take the root of the image on Btrfs, and put it on a pool in a machine."""
    archive, target = home / "root.img", home / "target.img"
    with timed("zfs packaged: packages, and an archive of the root"):
        boot = _archived(home, made, zfs, archive)
    _partitioned(target, boot)
    shutil.copy(Hardware().firmware()[1], home / "vars.fd")
    with timed("zfs packaged: a pool filled, grub-install and update-grub, in a machine"):
        _run(home, _FILL, archive, target)
    archive.unlink()
    target.rename(home / "disk.img")


def _archived(home: Path, made: Path, zfs: Path, archive: Path) -> str:
    """Install ZFS as a person would, but the package of its modules in place of zfs-dkms.

    Returns the UUID of the EFI system partition that the root mounts.
    """
    disk = home / f"{loop.MARK}disk.img"
    run(["cp", "--sparse=always", "--reflink=auto", str(made / "disk.img"), str(disk)])
    boot = parts.uuid(disk, parts.ESP_AT, parts.ESP_SIZE)
    with stock_opened(home, disk) as top:
        root = top / "@"
        module.install(root, zfs / "debs")
        lines = (f"{line} contrib\n" for line in debian.sources(SUITE))
        (root / "etc/apt/sources.list").write_text("".join(lines), encoding="ascii")
        fstab = f"UUID={boot} /boot/efi vfat umask=0077 0 1\n"
        (root / "etc/fstab").write_text(fstab, encoding="ascii")
        options = ("--one-file-system", "--xattrs", "--acls", "--numeric-owner", "--sparse")
        without = (f"--exclude={name}" for name in _LEFT_OUT)
        run(["tar", "-C", str(root), *options, *without, "-cf", str(archive), "."])
    disk.unlink()
    return boot


def _partitioned(disk: Path, boot: str) -> None:
    """Make a sparse disk: an empty EFI system partition, and one for a pool."""
    run(["truncate", "-s", str(parts.SIZE), str(disk)])
    table = disk.with_suffix(".sfdisk")
    table.write_text(_TABLE, encoding="ascii")
    run(["sh", "-c", 'exec sfdisk --quiet --no-reread "$1" <"$2"', "sh", str(disk), str(table)])
    table.unlink()
    place = [f"--offset={parts.ESP_AT // _SECTOR}", str(disk), str(parts.ESP_SIZE // 1024)]
    run(["mkfs.vfat", "-F", "32", "-s", "2", "-n", "ESP", "-i", boot.replace("-", ""), *place])


def _adopted(home: Path, made: Path) -> None:
    disk = images.copied(made, home)
    with timed("zfs adopted: init"), opened(disk) as bench:
        words = f"--sysroot {ROOT} --esp {ESP} -y init"
        bench.run(f"python3 -m snaproot {words}", seconds=_RUNNING)
    with timed("zfs adopted: a boot"):
        images.booted(home, disk)
    disk.rename(home / "disk.img")


def _run(home: Path, script: Path, *disks: Path) -> None:
    """Run a script in a machine that has these disks; only they and `vars.fd` stay in `home`."""
    with (
        machines.home() as place,
        bench.running(place, *disks, variables=home / "vars.fd") as guest,
    ):
        guest.run(script.read_text("utf-8"), seconds=_RUNNING)


if __name__ == "__main__":
    print(adopted())
