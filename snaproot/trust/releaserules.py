"""What a release statement has to satisfy: floors of the policy and of this machine. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from snaproot import __version__
from snaproot.trust.facts import Distrusted
from snaproot.trust.floors import Floors
from snaproot.trust.policy import Policy
from snaproot.trust.statement import Release
from snaproot.trust.versions import order

_PRODUCT = "product "


@dataclass(frozen=True, slots=True)
class Held:
    """A release, and what it is held to."""

    release: Release
    policy: Policy
    now: datetime
    floors: Floors

    @property
    def named(self) -> str:
        return f"{self.release.name} {self.release.version}"


def floor_name(product: str) -> str:
    """Name the floor of a product's rollback index."""
    return f"{_PRODUCT}{product}"


def has_products(floors: Floors) -> bool:
    """Tell whether a product was ever accepted by its release statement."""
    return any(name.startswith(_PRODUCT) for name in floors.versions)


def _expired(held: Held) -> None:
    expires = held.release.expires
    if expires is not None and held.now >= expires:
        what = f"the release {held.named} expired at {expires:%Y-%m-%d %H:%M %Z}"
        raise Distrusted("policy.release-expired", what)


def _above_version(held: Held) -> None:
    least = held.policy.minimum_version.get(held.release.name)
    if least is not None and order(held.release.version) < order(least):
        what = f"it is {held.named}, and the policy accepts {least} and newer"
        raise Distrusted("policy.version-floor", what)


def _above_index(held: Held) -> None:
    floor, index = held.floors.of(floor_name(held.release.name)), held.release.rollback_index
    if index < floor:
        what = f"it is {held.named} with rollback index {index}, and {floor} was here before"
        raise Distrusted("policy.rollback-index", what)


def _new_enough_here(held: Held) -> None:
    needs, policy = held.release, held.policy.version
    if order(needs.snaproot) > order(__version__):
        what = f"{held.named} needs snaproot {needs.snaproot}, and this is {__version__}"
        raise Distrusted("policy.requires", what)
    if needs.policy > policy:
        what = f"{held.named} needs version {needs.policy} of the policy, and this is {policy}"
        raise Distrusted("policy.requires", what)


RULES: Sequence[Callable[[Held], None]] = (
    _expired,
    _above_version,
    _above_index,
    _new_enough_here,
)
"""Each raises Distrusted where it is not satisfied."""
