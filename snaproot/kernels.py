"""Find the kernels of a root, their initramfs and their modules, as distributions name them.

Debian and SUSE have vmlinuz-REL, dracut too, Arch vmlinuz-NAME. Costs what is in /boot.
"""

import re
import struct
from dataclasses import dataclass
from pathlib import Path

from snaproot.environment import Digests
from snaproot.hashing import file_sha256
from snaproot.inside import Inside

_IMAGE = re.compile(r"vmlinu[xz]-(?!0-rescue-)(.+)")
_LEFTOVER = re.compile(r".*(~|\.(old|bak|tmp|hmac|sig|dpkg-.*|rpm.*|pac.*))")
_INITRAMFS = ("initrd.img-{}", "initramfs-{}.img", "initrd-{}", "initramfs-{}")
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel: its release, its paths inside the root, and why it cannot boot, if it cannot."""

    release: str
    image: str
    initramfs: str
    fault: str = ""


def find(inside: Inside) -> list[Kernel]:
    """List the kernels in /boot, the newest first. Raises OSError where /boot cannot be read."""
    if not inside.holds("/boot"):
        return []
    names = {entry.name for entry in inside.locate("/boot").iterdir()}
    images = (_IMAGE.fullmatch(name) for name in names if not _LEFTOVER.fullmatch(name))
    found = [_kernel(inside, match[1], match[0], names) for match in images if match]
    return sorted(found, key=lambda kernel: (age(kernel.release), kernel.image), reverse=True)


def digests(inside: Inside, image: str, initramfs: str) -> Digests:
    """Take the digests that arming compares with what the loader will read."""
    found = []
    for path in (image, initramfs):
        with inside.locate(path).open("rb") as file:
            found.append(file_sha256(file))
    return Digests(kernel=found[0], initramfs=found[1])


def builtin(inside: Inside, kernel: Kernel) -> list[str]:
    """List the modules that are built into a kernel, by path; none where nothing says so."""
    return _text(inside, f"/lib/modules/{kernel.release}/modules.builtin").splitlines()


def age(release: str) -> tuple[tuple[int, int, str], ...]:
    """Give a key that sorts releases by age: numbers as numbers, a -rc before what follows it."""
    parts = re.findall(r"~rc|\d+|[^\d~]+|~", re.sub(r"-rc(?=\d)", "~rc", release))
    return (*(_rank(part) for part in parts), (1, 0, ""))


def _rank(part: str) -> tuple[int, int, str]:
    if part.isdecimal():
        return 3, int(part), ""
    return (0, 0, part) if part.startswith("~") else (2, 0, part)


def _kernel(inside: Inside, name: str, image: str, names: set[str]) -> Kernel:
    wanted = [pattern.format(name) for pattern in _INITRAMFS]
    initramfs = next((there for there in wanted if there in names), "")
    release = _release(inside, name, f"/boot/{image}")
    kernel = Kernel(release, f"/boot/{image}", initramfs and f"/boot/{initramfs}")
    return Kernel(release, kernel.image, kernel.initramfs, _fault(inside, kernel))


def _fault(inside: Inside, kernel: Kernel) -> str:
    modules = f"/lib/modules/{kernel.release}"
    if not _sound(inside, kernel.image):
        return f"the kernel {kernel.image} is empty or cannot be read"
    if not kernel.initramfs:
        return f"there is no initramfs for the kernel {kernel.image}"
    if not _sound(inside, kernel.initramfs):
        return f"the initramfs {kernel.initramfs} is empty or cannot be read"
    if not inside.holds(modules):
        return f"there are no modules {modules} for the kernel {kernel.image}"
    if not _sound(inside, f"{modules}/modules.dep"):
        return f"{modules}/modules.dep is missing or empty"
    return ""


def _release(inside: Inside, name: str, image: str) -> str:
    """Find the release by which the kernel will look for its modules.

    The image itself says it on x86; else the file's name is it, or that of Arch's package.
    """
    said = _said_by(inside, image)
    if said or inside.holds(f"/lib/modules/{name}") or not inside.holds("/lib/modules"):
        return said or name
    for tree in sorted(inside.locate("/lib/modules").iterdir()):
        if _text(inside, f"/lib/modules/{tree.name}/pkgbase").strip() == name:
            return tree.name
    return name


def _said_by(inside: Inside, image: str) -> str:
    """Read the version of a bzImage (The Linux/x86 Boot Protocol: kernel_version at 0x20e)."""
    try:
        with inside.locate(image).open("rb") as file:
            file.seek(0x202)
            magic, offset = struct.unpack("<4s8xH", file.read(14))
            if magic != b"HdrS":
                return ""
            file.seek(0x200 + offset)
            words = file.read(200).split(b"\0")[0].decode("ascii", "replace").split()
    except (OSError, struct.error):
        return ""
    return words[0] if words and re.fullmatch(r"[\w.+~-]+", words[0]) else ""


def _text(inside: Inside, path: str) -> str:
    try:
        return inside.locate(path).read_text(errors="replace")
    except OSError:
        return ""


def _sound(inside: Inside, path: str) -> bool:
    """Tell whether it is a file that begins with something: a cut leaves holes behind."""
    try:
        here: Path = inside.locate(path)
        if not here.is_file():
            return False
        with here.open("rb") as file:
            return any(file.read(_BLOCK))
    except OSError:
        return False
