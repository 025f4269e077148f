"""The filesystem's own pointer as the loader: the first root that anything would mount.

It has no file and cannot count: arming moves the pointer itself, so that only userspace can
revert. A trial that panics before snaproot runs is booted again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from snaproot.bootloader import Capability, Shown, Trial
from snaproot.errors import Refused
from snaproot.filesystem import Pointer
from snaproot.state import LoaderView


@dataclass(frozen=True, slots=True)
class PointerLoader:
    """Follows `Pointer.default`; every write is one atomic, durable move of it."""

    pointer: Pointer

    def capability(self) -> Capability:
        return Capability(
            counts=False,
            one_shot=False,
            summary="follows the filesystem's default and cannot count: "
            "a trial that dies before userspace is not reverted by itself",
        )

    def view(self) -> LoaderView:
        return LoaderView(present=True, counts=False, good=self.pointer.default() or "")

    def arm(self, trial: Trial) -> None:
        self.pointer.set_default(trial.target)

    def settle(self, good: str) -> None:
        self.pointer.set_default(good)

    def leave(self, tries: int, good: str) -> None:
        if tries == 0:
            self.pointer.set_default(good)

    def boot_once(self, id: str) -> None:
        raise Refused(
            f"{id} cannot be the next boot alone: the loader {self.capability().summary}; "
            "nothing was changed",
            hint="snaproot activate ID, without --once, makes it a trial",
        )

    def show(self, menu: Sequence[Shown]) -> None:
        """Nothing to write: there is no menu."""

    def withdraw(self, id: str) -> None:
        """Nothing to remove: there are no entries."""
