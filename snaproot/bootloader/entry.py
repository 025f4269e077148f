"""What GRUB executes to load one boot environment, and the index of its menu. Pure.

Every value stands between single quotes, where GRUB knows no special character but the quote
itself. What cannot be written so that the kernel sees the same again is refused.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from snaproot.bootloader import HOME, Bootable
from snaproot.environment import ID
from snaproot.errors import Refused
from snaproot.hashing import sha256

ORIGINAL = "original"
"""The root from before the adoption: its entry is what the stub once was."""

MOST_LISTED = 50
"""Nobody scrolls further. What is not listed boots by `snaproot_pick ID` in GRUB's shell."""

WIDTH = 74
"""What GRUB's menu shows of a title on a terminal of 80 columns (menu_text.c)."""

COPIES, KERNEL, INITRAMFS = "kernels", "kernel", "initramfs"
"""Where copies are in the loader's home, and what the two of one pair are called there."""

PAIR = re.compile(r"[0-9a-f]{32}")
"""Names a pair of copies, by what is in them."""

_ENTRY = """\
# Written by snaproot, which will write it again.
echo {says}
search --no-floppy --fs-uuid --set=root {filesystem}
set kernel={kernel}
set initramfs={initramfs}
if [ -s "$kernel" -a -s "$initramfs" ]; then
    if linux "$kernel"{arguments} $args; then
        set loaded=half
        if initrd "$initramfs"; then set loaded=yes; fi
    fi
else
    set loaded=missing
fi
"""
_SEARCHED = "search --no-floppy --fs-uuid --set=root {filesystem}\n"
_COPIED = "# Of the filesystem {filesystem}, which GRUB cannot read: copies, where its home is.\n"
_ENTRIES = {True: _ENTRY, False: _ENTRY.replace(_SEARCHED, _COPIED)}
_LISTED = "menuentry {says} --id {id} {{\n    snaproot_pick {id}\n}}\n"
_QUOTED = r"'[^'\n]*'(?:\\''[^'\n]*')*"
_PATTERNS = {
    readable: re.compile(
        re.sub(
            r"\\{(\w+)\\}",
            lambda m: rf"(?P<{m[1]}>{f'(?: {_QUOTED})*' if m[1] == 'arguments' else _QUOTED})",
            re.escape(text),
        )
    )
    for readable, text in _ENTRIES.items()
}
_INDEX = re.compile(rf"^menuentry ({_QUOTED}) --id ({ID.pattern}) {{$", re.MULTILINE)
_UUID = re.compile(r"[0-9A-Za-z-]{1,64}")
_SWITCH = "snaproot.norevert"
"""The one argument of ours that an admin may set: a trial is then judged, and not left."""
_LONGEST = 2047 - 400
"""The kernel's limit (COMMAND_LINE_SIZE of x86), less what the script adds; GRUB cuts silently."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What an entry says: paths as GRUB sees them, arguments as the kernel sees them.

    `readable`: they are on that filesystem, which GRUB searches; else copies, where its home is.
    """

    id: str
    title: str
    filesystem: str
    kernel: str
    initramfs: str
    arguments: tuple[str, ...]
    readable: bool = True


def described(bootable: Bootable) -> Entry:
    """Say what the entry has to be. Raises Refused where a value cannot be written safely."""
    entry = Entry(
        bootable.id,
        legible(bootable.title),
        bootable.filesystem,
        *_files(bootable),
        tuple(_argument(bootable.id, argument) for argument in bootable.arguments),
        bootable.readable,
    )
    fault = _fault(entry)
    if fault:
        raise _refused(entry.id, fault)
    return entry


def boots(entry: Entry, bootable: Bootable) -> bool:
    """Tell whether an entry loads this very kernel and initramfs, whatever its arguments are."""
    wanted = (bootable.id, bootable.filesystem, *_files(bootable), bootable.readable)
    found = (entry.id, entry.filesystem, entry.kernel, entry.initramfs, entry.readable)
    return found == wanted


def pair(bootable: Bootable) -> str:
    """Name its kernel and initramfs by their digests: what several share is copied once."""
    known = (bootable.digests.kernel, bootable.digests.initramfs)
    if bootable.readable or not all(known):
        raise RuntimeError(f"{bootable.id} has no copies, or nothing tells what they are")
    return sha256("\n".join(known).encode()).hexdigest()[:32]


def render(entry: Entry) -> str:
    """Write an entry."""
    return _ENTRIES[entry.readable].format(
        says=quoted(f"Loading {entry.id}: {entry.title}"),
        filesystem=quoted(entry.filesystem),
        kernel=quoted(entry.kernel),
        initramfs=quoted(entry.initramfs),
        arguments="".join(f" {quoted(argument)}" for argument in entry.arguments),
    )


