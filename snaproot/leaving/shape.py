"""What leaving has to know, and the plan that is made of it: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from snaproot.leaving.note import Note


class Way(StrEnum):
    """How a machine leaves.

    *build*: the base becomes an ordinary root. *return*: the original still is the base. *finish*:
    it has left, and boots without snaproot; what is left over goes.
    """

    BUILD = "build"
    RETURN = "return"
    FINISH = "finish"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One adopted filesystem, read but not touched; paths of subvolumes are from the top level.

    On ZFS, where `pool` is its name, datasets are what subvolumes are here, their names the paths;
    `ours` are those of snaproot's that lie among others, `unread` the features of the pool that the
    GRUB on the ESP could not read `/boot` with.

    `booted` is the running root's subvolume, None for a system that is off. `base_root` is the
    base's. `root` and `default` are what adoption found, `masked` the units that it masked,
    `waiting` the shared places that are not areas yet. `stub` is what GRUB read before adoption,
    empty without a home; `menu` is the directory of GRUB's menu in the base, empty where there is
    none, `fstab` the base's own. `edits` are paths of `/etc` changed in the base since it left.
    `subvolumes` maps paths to numbers.
    """

    uuid: str
    pool: str = ""
    base: str = ""
    base_root: str = ""
    original: bool = False
    pending: str = ""
    unfinished: bool = False
    waiting: bool = False
    root: str = ""
    default: int = 5
    masked: tuple[str, ...] = ()
    booted: str | None = None
    esp: str = ""
    stub: bytes = b""
    menu: str = ""
    fstab: str = ""
    edits: tuple[str, ...] = ()
    note: Note = field(default_factory=Note)
    subvolumes: Mapping[str, int] = field(default_factory=dict)
    ours: frozenset[str] = frozenset()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeavingPlan:
    """Everything that leaving will do; `asdict` of it is JSON.

    `place` is the subvolume that the root will be, `aside` where the original goes (empty: there
    is none to move). `default` is a subvolume's number, 0 for the root's. `pool` is empty on Btrfs;
    on ZFS a subvolume is a dataset, and its number a guid. `finishes`: what is left
    over goes at once, as nothing was ever booted from it, or nothing is any more.
    """

    way: Way
    pool: str = ""
    base: str = ""
    place: str = ""
    aside: str = ""
    default: int = 5
    masked: tuple[str, ...] = ()
    esp: str = ""
    menu: str = ""
    running: bool = False
    finishes: bool = False
    findings: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
