"""What happens next, said honestly for what the loader can do. Pure."""

from dataclasses import dataclass

from snaproot.bootloader import Capability
from snaproot.state import Deployment, Phase


@dataclass(frozen=True, slots=True)
class Outlook:
    """A deployment that came through, and who will boot it.

    `running` is false with --sysroot, `reverts` where somebody has switched reverting off.
    """

    deployment: Deployment
    capability: Capability
    tries: int
    running: bool
    reverts: bool = True

    def lines(self) -> list[str]:
        """Say what is staged, what the next boot does, what returns by itself, how to drop it."""
        if self.deployment.phase is Phase.STAGED:
            return self._staged()
        return [self._armed(), *self._stacked(), *self.after_arming()]

    def after_arming(self) -> list[str]:
        """Say what becomes of the next boot, and how to drop it."""
        return [*self._next_boot(), self._dropped()]

    def _staged(self) -> list[str]:
        target = self.deployment.target
        return [
            f"{target} is complete, proved and sealed. The next boot is still "
            f"{self.deployment.base}.",
            *self._stacked(),
            f"To try it: snaproot activate {target}. To drop it: snaproot abandon",
        ]

    def _armed(self) -> str:
        still = "is still running, unchanged" if self.running else "was not touched"
        return f"{self.deployment.target} is the next boot, as a trial. {self._base} {still}."

    def _stacked(self) -> list[str]:
        made = self.deployment
        if made.parent == made.base:
            return []
        return [f"It builds on {made.parent}, which was pending and stays, unproven."]

    def _next_boot(self) -> list[str]:
        if self.capability.counts:
            times = "once" if self.tries == 1 else f"up to {self.tries} times"
            if not self.reverts:
                return [
                    f"The loader tries it {times}. Reverting is off: a bad verdict is only told."
                ]
            return [
                f"The loader tries it {times}. Without a good verdict {self._base} returns by "
                "itself, whatever the trial dies of.",
            ]
        judged = "After that boot" if self.running else "Nothing boots here, so"
        return [
            f"{judged} judge it: snaproot promote keeps it, snaproot reject returns to "
            f"{self._base}.",
            f"The loader {self.capability.summary}.",
        ]

    def _dropped(self) -> str:
        before = " before that boot" if self.running else ""
        return f"To drop it{before}: snaproot abandon"

    @property
    def _base(self) -> str:
        return self.deployment.base
