"""What differs between two boot environments, sealed roots and live `/etc`."""

from collections.abc import Mapping

from snaproot.environment import Environment
from snaproot.filesystem import Change, manifest
from snaproot.filesystem.comparison import changes as told
from snaproot.filesystem.zfs import commands, listing
from snaproot.filesystem.zfs.comparison import compare, looked
from snaproot.filesystem.zfs.view import View

_Changes = Mapping[bytes, Change]
_OTHER_WAY = {Change.ADDED: Change.REMOVED, Change.REMOVED: Change.ADDED}


def changes(view: View, older: str, newer: str) -> _Changes:
    """Tell what became of each path: of roots that are related by `zfs diff`, else by their lists.

    Raises SnaprootError where something in them cannot be read.
    """
    if older == newer:
        return {}
    for id in (older, newer):
        view.root(id)
    return {**_roots(view, older, newer), **_etcs(view, older, newer)}


def _roots(view: View, older: str, newer: str) -> _Changes:
    if _descends(view, newer, older):
        return _diff(view, older, newer)
    if _descends(view, older, newer):
        back = _diff(view, newer, older)
        return {path: _OTHER_WAY.get(change, change) for path, change in back.items()}
    found = _listed(view, older, newer)
    places = view.root(older), view.root(newer)
    return told(*places, looked(*places)) if found is None else found


def _diff(view: View, older: str, newer: str) -> _Changes:
    snapshots = view.names.sealed(older), view.names.sealed(newer)
    return compare(*snapshots, (view.root(older), view.root(newer)))


def _descends(view: View, id: str, ancestor: str) -> bool:
    """Tell whether a root was cloned from another's sealed snapshot, as it is at this moment."""
    root = view.names.root(id)
    return commands.values(["origin"], root)[root, "origin"] == view.names.sealed(ancestor)


def _listed(view: View, older: str, newer: str) -> _Changes | None:
    """Compare the two lists of files; None where one of them is not sound."""
    try:
        before, after = (_lines(view, listing.existing(view, id)) for id in (older, newer))
    except (OSError, ValueError):
        return None
    paths = before.keys() | after.keys()
    differ = (path for path in paths if before.get(path) != after.get(path))
    return {path: _change(path, before, after) for path in differ}


def _change(path: bytes, before: manifest.Lines, after: manifest.Lines) -> Change:
    if path not in before:
        return Change.ADDED
    return Change.CHANGED if path in after else Change.REMOVED


def _lines(view: View, environment: Environment) -> manifest.Lines:
    return manifest.load(view.layout.files(environment.id), environment.digests.files)


def _etcs(view: View, older: str, newer: str) -> _Changes:
    places = view.etc(older), view.etc(newer)
    found = told(*places, looked(*places))
    return {b"etc/" + path if path else b"etc": change for path, change in found.items()}
