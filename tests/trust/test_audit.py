"""Which boot environments rest on something that has been revoked since: exactly those."""

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from snaproot.environment import SALVAGED, Environment, Installed
from snaproot.filesystem import metadata
from snaproot.trust import rests
from snaproot.trust.audit import KEY, audit, barred, carried, rested
from snaproot.trust.revocationlist import Revocations, parse
from tests.trust.private import create
from tests.trust.test_judging import SIGNERS, World

OTHERS = World(it=create())


def listed(*entries: Mapping[str, str]) -> Revocations:
    times = {"issued": "2026-11-01T00:00:00Z", "expires": "2026-11-02T00:00:00Z"}
    return parse(json.dumps({"schema": 1, "version": 2, **times, "entries": entries}).encode())


def installed(id: str, world: World, *signers: str) -> Environment:
    """One that rests on what these signed, read back as a filesystem keeps it."""
    found = world.judge(*signers).rests
    assert found is not None
    made = Environment(id=id, extra={KEY: [rests.as_dict(found)]})
    return metadata.parse(metadata.render(made), id)


@pytest.fixture(scope="module")
def environments() -> list[Environment]:
    world = World()
    return [
        Environment(id="b0"),
        installed("b1", world, *SIGNERS[:2]),
        installed("b2", world, *SIGNERS[1:]),
        installed("b3", OTHERS, *SIGNERS[:2]),
    ]


def affected(revocations: Revocations, environments: list[Environment]) -> list[str]:
    return [one.id for one in audit(revocations, environments)]


def test_a_signer(environments: list[Environment]) -> None:
    issuer = "https://token.example"
    one = {"kind": "identity", "value": SIGNERS[0], "issuer": issuer}
    assert affected(listed(one), environments) == ["b1", "b3"]
    assert affected(listed({**one, "value": SIGNERS[2]}), environments) == ["b2"]
    assert affected(listed({**one, "issuer": "https://other.example"}), environments) == []


def test_the_key_of_a_log(environments: list[Environment]) -> None:
    found = OTHERS.judge(*SIGNERS[:2]).rests
    assert found is not None
    key = {"kind": "log-key", "value": f"sha256:{found.signatures[0].keys.log_key}"}
    (only,) = audit(listed(key), environments)
    assert (only.id, only.revoked[0].reason) == ("b3", "revoked.log-key")
    assert "version 2 of the list" in only.why


def test_who_issued_for_a_timestamp_authority(environments: list[Environment]) -> None:
    root = OTHERS.it.tsa.chain[-1].public_bytes(Encoding.DER)
    one = {"kind": "tsa", "value": f"sha256:{sha256(root).hexdigest()}"}
    assert affected(listed(one), environments) == ["b3"]


def test_an_artifact(environments: list[Environment]) -> None:
    found = OTHERS.judge(*SIGNERS[:2]).rests
    assert found is not None
    digest = {"kind": "digest", "value": f"sha256:{found.digest}"}
    assert affected(listed(digest), environments) == ["b1", "b2", "b3"]


def test_a_package_file() -> None:
    brought = (Installed("mawk", "1.3", "a" * 64), Installed("tree", "2.2"))
    there = [Environment(id="b1", installed=brought), Environment(id="b2", installed=brought[1:])]
    assert affected(listed({"kind": "digest", "value": f"sha256:{'a' * 64}"}), there) == ["b1"]
    assert affected(listed({"kind": "digest", "value": f"sha256:{'b' * 64}"}), there) == []


def test_nothing_revoked_is_nobody(environments: list[Environment]) -> None:
    assert affected(listed(), environments) == []


def test_what_cannot_be_read_is_told_and_not_passed_over() -> None:
    (only,) = audit(listed(), [Environment(id="b1", extra={KEY: [{"format": 1}]})])
    assert only.unreadable
    assert only.why == only.unreadable


def under(id: str, *policies: str, origin: str = "upgrade") -> Environment:
    made = Environment(id=id, origin=origin)
    for policy in policies:
        made = replace(made, extra=carried(made, policy=policy * 64, trusted_root=""))
    return made


def test_a_policy_is_of_all_that_is_made_from_what_it_let_in() -> None:
    there = [under("b1", "a"), under("b2", "a", "b"), under("b3", "b"), under("b4", "b", "a", "a")]
    gone = listed({"kind": "policy", "value": f"sha256:{'a' * 64}"})
    assert affected(gone, there) == ["b1", "b2", "b4"]
    assert len(rested(there[3])) == 2


def test_nobody_is_kept_from_what_is_no_worse_than_where_they_are() -> None:
    there = [under("b1", "a"), under("b2", "a"), under("b3", "b")]
    gone = listed({"kind": "policy", "value": f"sha256:{'a' * 64}"})
    assert [*barred(gone, there, "b3")] == ["b1", "b2"]
    assert [*barred(gone, there, "b2")] == []
    packages = (Installed("mawk", "1.3", "c" * 64),)
    same = [replace(one, installed=packages) for one in there]
    digest = listed({"kind": "digest", "value": f"sha256:{'c' * 64}"})
    assert [*barred(digest, same, "b2")] == ["b1", "b2", "b3"]


def test_of_what_was_lost_nobody_can_tell_and_nobody_is_kept_from_it() -> None:
    lost = under("b1", origin=SALVAGED)
    (only,) = audit(listed(), [lost])
    assert "were lost" in only.unreadable
    assert not barred(listed(), [lost], "b1")


def test_whose_metadata_is_damaged_may_rest_on_anything() -> None:
    (only,) = audit(listed(), [Environment(id="b1", damage="it is torn")])
    assert "it is torn" in only.why
