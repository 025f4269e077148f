"""Whether and how a machine leaves, decided from facts. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from snaproot.adoption.facts import is_within
from snaproot.bootloader import HOME
from snaproot.errors import NothingToDo, Refused
from snaproot.filesystem.layout import SNAPROOT
from snaproot.filesystem.zfs.names import CONTAINER, Names
from snaproot.leaving import menu, table
from snaproot.leaving.shape import Facts, LeavingPlan, Way
from snaproot.wording import some

_TOP_LEVEL = 5
_EDITED = "edited in /etc since it was copied, and not in this root"
_NAMES = ("@", "@rootfs")
"""What a root is called that was the top level before; that cannot be replaced."""
_DATASETS = ("linux", "default")
"""What it is called on ZFS; short, for a stub has only the room that it had."""


def plan(facts: Facts) -> LeavingPlan:
    """Decide how to leave. Raises Refused with a hint, NothingToDo before the reboot."""
    if facts.pool:
        check_others(facts.pool, facts.subvolumes)
    made = _made(facts)
    return replace(made, steps=tuple(_steps(made, facts)))


def check_others(pool: str, found: Iterable[str]) -> None:
    """Raise Refused where others' datasets lie in snaproot's own, which goes in the end."""
    names = Names(pool)
    others = names.foreign(found)
    if others:
        raise Refused(
            f"{names.home} holds others' datasets: {some(others)}; they are untouched",
            hint=f"zfs rename takes them out of it: zfs rename {others[0]} {pool}/NAME",
        )


def _is_ours(facts: Facts, path: str) -> bool:
    """Tell whether a subvolume or dataset is snaproot's."""
    home = _home(facts)
    return path == home or is_within(path, home) or path in facts.ours


def _home(facts: Facts) -> str:
    return Names(facts.pool).home if facts.pool else SNAPROOT


def _finished(facts: Facts) -> LeavingPlan:
    """Plan the rest, where the root that was built runs, or is said to have been given the boot."""
    running = facts.booted is not None
    if running and _is_ours(facts, facts.booted or ""):
        raise NothingToDo(
            "this system has left snaproot already, and still runs from it",
            hint="reboot; then snaproot deinit removes what is left over",
        )
    finish = LeavingPlan(
        way=Way.FINISH,
        pool=facts.pool,
        esp=facts.esp,
        running=running,
        finishes=True,
        findings=tuple(f"{_EDITED}: {path}" for path in facts.edits),
    )
    if facts.note.left:
        return finish
    # Cut off before the note, perhaps before the default and the stub: those may be repeated.
    place = facts.booted or ""
    return replace(finish, place=place, default=_default(facts, place), menu=facts.menu)


def _made(facts: Facts) -> LeavingPlan:
    running = facts.booted is not None
    if facts.note.left or _is_out(facts):
        return _finished(facts)
    _check(facts)
    if facts.original:
        return LeavingPlan(
            way=Way.RETURN,
            pool=facts.pool,
            base=facts.base,
            place=facts.root,
            default=_default(facts),
            esp=facts.esp,
            running=running,
            finishes=True,
        )
    place = _place(facts)
    return LeavingPlan(
        way=Way.BUILD,
        pool=facts.pool,
        base=facts.base,
        place=place,
        aside=_aside(facts, place),
        default=_default(facts, place),
        masked=facts.masked,
        esp=facts.esp,
        menu=facts.menu,
        running=running,
    )


def _is_out(facts: Facts) -> bool:
    """Tell whether the root that was built runs: only the note of it was cut off."""
    return facts.booted is not None and facts.subvolumes.get(facts.booted) in facts.note.made


def _check(facts: Facts) -> None:
    _check_record(facts)
    if not _runs_base(facts):
        raise Refused(
            f"{facts.booted or 'the top level'} is running, the base is {facts.base}; "
            "nothing was changed",
            hint="boot the base, or make what runs the base: snaproot rollback",
        )
    if facts.stub and not facts.original and not facts.menu:
        raise Refused(
            f"{facts.base} has no /boot/grub, where a menu would be; nothing was changed",
            hint="snaproot run mkdir /boot/grub, and promote that",
        )
    if facts.stub and not facts.original:
        _check_loader(facts)


def _check_loader(facts: Facts) -> None:
    """Raise Refused where GRUB would not get to the kernels of the root that is built."""
    place = _place(facts)
    inner = f"{place.removeprefix(facts.pool)}@" if facts.pool else f"/{place}"
    menu.pointed(facts.stub, facts.uuid, f"{inner}{facts.menu}")
    if facts.unread:
        raise Refused(
            f"GRUB could not read /boot in the pool {facts.pool} ({some(facts.unread)} in use); "
            "nothing was changed",
            hint="snaproot boots it by copies of its kernels; an ordinary root would need a /boot "
            "that GRUB reads, as in a pool made with compatibility=grub2",
        )


