"""Which filesystem is being adopted: a Btrfs by its top level, or a pool in its view."""

from pathlib import Path

from snaproot.adoption.facts import Survey
from snaproot.adoption.volumes import Ground
from snaproot.areas import Area
from snaproot.mountinfo import mount_of


def adopting(top: Path) -> Ground:
    """Return how volumes are made in the view at `top`."""
    pool = pool_at(top)
    if pool:
        from snaproot.adoption.datasets import Datasets

        return Datasets(top, pool)
    from snaproot.adoption.subvolumes import Subvolumes

    return Subvolumes(top)


def survey(
    top: Path, *, boot: Path | None = None, esp: Path | None = None, booted: Path | None = None
) -> Survey:
    """Read everything that `plan` asks for.

    `boot` is where a separate `/boot` is mounted, `esp` where the ESP is, or a copy of it, `booted`
    the root that runs.

    Raises Refused where `top` is neither the top level of a Btrfs nor the view of a pool, or the
    ESP cannot be taken over.
    """
    pool = pool_at(top)
    if pool:
        from snaproot.adoption import poolsurvey
        from snaproot.adoption.datasets import Datasets

        return poolsurvey.survey(Datasets(top, pool), boot=boot, esp=esp, booted=booted)
    from snaproot.adoption.btrfssurvey import survey

    return survey(top, boot=boot, esp=esp, booted=booted)


def foreign(top: Path, root: str) -> tuple[str, ...]:
    """Name the tools besides snaproot that go back to older roots; `root` is its path in `top`."""
    if pool_at(top):
        from snaproot.adoption import poolsurvey

        return tuple(poolsurvey.foreign(top / root))
    from snaproot.adoption.btrfssurvey import foreign

    return foreign(top, root)


def has_area(top: Path, area: Area) -> bool:
    """Tell whether an area is there."""
    pool = pool_at(top)
    if pool:
        from snaproot.filesystem.zfs.names import Names
        from snaproot.filesystem.zfs.places import named
        from snaproot.filesystem.zfs.view import is_dataset

        return is_dataset(Names(pool).area(*named([area], pool)))
    return (top / area.subvolume).is_dir()


def pool_at(top: Path) -> str:
    """Name the pool whose view this is: its tmpfs is called as the pool is (zfs/view.py)."""
    mount = mount_of(top) if top.is_dir() else None
    view = mount is not None and mount.kind == "tmpfs" and mount.point == top.resolve()
    return mount.source if view and mount else ""
