"""What rollback and activate are told of revocations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from snaproot.cli import choose
from snaproot.environment import Environment, Installed
from snaproot.system import System
from snaproot.trust.believed import Believed
from tests.trust.test_audit import listed
from tests.trust.test_judging import World

DIGEST = "a" * 64


@dataclass
class Stub:
    """As much of a system as is asked."""

    environments: Sequence[Environment]

    def believed(self) -> Believed:
        held = World().believed()
        entry = {"kind": "digest", "value": f"sha256:{DIGEST}"}
        return Believed(held.origin, held.policy, None, listed(entry))


def test_damaged_metadata_do_not_bar_the_way_back() -> None:
    """What runs and works may be kept; recover rebuilds the rest."""
    there = [
        Environment(id="b1", installed=(Installed("mawk", "1.3", DIGEST),)),
        Environment(id="b2", damage="it is torn"),
    ]
    found = choose._revoked(cast("System", Stub(there)), there, "b2")
    assert set(found) == {"b1"}
