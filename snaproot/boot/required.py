"""While a trial waits for a reboot, /run says so where Debian's tools look for it.

What somebody else wrote there stays: a copy of what is ours lies beside, and tells the two apart.
"""

from collections.abc import Iterable
from pathlib import Path

from snaproot import durable

FLAG = Path("/run/reboot-required")
PACKAGES = Path("/run/reboot-required.pkgs")
OURS = Path("/run/snaproot")


def settle(
    target: str,
    packages: Iterable[str],
    *,
    flag: Path = FLAG,
    listed: Path = PACKAGES,
    ours: Path = OURS,
) -> None:
    """Say which target waits and what it changes; for no target, take back what we said."""
    names = sorted(set(packages)) or ["snaproot"]
    said = f"*** System restart required *** (snaproot: {target} is tried at the next boot)\n"
    _settle(flag, said if target else "", ours / flag.name)
    _settle(listed, "".join(f"{name}\n" for name in names) if target else "", ours / listed.name)


def _settle(place: Path, text: str, copy: Path) -> None:
    there, made = _content(place), _content(copy)
    if there is not None and there != made:
        return  # somebody else's
    if there == text.encode():
        return
    place.unlink(missing_ok=True)  # first, and then the copy: killed here, nothing is unclaimed
    if text:
        copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        durable.write(copy, text.encode(), mode=0o644)
        durable.write(place, text.encode(), mode=0o644)
    else:
        copy.unlink(missing_ok=True)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
