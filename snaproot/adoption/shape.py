"""The plan itself: everything that `execute` has to know."""

from dataclasses import dataclass

from snaproot.adoption.decisions import AreaPlan, Nested
from snaproot.adoption.sysimage import Setting, StateLink
from snaproot.areas import Area

ORIGINAL = "original"


@dataclass(frozen=True, slots=True)
class SwapMove:
    """One swap file that the BE gets anew: `path` as fstab has it, `home` where it will be."""

    path: str
    home: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionPlan:
    """Everything that adoption will do; `asdict` of it is JSON.

    `root` is the original's subvolume from the top level, "" for the top level itself; on ZFS, in
    `pool`, its dataset. `needed` counts bytes. `masked` are units of systemd's, `esp` is a
    directory here; `bootmenu`: not GRUB boots it, but ZFSBootMenu. `resumes`: all is built, only
    the pointer and the loader are still to be set. `live`: the original runs, and goes on using
    what is to be shared. `writable`: it stays what the machine runs, nothing is built.
    """

    id: str
    original: str = ORIGINAL
    pool: str = ""
    root: str = ""
    os: str = ""
    kernel: str = ""
    areas: tuple[AreaPlan, ...] = ()
    nested: tuple[Nested, ...] = ()
    links: tuple[StateLink, ...] = ()
    settings: tuple[Setting, ...] = ()
    swap: tuple[SwapMove, ...] = ()
    boot: str = ""
    mount_points: tuple[str, ...] = ()
    fstab: str = ""
    findings: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    esp: str = ""
    bootmenu: bool = False
    needed: int = 0
    resumes: bool = False
    live: bool = False
    writable: bool = False
    steps: tuple[str, ...] = ()

    @property
    def declared(self) -> tuple[Area, ...]:
        return tuple(plan.area for plan in self.areas)
