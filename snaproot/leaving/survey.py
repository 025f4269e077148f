"""Read what leaving has to know, without touching it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from snaproot import loaders, mounts, zpool
from snaproot.adoption import note as adoption_note
from snaproot.adoption.grounds import PARTIAL
from snaproot.bootloader import HOME, stub
from snaproot.environment import Standing
from snaproot.errors import NeedsRecovery, NotAdopted, Refused
from snaproot.filesystem.edits import edits
from snaproot.filesystem.layout import Layout
from snaproot.inside import Inside
from snaproot.leaving import note
from snaproot.leaving.backends import leaving
from snaproot.leaving.ground import Ground
from snaproot.leaving.note import Note
from snaproot.leaving.shape import Facts
from snaproot.machine import binaries, pools
from snaproot.record import Records

_MENUS = ("/boot/grub", "/boot/grub2")
_NONE = 0
"""No dataset's number: `bootfs` was not set, or named one that is gone."""


@contextmanager
def survey(top: Path, esp: Path | None, booted: Path | None) -> Iterator[Facts]:
    """Read everything that `plan` asks for; what was mounted for it stays so within the block.

    `esp` is where the ESP was said to be, `booted` the running root, None for one that is off.
    Raises Refused where the ESP is not found, or is another system's.
    """
    ground, layout = leaving(top), Layout(top)
    if not layout.snaproot.is_dir():
        yield _remains(ground, booted)
        return
    said = note.load(layout.record) or Note()
    chosen = loaders.load(layout.record)
    if chosen is None:
        yield _facts(ground, said, booted, None)
        return
    with _esp(chosen.esp, esp, booted) as place:
        if not said.left:
            loaders.check_is_of(place / HOME, ground.uuid())
        yield _facts(ground, said, booted, place)


def _remains(ground: Ground, booted: Path | None) -> Facts:
    """Find what a cut left of the very end. Raises NotAdopted where there is nothing."""
    ground.show_remains()
    partial = ground.layout.top / PARTIAL
    said = note.load(Layout(partial).record)
    if said is None and partial.is_dir() and not any(partial.iterdir()):
        said = Note(left=True)
    if said is None or not said.left:
        raise NotAdopted(
            "this filesystem is not adopted; nothing was changed", hint="snaproot init adopts it"
        )
    return _facts(ground, said, booted, None)


@contextmanager
def _esp(spec: str, given: Path | None, booted: Path | None) -> Iterator[Path]:
    """Find the ESP; its home may be gone already. A device's name means this machine's own."""
    if given is not None:
        yield given
        return
    if booted is None and spec.startswith("/dev/"):
        raise Refused(
            f"this system's ESP is {spec} on its own machine; nothing was changed",
            hint="name it here with --esp DIR",
        )
    with mounts.esp(spec) as found:
        yield found


def _facts(ground: Ground, said: Note, booted: Path | None, esp: Path | None) -> Facts:
    found = Facts(
        uuid=ground.uuid(),
        pool=ground.pool,
        booted=None if booted is None else ground.named(booted),
        esp=str(esp or ""),
        note=said,
        subvolumes=ground.volumes(),
        ours=ground.ours(),
    )
    if not said.left:
        return _with_base(ground, _with_adoption(ground, found))
    return replace(found, edits=tuple(_edits(ground, said.base)))


def _edits(ground: Ground, base: str) -> Iterator[str]:
    """Name what was changed in the base's `/etc` between leaving and the reboot."""
    places = ground.etcs(base) if base else None
    if places is not None:
        yield from (edit.path for edit in edits(*places))


def _with_base(ground: Ground, found: Facts) -> Facts:
    layout = ground.layout
    record, esp = Records(layout.record).load(), Path(found.esp)
    if not layout.home(record.base).is_dir():
        raise NeedsRecovery(
            f"the base {record.base} is not there; nothing was changed", hint="snaproot recover"
        )
    environment = ground.filesystem.environment(record.base)
    inside = Inside(ground.filesystem.place(record.base).root)
    pending = record.pending or record.work
    menu = next((menu for menu in _MENUS if inside.holds(menu)), "")
    return replace(
        found,
        base=record.base,
        base_root=ground.root_of(record.base),
        original=environment.standing is Standing.ORIGINAL,
        pending=pending.target if pending else "",
        stub=stub.before(esp, esp / HOME) if found.esp else b"",
        menu=menu,
        fstab=_text(inside, "/etc/fstab"),
        unread=_unread(found) if found.esp else (),
    )


def _unread(found: Facts) -> tuple[str, ...]:
    """Name the features of a pool for which GRUB would not read `/boot` there."""
    if not found.pool:
        return ()
    active = sorted(zpool.in_use(zpool.properties(found.pool)))
    return tuple(pools.unread(active, binaries.grub(Path(found.esp))))


def _text(inside: Inside, path: str) -> str:
    if not inside.holds(path):
        return ""
    return inside.locate(path).read_text(encoding="utf-8", errors="surrogateescape")


def _with_adoption(ground: Ground, found: Facts) -> Facts:
    """Add what adoption found and did."""
    noted = adoption_note.load(ground.layout)
    if noted is None:
        raise NeedsRecovery(
            f"{ground.layout.record / adoption_note.NAME} is gone: what was before is not known; "
            "nothing was changed",
            hint="snaproot recover",
        )
    return replace(
        found,
        unfinished=bool(noted.unfinished),
        waiting=noted.shared is not None,
        root="" if noted.root == found.pool else noted.root,
        default=_pointed(noted.default, found),
        masked=noted.masked,
    )


def _pointed(default: int | str, found: Facts) -> int:
    """Give the number of what was the default: on ZFS it was noted by its name."""
    return default if isinstance(default, int) else found.subvolumes.get(default, _NONE)
