"""Whether the policy accepts what was verified, and the reason that it gives where it does not."""

import base64
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from snaproot.errors import ExitCode
from snaproot.tlog.note import Key, Kind
from snaproot.trust import statement, thresholds
from snaproot.trust.evaluation import Decision, evaluate, seen, standing
from snaproot.trust.facts import Clock, Distrusted, Facts, Keys, SignedTime
from snaproot.trust.floors import Floors
from snaproot.trust.patterns import Pattern
from snaproot.trust.policy import Authority, Group, Policy
from snaproot.trust.policyfile import parse
from snaproot.trust.statement import PAYLOAD_TYPE, PROVENANCE, RELEASE, STATEMENT

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DIGEST = "0123456789abcdef" * 4
ISSUER = "https://accounts.example"
CI = "https://ci.example/org/image/.ci/build.yml@refs/tags/v1"
POLICY = f"""\
schema = 1
version = 7
expires = 2027-01-01T00:00:00Z
require = "all"
maximum_age_days = 30
[minimum_version]
image = "1.2.0"
[authority.builder]
issuer = "https://token.ci.example"
identity_glob = "https://ci.example/org/image/.ci/build.yml@refs/tags/v*"
claims = {{ source_repository = "https://ci.example/org/image", runner_environment = "hosted" }}
predicate_type = "{PROVENANCE}"
builder_id = "https://ci.example/builder"
external_parameters = {{ ref = "v1" }}
[authority.release]
issuer = "{ISSUER}"
identity = "rel@example.org"
predicate_type = "{RELEASE}"
[authority.rb0]
issuer = "{ISSUER}"
identity = "rb0@example.org"
[authority.rb1]
issuer = "{ISSUER}"
identity = "rb1@example.org"
[authority.rb2]
issuer = "{ISSUER}"
identity = "rb2@example.org"
[group.rebuilders]
need = 2
of = ["rb0", "rb1", "rb2"]
[group.all]
need = 3
of = ["builder", "release", "rebuilders"]
"""


def policy(*changes: tuple[str, str]) -> Policy:
    text = POLICY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse(text.encode(), Path("policy.toml"))


def requires(name: str) -> tuple[str, str]:
    return 'require = "all"', f'require = "{name}"'


UNVERSIONED = ('[minimum_version]\nimage = "1.2.0"\n', "")


def signed(
    identity: str = "rb0@example.org",
    *,
    days: float = 1,
    issuer: str = ISSUER,
    checkpoint: str = "",
) -> Facts:
    keys = Keys("c" * 64, ("a" * 64,), "b" * 64, "d" * 64)
    times = (SignedTime(Clock.AUTHORITY, NOW - timedelta(days=days), "e" * 64),)
    return Facts(DIGEST, identity, issuer, keys, times, checkpoint)


def stated(kind: str, predicate: Mapping[str, object], by: Facts) -> Facts:
    values = {"_type": STATEMENT, "subject": [{"digest": {"sha256": DIGEST}}]}
    payload = json.dumps({**values, "predicateType": kind, "predicate": predicate}).encode()
    said = statement.parse(PAYLOAD_TYPE, payload, DIGEST)
    return replace(by, statement=said, attestation="f" * 64)


CLAIMS = {
    "source_repository": "https://ci.example/org/image",
    "runner_environment": "hosted",
    "build_trigger": "push",
}


def built(builder: str = "https://ci.example/builder", ref: str = "v1") -> Facts:
    predicate = {
        "buildDefinition": {
            "buildType": "https://ci.example/t",
            "externalParameters": {"ref": ref},
        },
        "runDetails": {"builder": {"id": builder}},
    }
    by = replace(signed(CI, issuer="https://token.ci.example"), claims=CLAIMS)
    return stated(PROVENANCE, predicate, by)


def released(version: str = "1.2.3", index: int = 17, **more: object) -> Facts:
    predicate = {
        "name": "image",
        "version": version,
        "rollback_index": index,
        "payload": {},
        "issued": "2026-11-24T08:30:00Z",
        **more,
    }
    return stated(RELEASE, predicate, signed("rel@example.org"))


RB = [signed(f"rb{number}@example.org") for number in range(3)]


NO_FLOORS = Floors()


def decided(
    policy: Policy, *facts: Facts, now: datetime = NOW, floors: Floors = NO_FLOORS
) -> Decision:
    return evaluate(policy, facts, now, floors)


def refusal(policy: Policy, *facts: Facts, now: datetime = NOW, floors: Floors = NO_FLOORS) -> str:
    decision = evaluate(policy, facts, now, floors)
    with pytest.raises(Distrusted) as caught:
        decision.insist()
    assert not decision.accepted
    assert seen(decision) == {}
    assert caught.value.exit_code is ExitCode.REFUSED
    assert "\n" not in str(caught.value)
    return caught.value.reason


