"""What GRUB reads of a root that leaves: a menu of its kernels, and the stub. Pure.

The menu is there before the root is in its place, so that the root boots from then on; the
distribution's own tool makes it anew, at the latest with the next kernel.
"""

import re
from collections.abc import Sequence

from snaproot.bootloader.entry import Entry, quoted
from snaproot.errors import Refused

_MOST = 512
"""Bytes of a stub: one sector, which is written whole or not at all."""
_PREFIX = re.compile(r"^set prefix=\(\$(\w+)\)'?([^'\n]*?)'?[ ]*$", re.MULTILINE)
_HINTS = re.compile(r"^(search\.fs_uuid \S+ \w+)[ ].*$", re.MULTILINE)
_ENTRY = """\
menuentry {title}{free} {{
    search --no-floppy --fs-uuid --set=root {filesystem}
    linux {kernel}{arguments}
    initrd {initramfs}
}}
"""


def render(settings: str, entries: Sequence[Entry]) -> str:
    """Write the menu, its first entry the default; with a password, the first needs none."""
    head = "# Written by snaproot deinit; update-grub writes the whole menu in its place.\n"
    listed = (_entry(one, free=one is entries[0]) for one in entries)
    return "".join((head, settings, "set default=0\n", *listed))


def leads_to(stub: str) -> str:
    """Name the directory of the menu that a stub leads to, from the top level; "" if it is none."""
    found = _PREFIX.search(stub)
    return found[2] if found else ""


def pointed(stub: bytes, uuid: str, directory: str) -> bytes:
    """Let a stub lead to a directory of a filesystem, at its own length.

    As it was where it leads there; else hints, which only save time, make room. Raises Refused for
    one that leads to another filesystem, or has no room.
    """
    text = stub.decode(errors="surrogateescape")
    if uuid not in text or not leads_to(text):
        raise Refused(
            "the stub from before snaproot does not lead to this filesystem; nothing was changed",
            hint="let grub-install write it, in the root that it is to start: then deinit again",
        )
    if leads_to(text) == directory:
        return stub
    shorter = _HINTS.sub(r"\1", _PREFIX.sub(rf"set prefix=($\1)'{directory}'", text))
    made = shorter.encode(errors="surrogateescape")
    if len(made) > min(len(stub), _MOST):
        raise Refused(f"the stub has no room to lead to {directory}; nothing was changed")
    return made.ljust(len(stub), b"\n")


def _entry(entry: Entry, *, free: bool) -> str:
    return _ENTRY.format(
        title=quoted(entry.title),
        free=" --unrestricted" if free else "",
        filesystem=quoted(entry.filesystem),
        kernel=quoted(entry.kernel),
        arguments="".join(f" {quoted(word)}" for word in entry.arguments),
        initramfs=quoted(entry.initramfs),
    )
