"""What a machine is like, as far as adopting it and trusting it go: plain values. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

ESP_POINTS = ("/boot/efi", "/efi", "/boot")
"""Where distributions mount an EFI system partition."""
FAT = ("vfat", "msdos")


class Kind(StrEnum):
    """What a block device is, as GRUB and the firmware see it: to them a multipath is a disk."""

    DISK = "disk"
    RAID = "RAID"
    LVM = "LVM"
    CRYPT = "LUKS"
    LOOP = "loop device"
    MAPPED = "device-mapper"
    CACHE = "bcache"


@dataclass(frozen=True, slots=True)
class Device:
    """One block device; `mapped` is the name that dm-crypt and the like gave it."""

    name: str
    kind: Kind = Kind.DISK
    mapped: str = ""

    @property
    def shown(self) -> str:
        """Name it for people."""
        return self.mapped or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Esp:
    """The EFI system partition.

    `place` is where it is mounted, empty where it is not. `spec` names its device as fstab(5) or
    mount(8) do. `is_copy`: a directory that was given and is no mount, of whose device nothing can
    be told. `free` is in bytes.
    """

    place: str = ""
    spec: str = ""
    kind: str = "vfat"
    read_only: bool = False
    devices: tuple[Device, ...] = ()
    free: int = 0
    is_copy: bool = False
    grub: bool = True
    systemd_boot: bool = False


@dataclass(frozen=True, slots=True)
class Binary:
    """A loader on the ESP that is not the one of the root's package, with the versions of both."""

    name: str
    installed: str
    packaged: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The pool of a root on ZFS; `root` is the dataset that runs.

    `health` is zpool(8)'s word, `faults` what is wrong in it, in words, `untold` why it cannot be
    examined. `active` are its features in use, `grub` the version of the GRUB on the ESP that may
    have to read it. `encrypted` names the dataset whose key unlocks the root, `key` where that is
    from (zfsprops(7): keylocation). `rivals` would be mounted over the root, `foreign` are boot
    environments by whose they are, `ours` snaproot's own. `mounter` is what puts ZFS into an
    initramfs. `hostid` is the one in use, `own_hostid` that of /etc/hostid, as hexadecimal numbers,
    both empty where there is none.
    """

    name: str
    root: str
    health: str = "ONLINE"
    faults: tuple[str, ...] = ()
    untold: str = ""
    bootfs: str = ""
    active: tuple[str, ...] = ()
    grub: str = ""
    encrypted: str = ""
    key: str = ""
    rivals: tuple[str, ...] = ()
    foreign: Mapping[str, str] = field(default_factory=dict)
    ours: tuple[str, ...] = ()
    mounter: str = "zfs-initramfs"
    swaps: tuple[str, ...] = ()
    bootmenu: str = ""
    hostid: str = ""
    own_hostid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine with a running root.

    `enclosure` says what the root runs in, if that is no machine: a container, a chroot, a live
    system. `boot` is the filesystem of a `/boot` of its own. `secure_boot` is None where the
    firmware does not say; `shim_checks` whether shim verifies anything. `loader` is what the boot
    loader calls itself, empty if it does not. `crypttab` names the mapped devices in it,
    `unlocker` what puts the unlocking of a root into an initramfs. `hibernated` names the swaps
    that hold the image of a hibernated system. `selinux` is true where a policy is enforced,
    `relabels` where the root has a program that sets labels. `pool` is None where the root is not
    on ZFS.
    """

    efi: bool = True
    enclosure: str = ""
    boot: str = ""
    esp: Esp | None = None
    root_devices: tuple[Device, ...] = ()
    crypttab: Sequence[str] = ()
    unlocker: str = ""
    loader: str = ""
    secure_boot: bool | None = None
    shim_checks: bool = True
    watchdog: str = ""
    selinux: bool = False
    relabels: bool = False
    hibernated: tuple[str, ...] = ()
    binaries: tuple[Binary, ...] = ()
    pool: Pool | None = None

    def below_root(self, kind: Kind) -> tuple[Device, ...]:
        """Name the devices of a kind that the root's filesystem lies on."""
        return tuple(device for device in self.root_devices if device.kind is kind)
