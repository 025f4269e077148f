"""What snaproot asks of a package manager. All of it runs inside a target, never on the host."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from snaproot.config import Manager, PackageSettings
from snaproot.environment import Installed, PackageChange
from snaproot.errors import Refused
from snaproot.inside import Inside
from snaproot.sandbox import Sandbox

if TYPE_CHECKING:
    from snaproot.trust.policy import Packages


@dataclass(frozen=True, slots=True)
class Progress:
    """One step forward: `fraction` of 1.0 of the named step, or None where nobody knows."""

    step: str
    fraction: float | None = None


Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What an upgrade would do; sizes in bytes. `disk` may be negative.

    `vouched` are the packages that come, as the signed indexes name them.
    """

    changes: tuple[PackageChange, ...]
    download: int
    disk: int
    vouched: tuple[Installed, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an upgrade said beside "done".

    `warnings` are those of initramfs hooks: any of them may mean a target that cannot boot.
    `shimmed` are the commands that a maintainer script wanted to use on the machine itself,
    `vouched` the packages as the signed indexes name them, by which they were verified.
    """

    warnings: tuple[str, ...] = ()
    shimmed: tuple[str, ...] = ()
    vouched: tuple[Installed, ...] = ()


class PackageManager(Protocol):
    """One of apt, dnf, pacman, zypper."""

    def caches(self) -> Mapping[str, str]:
        """Map the places of its downloads inside a target to names in snaproot's own cache."""

    def refresh(self, sandbox: Sandbox, report: Report) -> None:
        """Fetch the signed indexes into snaproot's own cache, over the network.

        Raises Refused where a signature is missing or wrong, an index has expired, a check is
        switched off, or the policy pins other archives; CommandFailed otherwise.
        """

    def plan(self, sandbox: Sandbox) -> Plan:
        """Say what an upgrade would do; changes nothing.

        Raises Refused where a package would become older, unless the policy lets it.
        """

    def download(self, sandbox: Sandbox, report: Report) -> None:
        """Fetch what the plan needs into snaproot's own cache, over the network.

        Raises Refused where a package is not what the signed indexes name, CommandFailed otherwise.
        """

    def upgrade(self, sandbox: Sandbox, report: Report) -> Outcome:
        """Apply the upgrade in the target, without network, from the cache.

        Raises CommandFailed with the package manager's own last words, Refused where what is in
        the cache is not what the signed indexes name, and where `refresh` and `plan` do.
        """

    def installed(self, root: Path) -> Mapping[str, str]:
        """List package name → version of a root that is not running, from its database."""


_APT = ("usr/bin/apt-get", "usr/lib/sysimage/dpkg/status", "var/lib/dpkg/status")


def detect(
    root: Path, settings: PackageSettings, rules: "Packages | None" = None
) -> PackageManager:
    """Find the package manager of a root, and bind it to rules of the policy.

    Without any it uses what it verifies itself. Raises Refused where there is none that we know.
    """
    match settings.manager:
        case Manager.AUTO if not any(Inside(root).holds(name) for name in _APT):
            raise Refused(
                f"{root} has no package manager that snaproot knows",
                hint="only apt is supported so far",
            )
        case Manager.AUTO | Manager.APT:
            from snaproot.packages.apt import VERIFIED, Apt

            return Apt(settings.conffiles, rules or VERIFIED)
