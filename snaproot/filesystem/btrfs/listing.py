"""Which boot environments there are: one pass over the subvolumes, and a small file for each."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from snaproot.environment import ID, Environment, Standing
from snaproot.errors import Refused
from snaproot.filesystem import metadata
from snaproot.filesystem.btrfs import binding
from snaproot.filesystem.btrfs.binding import Subvolume
from snaproot.filesystem.faults import translated
from snaproot.filesystem.layout import Layout, environment_of, root_subvolume

SUBVOLUME = "subvolume"
"""The key of `Environment.extra` with the path of an original root, from the top level."""

DEFAULT = "default"
"""The key with the number of the subvolume that was the default beside an original root."""


def environments(layout: Layout) -> Sequence[Environment]:
    """Read every boot environment, sorted by id."""
    roots = _roots(layout)
    with translated(f"list {layout.environments}"):
        ids = sorted(entry.name for entry in os.scandir(layout.environments) if entry.is_dir())
    return [_environment(layout, id, roots) for id in ids if ID.fullmatch(id)]


def existing(layout: Layout, id: str) -> Environment:
    """Read one boot environment without looking at the others; there has to be one."""
    if not (ID.fullmatch(id) and layout.home(id).is_dir()):
        raise RuntimeError(f"{id} does not exist")
    environment = _read(layout, id)
    root = root_of(layout, environment)
    if not binding.is_subvolume(root):
        return _judged(environment, None)
    return _judged(environment, binding.subvolume(root))


def sealed(layout: Layout, id: str) -> Environment:
    """Read one that has to be sealed. Raises Refused where it is not."""
    environment = existing(layout, id)
    if not environment.complete or not environment.sealed:
        why = environment.damage or "it is not sealed"
        hint = "snaproot recover" if environment.damage else ""
        raise Refused(f"{id} cannot be used: {why}; nothing was changed", hint=hint)
    return environment


def root_of(layout: Layout, environment: Environment) -> Path:
    """Say where its root is: an original one lies outside, until its removal begins."""
    inside = layout.root(environment.id)
    if environment.standing is Standing.ORIGINAL and SUBVOLUME in environment.extra:
        outside = layout.top / str(environment.extra[SUBVOLUME]).strip("/")
        return inside if binding.is_subvolume(inside) else outside
    return inside


def named(layout: Layout, subvolume: int) -> str | None:
    """Name the boot environment whose root has this number."""
    path = binding.subvolume_path(layout.top, subvolume)
    if path is None:
        return None
    if (ours := environment_of(path)) is not None:
        return ours
    return next((e.id for e in _originals(layout) if _original_path(e) == path), None)


def default(layout: Layout) -> str | None:
    """Name the boot environment that the filesystem's default stands for."""
    number = binding.default_id(layout.top)
    beside = (e.id for e in _originals(layout) if e.extra.get(DEFAULT) == number)
    return named(layout, number) or next(beside, None)


def pointed_at(layout: Layout, environment: Environment) -> int:
    """Say which subvolume is the default where a boot environment is."""
    beside = environment.extra.get(DEFAULT)
    if environment.standing is Standing.ORIGINAL and isinstance(beside, int):
        return beside
    return binding.subvolume_id(root_of(layout, environment))


def _originals(layout: Layout) -> Sequence[Environment]:
    return [e for e in environments(layout) if e.standing is Standing.ORIGINAL]


def _original_path(environment: Environment) -> str | None:
    path = environment.extra.get(SUBVOLUME)
    return path.strip("/") if isinstance(path, str) else None


def _roots(layout: Layout) -> Mapping[str, Subvolume]:
    return {found.path: found for found in binding.subvolumes(layout.top)}


def _environment(layout: Layout, id: str, roots: Mapping[str, Subvolume]) -> Environment:
    environment = _read(layout, id)
    if environment.standing is not Standing.ORIGINAL:
        return _judged(environment, roots.get(root_subvolume(id)))
    path = layout.inside(root_of(layout, environment))
    return _judged(environment, roots.get(path) if path else binding.subvolume(layout.top))


def _judged(environment: Environment, root: Subvolume | None) -> Environment:
    """Believe `sealed` of the metadata only as far as the root is read-only."""
    if root is None:
        damage = environment.damage or "its root is missing"
        return replace(environment, sealed=False, damage=damage)
    if environment.damage == _MISSING and not root.read_only:
        return replace(environment, damage="staging was not finished")
    return replace(environment, sealed=environment.sealed and root.read_only)


_MISSING = "environment.toml is missing"


def _read(layout: Layout, id: str) -> Environment:
    try:
        with open(layout.metadata_name(id), "rb") as file:  # noqa: PTH123 - a thousand, fast
            return metadata.parse(file.read().decode(), id)
    except FileNotFoundError:
        return Environment(id=id, damage=_MISSING)
    except (OSError, ValueError) as error:
        return Environment(id=id, damage=f"environment.toml cannot be read: {error}")
