"""How an original root goes: it lies outside, and is moved to where discarding finds it.

Its metadata say where it was. Once it is not there, but in its boot environment's directory, its
removal has begun, and is finished by whoever finds it so.
"""

from collections.abc import Sequence

from snaproot.environment import Environment, Standing
from snaproot.errors import Refused
from snaproot.filesystem.btrfs import binding, listing, trash
from snaproot.filesystem.faults import translated
from snaproot.filesystem.layout import Layout
from snaproot.wording import some


def check(layout: Layout, id: str) -> None:
    """Raise Refused where an original root cannot go; all others can, as far as this is asked."""
    environment = _outside(layout, id)
    if environment is None:
        return
    root = listing.root_of(layout, environment)
    if root == layout.top:
        raise Refused(f"{id} is the filesystem's top level, which cannot be deleted")
    nested = [found.path for found in trash.subvolumes_below(layout, root)[1:]]
    if nested:
        raise Refused(
            f"{id} holds subvolumes of others: {some(nested)}; nothing was changed",
            hint="look into them, then mount the top level (-o subvolid=5) and delete them: "
            f"btrfs subvolume delete …/{nested[-1]}",
        )


def take_in(layout: Layout, id: str) -> None:
    """Move an original root into its boot environment's directory; there already is fine."""
    environment = _outside(layout, id)
    if environment is None:
        return
    root = listing.root_of(layout, environment)
    with translated(f"move {root} away"):
        root.rename(layout.root(id))
    binding.sync(layout.top)


def taken_in(layout: Layout) -> Sequence[str]:
    """Name the originals whose removal was interrupted."""
    return [
        environment.id
        for environment in listing.environments(layout)
        if environment.standing is Standing.ORIGINAL and listing.SUBVOLUME in environment.extra
        if binding.is_subvolume(layout.root(environment.id))
    ]


def _outside(layout: Layout, id: str) -> Environment | None:
    """Read an original that lies outside; None for all others."""
    if not layout.home(id).is_dir():
        return None
    environment = listing.existing(layout, id)
    root = listing.root_of(layout, environment)
    inside = root == layout.root(id) or not binding.is_subvolume(root)
    return None if inside else environment
