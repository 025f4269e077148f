"""What the boot loader's menu says of each boot environment, in the words of `list`. Pure."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC

from snaproot.bootloader import Shown
from snaproot.environment import Environment, PackageChange, Standing
from snaproot.state import Phase, Record
from snaproot.wording import some

_COLUMNS = 65  # that a line has beside the id, on a terminal of 80
_DATE, _KERNEL = len("2026-11-24"), 14
_ORIGINAL = "the system from before snaproot"
_NOTABLE = ("linux-image", "kernel", "systemd", "grub", "libc6", "glibc")
"""Packages that come first of many: what a machine that does not come up may lie at."""


def shown(environments: Iterable[Environment], record: Record) -> list[Shown]:
    """Say what can be picked: all that can be booted, but for what is about to be deleted.

    The base, what is pending, the original and the pinned ones are kept in the list.
    """
    going = _going(record)
    held = {record.base, record.pending.target if record.pending else ""}
    return [
        Shown(one.id, line(one, _phase(one, record)), kept=one.id in held or _is_kept(one))
        for one in environments
        if one.bootable and one.id not in going
    ]


def line(one: Environment, phase: str = "") -> str:
    """Say when it was made, its kernel, how far it is believed, and what changed in it."""
    made = f"{one.created.astimezone(UTC):%Y-%m-%d}" if one.created else ""
    pinned = "pinned" if one.pinned else ""
    believed = ", ".join(word for word in (str(one.standing), phase, pinned) if word)
    facts = f"{made:<{_DATE}} {_release(one.kernel):<{_KERNEL}} {believed}"
    return f"{facts}  {_changed(one, _COLUMNS - len(facts) - 2)}".rstrip()


def _going(record: Record) -> set[str]:
    pending = record.pending
    given_up = pending.target if pending and pending.phase is Phase.REVERTING else ""
    return {record.work.target if record.work else "", given_up}


def _phase(one: Environment, record: Record) -> str:
    pending = record.pending
    return str(pending.phase) if pending and pending.target == one.id else ""


def _is_kept(one: Environment) -> bool:
    return one.pinned or one.standing is Standing.ORIGINAL


def _release(kernel: str) -> str:
    """Leave as much of a kernel's release as fits, in whole parts: `6.12.117+deb13`."""
    while len(kernel) > _KERNEL and re.search(r"[-+._]", kernel):
        kernel = re.split(r"[-+._][^-+._]*$", kernel)[0]
    return kernel[:_KERNEL]


def _changed(one: Environment, width: int) -> str:
    if one.standing is Standing.ORIGINAL:
        return _cut(_ORIGINAL, width)
    made = f"run {one.command}" if one.origin == "run" else one.origin
    told = [f"{made}: {names}" for names in _named(one.packages)] if one.origin != "run" else []
    return next((text for text in told if len(text) <= width), _cut(made, width))


def _named(changes: Sequence[PackageChange]) -> list[str]:
    """Name packages, the telling ones first: as many as may fit, then fewer of them."""
    names = sorted(dict.fromkeys(_short(change.name) for change in changes), key=_rank)
    fewer = [some(names, most) for most in range(min(len(names), 4), 0, -1)]
    return [*fewer, f"{len(names)} packages"] if len(names) > 1 else fewer


def _short(name: str) -> str:
    """Leave out the version in the name of a kernel's package."""
    return re.sub(r"-\d.*", "", name) if name.startswith("linux-") else name


def _rank(name: str) -> tuple[int, str]:
    return next(
        (n for n, word in enumerate(_NOTABLE) if name.startswith(word)), len(_NOTABLE)
    ), name


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: max(width - 2, 0)]}.."
