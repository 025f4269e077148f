"""The whole judgement: signatures made by the private Sigstore, a policy, and what is revoked."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import PurePath
from typing import Any

import pytest

from snaproot.trust import believed, policyfile
from snaproot.trust.believed import Believed
from snaproot.trust.facts import Distrusted, Unverifiable
from snaproot.trust.floors import Floors
from snaproot.trust.judging import Given, Judgement, judge
from snaproot.trust.revocationlist import Revocations
from snaproot.trust.revocationlist import parse as listed
from snaproot.trust.statement import RELEASE, STATEMENT
from tests.trust.private import (
    ARTIFACT,
    ISSUER,
    Envelope,
    Identity,
    Instance,
    Leaf,
    create,
    email,
)

NOW = datetime.now(UTC).replace(microsecond=0)
DIGEST = sha256(ARTIFACT).hexdigest()
SIGNERS = ("one@example.org", "two@example.org", "three@example.org")
POLICY = """\
schema = 1
version = 4
require = "most"
[group.most]
need = 2
of = ["one", "two", "three"]
""" + "".join(
    f'[authority.{who.partition("@")[0]}]\nidentity = "{who}"\nissuer = "{ISSUER}"\n'
    for who in SIGNERS
)


def now() -> datetime:
    """Say what time it is: when this was imported is too long ago for what is signed by then."""
    return datetime.now(UTC)


@dataclass
class World:
    """An instance, what it signed, and what is believed of it."""

    it: Instance = field(default_factory=create)
    policy: str = POLICY
    entries: Sequence[Mapping[str, str]] | None = None
    expires: datetime = NOW + timedelta(days=30)
    artifact: bytes = ARTIFACT

    def by(self, *names: str) -> list[Given]:
        return [
            Given(
                f"{who}.json",
                json.dumps(self.it.sign(self.artifact, who=Leaf(Identity((email(who),))))).encode(),
            )
            for who in names
        ]

    @property
    def revocations(self) -> Revocations | None:
        if self.entries is None:
            return None
        stamps = {"issued": NOW - timedelta(days=60), "expires": self.expires}
        times = {name: f"{time:%Y-%m-%dT%H:%M:%SZ}" for name, time in stamps.items()}
        shape = {"schema": 1, "version": 3, **times, "entries": list(self.entries)}
        return listed(json.dumps(shape).encode())

    def believed(self) -> Believed:
        policy = policyfile.parse(self.policy.encode(), PurePath("policy.toml"))
        root = json.dumps(self.it.trusted_root()).encode()
        return Believed("here", policy, root, self.revocations)

    def judge(self, *signers: str) -> Judgement:
        digest = sha256(self.artifact).hexdigest()
        return judge(self.believed(), digest, self.by(*signers), now())

    def revoke(self, kind: str, value: str, **more: str) -> None:
        self.entries = [{"kind": kind, "value": value, **more}]


@pytest.fixture
def world() -> World:
    return World()


def refused(judged: Judgement) -> str:
    assert not judged.decision.accepted
    assert judged.rests is None
    return judged.decision.refusals[0].reason


def test_enough_signers_are_accepted_and_what_it_rests_on_is_known(world: World) -> None:
    judged = world.judge(*SIGNERS[:2])
    assert judged.decision.by == ("one", "two")
    assert judged.rests is not None
    assert judged.rests.digest == DIGEST
    assert [one.identity for one in judged.rests.signatures] == [*SIGNERS[:2]]
    assert judged.rests.policy == sha256(POLICY.encode()).hexdigest()


def test_too_few_are_not(world: World) -> None:
    assert refused(world.judge(SIGNERS[0])) == "policy.group"
    assert refused(world.judge(SIGNERS[0], SIGNERS[0])) == "policy.group"
    assert refused(world.judge(SIGNERS[0], "somebody@example.org")) == "policy.group"


def test_nobody_is_accepted_by_what_is_shipped() -> None:
    shipped = believed.load(None, directories=())
    assert refused(judge(shipped, DIGEST, World().by(*SIGNERS), now())) == "policy.none"


def test_what_is_unsigned_says_so(world: World) -> None:
    assert refused(world.judge()) == "policy.unsigned"


def test_a_bundle_that_cannot_be_believed_tells_why(world: World) -> None:
    other = World(it=world.it.foreign())
    judged = judge(world.believed(), DIGEST, other.by(*SIGNERS), now())
    assert refused(judged) == "time.unverified"


def test_one_bad_bundle_does_not_spoil_the_others(world: World) -> None:
    bundles = [Given("junk.json", b"{"), *world.by(*SIGNERS[:2])]
    assert judge(world.believed(), DIGEST, bundles, now()).decision.accepted


def log_key(world: World) -> str:
    """Find the fingerprint of the log's key, as an installed artifact has it recorded."""
    rests = world.judge(*SIGNERS[:2]).rests
    assert rests is not None
    return rests.signatures[0].keys.log_key


def test_a_revoked_signer_does_not_count_and_is_told(world: World) -> None:
    world.revoke("identity", SIGNERS[1], issuer=ISSUER)
    judged = world.judge(*SIGNERS[:2])
    assert not judged.decision.accepted
    assert "revoked.identity" in [one.reason for one in judged.decision.refusals]
    assert world.judge(*SIGNERS).decision.by == ("one", "three")


