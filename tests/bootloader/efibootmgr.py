"""A stand-in for efibootmgr(8) that is stricter than it, on variables in a directory.

Run as `efibootmgr.py ROOT WORDS…`. It writes what the real one writes (EFI_LOAD_OPTION, UEFI
specification 3.1.3) and refuses what that refuses, with its exit codes (efibootmgr.c); beyond that
it has no defaults, takes long options alone, and refuses a second entry of the same label, of
which the real one only warns. Firmware that changes what it is given is played by `ROOT/drops`.
"""

import struct
import sys
from pathlib import Path
from typing import NoReturn
from uuid import UUID

GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
ATTRIBUTES = struct.pack("<I", 7)
FLAGS = {"--quiet", "--create-only", "--unicode", "--delete-bootnext", "--delete-bootnum"}
VALUES = {"--disk", "--part", "--loader", "--label", "--bootnext", "--bootnum"}


def fail(status: int, what: str) -> NoReturn:
    sys.stderr.write(f"{what}\n")
    sys.exit(status)


def text(value: str) -> bytes:
    return value.encode("utf-16-le")


def load_option(label: str, number: int, disk: str, image: str, options: bytes) -> bytes:
    """Write one as efibootmgr does: abbreviated, a partition and a file."""
    drive = struct.pack("<BBHIQQ", 4, 1, 42, number, 2048, 409600)
    drive += UUID(disk).bytes_le + b"\2\2"
    name = text(image) + b"\0\0"
    path = drive + struct.pack("<BBH", 4, 4, 4 + len(name)) + name + b"\x7f\xff\x04\0"
    return struct.pack("<IH", 1, len(path)) + text(label) + b"\0\0" + path + options


def words(given: list[str]) -> tuple[dict[str, str], list[str]]:
    found: dict[str, str] = {}
    rest = []
    while given:
        word = given.pop(0)
        if word in VALUES:
            found[word] = given.pop(0) if given else fail(1, f"{word} needs a value")
        elif word in FLAGS:
            found[word] = ""
        elif word.startswith("-"):
            fail(1, f"unrecognized option {word}")
        else:
            rest.append(word)
    return found, rest


class Variables:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.place = root / "sys/firmware/efi/efivars"
        if not self.place.is_dir():
            fail(2, "EFI variables are not supported on this system.")

    def path(self, name: str) -> Path:
        return self.place / f"{name}-{GLOBAL}"

    def numbers(self) -> list[int]:
        names = [path.name[4:8] for path in self.place.glob(f"Boot????-{GLOBAL}")]
        return sorted(int(name, 16) for name in names if name != "Next")

    def content(self, number: int) -> bytes:
        return self.path(f"Boot{number:04X}").read_bytes()[4:]

    def create(self, given: dict[str, str], rest: list[str]) -> None:
        for name in ("--disk", "--part", "--loader", "--label"):
            if not given.get(name):
                fail(5, f"{name} is not given")
        if not given["--loader"].startswith("\\"):
            fail(5, "the loader's path is none of the firmware's")
        label = text(given["--label"]) + b"\0\0"
        if any(self.content(number)[6:].startswith(label) for number in self.numbers()):
            fail(5, f"there is an entry with the label {given['--label']}")
        options = "" if (self.root / "drops").exists() else " ".join(rest)
        written = text(options) if "--unicode" in given else options.encode()
        number = next(n for n in range(0x10000) if n not in self.numbers())
        disk, part = self.partition(given["--disk"], given["--part"]), int(given["--part"])
        option = load_option(given["--label"], part, disk, given["--loader"], written)
        self.path(f"Boot{number:04X}").write_bytes(ATTRIBUTES + option)

    def partition(self, disk: str, number: str) -> str:
        for link in (self.root / "dev/disk/by-partuuid").iterdir():
            if link.readlink().name == f"{Path(disk).name}{number}":
                return link.name
        fail(5, f"Could not prepare Boot variable: no partition {number} on {disk}")

    def delete(self, number: int) -> None:
        if number not in self.numbers():
            fail(15, "Could not delete variable: No such file or directory")
        self.path(f"Boot{number:04X}").unlink()

    def delete_next(self) -> None:
        if 1 not in self.numbers():  # it asks for the entry whose number is the option's flag
            fail(17, "Boot entry 0001 does not exist")
        if not self.path("BootNext").exists():
            fail(10, "Could not delete BootNext: No such file or directory")
        self.path("BootNext").unlink()

    def set_next(self, number: int) -> None:
        if number not in self.numbers():
            fail(12, f"Boot entry {number:X} does not exist")
        self.path("BootNext").write_bytes(ATTRIBUTES + struct.pack("<H", number))


def main(root: str, *given: str) -> None:
    variables, (found, rest) = Variables(Path(root)), words([*given])
    if "--delete-bootnum" in found:
        if "--bootnum" not in found:
            fail(3, "You must specify an entry to delete (see the -b option).")
        variables.delete(int(found["--bootnum"], 16))
    if "--create-only" in found:
        variables.create(found, rest)
    elif rest:
        fail(1, f"{rest} is for nothing")
    if "--delete-bootnext" in found:
        variables.delete_next()
    if "--bootnext" in found:
        variables.set_next(int(found["--bootnext"], 16))


if __name__ == "__main__":
    main(*sys.argv[1:])
