"""Which subvolume is the root: decided from what each says of itself. Pure."""

from collections.abc import Sequence

from snaproot import fstab
from snaproot.adoption.facts import TOP_LEVEL, Root, Subvolume
from snaproot.errors import Refused
from snaproot.wording import some

_SAYING = ("btrfs subvolume set-default ID DIR", "zpool set bootfs=DATASET")
_LOOKED_AT = (
    "@, @rootfs, root, the default subvolume or the top level",
    "the pool's bootfs or a dataset with mountpoint=/",
)


def chosen(
    roots: Sequence[Root],
    subvolumes: Sequence[Subvolume],
    default: int,
    booted: int | None = None,
    *,
    pool: str = "",
) -> Root:
    """Name the one root: what runs, if anything does.

    Raises Refused where there is none, or no telling which.
    """
    if booted is not None:
        roots = [r for r in roots if r.subvolume.id == booted]
    pointed = [r for r in roots if r.subvolume.id == default != TOP_LEVEL]
    by_name = [r for r in roots if _names_itself(r)]
    for found in (pointed, by_name, roots):
        if len(found) == 1:
            return found[0]
    if roots:
        raise Refused(
            f"{_listed([r.subvolume for r in roots])}: more than one looks like the root; "
            "nothing was changed",
            hint=f"say which: {_SAYING[pool != '']} {pool}".rstrip(),
        )
    raise Refused(
        f"this layout is not known: none of {_listed(subvolumes)} is a root; nothing was changed",
        hint=f"a root has /usr/lib/os-release and /etc, in {_LOOKED_AT[pool != '']}",
    )


def shown(path: str) -> str:
    """Name a subvolume for people."""
    return path or "the top level"


def _names_itself(root: Root) -> bool:
    """Tell whether the root's own fstab mounts it; a top level may go without saying so."""
    try:
        entries = fstab.parse(root.fstab or "")
    except ValueError:
        return False
    for entry in entries:
        if entry.file == "/":
            number = entry.option("subvolid")
            if entry.subvolume is None and number is None:
                return root.subvolume.path == ""
            return root.subvolume.path == entry.subvolume or str(root.subvolume.id) == number
    return False


def _listed(subvolumes: Sequence[Subvolume]) -> str:
    names = [shown(s.path) for s in subvolumes if s.id != TOP_LEVEL] or ["the top level alone"]
    return some(names)
