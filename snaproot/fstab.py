"""fstab(5): parse it, find options, and replace single lines with everything else kept. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

_ESCAPE = re.compile(rb"\\([0-3][0-7]{2})")
_SPECIAL = re.compile(r"[ \t\n\\#]")
_LEAST, _MOST = 3, 6
_DEFAULTS = ("defaults", "0", "0")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line; `line` counts from 1, every text is without escapes."""

    line: int
    spec: str
    file: str
    type: str
    options: tuple[str, ...] = ("defaults",)
    frequency: int = 0
    passno: int = 0

    def option(self, name: str) -> str | None:
        """Give an option's value, "" for one without, None where it is not set; the last wins."""
        found = None
        for option in self.options:
            key, _, value = option.partition("=")
            if key == name:
                found = value
        return found

    def without(self, *names: str) -> "Entry":
        """Drop options by name, with their values."""
        kept = tuple(option for option in self.options if option.partition("=")[0] not in names)
        return replace(self, options=kept)

    def having(self, option: str) -> "Entry":
        """Set one option, in place of any of the same name."""
        kept = self.without(option.partition("=")[0]).options
        return replace(self, options=(*(o for o in kept if o != "defaults"), option))

    @property
    def subvolume(self) -> str | None:
        """Btrfs' `subvol=` as a path from the top level, without slashes around it."""
        value = self.option("subvol")
        return None if value is None else value.strip("/")


def parse(text: str) -> tuple[Entry, ...]:
    """Read every entry. Raises ValueError that names the line for one that cannot be meant so."""
    entries = []
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip(" \t\r")
        if stripped and not stripped.startswith("#"):
            entries.append(_entry(number, re.split(r"[ \t]+", stripped)))
    return tuple(entries)


def render(entry: Entry) -> str:
    """Write one entry as a line, without its end."""
    texts = (entry.spec, entry.file, entry.type, ",".join(entry.options) or "defaults")
    return "\t".join([*map(_escaped, texts), str(entry.frequency), str(entry.passno)])


def rewritten(text: str, changes: Mapping[int, Sequence[str]]) -> str:
    """Put lines in the place of a line, by its number; every other line stays as it is."""
    new: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        new.extend(changes.get(number, [line]))
    return "\n".join(new)


def _entry(number: int, fields: list[str]) -> Entry:
    comment = next((i for i, f in enumerate(fields) if i >= _LEAST and f.startswith("#")), None)
    fields = fields[:comment]
    if not _LEAST <= len(fields) <= _MOST:
        raise ValueError(f"line {number}: {len(fields)} fields; fstab(5) has {_LEAST} to {_MOST}")
    if any("\0" in _plain(field) for field in fields):
        raise ValueError(f"line {number}: a zero byte, which no name has")
    missing = _DEFAULTS[len(fields) - _LEAST :]
    spec, file, type_, options, frequency, passno = (*fields, *missing)
    if not (file.startswith("/") or file in {"none", "swap"} or type_ == "swap"):
        raise ValueError(f"line {number}: {file!r} is no mount point: it does not begin with /")
    return Entry(
        line=number,
        spec=_plain(spec),
        file=_plain(file),
        type=_plain(type_),
        options=tuple(filter(None, _plain(options).split(","))),
        frequency=_number(number, frequency),
        passno=_number(number, passno),
    )


def _number(line: int, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text):
        raise ValueError(f"line {line}: {text!r} stands where fstab(5) has a number")
    return int(text)


def _plain(text: str) -> str:
    r"""Undo the octal escapes of getmntent(3), as in \040 for a space; they stand for bytes."""
    raw = _ESCAPE.sub(
        lambda match: bytes([int(match[1], 8)]), text.encode(errors="surrogateescape")
    )
    return raw.decode(errors="surrogateescape")


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda match: f"\\{ord(match[0]):03o}", text)
