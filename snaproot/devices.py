"""The block devices below a place: what an initramfs hook must be able to look up."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from snaproot.mountinfo import mount_of
from snaproot.run import run

_BLOCK = Path("/sys/class/block")
_BTRFS = Path("/sys/fs/btrfs")


@dataclass(frozen=True, slots=True)
class Devices:
    """Nodes, the names that udev gave them, and what blkid(8) knows of them."""

    nodes: tuple[Path, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    blkid: str = ""


def below(place: Path) -> Devices:
    """Find the devices that a mounted place is on, down to the disks."""
    source = mount_of(place).source
    if not source.startswith("/dev/"):
        return Devices()
    names = sorted({*_closure(_members(Path(source).resolve().name))})
    nodes = tuple(node for node in (Path("/dev", name) for name in names) if node.exists())
    return Devices(nodes, tuple(_links(nodes)), "".join(map(_known, nodes)))


def exists(spec: str) -> bool:
    """Tell whether a device that an fstab names is there; findfs(8) believes every path."""
    found = run(["findfs", spec], check=False)
    return found.status == 0 and Path(found.output.rstrip("\n")).exists()


def cached(node: str, number: int, said: Mapping[str, str]) -> str:
    """Render a line of blkid's cache, which it believes where it may not open a device. Pure."""
    told = "".join(f' {key}="{value}"' for key, value in said.items() if key != "DEVNAME")
    return f'<device DEVNO="{number:#06x}" TIME="1"{told}>{node}</device>\n'


def _members(name: str) -> Iterable[str]:
    """Name all devices of the Btrfs that one belongs to."""
    for filesystem in _BTRFS.glob("*-*/devices"):
        members = [device.name for device in filesystem.iterdir()]
        if name in members:
            return members
    return [name]


def _closure(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield name
        slaves = _BLOCK / name / "slaves"
        yield from _closure(slave.name for slave in (slaves.iterdir() if slaves.is_dir() else ()))


def _links(nodes: Iterable[Path]) -> Iterator[tuple[str, str]]:
    known = {str(node) for node in nodes}
    for pattern in ("disk/by-*/*", "mapper/*"):
        for link in Path("/dev").glob(pattern):
            if link.is_symlink() and str(link.resolve()) in known:
                yield str(link), str(link.resolve())


def _known(node: Path) -> str:
    probed = run(["blkid", "-p", "-o", "export", str(node)], check=False).output
    pairs = (line.split("=", 1) for line in probed.splitlines() if "=" in line)
    said = {key: value for key, value in pairs if not set(value) & set('"<>\\')}
    return cached(str(node), node.stat().st_rdev, said) if said else ""