def test_what_is_required_is_enough() -> None:
    facts = (built(), released(), *RB[:2])
    decision = decided(policy(), *facts)
    decision.insist()
    assert decision.accepted
    assert decision.by == ("builder", "release", "rb0", "rb1")
    assert list(decision.counted) == [*facts]
    assert decision.release is not None
    assert decision.release.version == "1.2.3"
    assert seen(decision) == {"product image": 17}


@pytest.mark.parametrize("left_out", range(4))
def test_one_less_is_not(left_out: int) -> None:
    facts = [built(), released(), *RB[:2]]
    del facts[left_out]
    assert refusal(policy(), *facts) == "policy.group"


def test_a_third_rebuilder_takes_the_place_of_another() -> None:
    assert decided(policy(), built(), released(), RB[0], RB[2]).by[2:] == ("rb0", "rb2")


ONE = policy(requires("rb0"), UNVERSIONED)
BUILDER = policy(requires("builder"), UNVERSIONED)
RELEASED = policy(requires("release"))


@pytest.mark.parametrize(
    ("held", "facts", "reason"),
    [
        (ONE, [], "policy.unsigned"),
        (policy(('require = "all"\n', ""), UNVERSIONED), [*RB], "policy.none"),
        (ONE, [RB[1]], "policy.identity"),
        (ONE, [signed("RB0@example.org")], "policy.identity"),
        (ONE, [signed(issuer="https://other.example")], "policy.issuer"),
        (ONE, [signed(issuer=f"{ISSUER}/")], "policy.issuer"),
        (ONE, [signed(days=31)], "policy.age"),
        (ONE, [replace(built(), identity="rb0@example.org", issuer=ISSUER)], "policy.predicate"),
        (ONE, [stated("https://slsa.dev/vsa/v1", {}, RB[0])], "policy.predicate"),
        (BUILDER, [replace(built(), identity=f"{CI}@refs/heads/x")], "policy.identity"),
        (BUILDER, [replace(built(), issuer=ISSUER)], "policy.issuer"),
        (BUILDER, [replace(built(), claims={})], "policy.claim"),
        (
            BUILDER,
            [replace(built(), claims={**CLAIMS, "source_repository": CI})],
            "policy.claim",
        ),
        (BUILDER, [replace(built(), statement=None)], "policy.predicate"),
        (BUILDER, [replace(built(), statement=released().statement)], "policy.predicate"),
        (
            BUILDER,
            [replace(built(), statement={"predicateType": PROVENANCE})],
            "statement.malformed",
        ),
        (BUILDER, [built(builder="https://ci.example/other")], "statement.builder"),
        (BUILDER, [built(ref="v2")], "statement.parameters"),
        (RELEASED, [released(version="x y")], "statement.release"),
        (RELEASED, [released(version="1.1.9")], "policy.version-floor"),
        (RELEASED, [released(version="1.2.0~rc1")], "policy.version-floor"),
        (RELEASED, [released(expires="2026-11-30T12:00:00Z")], "policy.release-expired"),
        (RELEASED, [released(requires={"policy": 8})], "policy.requires"),
        (RELEASED, [released(requires={"snaproot": "999"})], "policy.requires"),
        (RELEASED, [released(), released(index=18)], "policy.release-conflict"),
        (RELEASED, [released(), released(version="1.2.4")], "policy.release-conflict"),
        (policy(requires("rb0")), [RB[0]], "policy.unnamed"),
    ],
)
def test_each_rule_has_its_reason(held: Policy, facts: Sequence[Facts], reason: str) -> None:
    assert refusal(held, *facts) == reason


@pytest.mark.parametrize(
    ("held", "facts"),
    [
        (ONE, signed()),
        (ONE, signed(days=30)),
        (BUILDER, built()),
        (RELEASED, released(version="1.2.0")),
        (RELEASED, released(version="1.10")),
        (RELEASED, released(expires="2026-11-30T12:00:01Z")),
        (RELEASED, released(requires={"policy": 7, "snaproot": "0.0.1"})),
    ],
)
def test_and_what_just_satisfies_it_is_accepted(held: Policy, facts: Facts) -> None:
    decided(held, facts).insist()


def test_an_old_policy_accepts_nothing() -> None:
    assert refusal(ONE, signed(), now=datetime(2027, 1, 1, tzinfo=UTC)) == "policy.expired"
    assert refusal(ONE, signed(), floors=Floors({"policy": 8})) == "policy.rollback"
    assert decided(ONE, signed(), floors=Floors({"policy": 7})).accepted
    assert [why.reason for why in standing(ONE, NOW, Floors({"policy": 8}))] == ["policy.rollback"]


