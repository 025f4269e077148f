"""A machine's /sys, /proc, /dev and /etc in a directory, with the names and bytes of real ones."""

from dataclasses import dataclass
from pathlib import Path

_BLOCK = "sys/devices/virtual/block"
_DISK = "sys/devices/pci0000:00/block/sda"
_ROOT = "22 1 0:21 /@ / rw,relatime shared:1 - btrfs /dev/sda2 rw,space_cache=v2,subvol=/@"
_GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
VARIABLES = {
    "SecureBoot": _GLOBAL,
    "MokSBStateRT": "605dab50-e046-4300-abb6-3dd810dd8b23",
    "LoaderInfo": "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f",
}
UUID = "8e3a3a3a-1111-2222-3333-444455556666"


@dataclass(frozen=True)
class Laid:
    """A stock machine: UEFI, Btrfs on sda2, the ESP on sda1 at /boot/efi, with Debian's GRUB."""

    root: Path

    def put(self, name: str, content: str | bytes = "") -> Path:
        """Write a file, with what leads to it."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def link(self, name: str, target: str) -> None:
        """Make a link, as /dev/disk/by-uuid has it."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def mounts(self, *lines: str) -> None:
        """Say what is mounted besides the root."""
        self.put("proc/self/mountinfo", "".join(f"{line}\n" for line in (_ROOT, *lines)))

    def variable(self, name: str, content: bytes) -> None:
        """Set a variable of the firmware: four bytes of attributes come first."""
        place = f"sys/firmware/efi/efivars/{name}-{VARIABLES[name]}"
        self.put(place, b"\x06\0\0\0" + content)

    def partition(self, name: str) -> None:
        """Make a partition of the one disk."""
        self.put(f"{_DISK}/{name}/partition", f"{name[-1]}\n")
        self.link(f"sys/class/block/{name}", f"../../../{_DISK}/{name}")
        self.put(f"dev/{name}")

    def virtual(self, name: str, files: dict[str, str], *slaves: str) -> None:
        """Make a device that is made of others, with files of its directory in sysfs."""
        place = f"{_BLOCK}/{name}"
        (self.root / place / "slaves").mkdir(parents=True)
        for path, content in files.items():
            self.put(f"{place}/{path}", f"{content}\n")
        for slave in slaves:
            self.link(f"{place}/slaves/{slave}", f"../../../../../class/block/{slave}")
        self.link(f"sys/class/block/{name}", f"../../../{place}")
        self.put(f"dev/{name}")

    def members(self, *names: str) -> None:
        """Say which devices the Btrfs is on."""
        for name in names:
            self.link(f"sys/fs/btrfs/{UUID}/devices/{name}", f"../../../../class/block/{name}")

    def mapped(self, uuid: str, name: str, *slaves: str, number: int = 0) -> str:
        """Make a device of device-mapper, and return how mount(8) names it."""
        files = {"dm/uuid": uuid, "dm/name": name}
        self.virtual(f"dm-{number}", files, *slaves)
        self.link(f"dev/mapper/{name}", f"../dm-{number}")
        return f"/dev/mapper/{name}"

    def root_on(self, source: str, member: str) -> None:
        """Put the root's filesystem on another device."""
        line = _ROOT.replace("/dev/sda2", source)
        self.put("proc/self/mountinfo", f"{line}\n{esp_at('/boot/efi')}\n")
        (self.root / f"sys/fs/btrfs/{UUID}/devices/sda2").unlink()
        self.members(member)


def esp_at(point: str, source: str = "/dev/sda1", kind: str = "vfat", options: str = "rw") -> str:
    """Write a line of mountinfo for an ESP."""
    return f"30 22 8:1 / {point} {options},relatime shared:9 - {kind} {source} {options},fmask=0077"


def stock(root: Path) -> Laid:
    """Lay a stock machine out."""
    laid = Laid(root)
    for name in ("sda1", "sda2", "sda3"):
        laid.partition(name)
    laid.link("sys/class/block/sda", f"../../../{_DISK}")
    laid.members("sda2")
    laid.mounts(esp_at("/boot/efi"))
    laid.link("proc/1/root", "../..")
    laid.put("proc/1/environ", b"HOME=/\0TERM=linux\0")
    laid.put("proc/cmdline", f"BOOT_IMAGE=/@/boot/vmlinuz root=UUID={UUID} ro quiet\n")
    laid.put("proc/swaps", "Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n")
    laid.put("boot/efi/EFI/debian/grub.cfg", "configfile $prefix/grub.cfg\n")
    laid.put("etc/fstab", f"UUID={UUID} / btrfs subvol=@ 0 0\nUUID=1234-ABCD /boot/efi vfat\n")
    laid.put("run/systemd/system/.keep")
    (root / "sys/class/watchdog").mkdir(parents=True)
    laid.variable("SecureBoot", b"\1")
    return laid
