"""Read what leaving has to know, without touching it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from snaproot import loaders, mounts
from snaproot.adoption import note as adoption_note
from snaproot.adoption.grounds import PARTIAL
from snaproot.bootloader import HOME, stub
from snaproot.environment import Standing
from snaproot.errors import NeedsRecovery, NotAdopted, Refused
from snaproot.filesystem.btrfs import binding, listing
from snaproot.filesystem.edits import edits
from snaproot.filesystem.layout import Layout
from snaproot.inside import Inside
from snaproot.leaving import note
from snaproot.leaving.building import etc_of
from snaproot.leaving.note import Note
from snaproot.leaving.shape import Facts
from snaproot.mountinfo import mount_of
from snaproot.record import Records

_MENUS = ("/boot/grub", "/boot/grub2")


@contextmanager
def survey(top: Path, esp: Path | None, booted: Path | None) -> Iterator[Facts]:
    """Read everything that `plan` asks for; what was mounted for it stays so within the block.

    `esp` is where the ESP was said to be, `booted` the running root, None for one that is off.
    Raises Refused where the ESP is not found, or is another system's.
    """
    layout = Layout(top)
    if not layout.snaproot.is_dir():
        yield _remains(layout, booted)
        return
    if mount_of(layout.snaproot).kind != "btrfs":
        raise Refused(
            "this system is on ZFS, which snaproot cannot give back yet; nothing was changed",
            hint="snaproot rollback original goes back to the system from before, while it is kept",
        )
    said = note.load(layout.record) or Note()
    chosen = loaders.load(layout.record)
    if chosen is None:
        yield _facts(layout, said, booted, None)
        return
    with _esp(chosen.esp, esp, booted) as place:
        if not said.left:
            loaders.check_is_of(place / HOME, binding.information(top)[1])
        yield _facts(layout, said, booted, place)


def _remains(layout: Layout, booted: Path | None) -> Facts:
    """Find what a cut left of the very end. Raises NotAdopted where there is nothing."""
    partial = layout.top / PARTIAL
    said = note.load(Layout(partial).record)
    if said is None and partial.is_dir() and not any(partial.iterdir()):
        said = Note(left=True)
    if said is None or not said.left:
        raise NotAdopted(
            "this filesystem is not adopted; nothing was changed", hint="snaproot init adopts it"
        )
    return _facts(layout, said, booted, None)


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


def _facts(layout: Layout, said: Note, booted: Path | None, esp: Path | None) -> Facts:
    top = layout.top
    found = Facts(
        uuid=binding.information(top)[1],
        booted=None if booted is None else _path(top, booted),
        esp=str(esp or ""),
        note=said,
        subvolumes={s.path: s.id for s in binding.subvolumes(top)},
    )
    if not said.left:
        return _with_base(layout, _with_adoption(layout, found))
    return replace(found, edits=tuple(_edits(layout, said.base)))


def _edits(layout: Layout, base: str) -> Iterator[str]:
    """Name what was changed in the base's `/etc` between leaving and the reboot."""
    copied = etc_of(layout)
    if base and binding.is_subvolume(copied) and binding.is_subvolume(layout.etc(base)):
        yield from (edit.path for edit in edits(copied, layout.etc(base)))


def _with_base(layout: Layout, found: Facts) -> Facts:
    record, esp = Records(layout.record).load(), Path(found.esp)
    if not layout.home(record.base).is_dir():
        raise NeedsRecovery(
            f"the base {record.base} is not there; nothing was changed", hint="snaproot recover"
        )
    environment = listing.existing(layout, record.base)
    root = listing.root_of(layout, environment)
    inside = Inside(root)
    pending = record.pending or record.work
    return replace(
        found,
        base=record.base,
        base_root=layout.inside(root),
        original=environment.standing is Standing.ORIGINAL,
        pending=pending.target if pending else "",
        stub=stub.before(esp, esp / HOME) if found.esp else b"",
        menu=next((menu for menu in _MENUS if inside.holds(menu)), ""),
        fstab=_text(inside, "/etc/fstab"),
    )


def _path(top: Path, booted: Path) -> str:
    return binding.subvolume_path(top, binding.subvolume_id(booted)) or ""


def _text(inside: Inside, path: str) -> str:
    if not inside.holds(path):
        return ""
    return inside.locate(path).read_text(encoding="utf-8", errors="surrogateescape")


def _with_adoption(layout: Layout, found: Facts) -> Facts:
    """Add what adoption found and did."""
    noted = adoption_note.load(layout)
    if noted is None:
        raise NeedsRecovery(
            f"{layout.record / adoption_note.NAME} is gone: what was before is not known; "
            "nothing was changed",
            hint="snaproot recover",
        )
    return replace(
        found,
        unfinished=bool(noted.unfinished),
        waiting=noted.shared is not None,
        root=noted.root,
        default=int(noted.default),
        masked=noted.masked,
    )
