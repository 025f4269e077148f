"""Which loader a system was adopted with, and where its ESP is."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from snaproot import durable, formats, mounts
from snaproot.bootloader import HOME, entry, envblock
from snaproot.errors import NeedsRecovery, Refused
from snaproot.filesystem import Pointer

FORMAT = 1
NAME = "loader.json"
GRUB = "grub"
ZFSBOOTMENU = "zfsbootmenu"


@dataclass(frozen=True, slots=True)
class Loader:
    """What adoption chose; `esp` is the device as fstab(5) names it (`UUID=1234-ABCD`).

    Only GRUB has a home there; ZFSBootMenu is told all by the pool.
    """

    backend: str
    esp: str = ""


def flush(filesystem: Pointer, home: Path) -> None:
    """Write out all that a loader reads: the roots' filesystem, and the one with the home."""
    filesystem.flush()
    durable.sync_filesystem(home)


def load(directory: Path) -> Loader | None:
    """Read it; None where none was chosen. Raises NeedsRecovery for a damaged or newer one."""
    path = directory / NAME
    try:
        data = formats.parse(path.read_bytes(), "chosen loader", FORMAT)
        return _checked_choice(Loader(backend=data["backend"], esp=str(data["esp"])))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NeedsRecovery(
            f"{path} cannot be read ({error}); nothing was changed",
            hint="snaproot init --esp DIR writes it anew",
        ) from error


def save(directory: Path, loader: Loader) -> None:
    """Remember it, durably."""
    text = json.dumps({"format": FORMAT, **asdict(loader)}, indent=1) + "\n"
    durable.write(directory / NAME, text.encode(), mode=0o644)


@contextmanager
def esp(loader: Loader, given: Path | None) -> Iterator[Path]:
    """Yield the directory of the ESP: as given, where it is mounted, or mounted for us alone.

    Raises Refused where it is none of snaproot's, or cannot be found.
    """
    if given is not None:
        yield _checked(given)
        return
    with mounts.esp(loader.esp) as found:
        yield _checked(found)


def check_is_of(home: Path, filesystem: str) -> None:
    """Raise Refused where what a home boots by default is on another filesystem (its UUID)."""
    try:
        env = envblock.parse((home / "env").read_bytes())
        text = (home / f"entries/{env.good}.cfg").read_text(errors="replace") if env else ""
    except OSError:
        return  # damaged, which recovery mends
    found = entry.parse(text)
    if found is not None and found.filesystem != filesystem:
        raise Refused(
            f"{home} belongs to another system, on {found.filesystem}; nothing was changed",
            hint="name this system's own ESP with --esp DIR",
        )


def _checked_choice(loader: Loader) -> Loader:
    if loader.backend not in {GRUB, ZFSBOOTMENU}:
        raise ValueError(f"there is no loader {loader.backend!r}")
    return loader


def _checked(place: Path) -> Path:
    if not (place / HOME).is_dir():
        raise Refused(
            f"{place} has no {HOME}: it is not this system's ESP; nothing was changed",
            hint="name it with --esp DIR",
        )
    return place
