"""What snaproot asks of a boot loader. Every method is atomic, durable and idempotent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from snaproot.environment import Digests
from snaproot.state import LoaderView

HOME = "EFI/snaproot"
"""Where the loader's home is on an ESP; GRUB's script and the stub know it too."""


@dataclass(frozen=True, slots=True)
class Capability:
    """What the loader can do by itself, found by experiment, and a sentence for people.

    `obstacle` says why nothing can be armed on it now, and `hint` what helps; empty where it can.
    """

    counts: bool
    one_shot: bool
    summary: str
    obstacle: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootable:
    """What an entry boots: where the loader finds it, and where it can be read here.

    `filesystem` is the UUID by which the loader searches, `prefix` the root's path from the top of
    that filesystem as the loader sees it. `kernel` and `initramfs` are paths inside the root. Where
    the loader cannot read that filesystem, `readable` is false: it is given copies in its home.
    """

    id: str
    title: str
    filesystem: str
    prefix: str
    root: Path
    kernel: str
    initramfs: str
    arguments: tuple[str, ...]
    digests: Digests = field(default_factory=Digests)
    readable: bool = True


Bootables = Callable[[str], Bootable]
"""Describes how a boot environment is booted. Raises Refused where it cannot be."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What arming hands to the loader."""

    deployment: str
    target: str
    good: str
    tries: int


@dataclass(frozen=True, slots=True)
class Shown:
    """One line of the loader's menu: which boot environment, and what is said of it.

    However many there are, a `kept` one has a line.
    """

    id: str
    says: str
    kept: bool = False


class Bootloader(Protocol):
    """The loader's persistent choice. Raises SnaprootError where it cannot be written."""

    def capability(self) -> Capability:
        """Say what this loader can do; asked before staging."""

    def view(self) -> LoaderView:
        """Read everything the loader will read, at once."""

    def arm(self, trial: Trial) -> None:
        """Publish the target and make it the next boot, in one write at the end.

        Raises Refused if what was written does not read back, or if there is no room for it.
        """

    def settle(self, good: str) -> None:
        """Make `good` the choice and forget any trial, in one write. Also mends a garbled file."""

    def leave(self, tries: int, good: str) -> None:
        """Leave this many tries, in one write; with none the next boot is `good`.

        Keeps the deployment.
        """

    def boot_once(self, id: str) -> None:
        """Let the next boot, and no other, be this one; it is no trial, and nothing is counted.

        Raises Refused where the loader has no such choice, or no room for what it needs.
        """

    def show(self, menu: Sequence[Shown]) -> None:
        """Let somebody in front of the loader choose among these, and no others.

        Publishes what was never armed, as arming does, and leaves the next boot alone. What has
        nothing to boot is left out, and what would take the room that the next trial needs: the
        kept ones come first, then the newest. Raises SnaprootError where the menu is not written.
        """

    def withdraw(self, id: str) -> None:
        """Remove the entry of a boot environment that is about to be deleted."""
