"""A machine whose firmware starts ZFSBootMenu: a pool in memory, variables in a directory."""

import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from snaproot.bootloader import Bootable
from snaproot.bootloader.efi import Firmware
from snaproot.bootloader.zfsbootmenu import ZfsBootMenu
from snaproot.errors import SnaprootError
from snaproot.run import Completed, run
from tests.bootloader import efibootmgr
from tests.bootloader.grubhome import GrubHome

DISK = "01234567-89ab-cdef-0123-456789abcdef"
IMAGE = "\\EFI\\ZBM\\VMLINUZ.EFI"


@dataclass
class Pool:
    """Properties and `bootfs`, stricter than ZFS: what does not exist is refused."""

    datasets: dict[str, str] = field(default_factory=dict)
    properties: dict[tuple[str, str], str] = field(default_factory=dict)
    pointer: str = ""
    forgets: bool = False
    writes: list[str] = field(default_factory=list)

    def roots(self) -> Mapping[str, str]:
        return self.datasets

    def get(self, dataset: str, name: str) -> str:
        self._existing(dataset)
        return self.properties.get((dataset, name), "")

    def set(self, dataset: str, name: str, value: str) -> None:
        self._existing(dataset)
        if not value or "\n" in value or len(value) > 8191:
            raise SnaprootError(f"cannot set property for '{dataset}': invalid value")
        self.writes.append(f"{dataset} {name}={value}")
        if not self.forgets:
            self.properties[dataset, name] = value

    def bootfs(self) -> str:
        return self.pointer

    def set_bootfs(self, dataset: str) -> None:
        self._existing(dataset)
        self.writes.append(f"bootfs={dataset}")
        if not self.forgets:
            self.pointer = dataset

    def _existing(self, dataset: str) -> None:
        if dataset not in self.datasets.values():
            raise SnaprootError(f"cannot open '{dataset}': dataset does not exist")


@dataclass
class ZfsHome:
    directory: Path
    pool: Pool = field(default_factory=Pool)
    options: str = "quiet zbm.prefer=rpool zbm.timeout=5"
    started: list[list[str]] = field(default_factory=list)

    @property
    def roots(self) -> GrubHome:
        return GrubHome(self.directory, readable=False)

    @property
    def variables(self) -> Path:
        return self.directory / "sys/firmware/efi/efivars"

    def lay(self, *, first: int = 0) -> None:
        """Lay out the firmware's entries, from this number on: ZFSBootMenu runs, by the second."""
        self.variables.mkdir(parents=True)
        device = self.directory / "sys/devices/pci/block/sda/sda1"
        device.mkdir(parents=True)
        for place, leads in (
            ("sys/class/block/sda1", str(device)),
            (f"dev/disk/by-partuuid/{DISK}", "../../sda1"),
        ):
            (self.directory / place).parent.mkdir(parents=True)
            (self.directory / place).symlink_to(leads)
        (self.directory / "dev/sda1").touch()
        self.entry(first, "Windows", "")
        self.entry(first + 1, "ZFSBootMenu", self.options)
        self.variable("BootOrder", struct.pack("<HH", first + 1, first))
        self.variable("BootCurrent", struct.pack("<H", first + 1))
        self.pool.datasets["original"] = "rpool/ROOT/debian"
        for id in ("b1", "b2", "b3"):
            self.pool.datasets[id] = f"rpool/ROOT/{id}"
            self.roots.root(id)
        self.pool.pointer = "rpool/ROOT/b1"

    def entry(self, number: int, label: str, options: str) -> None:
        content = efibootmgr.load_option(label, 1, DISK, IMAGE, efibootmgr.text(options))
        self.variable(f"Boot{number:04X}", content)

    def variable(self, name: str, content: bytes) -> None:
        path = self.variables / f"{name}-{efibootmgr.GLOBAL}"
        path.write_bytes(efibootmgr.ATTRIBUTES + content)

    def bootable(self, id: str) -> Bootable:
        one = self.roots.on_pool(id)
        return replace(one, arguments=(*one.arguments, "ro", "console=ttyS0,115200"))

    def firmware(self) -> Firmware:
        return Firmware(self.directory, self.run)

    def run(self, argv: Sequence[str]) -> Completed:
        assert argv[0] == "efibootmgr"
        self.started.append([*argv])
        return run([sys.executable, efibootmgr.__file__, str(self.directory), *argv[1:]])

    def boot(self) -> str:
        """Do what the firmware and ZFSBootMenu do: name the dataset that is booted."""
        upcoming, place = self.firmware().next(), self.variables / f"BootNext-{efibootmgr.GLOBAL}"
        if upcoming is not None:
            number = struct.unpack("<H", place.read_bytes()[4:])[0]
            self.variable("BootCurrent", struct.pack("<H", number))
        place.unlink(missing_ok=True)
        words = upcoming.options.split() if upcoming else []
        preferred = [w.removeprefix("zbm.prefer=") for w in words if w.startswith("zbm.prefer=")]
        return preferred[-1] if preferred else self.pool.pointer

    def loader(self) -> ZfsBootMenu:
        return ZfsBootMenu(self.pool, self.bootable, self.firmware())
