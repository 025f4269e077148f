"""The loader's home on an ESP, and the few bytes by which the installed GRUB gets there.

The signed GRUB reads `EFI/<vendor>/grub.cfg`, a stub that leads to the root's own configuration.
It is overwritten in place, last, within one sector: at every moment it is the old one or ours.
"""

import os
from pathlib import Path

from snaproot import durable
from snaproot.bootloader.entry import ORIGINAL
from snaproot.bootloader.grub import Grub
from snaproot.errors import Refused, SnaprootError

_SECTOR = 512
_SCRIPT = Path(__file__).with_name("script")
# `source`, not `configfile`: Escape does not leave it, nor does the password.
_SHORT = b"source /EFI/snaproot/grub.cfg\n"
_LONG = _SHORT + b'if [ -z "$home" ]; then source /EFI/snaproot/stub.saved; fi\n'


def find(esp: Path) -> Path:
    """Find the one stub of an ESP. Raises Refused where there is none, or several."""
    found = sorted(path for path in _vendors(esp) if (path / "grub.cfg").is_file())
    # A copy for firmware that forgets its entries; the signed image still reads the vendor's.
    named = [path for path in found if path.name.lower() != "boot"] or found
    if len(named) == 1:
        return named[0] / "grub.cfg"
    if not named:
        raise Refused(
            f"{esp} has no EFI/VENDOR/grub.cfg, where a signed GRUB starts; nothing was changed",
            hint="on Debian: apt install grub-efi-amd64-signed shim-signed, then grub-install",
        )
    names = ", ".join(path.name for path in named)
    raise Refused(
        f"{esp} has the GRUB of several systems ({names}): which one starts this one cannot be "
        "told; nothing was changed",
        hint=f"remove what is left of others from {esp / 'EFI'}",
    )


def leads_home(esp: Path) -> bool:
    """Tell whether the stub leads to the home still: grub-install writes its own over it.

    Raises Refused where there is no stub, several, or none that can be read.
    """
    stub = find(esp)
    try:
        return _read(stub).startswith(_SHORT)
    except OSError as error:
        raise Refused(f"{stub} cannot be read: {error.strerror}") from error


def establish(esp: Path, settings: str, grub: Grub, good: str, *, original: bool = True) -> None:
    """Write the home with `good` as its choice, read it back, then let the stub lead to it.

    `original`: the root that the stub led to is still there, and gets its entry.

    May be repeated after a cut at any write. Raises Refused where the stub cannot be ours,
    SnaprootError where the ESP cannot be written; GRUB then still starts as before.
    """
    stub = find(esp)
    before = _original(stub, grub.home)
    ours = _stub(stub, before)
    try:
        for path in (grub.home.parent, grub.home, grub.home / "entries"):
            durable.make_directory(path, mode=None)
        files = _files(grub.home, settings, before) | _entry(grub.home, before, original)
        for path, content in files.items():
            _put(path, content)
        grub.settle(good)
        grub.flush()
        for path, content in files.items():
            _read_back(path, content)
    except (SnaprootError, OSError) as error:
        raise _failed(esp, stub, error) from error
    durable.overwrite(stub, ours)


def _files(home: Path, settings: str, before: bytes) -> dict[Path, bytes]:
    """Say what is in a home beside entries and counter."""
    script = {home / path.name: path.read_bytes() for path in sorted(_SCRIPT.iterdir())}
    return {
        home / "stub.saved": before,
        home / "settings.cfg": settings.encode(),
        **script,
    }


def _entry(home: Path, before: bytes, original: bool) -> dict[Path, bytes]:
    """Say how the original boots. Who leaves the menu that it leads to is back in ours."""
    text = before.rstrip(b"\n") + b"\nset loaded=missing\n"
    return {home / f"entries/{ORIGINAL}.cfg": text} if original else {}


def _vendors(esp: Path) -> list[Path]:
    try:
        return [path for path in (esp / "EFI").iterdir() if path.name.lower() != "snaproot"]
    except OSError:
        return []


def _original(stub: Path, home: Path) -> bytes:
    """Read the stub as it was before us."""
    try:
        found = _read(stub)
        return _read(home / "stub.saved") if found.startswith(_SHORT) else found
    except OSError as error:
        raise Refused(f"{stub} cannot be read: {error.strerror}; nothing was changed") from error


def _stub(stub: Path, before: bytes) -> bytes:
    if not len(_SHORT) <= len(before) <= _SECTOR:
        raise Refused(
            f"{stub} has {len(before)} bytes: it is no stub that leads to a root's grub.cfg; "
            "nothing was changed",
            hint="grub-install writes one",
        )
    return (_LONG if len(_LONG) <= len(before) else _SHORT).ljust(len(before), b"\n")


def _read(path: Path) -> bytes:
    with durable.uncached(path) as file:
        return file.read()


def _put(path: Path, content: bytes) -> None:
    if not path.is_file() or _read(path) != content:
        durable.write(path, content, mode=None)


def _read_back(path: Path, content: bytes) -> None:
    if _read(path) != content:
        raise SnaprootError(f"{path} does not read back as it was written")


def _failed(esp: Path, stub: Path, error: Exception) -> SnaprootError:
    kind = Refused if isinstance(error, Refused) else SnaprootError
    return kind(
        f"the loader's home on {esp} cannot be written: {error}; {stub} is unchanged, and the "
        "machine starts as before",
        hint=f"is {esp} full, or mounted read-only?",
    )


def before(esp: Path, home: Path) -> bytes:
    """Read what the stub was before the home. Raises Refused where nothing tells."""
    return _original(find(esp), home)


def give_back(esp: Path, content: bytes) -> None:
    """Let the stub be what it was before the home, in place: the same length, one sector."""
    stub = find(esp)
    if _read(stub) != content:
        durable.overwrite(stub, content)
    durable.sync_filesystem(esp)


def abolish(home: Path) -> None:
    """Remove a home to which nothing leads any more; gone already is fine."""
    for place, directories, names in os.walk(home, topdown=False):
        for name in names:
            Path(place, name).unlink()
        for name in directories:
            Path(place, name).rmdir()
    if home.is_dir():
        home.rmdir()
    durable.sync_filesystem(home.parent if home.parent.is_dir() else home.parent.parent)
