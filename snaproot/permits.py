"""What the policy in force lets a deployment do with packages, and with `run` and `shell`. Pure."""

from collections.abc import Iterable
from datetime import datetime

from snaproot.environment import Installed
from snaproot.trust import revocation, standing
from snaproot.trust.believed import Believed
from snaproot.trust.facts import Distrusted
from snaproot.trust.policy import Archives, Packages, Running

_SEEN = "snaproot trust show names the policy"


def rules(believed: Believed, now: datetime) -> Packages:
    """Read the rules of a policy that stands, as for any artifact.

    Raises Distrusted where it does not, Unverifiable for a clock that could not tell.
    """
    standing.check(believed, now)
    return believed.policy.packages


def archives(believed: Believed, now: datetime) -> Packages:
    """Read the rules for archives, where somebody has vouched for them lately.

    Not asked of `run` and `shell`: a machine that has lost its network is repaired with them.
    Raises as `rules` does, and Distrusted where no archive may be used.
    """
    found = rules(believed, now)
    standing.require_vouched(believed, now)
    if found.archives is Archives.REFUSE:
        raise Distrusted(
            "packages.archives",
            "the policy lets no package archive be used; nothing was changed",
            hint=f'packages.archives = "verified", or "pinned", would; {_SEEN}',
        )
    return found


def check_packages(believed: Believed, packages: Iterable[Installed]) -> None:
    """Raise Distrusted where the file of a package has been revoked."""
    if not believed.revocations:
        return
    for package in packages:
        for revoked in revocation.check_digest(believed.revocations, package.digest):
            raise Distrusted(
                revoked.reason,
                f"{package.name} {package.version}: {revoked.message}; nothing was changed",
                hint=_without(package.name, believed.policy.packages.run),
            )


def _without(name: str, run: Running) -> str:
    """Say how the rest can be upgraded."""
    if run is Running.REFUSE:
        return "wait for another version in its archive, or hold it back with apt-mark(8)"
    return f"snaproot run apt-mark hold {name}, until there is another version"


def check_command(verb: str, running: Running, *, network: bool) -> None:
    """Raise Distrusted where `run` or `shell` may not be used, or not with a network."""
    if running is Running.REFUSE:
        raise Distrusted(
            f"packages.{verb}",
            f"the policy does not let {verb} change anything; nothing was changed",
            hint=f'packages.{verb} = "allow", or "limit", would let it; {_SEEN}',
        )
    if network and running is Running.LIMIT:
        raise Distrusted(
            f"packages.{verb}",
            f"the policy gives {verb} no network; nothing was changed",
            hint=f'leave --network out; packages.{verb} = "allow" would give it one; {_SEEN}',
        )