def test_the_rollback_index_never_goes_back() -> None:
    assert (
        refusal(RELEASED, released(index=16), floors=Floors({"product image": 17}))
        == "policy.rollback-index"
    )
    assert decided(RELEASED, released(index=17), floors=Floors({"product image": 17})).accepted
    assert decided(RELEASED, released(index=1), floors=Floors({"product other": 17})).accepted


def test_nothing_nameless_where_releases_were_accepted() -> None:
    assert decided(ONE, signed()).accepted
    assert refusal(ONE, signed(), floors=Floors({"product image": 1})) == "policy.unnamed"


def test_what_says_which_release_it_is_counts_too() -> None:
    either = 'of = ["builder", "release", "rebuilders"]', 'of = ["rb0", "release"]'
    decision = decided(policy(either, ("need = 3", "need = 1")), RB[0], released())
    assert decision.by == ("rb0",)
    assert list(decision.counted) == [RB[0], released()]


def test_a_release_by_somebody_else_says_nothing() -> None:
    decision = decided(ONE, signed(), released())
    assert decision.accepted
    assert decision.release is None
    assert refusal(policy(requires("rb0")), RB[0], released()) == "policy.unnamed"


def test_two_who_say_the_same_release_agree() -> None:
    second = released(issued="2026-11-25T00:00:00Z")
    assert decided(RELEASED, released(), second).accepted
    late = released(expires="2026-11-29T00:00:00Z")
    assert refusal(RELEASED, released(), late) == "policy.release-expired"


def test_facts_of_two_artifacts_are_misuse() -> None:
    with pytest.raises(RuntimeError):
        decided(ONE, signed(), replace(signed(), digest="f" * 64))


def test_who_came_furthest_tells_first() -> None:
    decision = decided(ONE, RB[1], signed(issuer="https://other.example"), signed(days=31))
    assert [why.reason for why in decision.refusals] == [
        *("policy.age", "policy.issuer", "policy.identity")
    ]
    assert {why.authority for why in decision.refusals} == {"rb0"}
    assert [why.identity for why in decision.refusals][-1] == "rb1@example.org"


def test_each_authority_tells_why_it_does_not_accept() -> None:
    decision = decided(policy(), built(), RB[0])
    told = {(why.authority, why.identity): why.reason for why in decision.refusals[1:]}
    assert told[("release", "rb0@example.org")] == "policy.identity"
    assert told[("builder", "rb0@example.org")] == "policy.identity"
    assert ("builder", CI) not in told
    assert "builder, rb0" in decision.refusals[0].message


# -- counting -----------------------------------------------------------------------------------

GLOBS = ('identity = "rb1@example.org"', 'identity_glob = "rb*@example.org"')


def test_one_signer_does_not_count_as_two_authorities() -> None:
    held = policy(requires("rebuilders"), UNVERSIONED, GLOBS)
    assert refusal(held, RB[0]) == "policy.group"
    assert refusal(held, RB[0], replace(RB[0], keys=Keys("9" * 64, (), "", ""))) == "policy.group"
    assert decided(held, RB[0], RB[2]).accepted
    assert decided(held, RB[0], signed("rb9@example.org")).by == ("rb0", "rb1")


def test_nor_with_the_same_name_of_another_issuer() -> None:
    other = 'identity = "rb1@example.org"', 'identity = "rb0@example.org"'
    mine = f'[authority.rb1]\nissuer = "{ISSUER}"', '[authority.rb1]\nissuer = "https://o.example"'
    held = policy(requires("rebuilders"), UNVERSIONED, mine, other)
    assert refusal(held, RB[0], signed(issuer="https://o.example")) == "policy.group"


def test_an_authority_in_two_groups_counts_in_one() -> None:
    nested = 'of = ["builder", "release", "rebuilders"]', 'of = ["rb0", "rb1", "rebuilders"]'
    held = policy(nested, UNVERSIONED, ("need = 3", "need = 2"))
    assert decided(held, *RB[:2]).by == ("rb0", "rb1")
    assert refusal(policy(nested, UNVERSIONED), *RB) == "policy.group"


def tree(*groups: Group, signers: Mapping[str, Sequence[str]]) -> thresholds.Pairs | None:
    names = {m for g in groups for m in g.of} - {g.name for g in groups}
    made = {name: Authority(name, ISSUER, Pattern(name)) for name in sorted(names)}
    by_name = {group.name: group for group in groups}
    held = Policy(version=1, require=groups[0].name, authorities=made, groups=by_name)
    return thresholds.chosen(held, signers)


