"""What the firmware says in its variables (UEFI specification 8; efivarfs), and watchdogs.

A file of efivarfs begins with four bytes of attributes.
"""

from pathlib import Path

from snaproot.machine.block import text

_ATTRIBUTES = 4
_GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
_SHIM = "605dab50-e046-4300-abb6-3dd810dd8b23"
_LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"


def is_efi(root: Path) -> bool:
    """Tell whether the kernel was started by UEFI."""
    return (root / "sys/firmware/efi").is_dir()


def secure_boot(root: Path) -> bool | None:
    """Tell whether the firmware verifies what it starts; None where it does not say."""
    said = _variable(root, "SecureBoot", _GLOBAL)
    return said == b"\1" if said else None


def shim_checks(root: Path) -> bool:
    """Tell whether shim verifies: mokutil(1) can switch that off, which shim tells at run time."""
    return _variable(root, "MokSBStateRT", _SHIM) != b"\1"


def loader(root: Path) -> str:
    """Say what the boot loader calls itself (LoaderInfo of the Boot Loader Interface)."""
    return _variable(root, "LoaderInfo", _LOADER).decode("utf-16-le", "replace").rstrip("\0")


def entries(root: Path) -> list[str]:
    """Name the entries of the firmware's menu by their descriptions (EFI_LOAD_OPTION)."""
    found = sorted((root / "sys/firmware/efi/efivars").glob(f"Boot[0-9A-F]*-{_GLOBAL}"))
    options = (_variable(root, place.name.split("-")[0], _GLOBAL) for place in found)
    return [_description(option) for option in options]


def _description(option: bytes) -> str:
    """Read what follows 6 bytes, as UTF-16 that ends in a zero."""
    return option[6:].decode("utf-16-le", "replace").partition("\0")[0]


def watchdog(root: Path) -> str:
    """Name the hardware watchdog; empty where there is none. softdog is no hardware."""
    found = sorted((root / "sys/class/watchdog").glob("watchdog*"))
    names = (text(place / "identity") or place.name for place in found)
    return next((name for name in names if name != "Software Watchdog"), "")


def _variable(root: Path, name: str, vendor: str) -> bytes:
    try:
        path = root / "sys/firmware/efi/efivars" / f"{name}-{vendor}"
        return path.read_bytes()[_ATTRIBUTES:]
    except OSError:
        return b""
