"""What differs between two boot environments: packages by their databases, files by the kernel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from snaproot.environment import Environment, PackageChange
from snaproot.errors import Refused, SnaprootError
from snaproot.filesystem import PathChange
from snaproot.ids import resolve
from snaproot.system import System


@dataclass(frozen=True, slots=True)
class Difference:
    """Two boot environments and what became of packages and paths between them."""

    older: str
    newer: str
    packages: Sequence[PackageChange]
    paths: Sequence[PathChange]


def compare(system: System, typed_older: str, typed_newer: str) -> Difference:
    """Compare two boot environments; without the newer one, with the default.

    Raises UsageError for an id that is unknown or ambiguous, Refused for one that is not sealed.
    """
    known = {environment.id: environment for environment in system.filesystem.environments()}
    older = resolve(typed_older, known)
    newer = resolve(typed_newer, known) if typed_newer else system.filesystem.default() or older
    for id in (older, newer):
        _check_sealed(known[id])
    return Difference(
        older,
        newer,
        package_changes(_installed(system, older), _installed(system, newer)),
        system.filesystem.changes(older, newer),
    )


def package_changes(
    before: Mapping[str, str], after: Mapping[str, str]
) -> tuple[PackageChange, ...]:
    """Name the packages whose versions differ. Pure."""
    return tuple(
        PackageChange(name, before.get(name, ""), after.get(name, ""))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )


def _check_sealed(environment: Environment) -> None:
    if not environment.sealed:
        raise Refused(
            f"{environment.id} cannot be compared: "
            f"{environment.damage or 'it is not sealed, and may change at any time'}",
            hint="choose two of the others that snaproot list shows",
        )


def _installed(system: System, id: str) -> Mapping[str, str]:
    root = system.filesystem.place(id).root
    try:
        return system.packages(root).installed(root)
    except SnaprootError:  # a root without a package manager still has files to compare
        return {}