def brute(name: str, groups: Mapping[str, Group], pairs: Sequence[tuple[str, str]]) -> bool:
    """Try to satisfy a name with all of these pairs, each of them once."""
    if name not in groups:
        return [one for one, _ in pairs] == [name]
    group = groups[name]
    for members in itertools.combinations(group.of, group.need):
        for parts in itertools.product(range(group.need), repeat=len(pairs)):
            shares = [
                [p for p, at in zip(pairs, parts, strict=True) if at == n]
                for n in range(group.need)
            ]
            if all(brute(m, groups, share) for m, share in zip(members, shares, strict=True)):
                return True
    return False


def possible(groups: Sequence[Group], signers: Mapping[str, Sequence[str]]) -> bool:
    by_name = {group.name: group for group in groups}
    pairs = [(name, identity) for name, identities in signers.items() for identity in identities]
    return any(
        brute(groups[0].name, by_name, some)
        for size in range(1, 5)
        for some in itertools.combinations(pairs, size)
        if len({a for a, _ in some}) == len({i for _, i in some}) == size
    )


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_counting_agrees_with_trying_all(data: st.DataObject) -> None:
    authorities = ["a", "b", "c"]
    inner = data.draw(st.lists(st.sampled_from(authorities), min_size=1, unique=True))
    outer = data.draw(st.lists(st.sampled_from([*authorities, "h"]), min_size=1, unique=True))
    groups = [
        Group("g", data.draw(st.integers(1, len(outer))), tuple(outer)),
        Group("h", data.draw(st.integers(1, len(inner))), tuple(inner)),
    ]
    identities = st.lists(st.sampled_from(["x", "y", "z"]), unique=True, max_size=2)
    signers = {name: data.draw(identities) for name in authorities}
    found = tree(*groups, signers=signers)
    assert (found is not None) == possible(groups, signers)
    if found is not None:
        assert all(identity in signers[name] for name, identity in found)
        assert len({n for n, _ in found}) == len({i for _, i in found}) == len(found)


def test_a_group_counts_once_in_another() -> None:
    groups = (Group("g", 2, ("h", "c")), Group("h", 1, ("a", "b")))
    both = {"a": ["x", "y"], "b": ["x", "y"]}
    assert tree(*groups, signers=both) is None
    assert tree(*groups, signers={**both, "c": ["x"]}) is not None


def test_many_who_differ_are_counted_at_once() -> None:
    names = tuple(f"a{number}" for number in range(60))
    found = tree(Group("g", 30, names), signers={name: [f"{name}@x"] for name in names})
    assert found is not None
    assert len(found) == 30


def test_many_who_could_all_be_each_other_are_refused() -> None:
    names = tuple(f"a{number}" for number in range(20))
    everybody = [f"{number}@x" for number in range(20)]
    with pytest.raises(Distrusted, match="too many ways"):
        tree(Group("g", 15, names), signers=dict.fromkeys(names, everybody))


# -- witnesses ----------------------------------------------------------------------------------

SIGNER = Ed25519PrivateKey.generate()
WITNESS = Key("w.example/w", Kind.ED25519_COSIGNATURE, SIGNER.public_key().public_bytes_raw())
VKEY = f"w.example/w+{WITNESS.id.hex()}+{base64.b64encode(bytes([4]) + WITNESS.material).decode()}"
WITNESSED = policy(
    requires("rb0"),
    UNVERSIONED,
    (
        "[authority.rb0]",
        f'[witness.w]\nkey = "{VKEY}"\n[quorum]\nneed = 1\nof = ["w"]\n[authority.rb0]',
    ),
)


def checkpoint(size: int = 1, cosigned: int = 1) -> str:
    def text(size: int) -> str:
        return f"log.example\n{size}\n{base64.b64encode(bytes(32)).decode()}\n"

    message = f"cosignature/v1\ntime 1790000000\n{text(cosigned)}".encode()
    value = WITNESS.id + (1790000000).to_bytes(8) + SIGNER.sign(message)
    return f"{text(size)}\n\N{EM DASH} w.example/w {base64.b64encode(value).decode()}\n"


def test_witnesses_that_are_asked_for_have_to_have_seen_it() -> None:
    decided(WITNESSED, signed(checkpoint=checkpoint())).insist()
    unseen = checkpoint().replace("w.example/w", "x.example/x")
    assert refusal(WITNESSED, signed(checkpoint=unseen)) == "witness.quorum"
    forged = checkpoint(size=2, cosigned=1)
    assert refusal(WITNESSED, signed(checkpoint=forged)) == "witness.signature"
    assert refusal(WITNESSED, signed(checkpoint="")) == "note.malformed"
