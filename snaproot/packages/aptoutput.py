"""Read what apt and dpkg say, and what they keep. Pure: text in, values out."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from snaproot.environment import Installed, PackageChange

_STATUS = re.compile(r"(?:pm|dl)status:[^:]*:([\d.]+):.*")
_MACHINE = re.compile(r"(?:pm|dl)status:|pmconffile:|media-change:")
_INSTALL = re.compile(r"^Inst (\S+)(?: \[(\S+)\])? \((\S+)", re.MULTILINE)
_REMOVE = re.compile(r"^(?:Remv|Purg) (\S+) \[(\S+)\]", re.MULTILINE)
_URI = re.compile(r"^'([^']+)' (\S+) (\d+)(?: SHA256:([0-9a-f]+)| \S+)?[ \t]*$", re.MULTILINE)
_DISK = re.compile(
    r"^After this operation, ([\d,.]+) ([kMGTP]?)B "
    r"(?:of additional disk space will be (used)|disk space will be freed)",
    re.MULTILINE,
)
_SHA256 = 64  # digits
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_DISTRUST = re.compile(
    r"is not signed|no longer signed|no longer has a Release file|weak security information"
    r"|GPG error|OpenPGP signature|could ?n.t be verified|signature verification"
    r"|Hash Sum mismatch|File has unexpected size|unauthenticated packages|cannot be authenticated"
    r"|NO_PUBKEY|BADSIG|EXPKEYSIG|REVKEYSIG|Sub-process /usr/bin/sqv"
)
_STALE = re.compile(r"is expired \(invalid since|is not valid yet \(invalid for")
_DOWNGRADE = "Packages were downgraded and -y was used"
_FAILED_PACKAGE = re.compile(r"^dpkg: error processing (?:package|archive) (\S+) ", re.MULTILINE)

_HOOKS_RUN = re.compile(r"^(update-initramfs|dracut): Generating ")
_DPKG_SPEAKS = re.compile(
    r"^(Setting up|Processing|Unpacking|Preparing|Selecting|Removing|Purging) "
)
_WARNING = re.compile(r"^([WE]: |dracut\[[EF]\]: |(\S+: )?(warning|error)\b)", re.IGNORECASE)
"""A dracut[W] tells of what is left out or in by choice; proof compares what came of it."""
_HARMLESS = (
    "Possible missing firmware",
    "Not using locking for read only",  # apt itself, of the caches
    "SetupAPTPartialDirectory",
    "defines no arrays",  # mdadm installed, no array in use
    "for fsck hook",  # no device can be opened inside; fsck.btrfs does nothing
    "may not contain cryptsetup binaries",  # and no encrypted root; proof compares with the base
    "could not open /proc/modules",  # a kernel with nothing to load; dracut then takes all there is
    "cannot read detailed chunk info",  # btrfs(8) without its capability; it names the disks anyway
)


@dataclass(frozen=True, slots=True)
class Archive:
    """One package file to fetch: its name in the cache, its size in bytes, its SHA-256.

    `digest` is empty where the index names none, or only a weaker one.
    """

    uri: str
    name: str
    size: int
    digest: str

    @property
    def fetched(self) -> bool:
        """Goes through the cache; `file:` is used where it is, and verified there by apt."""
        return not self.uri.startswith("file:")


def progress(line: str) -> float | None:
    """Read the fraction from a line of APT::Status-Fd, if it is one."""
    found = _STATUS.search(line)
    return min(float(found.group(1)) / 100, 1.0) if found else None


def spoken(output: str) -> str:
    """Drop the lines of APT::Status-Fd that are only for machines."""
    return "".join(line for line in output.splitlines(keepends=True) if not _MACHINE.match(line))


def changes(simulated: str) -> tuple[PackageChange, ...]:
    """Read what `apt-get -s` would install, upgrade and remove, sorted by name."""
    found = [PackageChange(name, old, new) for name, old, new in _INSTALL.findall(simulated)]
    found += [PackageChange(name, old, "") for name, old in _REMOVE.findall(simulated)]
    return tuple(sorted(found, key=lambda change: change.name))


def archives(printed: str) -> tuple[Archive, ...]:
    """Read `apt-get --print-uris`."""
    return tuple(
        Archive(uri, name, int(size), digest) for uri, name, size, digest in _URI.findall(printed)
    )


def vouched(archives: Iterable[Archive], architecture: str = "") -> tuple[Installed, ...]:
    """Name the packages in archives by what apt calls their files: name_version_architecture.deb.

    Those of another architecture than the native one are `name:architecture`, where that is known;
    a digest may be empty.
    """
    named = ((archive, archive.name.removesuffix(".deb").split("_")) for archive in archives)
    return tuple(
        Installed(_name(parts[0], parts[2], architecture), unquote(parts[1]), _whole(archive))
        for archive, parts in named
        if len(parts) == len(("name", "version", "architecture"))
    )


def _whole(archive: Archive) -> str:
    return archive.digest if len(archive.digest) == _SHA256 else ""


def _name(name: str, of: str, native: str) -> str:
    plain, foreign = unquote(name), of not in {"all", native}
    return f"{plain}:{of}" if foreign and native else plain


def disk(printed: str) -> int:
    """Read how many bytes more will be used (fewer: negative), to apt's three digits."""
    found = _DISK.search(printed)
    if not found:
        return 0
    amount, unit, more = found.groups()
    size = round(float(amount.replace(",", "")) * _UNITS[unit])
    return size if more else -size


