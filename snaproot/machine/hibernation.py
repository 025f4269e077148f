"""Swaps that hold the image of a hibernated system.

The kernel puts a signature of its own where mkswap(8) writes one: at the end of the first page
(kernel/power/swap.c). swapon(8) and a resume put the old one back.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from snaproot import fstab
from snaproot.mountinfo import unescaped

_SIGNATURES = (b"S1SUSPEND\0", b"S2SUSPEND\0", b"ULSUSPEND\0")
"""The kernel's, and those of uswsusp; as blkid(8) knows them."""
_LENGTH = 10
_TAGS = ("UUID", "LABEL", "PARTUUID", "PARTLABEL")


def images(root: Path) -> tuple[str, ...]:
    """Name the swaps in use, in fstab(5) or to resume from (`resume=`) that hold an image."""
    specs = {*_in_use(root), *_listed(root), *_resumed(root)}
    places = {_resolved(root, spec): spec for spec in sorted(specs)}
    return tuple(spec for place, spec in places.items() if place and _holds_image(place))


def _in_use(root: Path) -> Iterator[str]:
    for line in _text(root / "proc/swaps").splitlines()[1:]:
        yield str(unescaped(line.split()[0].encode(errors="surrogateescape")))


def _listed(root: Path) -> Iterator[str]:
    try:
        entries = fstab.parse(_text(root / "etc/fstab"))
    except ValueError:
        return  # the plan says what is wrong with it
    yield from (entry.spec for entry in entries if entry.type == "swap")


def _resumed(root: Path) -> Iterator[str]:
    for argument in _text(root / "proc/cmdline").split():
        if argument.startswith("resume="):
            yield argument.removeprefix("resume=").strip('"')


def _resolved(root: Path, spec: str) -> Path | None:
    tag, _, value = spec.partition("=")
    if tag in _TAGS:
        spec = f"/dev/disk/by-{tag.lower()}/{value.strip(chr(34))}"
    place = root / spec.lstrip("/")
    return place.resolve() if spec.startswith("/") and place.exists() else None


def _holds_image(place: Path) -> bool:
    try:
        with place.open("rb") as file:
            file.seek(os.sysconf("SC_PAGE_SIZE") - _LENGTH)
            return file.read(_LENGTH) in _SIGNATURES
    except OSError:
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape")
    except OSError:
        return ""