def parse(text: str) -> Entry | None:
    """Read an entry back; None where it is not one that `render` wrote."""
    matches = {readable: pattern.fullmatch(text) for readable, pattern in _PATTERNS.items()}
    found = matches[True] or matches[False]
    says = re.fullmatch(r"Loading (\S+): (.*)", unquoted(found["says"])) if found else None
    if found is None or says is None:
        return None
    return Entry(
        says[1],
        says[2],
        unquoted(found["filesystem"]),
        unquoted(found["kernel"]),
        unquoted(found["initramfs"]),
        tuple(unquoted(word) for word in re.findall(_QUOTED, found["arguments"])),
        found is matches[True],
    )


def newest(ids: Iterable[str], kept: Collection[str] = ()) -> list[str]:
    """Choose what the menu lists, the newest first; ids sort by age, the original comes last.

    The `kept` ones and the original are listed however old they are.
    """
    known = sorted((id for id in ids if ID.fullmatch(id)), key=_age, reverse=True)
    wanted = {id for id in known if id in kept or id == ORIGINAL}
    others = [id for id in known if id not in wanted]
    wanted.update(others[: max(MOST_LISTED - len(wanted), 0)])
    return [id for id in known if id in wanted]


def index(titles: Mapping[str, str], kept: Collection[str] = ()) -> str:
    """Write the menu."""
    says = {id: legible(f"{id}  {titles[id]}") for id in newest(titles, kept)}
    return "".join(_LISTED.format(says=quoted(title), id=id) for id, title in says.items())


def listed(text: str) -> dict[str, str]:
    """Read the titles out of an index; what is garbled is not there."""
    found = {id: unquoted(says) for says, id in _INDEX.findall(text)}
    return {id: says.removeprefix(f"{id}  ") for id, says in found.items()}


def legible(text: str) -> str:
    """Make a title of any text: what a serial line cannot show is a `?`, what is too long is cut.

    A title tells, and boots nothing: none is a reason to refuse.
    """
    plain = "".join(character if " " <= character <= "~" else "?" for character in text)
    return plain if len(plain) <= WIDTH else f"{plain[: WIDTH - 2]}.."


def quoted(value: str) -> str:
    """Write a value for GRUB's parser."""
    return "'" + value.replace("'", "'\\''") + "'"


def unquoted(word: str) -> str:
    """Undo `quoted`."""
    return word[1:-1].replace("'\\''", "'")


def _files(bootable: Bootable) -> tuple[str, str]:
    """Say where GRUB finds both; before an entry is read, `$root` is where its home is."""
    if bootable.readable:
        return bootable.prefix + bootable.kernel, bootable.prefix + bootable.initramfs
    place = f"/{HOME}/{COPIES}/{pair(bootable)}"
    return f"{place}/{KERNEL}", f"{place}/{INITRAMFS}"


def _age(id: str) -> tuple[bool, str]:
    return id != ORIGINAL, id


def _argument(id: str, argument: str) -> str:
    """Take the quotes away that GRUB sets by itself around an argument with spaces."""
    if argument.count('"') % 2:
        raise _refused(id, f"the kernel argument {argument!r} has a quote that does not end")
    return argument.replace('"', "")


def _fault(entry: Entry) -> str:
    values = (entry.title, entry.kernel, entry.initramfs, *entry.arguments)
    strange = next((value for value in values if not _is_plain(value)), None)
    if strange is not None:
        return f"{strange!r} has a character that cannot be shown"
    if not ID.fullmatch(entry.id) or entry.id == ORIGINAL:
        return f"{entry.id!r} is no id for an entry"
    if not _UUID.fullmatch(entry.filesystem):
        return f"{entry.filesystem!r} is no UUID of a filesystem"
    if not entry.kernel.startswith("/") or not entry.initramfs.startswith("/"):
        return "its kernel and initramfs are not absolute paths"
    return _fault_of_arguments(entry)


def _fault_of_arguments(entry: Entry) -> str:
    for argument in entry.arguments:
        if "'" in argument or "\\" in argument:
            return f"GRUB would change the kernel argument {argument!r}"
        hides = argument.startswith("snaproot.") and argument != _SWITCH
        if hides or argument in {"", "--"}:
            return f"the kernel argument {argument!r} would hide what GRUB tells of the trial"
    if sum(argument.startswith("rootflags=") for argument in entry.arguments) > 1:
        return "there is more than one rootflags="
    length = sum(len(word.encode()) + 3 for word in (entry.kernel, *entry.arguments))
    return f"its {length} bytes of kernel arguments are too many" if length > _LONGEST else ""


def _is_plain(value: str) -> bool:
    """Tell that there is no control, format, surrogate or unassigned character."""
    return not any(unicodedata.category(character).startswith("C") for character in value)


def _refused(id: str, fault: str) -> Refused:
    return Refused(
        f"{id}: no boot entry can be written: {fault}; nothing was changed",
        hint="snaproot list shows what is known of it",
    )
