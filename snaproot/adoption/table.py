"""The root's fstab on Btrfs: which lines mount this filesystem, what the BE's own says. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from snaproot import fstab
from snaproot.adoption.facts import TOP_LEVEL, Mount, Root, Subvolume
from snaproot.adoption.roots import shown
from snaproot.areas import Area
from snaproot.errors import Refused
from snaproot.fstab import Entry

_BTRFS = {"btrfs", "auto"}
_OF_ONE_LINE = ("subvol", "subvolid", "ro", "noauto", "nofail", "defaults")
TMP = Entry(0, "tmpfs", "/tmp", "tmpfs", ("mode=1777", "nosuid", "nodev"))  # noqa: S108 - a mount


class Table(Protocol):
    """What the lines of an fstab(5) mean on one filesystem."""

    def check(self, entries: Sequence[Entry]) -> None:
        """Refuse lines that no boot could follow."""

    def mounts(self, entries: Sequence[Entry]) -> tuple[Mount, ...]:
        """Find what is mounted of this filesystem anywhere but at `/`."""

    def differs(self, entry: Entry, subvolume: str) -> bool:
        """Tell whether a line has to be written anew to mount this, wherever it is restored."""

    def pinned(self, entry: Entry, subvolume: str) -> str:
        """Make a line name what it mounts."""

    def area(self, area: Area, entries: Sequence[Entry]) -> Entry:
        """Make the line that mounts an area."""

    def written(
        self,
        text: str,
        entries: Sequence[Entry],
        changes: Mapping[int, Sequence[str]],
        added: Sequence[Entry],
    ) -> str:
        """Write the BE's fstab: nothing that names another root, new lines, the rest kept."""


@dataclass(frozen=True, slots=True)
class Filesystem:
    """A Btrfs, implementing `Table`: what fstab may call it by, and what is on it."""

    uuid: str
    label: str
    subvolumes: Sequence[Subvolume]
    default: int

    def check(self, entries: Sequence[Entry]) -> None:
        root = next((entry for entry in entries if entry.file == "/"), None)
        if root is not None and not (root.type in _BTRFS and _is_here(root, root.spec, self)):
            raise Refused(
                f"fstab line {root.line}: / is {root.spec} ({root.type}), this is "
                f"UUID={self.uuid}; nothing was changed",
                hint="correct that line, or adopt the filesystem that it names",
            )
        for entry in entries:
            _check_subvolume(entry, root.spec if root else "", self)

    def mounts(self, entries: Sequence[Entry]) -> tuple[Mount, ...]:
        spec = next((entry.spec for entry in entries if entry.file == "/"), "")
        found = []
        for entry in entries:
            if entry.file.startswith("/") and entry.file != "/" and _is_here(entry, spec, self):
                subvolume = _subvolume(entry, self)
                if subvolume is not None:
                    found.append(Mount(entry.line, entry.file.rstrip("/"), subvolume.path))
        return tuple(found)

    def differs(self, entry: Entry, subvolume: str) -> bool:
        return entry.option("subvolid") is not None or entry.subvolume != subvolume

    def pinned(self, entry: Entry, subvolume: str) -> str:
        """Name the subvolume by path: its number changes with every restore."""
        return fstab.render(entry.without("subvolid").having(f"subvol=/{subvolume}"))

    def area(self, area: Area, entries: Sequence[Entry]) -> Entry:
        """Make the line that mounts an area, with the root's own mount options."""
        root = next((entry for entry in entries if entry.file == "/"), None)
        options = root.without(*_OF_ONE_LINE).options if root else ()
        kept = tuple(option for option in options if not option.startswith("x-"))
        subvolume = f"subvol=/{area.subvolume}"
        return Entry(0, self._spec(entries), area.mount, "btrfs", (*kept, subvolume))

    def written(
        self,
        text: str,
        entries: Sequence[Entry],
        changes: Mapping[int, Sequence[str]],
        added: Sequence[Entry],
    ) -> str:
        """Write no subvolume for `/`, and new lines right after it.

        `/` is not mounted `ro`: that would make the nested `/etc` read-only too.
        """
        lines = [fstab.render(entry) for entry in added]
        root = next((entry for entry in entries if entry.file == "/"), None)
        if root is None:
            first = fstab.render(Entry(0, self._spec(entries), "/", "btrfs"))
            return "\n".join([first, *lines, fstab.rewritten(text, changes)])
        own = fstab.render(root.without("subvol", "subvolid", "ro"))
        return fstab.rewritten(text, {**changes, root.line: [own, *lines]})

    def _spec(self, entries: Sequence[Entry]) -> str:
        """Say how to name this filesystem: as the root's own line does."""
        return next((e.spec for e in entries if e.file == "/"), f"UUID={self.uuid}")


def parsed(root: Root) -> tuple[Entry, ...]:
    """Read the root's fstab. Raises Refused with the line that cannot be read."""
    try:
        return fstab.parse(root.fstab or "")
    except ValueError as error:
        raise Refused(
            f"{shown(root.subvolume.path)}: etc/fstab cannot be read: {error}; nothing was changed",
            hint="mend that line: adoption keeps every line, so it has to understand them all",
        ) from error


def _check_subvolume(entry: Entry, spec: str, here: Filesystem) -> None:
    optional = entry.option("nofail") is not None or entry.option("noauto") is not None
    if entry.file == "/" or optional or not _is_here(entry, spec, here):
        return
    if _subvolume(entry, here) is None:
        raise Refused(
            f"fstab line {entry.line}: {entry.file} is on a subvolume that is not there; "
            "nothing was changed",
            hint="correct that line, or mark it nofail",
        )


def _is_here(entry: Entry, spec: str, here: Filesystem) -> bool:
    """Tell whether a line means this filesystem; a device's name is believed of `/` alone."""
    if entry.type not in _BTRFS:
        return False
    kind, _, value = entry.spec.partition("=")
    value = value.strip('"')
    match kind.upper():
        case "UUID":
            return value.lower() == here.uuid.lower()
        case "LABEL":
            return value == here.label or (not here.label and entry.spec == spec)
    named = entry.option("subvol") is not None or entry.option("subvolid") is not None
    return entry.spec == spec or (named and _subvolume(entry, here) is not None)


def _subvolume(entry: Entry, here: Filesystem) -> Subvolume | None:
    """Find what a line mounts: by path, by number, else the default (btrfs(5))."""
    number = entry.option("subvolid")
    if entry.subvolume is not None:
        return next((s for s in here.subvolumes if s.path == entry.subvolume), None)
    wanted = here.default if number is None else _id(number)
    return next((s for s in here.subvolumes if s.id == wanted), None)


def _id(number: str) -> int:
    try:
        return int(number, 0) or TOP_LEVEL
    except ValueError:
        return -1
