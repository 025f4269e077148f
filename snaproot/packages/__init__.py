"""What snaproot asks of a package manager. All of it runs inside a target, never on the host."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from snaproot.environment import PackageChange
from snaproot.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Progress:
    """One step forward: `fraction` of 1.0 of the named step, or None where nobody knows."""

    step: str
    fraction: float | None = None


Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What an upgrade would do; sizes in bytes. `disk` may be negative."""

    changes: tuple[PackageChange, ...]
    download: int
    disk: int


class PackageManager(Protocol):
    """One of apt, dnf, pacman, zypper."""

    def refresh(self, sandbox: Sandbox, report: Report) -> None:
        """Fetch the signed indexes into snaproot's own cache, over the network.

        Raises Refused where a signature is missing or wrong, CommandFailed otherwise.
        """

    def plan(self, sandbox: Sandbox) -> Plan:
        """Say what an upgrade would do; changes nothing."""

    def download(self, sandbox: Sandbox, report: Report) -> None:
        """Fetch what the plan needs into snaproot's own cache, over the network."""

    def upgrade(self, sandbox: Sandbox, report: Report) -> None:
        """Apply the upgrade in the target, without network, from the cache.

        Raises CommandFailed with the package manager's own last words.
        """

    def installed(self, root: Path) -> Mapping[str, str]:
        """List package name → version of a root that is not running, from its database."""
