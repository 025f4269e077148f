"""Which versions of shim and GRUB are on the ESP, beside those of the root's packages.

Signed loaders say their version in a section of their own: SBAT (shim's SBAT.md), lines of
`component,generation,vendor,package,version,url`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from snaproot.machine.facts import Binary

_PACKAGED = ("usr/lib/grub/*-efi-signed/grub*.efi.signed", "usr/lib/shim/shim*.efi.signed")
_UPSTREAM = re.compile(rb"^grub,\d+,[^,\n]*,[^,\n]*,(\d+\.\d+)", re.M)
_LINE = re.compile(rb"^(?:grub|shim)(?:\.[\w.-]+)?,\d+,[^,\n]*,[^,\n]*,([^,\n]+),", re.M)


def differing(root: Path, esp: Path) -> tuple[Binary, ...]:
    """Name the loaders of the ESP that are not what the root's packages would install."""
    return tuple(_differing(root, esp))


def grub(esp: Path) -> str:
    """Say which version upstream has of a GRUB on the ESP; empty where none says it.

    Of several the oldest counts.
    """
    found = sorted((esp / "EFI").glob("*/grub*.efi"))
    versions = (_UPSTREAM.search(_section(_read(one))) for one in found)
    return min((match[1].decode() for match in versions if match), default="")


def _differing(root: Path, esp: Path) -> Iterator[Binary]:
    for pattern in _PACKAGED:
        for packaged in sorted(root.glob(pattern)):
            name = packaged.name.removesuffix(".signed")
            for installed in sorted((esp / "EFI").glob(f"*/{name}")):
                here, there = _read(installed), _read(packaged)
                if here and there and here != there:
                    shown = f"EFI/{installed.parent.name}/{name}"
                    yield Binary(shown, _version(here), _version(there))


def _version(content: bytes) -> str:
    """Take the distribution's own version, which comes last, after upstream's."""
    found = _LINE.findall(_section(content))
    return found[-1].decode(errors="replace") if found else ""


def _section(content: bytes) -> bytes:
    return content.partition(b"sbat,1,SBAT Version,")[2].partition(b"\0")[0]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
