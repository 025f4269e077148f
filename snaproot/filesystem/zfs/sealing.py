"""The end of staging: a root that nobody writes any more, and the snapshot that says so."""

import os
from contextlib import suppress
from dataclasses import replace

from snaproot.environment import Digests, Environment, Standing
from snaproot.errors import Refused, SnaprootError
from snaproot.filesystem import PathChange, filelist, manifest, metadata
from snaproot.filesystem.faults import translated
from snaproot.filesystem.manifest import Report
from snaproot.filesystem.zfs import binding, commands, listing
from snaproot.filesystem.zfs.comparison import candidates
from snaproot.filesystem.zfs.properties import parts_of
from snaproot.filesystem.zfs.view import View

GUID = "guid"
"""The key of `Environment.extra` with the guid of the snapshot of the sealed root."""


def seal(view: View, environment: Environment) -> Environment:
    """Make it read-only, list it, describe it, in an order that a cut cannot make a lie.

    The metadata comes last: without it the root is unfinished staging, whatever else is there.
    """
    id = environment.id
    if view.layout.copies(id).exists():
        raise RuntimeError(f"{id} is sealed before its areas were collected")
    if listing.existing(view, id).sealed:
        raise RuntimeError(f"{id} is sealed already")
    _refuse_nested(view, id)
    _freeze(view, id)
    described = replace(
        environment,
        sealed=True,
        digests=replace(environment.digests, files=_list_files(view, environment)),
        extra={**environment.extra, GUID: guid(view, id)},
    )
    describe(view, described)
    return described


def describe(view: View, environment: Environment) -> None:
    """Replace the metadata, durably; a proven root has a bookmark from then on."""
    text = metadata.render(environment)
    dataset = listing.dataset_of(view, environment.id)
    if environment.standing is Standing.PROVEN:
        remember(view, environment.id)
    parts, head = parts_of(text, listing.local(dataset))
    commands.put(dataset, parts)
    commands.put(dataset, head)


def remember(view: View, id: str) -> None:
    """Bookmark a sealed root: what is sent from here later can begin where it was."""
    sealed = view.names.sealed(id)
    if binding.exists(sealed):
        binding.bookmark(view.names.bookmark(id), sealed)


def intact(view: View, id: str) -> Environment:
    """Return it if it is sealed and nobody has written in its root since, else raise Refused."""
    environment = listing.sealed(view, id)
    root, sealed = view.names.root(id), view.names.sealed(id)
    there = binding.exists(sealed)
    found = commands.values([f"written@{id}", "guid"], root, sealed) if there else {}
    same = found.get((sealed, "guid")) == environment.extra.get(GUID)
    if not (there and same and found.get((root, f"written@{id}")) == "0"):
        raise Refused(
            f"{id} was changed after it was sealed; it is not used",
            hint=f"snaproot verify {id} names what differs",
        )
    if not binding.exists(view.names.etc(id)):
        raise Refused(f"{id} has no /etc; it is not used")
    return environment


def verify(view: View, id: str, report: Report) -> list[PathChange]:
    """Recompute every digest of a sealed root. Raises Refused where there is no sound list."""
    return filelist.verify(listing.sealed(view, id), view.layout.files(id), view.root(id), report)


def _refuse_nested(view: View, id: str) -> None:
    """Raise Refused for a dataset in the root: no seal covers it, and no snapshot takes it."""
    root, etc = view.names.root(id), view.names.etc(id)
    for (found,) in commands.listed("filesystem,volume", ["name"], root):
        if found not in {root, etc}:
            raise Refused(
                f"{found} is a dataset of its own, which cannot be sealed",
                hint="make it a plain directory, or keep it in a shared area",
            )


def _freeze(view: View, id: str) -> None:
    """Unmount first: what a mounted one still has to write would count as a change.

    An intent log would too: every mount of a root that has one writes to it, a read-only mount
    included (zil_replay of zil.c). A root that is staged has none, for want of `sync`; of any other
    it goes with `rollback`, which makes it its own snapshot.
    """
    names, root = view.names, view.names.root(id)
    with suppress(FileNotFoundError):
        # systemd's ConditionNeedsUpdate= compares this time (systemd.unit(5))
        os.utime(view.root(id) / "usr", follow_symlinks=False)
    view.release(id)
    commands.put(root, {"readonly": "on", "sync": "standard"})
    if listing.local(names.etc(id)).get("readonly") != "off":
        commands.put(names.etc(id), {"readonly": "off"})  # or it would inherit the root's
    binding.destroy_snapshots([names.sealed(id), names.pristine(id)])
    binding.snapshot([names.sealed(id), names.pristine(id)], id)
    view.root(id)
    binding.sync(view.pool)  # what the mount writes it writes a little later
    if commands.values([f"written@{id}"], root)[root, f"written@{id}"] != "0":
        view.release(id)
        binding.rollback(root, names.sealed(id))
        binding.destroy_snapshots([names.sealed(id)])
        binding.snapshot([names.sealed(id)], id)


def guid(view: View, id: str) -> str:
    """Read the guid of the snapshot of a sealed root."""
    sealed = view.names.sealed(id)
    return commands.values(["guid"], sealed)[sealed, "guid"]


def _list_files(view: View, environment: Environment) -> str:
    id = environment.id
    target, root = view.layout.files(id), view.root(id)
    with translated(f"list the files of {id}"):
        parent = _listed_parent(view, environment.parent)
        if parent is not None:
            changed = candidates(
                view.names.sealed(parent.id), view.names.sealed(id), (view.root(parent.id), root)
            )
            with suppress(ValueError):  # a parent's list that is damaged is not inherited
                return manifest.extend(
                    target, view.layout.files(parent.id), parent.digests.files, root, changed
                )
        return manifest.write(target, root)


def _listed_parent(view: View, id: str) -> Environment | None:
    """Find a parent whose list still says what its root is."""
    try:
        parent = intact(view, id)
    except (RuntimeError, SnaprootError):
        return None
    usable = parent.digests != Digests() and view.layout.files(id).is_file()
    return parent if usable else None
