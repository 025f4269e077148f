"""The end of staging: a root that nobody writes any more, and what it was when that began."""

import os
from contextlib import suppress
from dataclasses import replace

from snaproot import durable
from snaproot.environment import Digests, Environment
from snaproot.errors import Refused, SnaprootError
from snaproot.filesystem import PathChange, filelist, manifest, metadata
from snaproot.filesystem.btrfs import binding, listing
from snaproot.filesystem.btrfs.comparison import candidates
from snaproot.filesystem.btrfs.trash import subvolumes_below
from snaproot.filesystem.faults import translated
from snaproot.filesystem.layout import Layout
from snaproot.filesystem.manifest import Report

GENERATION = "generation"
"""The key of `Environment.extra` with the transaction that last wrote in the root."""


def seal(layout: Layout, environment: Environment) -> Environment:
    """Make it read-only, list it, describe it, in an order that a cut cannot make a lie.

    The metadata comes last: without it the root is unfinished staging, whatever else is there.
    """
    id = environment.id
    if layout.copies(id).exists():
        raise RuntimeError(f"{id} is sealed before its areas were collected")
    if listing.existing(layout, id).sealed:
        raise RuntimeError(f"{id} is sealed already")
    _refuse_nested(layout, id)
    _freeze(layout, id)
    described = replace(
        environment,
        sealed=True,
        digests=replace(environment.digests, files=_list_files(layout, environment)),
        extra={**environment.extra, GENERATION: binding.subvolume(layout.root(id)).changed},
    )
    describe(layout, described)
    return described


def describe(layout: Layout, environment: Environment) -> None:
    """Replace the metadata, durably."""
    text = metadata.render(environment)
    durable.write(layout.metadata(environment.id), text.encode(), mode=0o644)
    binding.sync(layout.top)


def intact(layout: Layout, id: str) -> Environment:
    """Return it if it is sealed and nobody has written in its root since, else raise Refused."""
    environment = listing.sealed(layout, id)
    found = binding.subvolume(layout.root(id))
    if found.changed != environment.extra.get(GENERATION):
        raise Refused(
            f"{id} was changed after it was sealed; it is not used",
            hint=f"snaproot verify {id} names what differs",
        )
    if not binding.is_subvolume(layout.etc(id)):
        raise Refused(f"{id} has no /etc; it is not used")
    return environment


def verify(layout: Layout, id: str, report: Report) -> list[PathChange]:
    """Recompute every digest of a sealed root. Raises Refused where there is no sound list."""
    return filelist.verify(listing.sealed(layout, id), layout.files(id), layout.root(id), report)


def _refuse_nested(layout: Layout, id: str) -> None:
    """Raise Refused for a subvolume in the root: no seal covers it, and no snapshot takes it."""
    root, etc = layout.root(id), layout.etc(id)
    for found in subvolumes_below(layout, root):
        place = layout.top / found.path
        if place not in {root, etc}:
            raise Refused(
                f"/{place.relative_to(root)} is a subvolume of its own, which cannot be sealed",
                hint="make it a plain directory, or keep it in a shared area",
            )


def _freeze(layout: Layout, id: str) -> None:
    """Write everything out first: data that is written later would count as a change."""
    root, pristine = layout.root(id), layout.etc_pristine(id)
    if binding.is_subvolume(pristine):
        binding.delete(pristine)
    with suppress(FileNotFoundError):
        # systemd's ConditionNeedsUpdate= compares this time (systemd.unit(5))
        os.utime(root / "usr", follow_symlinks=False)
    binding.sync(layout.top)
    binding.snapshot(layout.etc(id), pristine, read_only=True)
    if binding.is_subvolume(layout.additions(id)):
        binding.set_read_only(layout.additions(id), read_only=True)
    binding.set_read_only(root, read_only=True)


def _list_files(layout: Layout, environment: Environment) -> str:
    target, root = layout.files(environment.id), layout.root(environment.id)
    with translated(f"list the files of {environment.id}"):
        parent = _listed_parent(layout, environment.parent)
        if parent is not None:
            changed = candidates(layout.root(parent.id), root)
            with suppress(ValueError):  # a parent's list that is damaged is not inherited
                return manifest.extend(
                    target, layout.files(parent.id), parent.digests.files, root, changed
                )
        return manifest.write(target, root)


def _listed_parent(layout: Layout, id: str) -> Environment | None:
    """Find a parent whose list still says what its root is."""
    try:
        parent = intact(layout, id)
    except (RuntimeError, SnaprootError):
        return None
    usable = parent.digests != Digests() and layout.files(id).is_file()
    return parent if usable else None
