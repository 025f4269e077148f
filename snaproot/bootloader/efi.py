"""The boot entries of the firmware: read from its variables, written by efibootmgr(8).

UEFI specification 3 (Boot Manager) and 10.3 (device paths). A boot entry names an image on a
partition and has load options, which a Linux image takes for its command line. `BootNext` names
the entry of the next boot and of no other: the firmware deletes it before it starts it.
"""

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from snaproot.errors import Refused, SnaprootError
from snaproot.run import Completed, run

_GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
_ENTRY = re.compile(rf"Boot([0-9A-F]{{4}})-{_GLOBAL}")
_ATTRIBUTES = 4  # bytes, before the content of each variable (efivarfs)
_MEDIA, _HARD_DRIVE, _FILE = 0x04, 0x01, 0x04
_END = 0x7F


@dataclass(frozen=True, slots=True)
class Entry:
    """One boot entry. `partition` is its number, `disk` the GPT's UUID of that partition."""

    label: str
    disk: str
    partition: int
    image: str
    options: str


def parse(content: bytes) -> Entry | None:
    """Read an EFI_LOAD_OPTION; None for what starts no image from a GPT partition. Pure."""
    try:
        (length,) = struct.unpack_from("<H", content, 4)
        end = next(at for at in range(6, len(content), 2) if content[at : at + 2] == b"\0\0")
        path, rest = content[end + 2 : end + 2 + length], content[end + 2 + length :]
        partition, disk, image = _located(path)
    except (struct.error, StopIteration, ValueError):
        return None
    return Entry(_text(content[6:end]), disk, partition, image, _text(rest))


def _located(path: bytes) -> tuple[int, str, str]:
    """Follow a device path to a partition and to a file on it."""
    partition, disk, image = 0, "", ""
    while path and path[0] != _END:
        kind, below, length = struct.unpack_from("<BBH", path)
        body, path = path[4:length], path[max(length, 4) :]
        if (kind, below) == (_MEDIA, _HARD_DRIVE):
            partition, signature = struct.unpack("<I16x16s2x", body)
            disk = str(UUID(bytes_le=signature))
        elif (kind, below) == (_MEDIA, _FILE):
            image += _text(body)
    if not disk or not image:
        raise ValueError("no file on a partition")
    return partition, disk, image


def _text(content: bytes) -> str:
    return content.decode("utf-16-le", "replace").rstrip("\0")


@dataclass(frozen=True, slots=True)
class Firmware:
    """The boot entries of this machine; `root` has /sys and /dev, `run` starts efibootmgr."""

    root: Path = Path("/")
    run: Callable[[Sequence[str]], Completed] = run

    def entries(self) -> Mapping[int, Entry]:
        """Read all that can be read, by number; nothing without UEFI."""
        found: dict[int, Entry] = {}
        with suppress(OSError):
            for path in sorted(self._variables.iterdir()):
                number = _ENTRY.fullmatch(path.name)
                entry = parse(path.read_bytes()[_ATTRIBUTES:]) if number else None
                if number and entry:
                    found[int(number[1], 16)] = entry
        return found

    def current(self) -> Entry | None:
        """Say what this boot came from; None where the firmware does not tell."""
        number = self._number("BootCurrent")
        return self.entries().get(number) if number is not None else None

    def next(self) -> Entry | None:
        """Say what the next boot alone comes from; None where that is as always."""
        number = self._number("BootNext")
        return self.entries().get(number) if number is not None else None

    def boot_once(self, wanted: Entry) -> None:
        """Let the next boot, and no other, be of this entry, which has its label for itself.

        It is in no order: nothing else ever starts it. Raises Refused where the firmware keeps
        something else than it was given, SnaprootError where it cannot be written.
        """
        if [one for one in self.entries().values() if one.label == wanted.label] != [wanted]:
            self._delete(wanted.label)
            where = ("--disk", self._device(wanted.disk), "--part", str(wanted.partition))
            what = ("--loader", wanted.image, "--label", wanted.label)
            words = ("--create-only", *where, *what, "--unicode", wanted.options)
            self.run(["efibootmgr", "--quiet", *words])
        made = [number for number, one in self.entries().items() if one == wanted]
        if len(made) == 1:
            self.run(["efibootmgr", "--quiet", "--bootnext", f"{made[0]:04X}"])
        if self.next() != wanted:
            self._delete(wanted.label)
            raise Refused("the firmware did not keep what the next boot is to be")

    def forget(self, label: str) -> None:
        """Let the next boot be as always, if it was to be of this label; else nothing is done.

        Raises SnaprootError where that cannot be.
        """
        if self._is_next(label):
            # It refuses where there is no Boot0001 (efibootmgr.c, "delete_bootnext").
            with suppress(SnaprootError):
                self.run(["efibootmgr", "--quiet", "--delete-bootnext"])
        if self._is_next(label):
            self._delete(label)  # the firmware passes over an entry that does not exist

    def _is_next(self, label: str) -> bool:
        upcoming = self.next()
        return upcoming is not None and upcoming.label == label

    def _delete(self, label: str) -> None:
        for number, one in self.entries().items():
            if one.label == label:
                words = ("--bootnum", f"{number:04X}", "--delete-bootnum")
                self.run(["efibootmgr", "--quiet", *words])

    @property
    def _variables(self) -> Path:
        return self.root / "sys/firmware/efi/efivars"

    def _number(self, name: str) -> int | None:
        try:
            content = (self._variables / f"{name}-{_GLOBAL}").read_bytes()[_ATTRIBUTES:]
            return int(struct.unpack("<H", content)[0])
        except (OSError, struct.error):
            return None

    def _device(self, partition: str) -> str:
        """Name the disk of a partition, which efibootmgr asks for. Raises Refused without one."""
        try:
            name = (self.root / "dev/disk/by-partuuid" / partition).resolve(strict=True).name
            disk = (self.root / "sys/class/block" / name).resolve(strict=True).parent.name
        except OSError as error:
            raise Refused(f"there is no partition {partition}, which the firmware names") from error
        return f"/dev/{disk}"


ELSEWHERE = Firmware(Path("/dev/null"))
"""That of a machine which is not this one: it has no entries here, and none are written."""
