"""What is known of one boot environment: the content of its `environment.toml`.

Pure: where the text is kept is the filesystem backend's business.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

FORMAT = 1
ID = re.compile(r"[a-z][a-z0-9-]{0,31}")


class Standing(StrEnum):
    """How far a boot environment is believed."""

    UNPROVEN = "unproven"
    PROVEN = "proven"
    BAD = "bad"
    ORIGINAL = "original"


@dataclass(frozen=True, slots=True)
class PackageChange:
    """One package: `before` or `after` is empty where it was not installed."""

    name: str
    before: str
    after: str


SALVAGED = "salvaged"
"""The origin of one whose metadata were lost, and written anew from what the filesystem shows."""


@dataclass(frozen=True, slots=True)
class Installed:
    """One package that a deployment brought.

    `digest` is the SHA-256 of its file, in hex, as the signed index had it; empty where no index
    was asked: `run` and `shell` install whatever they are told.
    """

    name: str
    version: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Digests:
    """SHA-256, in hex, of what sealing recorded; empty where there is no such thing.

    `packages` is that of the package versions which staging brought.
    """

    files: str = ""
    kernel: str = ""
    initramfs: str = ""
    packages: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One boot environment. `damage` says why its metadata could not be read, if it could not.

    `beneath` says what of the filesystem its kernel cannot read any more, if it is known to be
    beneath the rollback floor. `installed` are the packages that this and earlier deployments
    brought, and that are still there; `unverified` are those of them, by their targets' ids, that
    `run` or `shell` made: nobody verified what they changed, and it is still in here. One whose
    metadata were lost is among its own.
    """

    id: str
    parent: str = ""
    origin: str = ""
    command: str = ""
    created: datetime | None = None
    kernel: str = ""
    standing: Standing = Standing.UNPROVEN
    pinned: bool = False
    sealed: bool = False
    packages: tuple[PackageChange, ...] = ()
    installed: tuple[Installed, ...] = ()
    unverified: tuple[str, ...] = ()
    digests: Digests = field(default_factory=Digests)
    state_changed: tuple[str, ...] = ()
    damage: str = ""
    beneath: str = ""
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Can be booted as far as its metadata tells."""
        return not self.damage and (self.sealed or self.standing is Standing.ORIGINAL)

    @property
    def bootable(self) -> bool:
        """Complete, and nothing is known that would keep its kernel from its root."""
        return self.complete and not self.beneath


def brought(
    before: Iterable[Installed], changes: Iterable[PackageChange], vouched: Iterable[Installed]
) -> tuple[Installed, ...]:
    """Say what deployments have brought, with the changes of one more, sorted by name.

    `before` is what its parent has; `vouched` is what came with a digest.
    """
    named = {(one.name, one.version): one for one in vouched}
    found = {one.name: one for one in before}
    for change in changes:
        found.pop(change.name, None)
        if change.after:
            mere = Installed(change.name, change.after)
            found[change.name] = named.get((change.name, change.after), mere)
    return tuple(found[name] for name in sorted(found))