def _runs_base(facts: Facts) -> bool:
    """Tell whether the base runs, or nothing; an original that is the top level is its own copy."""
    if facts.booted is None or facts.booted == facts.base_root:
        return True
    return facts.original and not facts.root and not _is_ours(facts, facts.booted)


def _check_record(facts: Facts) -> None:
    if facts.unfinished and not facts.original:
        raise Refused("adoption is not finished; nothing was changed", hint="snaproot init")
    if facts.pending:
        raise Refused(
            f"{facts.pending} is pending; nothing was changed",
            hint="promote it, or give it up: snaproot abandon",
        )
    if facts.waiting and not facts.original:
        raise Refused(
            "the shared places are not areas yet; nothing was changed",
            hint="reboot once: they become areas before services start",
        )


def _place(facts: Facts) -> str:
    """Choose the subvolume: as the original was called, if that is it, or gone.

    Raises Refused where something else is there, or the base mounts what lies in it.
    """
    place = facts.root or facts.note.place or next(_free(facts))
    if facts.pool:
        return _beside(facts, place)
    entry = table.within(facts.fstab, place)
    if entry is not None:
        raise Refused(
            f"fstab line {entry.line}: {entry.file} is {entry.subvolume}, which lies in {place}; "
            "nothing was changed",
            hint=f"move that subvolume out of {place}, and correct the line",
        )
    return place


def _beside(facts: Facts, place: str) -> str:
    """Choose another name where the original holds datasets: they stay where they are mounted."""
    if not any(path.startswith(f"{place}/") for path in facts.subvolumes):
        return place
    return facts.note.place or next(_free(facts))


def _free(facts: Facts) -> Iterator[str]:
    """Propose names for a root that gets one of its own."""
    names: Iterable[str] = (*_NAMES, *(f"@snaproot-{n}" for n in range(1, 100)))
    if facts.pool:
        inner = (*_DATASETS, *(f"{_DATASETS[0]}{n}" for n in range(2, 100)))
        names = (f"{facts.pool}/{CONTAINER}/{name}" for name in inner)
    yield from (name for name in names if name not in facts.subvolumes)


def _aside(facts: Facts, place: str) -> str:
    """Choose where the original goes; one that was moved by a leaving that was cut stays there."""
    there = facts.subvolumes.get(place)
    if there is None or there in facts.note.made:
        return facts.note.aside if facts.note.aside in facts.subvolumes else ""
    wanted = f"{place}.before-snaproot"
    names = (wanted, *(f"{wanted}-{number}" for number in range(2, 100)))
    free = (n for n in names if facts.subvolumes.get(n, 0) in {0, *facts.note.made})
    return next(free)


def _default(facts: Facts, place: str = "") -> int:
    """Choose the default subvolume: as adoption found it; 0 for the root that is built.

    A default that was the original's root means the root: it goes with the name.
    """
    path = next((p for p, number in facts.subvolumes.items() if number == facts.default), None)
    if facts.default == _TOP_LEVEL:
        return _TOP_LEVEL
    known = {place, facts.root, facts.note.aside}
    if place and (path is None or _is_ours(facts, path) or path in known):
        return 0
    return _TOP_LEVEL if path is None or _is_ours(facts, path) else facts.default


def _steps(made: LeavingPlan, facts: Facts) -> Iterator[str]:
    """Say what is done, in order."""
    if made.way is Way.BUILD:
        yield from _building(made)
    if made.way is not Way.FINISH:
        yield from _switching(made)
    if made.finishes:
        yield from _finishing(made, facts)


def _building(made: LeavingPlan) -> Iterator[str]:
    yield f"Snapshot {made.base} as an ordinary, writable root, with its /etc in it."
    if not made.pool:
        yield f"Let its /etc/fstab mount {made.place} at /; shared places stay what they are."
    if made.masked:
        yield f"Unmask {', '.join(made.masked)}."
    if made.menu:
        yield f"Write a menu of its kernels for GRUB, {made.menu}/grub.cfg."
    moved = f"; what is there is kept as {made.aside}" if made.aside else ""
    yield f"Put it in place as {made.place}{moved}."
    if made.running and made.menu:
        yield "Let the distribution's own tool write the whole menu (grub-mkconfig)."


def _switching(made: LeavingPlan) -> Iterator[str]:
    pointer = "bootfs" if made.pool else "the default subvolume"
    yield f"Set {pointer}{f' to {made.place}' if made.default == 0 else ' as it was'}."
    if made.esp:
        yield "Give the grub.cfg that GRUB reads first its content back, last."


def _finishing(made: LeavingPlan, facts: Facts) -> Iterator[str]:
    if made.esp:
        yield f"Remove {made.esp}/{HOME}."
    yield "Delete every boot environment of snaproot's, its record and its log."
    home = _home(facts)
    if any(path.startswith(f"{home}/areas/") for path in facts.subvolumes):
        yield f"Give each area a name outside of {home}, in /etc/fstab too; nothing is copied."
