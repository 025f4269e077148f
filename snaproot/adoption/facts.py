"""What adoption has to know about a filesystem, as plain values that tests can write down."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

TOP_LEVEL = 5


class Found(StrEnum):
    """What is at a place of the root."""

    MISSING = "missing"
    DIRECTORY = "directory"
    LINK = "link"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Subvolume:
    """One subvolume; `path` is from the top level, "" for the top level itself.

    On ZFS a dataset that may be a root, by its whole name.
    """

    id: int
    path: str
    readonly: bool = False


@dataclass(frozen=True, slots=True)
class Root:
    """A subvolume that looks like a root; `fstab` is None where there is no such file."""

    subvolume: Subvolume
    os: str
    fstab: str | None


@dataclass(frozen=True, slots=True)
class Mount:
    """One subvolume of this filesystem that the root's fstab mounts, by its line there.

    On ZFS a dataset; `line` is 0 where none names it, and it is mounted `by_itself` by zfs-mount(8)
    or by the initramfs, as a child of the original root.
    """

    line: int
    point: str
    subvolume: str
    by_itself: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A path of the assembled root: what it is; `empty` is told of directories only."""

    found: Found = Found.MISSING
    owner: str = "0:0"
    mode: str = "0755"
    empty: bool = True


@dataclass(frozen=True, slots=True)
class SwapFile:
    """A swap file that fstab names; `size` in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class ActiveSwap:
    """A swap file in use: `path` as it can be swapped off here, the subvolume that it lies in."""

    path: str
    subvolume: str


@dataclass(frozen=True, slots=True)
class Adopted:
    """What an earlier adoption left; `unfinished` names the BE that is still to be the default.

    `first` is the one that adoption made. `untaken`: no adopted root was ever promoted, the
    original is the base as before. `pending` is the target that is under way.
    """

    unfinished: str = ""
    first: str = ""
    untaken: bool = False
    pending: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """One filesystem of a ZFS pool; `mountpoint` as the machine itself sees it.

    `key` is the dataset whose encryption key it has, if it is encrypted, `locked` without it.
    """

    name: str
    mountpoint: str
    canmount: str = "on"
    key: str = ""
    locked: bool = False

    @property
    def mounts_itself(self) -> bool:
        return self.canmount == "on" and self.mountpoint.startswith("/")


@dataclass(frozen=True, slots=True)
class Pool:
    """One ZFS pool, by its name; `elsewhere` are the mount points of other pools' datasets."""

    name: str
    datasets: tuple[Dataset, ...]
    bootfs: str = ""
    health: str = "ONLINE"
    readonly: bool = False
    elsewhere: tuple[str, ...] = ()

    def dataset(self, name: str) -> Dataset | None:
        """Find a dataset by its whole name."""
        return next((one for one in self.datasets if one.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """One Btrfs, or one ZFS pool, read but not touched; sizes in bytes.

    `sizes` tells of places what copying them would take, where that is how areas are made; `lacks`
    what the root's initramfs has not, without which none mounts a boot environment on ZFS.

    `places` is keyed by absolute path as the booted root would see it; `loader_names` are the
    files of the boot loader that name the root's subvolume, `units` those of systemd's that would
    write to a sealed root. `esp` is the directory that was given for the ESP. `booted` is the
    subvolume that runs, None where none does; `installed`: snaproot's units are in the root.
    """

    uuid: str
    subvolumes: tuple[Subvolume, ...]
    default: int
    roots: tuple[Root, ...]
    label: str = ""
    devices: int = 1
    missing_devices: int = 0
    free: int = 0
    metadata: int = 0
    places: Mapping[str, Place] = field(default_factory=dict)
    swap_files: tuple[SwapFile, ...] = ()
    active_swap: tuple[ActiveSwap, ...] = ()
    foreign: tuple[str, ...] = ()
    loader_names: tuple[str, ...] = ()
    boot: str = ""
    boot_size: int = 0
    kernel: str = ""
    pacman_conf: str = ""
    units: tuple[str, ...] = ()
    esp: str = ""
    booted: int | None = None
    installed: bool = False
    adopted: Adopted | None = None
    pool: Pool | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()

    def place(self, path: str) -> Place:
        """Say what is at a path; what was not looked at counts as missing."""
        return self.places.get(path, Place())

    def by_path(self, path: str) -> Subvolume | None:
        """Find a subvolume by its path from the top level."""
        return next((s for s in self.subvolumes if s.path == path), None)


def is_within(path: str, parent: str) -> bool:
    """Tell whether a path from the top level lies below another; all lie below the top level."""
    return path != parent and (parent == "" or path.startswith(f"{parent}/"))