def test_a_revoked_log_key_takes_all_that_it_logged(world: World) -> None:
    world.revoke("log-key", f"sha256:{log_key(world)}")
    assert refused(world.judge(*SIGNERS)) == "revoked.log-key"


def revoked_digest(world: World) -> None:
    world.revoke("digest", f"sha256:{DIGEST}")


def revoked_policy(world: World) -> None:
    world.revoke("policy", f"sha256:{sha256(world.policy.encode()).hexdigest()}")


def revoked_root(world: World) -> None:
    root = json.dumps(world.it.trusted_root()).encode()
    world.revoke("trusted-root", f"sha256:{sha256(root).hexdigest()}")


def expired_list(world: World) -> None:
    world.entries, world.expires = [], NOW - timedelta(days=3)


def expired_policy(world: World) -> None:
    world.policy = POLICY.replace("version = 4", "version = 4\nexpires = 2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (revoked_digest, "revoked.digest"),
        (revoked_policy, "revoked.policy"),
        (revoked_root, "revoked.trusted-root"),
        (expired_list, "revocations.expired"),
        (expired_policy, "policy.expired"),
    ],
)
def test_what_is_revoked_or_over_is_refused_whoever_signed(
    how: Callable[[World], None], reason: str, world: World
) -> None:
    how(world)
    with pytest.raises(Distrusted) as told:
        world.judge(*SIGNERS)
    assert told.value.reason == reason


def test_an_expired_list_may_serve_some_days_more(world: World) -> None:
    expired_list(world)
    grace = '[revocations]\nfile = "r.json"\nexpired = "grace"\ngrace_days = 5\n'
    world.policy = POLICY + grace
    assert world.judge(*SIGNERS).graceful
    world.policy = POLICY + grace.replace("5", "2")
    with pytest.raises(Distrusted):
        world.judge(*SIGNERS)


@pytest.mark.parametrize("name", ["policy", "revocations"])
def test_what_was_seen_before_is_a_floor(name: str, world: World) -> None:
    world.entries = []
    held: Any = world.believed()
    older = Believed(
        held.origin, held.policy, held.trusted_root, held.revocations, Floors({name: 9})
    )
    with pytest.raises(Distrusted) as told:
        judge(older, DIGEST, world.by(*SIGNERS), now())
    assert told.value.reason.endswith(".rollback")


def test_a_clock_before_the_last_delivery_has_no_answer(world: World) -> None:
    held = world.believed()
    later = Floors({"time": int((NOW + timedelta(days=9)).timestamp())})
    ahead = Believed(held.origin, held.policy, held.trusted_root, None, later)
    with pytest.raises(Unverifiable) as told:
        judge(ahead, DIGEST, world.by(*SIGNERS), now())
    assert told.value.reason == "clock.early"


def test_a_delivery_that_nobody_has_vouched_for_lately_judges_nothing(world: World) -> None:
    """Whoever keeps new ones away keeps revocations away with them."""
    over = replace(world.believed(), expires=now())
    with pytest.raises(Distrusted) as told:
        judge(over, DIGEST, world.by(*SIGNERS), now())
    assert told.value.reason == "delivery.expired"
    judge(replace(over, expires=now() + timedelta(hours=1)), DIGEST, world.by(*SIGNERS), now())


def test_without_a_trusted_root_there_is_no_answer(world: World) -> None:
    held = world.believed()
    with pytest.raises(Unverifiable) as told:
        judge(Believed("here", held.policy), DIGEST, world.by(*SIGNERS), now())
    assert told.value.reason == "root.missing"


RELEASED = POLICY.replace('require = "most"', 'require = "one"').replace(
    "[authority.one]", f'[authority.one]\npredicate_type = "{RELEASE}"'
)


def released(world: World, who: str, version: str) -> Given:
    """Have somebody say which version the artifact is."""
    said = {
        "_type": STATEMENT,
        "predicateType": RELEASE,
        "subject": [{"name": "image", "digest": {"sha256": DIGEST}}],
        "predicate": {
            "name": "image",
            "version": version,
            "rollback_index": 1,
            "payload": {},
            "issued": f"{NOW - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
        },
    }
    envelope = Envelope(json.dumps(said).encode())
    bundle = world.it.sign(envelope, who=Leaf(Identity((email(who),))))
    return Given(f"{who}.json", json.dumps(bundle).encode())


def test_a_revoked_version_is_what_somebody_believed_says_and_nobody_else(world: World) -> None:
    world.policy = RELEASED
    world.revoke("version", "image<=1.2")
    held = world.believed()
    good = released(world, SIGNERS[0], "1.3")
    stranger = released(world, "somebody@example.org", "1.0")
    judged = judge(held, DIGEST, [stranger, good], now())
    assert judged.decision.accepted
    with pytest.raises(Distrusted) as told:
        judge(held, DIGEST, [released(world, SIGNERS[0], "1.2")], now())
    assert told.value.reason == "revoked.version"
