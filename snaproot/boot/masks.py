"""While a trial is armed, nothing may go round the boot loader: no hibernation, no kexec.

Runtime masks, as `systemctl mask --runtime` makes them; those that somebody else made stay.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from snaproot import durable
from snaproot.run import run

UNITS = Path("/run/systemd/system")
OURS = Path("/run/snaproot/masked")
_NAMES = (
    "hibernate.target",
    "hybrid-sleep.target",
    "suspend-then-hibernate.target",
    "kexec.target",
)
_NOWHERE = Path("/dev/null")


def _reload() -> None:
    run(["systemctl", "daemon-reload"])


def settle(
    *,
    armed: bool,
    units: Path = UNITS,
    ours: Path = OURS,
    reload: Callable[[], None] = _reload,
) -> None:
    """Mask while something is armed, take our own masks away when nothing is."""
    if not units.parent.is_dir():  # no systemd runs here
        return
    made = _made(ours)
    if armed:
        new = [name for name in _NAMES if not os.path.lexists(units / name)]
        _remember(ours, {*made, *new})
        _mask(units, new)
    else:
        new = [name for name in made if _is_mask(units / name)]
        for name in new:
            (units / name).unlink()
        ours.unlink(missing_ok=True)
    if new:
        reload()


def _mask(units: Path, names: Iterable[str]) -> None:
    units.mkdir(mode=0o755, exist_ok=True)
    for name in names:
        (units / name).symlink_to(_NOWHERE)


def _is_mask(place: Path) -> bool:
    return place.is_symlink() and place.readlink() == _NOWHERE


def _made(ours: Path) -> list[str]:
    """Read which masks are ours, and believe no other name."""
    try:
        said = ours.read_text().split()
    except FileNotFoundError:
        return []
    return [name for name in _NAMES if name in said]


def _remember(ours: Path, names: Iterable[str]) -> None:
    ours.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    durable.write(ours, "".join(f"{name}\n" for name in sorted(names)).encode(), mode=0o644)