def distrust(output: str) -> str:
    """Return the line that says that a signature or a digest is not as it must be, or nothing."""
    return next((line.strip() for line in output.splitlines() if _DISTRUST.search(line)), "")


def stale(output: str) -> str:
    """Return the line that says that an index has expired, or comes from the future, or nothing."""
    return next((line.strip() for line in output.splitlines() if _STALE.search(line)), "")


def downgrades(output: str) -> bool:
    """Tell whether apt stopped because a package would become older."""
    return _DOWNGRADE in output


def last_words(output: str) -> str:
    """Say in one line what failed, beginning with the package whose script it was."""
    lines = [line.strip() for line in spoken(output).splitlines() if line.strip()]
    failed = _FAILED_PACKAGE.search(output)
    if failed:
        at = next(i for i, line in enumerate(lines) if _FAILED_PACKAGE.match(line))
        package = re.sub(r"^.*/(\d+-)?", "", failed.group(1))
        return f"{package}: {' '.join(lines[at + 1 : at + 2])}"
    errors = [line for line in lines if line.startswith("E: ")]
    return (errors or lines[-1:] or [""])[0].removeprefix("E: ")


def hook_warnings(output: str) -> tuple[str, ...]:
    """Find what initramfs hooks warned of, without what is known to be harmless.

    apt ends 0 after "cryptsetup: ERROR: Couldn't resolve device", and the target would not boot.
    """
    found = (line.strip() for line in _said_by_hooks(output.splitlines()))
    return tuple(
        dict.fromkeys(
            line
            for line in found
            if _WARNING.match(line) and not any(words in line for words in _HARMLESS)
        )
    )


def _said_by_hooks(lines: Iterable[str]) -> Iterator[str]:
    inside = False
    for line in lines:
        if _HOOKS_RUN.match(line):
            inside = True
        elif _DPKG_SPEAKS.match(line):
            inside = False
        elif inside and not _MACHINE.match(line):
            yield line


def installed(status: str) -> dict[str, str]:
    """Read name → version of the packages that dpkg's status file calls installed.

    A package of a foreign architecture is `name:architecture`, as apt says it.
    """
    found = [entry for entry in map(_fields, status.split("\n\n")) if entry is not None]
    native = next((a for name, a, _ in found if name == "dpkg"), "")
    return {
        name if architecture in ("all", native) or not native else f"{name}:{architecture}": version
        for name, architecture, version in found
    }


def _fields(stanza: str) -> tuple[str, str, str] | None:
    """Return name, architecture and version of an installed package's stanza."""
    if "\nStatus: install ok installed\n" not in f"\n{stanza}\n":
        return None
    wanted = dict.fromkeys(("Package", "Architecture", "Version"), "")
    for line in stanza.splitlines():
        key, colon, value = line.partition(": ")
        if colon and key in wanted:
            wanted[key] = value.strip()
    return wanted["Package"], wanted["Architecture"], wanted["Version"]
