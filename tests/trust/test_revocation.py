"""Revocation: which entry hits what, what stands because it is older, which list may follow."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from snaproot.trust import rests
from snaproot.trust.facts import Clock, Distrusted, Facts, Keys, SignedTime, Unverifiable
from snaproot.trust.floors import Floors
from snaproot.trust.policy import Expired, RevocationRules
from snaproot.trust.rests import Rests
from snaproot.trust.revocation import (
    check,
    check_configuration,
    check_digest,
    check_installed,
)
from snaproot.trust.revocationlist import (
    WITH_SINCE,
    Kind,
    Revocations,
    parse,
    require_current,
    require_successor,
    supersedes,
)
from snaproot.trust.statement import RELEASE, release
from tests.fuzzing import cases

NOW = datetime(2026, 11, 30, tzinfo=UTC)
ISSUED, EXPIRES = "2026-11-20T00:00:00Z", "2027-02-20T00:00:00Z"
SIGNED = datetime(2026, 11, 10, tzinfo=UTC)
BEFORE, AFTER = "2026-11-09T00:00:00Z", "2026-11-11T00:00:00Z"


def named(letter: str) -> str:
    return letter * 64


ARTIFACT, ATTESTED, LEAF, CA, ROOT, CT, LOG, STAMPER, STAMPER2, POLICY, TRUSTED = (
    named(letter) for letter in "0123456789a"
)
SAID: Mapping[str, object] = {
    "predicateType": RELEASE,
    "predicate": {
        "name": "image",
        "version": "1.2.3",
        "rollback_index": 1,
        "payload": {},
        "issued": ISSUED,
    },
}
STAMPED = SignedTime(Clock.AUTHORITY, SIGNED, STAMPER, (named("b"),))
LOGGED = SignedTime(Clock.LOG, SIGNED, LOG)
FACTS = Facts(
    digest=ARTIFACT,
    identity="rel@example.org",
    issuer="https://accounts.example",
    keys=Keys(LEAF, (CA, ROOT), CT, LOG),
    times=(STAMPED,),
    checkpoint="",
    statement=SAID,
    attestation=ATTESTED,
)
RESTS = rests.of([FACTS], release(SAID), policy=POLICY, trusted_root=TRUSTED)


def entry(kind: str, value: str, **more: object) -> dict[str, object]:
    digest = f"sha256:{value}" if len(value) == 64 else value
    return {"kind": kind, "value": digest, **more}


IDENTITY = entry("identity", "rel@example.org", issuer="https://accounts.example")
DIGEST = entry("digest", ARTIFACT)


def written(*entries: object, **more: object) -> bytes:
    values = {"schema": 1, "version": 4, "issued": ISSUED, "expires": EXPIRES}
    return json.dumps({**values, "entries": entries, **more}).encode()


def listed(*entries: object, **more: object) -> Revocations:
    return parse(written(*entries, **more))


def hits(revocations: Revocations, facts: Facts = FACTS) -> list[str]:
    return [revoked.reason for revoked in check(revocations, facts)]


HIT = [
    *(DIGEST, entry("attestation", ATTESTED), entry("certificate", LEAF), IDENTITY),
    *(entry("version", "image=1.2.3"), entry("version", "image<=1.2.3")),
    *(entry("version", "image<=1.10"), entry("version", "image=1.02.3")),
    *(entry("ca", CA), entry("ca", ROOT), entry("ct-key", CT), entry("log-key", LOG)),
    *(entry("tsa", STAMPER), entry("tsa", named("b"))),
]
MISSED = [
    *(entry(kind, named("f")) for kind in ("digest", "attestation", "certificate", "ca")),
    *(entry(kind, named("f")) for kind in ("ct-key", "log-key", "tsa", "policy", "trusted-root")),
    *(entry(kind, ARTIFACT) for kind in ("attestation", "certificate", "ca", "ct-key", "tsa")),
    *(entry("digest", value) for value in (ATTESTED, LEAF, CA, CT, LOG, STAMPER)),
    *(entry("ca", LEAF), entry("ct-key", LOG), entry("log-key", CT), entry("tsa", CA)),
    {**IDENTITY, "value": "rel@example.or"},
    {**IDENTITY, "issuer": "https://other.example"},
    *(entry("version", text) for text in ("image=1.2", "image<=1.2.2", "image<=1.2.3~rc1")),
    *(entry("version", text) for text in ("imag<=9", "image2<=9", "Image=1.2.3")),
]


@pytest.mark.parametrize("one", HIT, ids=str)
def test_what_is_named_is_revoked(one: dict[str, object]) -> None:
    revocations = listed(*MISSED, {**one, "reason": "stolen"})
    (found,) = check(revocations, FACTS)
    assert found.reason == f"revoked.{one['kind']}"
    assert "stolen" in found.message
    assert found.error().reason == found.reason
    assert found.whole == (one["kind"] in {"digest", "version"})
    assert [r.entry for r in check_installed(revocations, RESTS)] == [found.entry]


@pytest.mark.parametrize("one", MISSED, ids=str)
def test_what_is_not_named_is_not(one: dict[str, object]) -> None:
    assert hits(listed(one)) == []
    assert check_installed(listed(one), RESTS) == []


def test_every_entry_that_hits_is_named() -> None:
    assert len(hits(listed(*HIT))) == len(HIT)


def test_an_artifact_can_be_looked_for_before_anything_is_verified() -> None:
    found = check_digest(listed(*HIT), ARTIFACT)
    assert [revoked.reason for revoked in found] == ["revoked.digest"]
    assert check_digest(listed(*HIT), named("f")) == []


def test_the_configuration_itself_can_be_revoked() -> None:
    revocations = listed(entry("policy", POLICY), entry("trusted-root", TRUSTED))
    found = check_configuration(revocations, POLICY, TRUSTED)
    assert [revoked.reason for revoked in found] == ["revoked.policy", "revoked.trusted-root"]
    assert [r.reason for r in check_installed(revocations, RESTS)] == [f.reason for f in found]
    assert check_configuration(revocations, TRUSTED, POLICY) == []
    assert hits(revocations) == []


def test_a_version_is_that_of_the_release_statement_alone() -> None:
    revocations = listed(entry("version", "image<=9"))
    assert hits(revocations, replace(FACTS, statement=None)) == []
    other = {**SAID, "predicateType": "https://slsa.dev/provenance/v1"}
    assert hits(revocations, replace(FACTS, statement=other)) == []
    assert hits(revocations, replace(FACTS, statement={"predicateType": RELEASE})) == []


# -- since --------------------------------------------------------------------------------------

DATED = [one for one in HIT if str(one["kind"]) in WITH_SINCE]
KEYS = [one for one in DATED if one["kind"] in {"ca", "ct-key", "log-key"}]
BY_LOG = replace(FACTS, times=(LOGGED,))


def test_there_are_kinds_with_since() -> None:
    assert {one["kind"] for one in DATED} == WITH_SINCE


@pytest.mark.parametrize("one", DATED, ids=str)
def test_what_was_signed_before_stands_and_what_was_signed_later_does_not(
    one: dict[str, object],
) -> None:
    assert hits(listed({**one, "since": AFTER})) == []
    assert check_installed(listed({**one, "since": AFTER}), RESTS) == []
    assert len(hits(listed({**one, "since": BEFORE}))) == 1
    assert len(hits(listed({**one, "since": "2026-11-10T00:00:00Z"}))) == 1
    assert len(hits(listed({**one, "since": AFTER}, one))) == 1


@pytest.mark.parametrize(
    ("facts", "stands"),
    [
        (BY_LOG, False),
        (replace(FACTS, times=(STAMPED, LOGGED)), True),
        (replace(FACTS, times=(replace(STAMPED, by=LOG),)), False),
        (replace(FACTS, times=(replace(STAMPED, time=SIGNED + timedelta(9)), LOGGED)), False),
    ],
    ids=["the log alone", "another, too", "the log as a stamper", "another, later"],
)
def test_a_stolen_log_key_does_not_vouch_for_itself(facts: Facts, stands: bool) -> None:
    assert bool(hits(listed(entry("log-key", LOG, since=AFTER)), facts)) != stands


def test_a_log_vouches_for_others_unless_it_is_revoked_itself() -> None:
    late = {**IDENTITY, "since": AFTER}
    assert hits(listed(late), BY_LOG) == []
    both = listed(late, entry("log-key", LOG, since=AFTER))
    assert hits(both, BY_LOG) == ["revoked.identity", "revoked.log-key"]


def test_nothing_that_a_compromised_stamper_dated_stands() -> None:
    revocations = listed({**IDENTITY, "since": AFTER}, entry("tsa", STAMPER))
    assert hits(revocations) == ["revoked.identity", "revoked.tsa"]
    issuer = listed({**IDENTITY, "since": AFTER}, entry("tsa", named("b")))
    assert hits(issuer) == ["revoked.identity", "revoked.tsa"]
    another = replace(FACTS, times=(STAMPED, replace(STAMPED, by=STAMPER2)))
    assert hits(revocations, another) == ["revoked.tsa"]
    assert hits(revocations, replace(FACTS, times=(replace(STAMPED, by=STAMPER2),))) == []


def test_without_a_time_nothing_stands() -> None:
    assert hits(listed({**IDENTITY, "since": AFTER}), replace(FACTS, times=())) != []


# -- the list -----------------------------------------------------------------------------------


def test_a_list_is_read() -> None:
    found = listed({**IDENTITY, "since": BEFORE, "reason": "lost", "critical": True}, DIGEST)
    assert (found.version, found.issued) == (4, datetime(2026, 11, 20, tzinfo=UTC))
    assert [(one.kind, one.value) for one in found.entries] == [
        *((Kind.IDENTITY, "rel@example.org"), (Kind.DIGEST, ARTIFACT))
    ]
    assert found.entries[0].since == datetime(2026, 11, 9, tzinfo=UTC)
    assert listed().entries == ()


def test_an_unknown_kind_refuses_the_whole_list() -> None:
    for more in ({}, {"critical": True}):
        with pytest.raises(Unverifiable) as caught:
            listed(DIGEST, {"kind": "moon", "value": "full", **more})
        assert caught.value.reason == "revocations.unknown-kind"


def test_unless_it_says_that_it_may_be_skipped() -> None:
    found = listed({"kind": "moon", "phase": {"x": 1}, "critical": False}, DIGEST)
    assert len(found.entries) == len(found.skipped) == 1
    assert hits(found) == ["revoked.digest"]


def test_what_is_known_is_not_skipped_whatever_it_says() -> None:
    assert hits(listed({**DIGEST, "critical": False})) == ["revoked.digest"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"schema": 1, "schema": 1}',
        b"{" + b" " * (5 << 20) + b"}",
        written(more=1),
        written(version=0),
        written(version="4"),
        written(version=True),
        written(issued="2026-11-20"),
        written(issued=EXPIRES, expires=ISSUED),
        written(expires=None),
        written(schema=None),
        json.dumps({"schema": 1, "version": 1, "issued": ISSUED, "expires": EXPIRES}).encode(),
        json.dumps({**json.loads(written()), "entries": {}}).encode(),
        written("digest"),
        written({}),
        written({"kind": 3, "value": "x"}),
        written({"kind": "digest"}),
        written({**DIGEST, "critical": "no"}),
        written({**DIGEST, "more": 1}),
        written({**DIGEST, "issuer": "https://i"}),
        written({**DIGEST, "reason": ""}),
        written({**DIGEST, "reason": "a\nb"}),
        written({**DIGEST, "value": ARTIFACT}),
        written({**DIGEST, "value": f"sha512:{ARTIFACT}"}),
        written({**DIGEST, "value": f"sha256:{'A' * 64}"}),
        written({**DIGEST, "value": None}),
        *(
            written({**entry(kind, ARTIFACT), "since": BEFORE})
            for kind in ("digest", "attestation", "tsa", "policy", "trusted-root")
        ),
        written({**entry("version", "image=1"), "since": BEFORE}),
        written({**IDENTITY, "since": "2026-11-21T00:00:00Z"}),
        written({**IDENTITY, "since": None}),
        written({"kind": "identity", "value": "rel@example.org"}),
        written({**IDENTITY, "value": "*@example.org"}),
        *(
            written(entry("version", text))
            for text in ("image", "image<1", "image>=1", "image<=", "=1", "a b=1", "i=1<=2", "i==1")
        ),
    ],
)
def test_what_cannot_be_meant_is_no_list(content: bytes) -> None:
    with pytest.raises(Unverifiable) as caught:
        parse(content)
    assert caught.value.reason == "revocations.malformed"


def test_a_list_of_another_schema_is_not_read() -> None:
    with pytest.raises(Unverifiable) as caught:
        listed(schema=2, new=1)
    assert caught.value.reason == "revocations.schema"


SKIPPED = {"kind": "moon", "critical": False}


@pytest.mark.parametrize(
    ("old", "new", "may"),
    [
        (listed(DIGEST), listed(DIGEST, version=5), True),
        (listed(DIGEST), listed(IDENTITY, {**DIGEST, "reason": "x"}, version=5), True),
        (listed(), listed(version=5), True),
        (listed(DIGEST), listed(DIGEST, IDENTITY, version=4), False),
        (listed(DIGEST), listed(DIGEST, IDENTITY, version=3), False),
        (listed(DIGEST), listed(version=5), False),
        (listed(DIGEST), listed(entry("digest", LEAF), version=5), False),
        (listed(DIGEST), listed(entry("attestation", ARTIFACT), version=5), False),
        (listed(IDENTITY), listed({**IDENTITY, "issuer": "https://o"}, version=5), False),
        (listed(IDENTITY), listed({**IDENTITY, "since": AFTER}, version=5), False),
        (listed({**IDENTITY, "since": AFTER}), listed(IDENTITY, version=5), True),
        (
            listed({**IDENTITY, "since": AFTER}),
            *(listed({**IDENTITY, "since": BEFORE}, version=5), True),
        ),
        (
            listed({**IDENTITY, "since": BEFORE}),
            *(listed({**IDENTITY, "since": AFTER}, version=5), False),
        ),
        (
            listed({**IDENTITY, "since": BEFORE}),
            *(listed({**IDENTITY, "since": AFTER}, IDENTITY, version=5), True),
        ),
        (listed(SKIPPED), listed(SKIPPED, version=5), True),
        (listed(SKIPPED), listed(version=5), False),
        (listed(SKIPPED), listed({**SKIPPED, "x": 1}, version=5), False),
    ],
)
def test_which_list_may_take_the_place_of_another(
    old: Revocations, new: Revocations, may: bool
) -> None:
    assert supersedes(old, new) is may
    if may:
        require_successor(old, new)
    else:
        with pytest.raises(Distrusted) as caught:
            require_successor(old, new)
        older = new.version <= old.version
        assert caught.value.reason == f"revocations.{'rollback' if older else 'vanished'}"


def test_the_very_same_list_is_no_step_back() -> None:
    require_successor(listed(DIGEST), listed(DIGEST))


RULES = RevocationRules("r.json", 4, Expired.GRACE, timedelta(days=5))
END = datetime(2027, 2, 20, tzinfo=UTC)


def test_a_list_serves_until_its_end_and_in_its_grace() -> None:
    last = timedelta(seconds=1)
    refusing = RevocationRules("r.json", 4)
    for rules in (None, refusing, RULES):
        assert require_current(listed(), rules, Floors(), END - last) is False
    assert require_current(listed(), RULES, Floors(), END + RULES.grace) is True
    for rules, now in ((None, END), (refusing, END), (RULES, END + RULES.grace + last)):
        with pytest.raises(Distrusted) as caught:
            require_current(listed(), rules, Floors(), now)
        assert caught.value.reason == "revocations.expired"


def test_a_list_below_a_floor_is_refused() -> None:
    require_current(listed(), RULES, Floors({"revocations": 4}), NOW)
    for rules, floor in ((replace(RULES, minimum_version=5), 0), (RULES, 5), (None, 5)):
        with pytest.raises(Distrusted) as caught:
            require_current(listed(), rules, Floors({"revocations": floor}), NOW)
        assert caught.value.reason == "revocations.rollback"


# -- what a boot environment rests on -----------------------------------------------------------


def test_what_it_rests_on_survives_json_and_toml() -> None:
    import tomllib

    plain = rests.as_dict(RESTS)
    assert rests.from_dict(json.loads(json.dumps(plain))) == RESTS
    assert rests.from_dict(tomllib.loads(tomli_w.dumps(plain))) == RESTS
    assert RESTS.signatures[0].times == FACTS.times
    assert (RESTS.product, RESTS.version) == ("image", "1.2.3")


def test_without_a_release_or_signatures_too() -> None:
    few = Rests(ARTIFACT)
    assert rests.from_dict(rests.as_dict(few)) == few
    unnamed = rests.of([FACTS, BY_LOG], None, policy=POLICY, trusted_root=TRUSTED)
    assert (unnamed.product, len(unnamed.signatures)) == ("", 2)


def test_one_of_several_signatures_is_enough_to_be_revoked() -> None:
    other = replace(FACTS, identity="other@example.org")
    several = rests.of([other, FACTS], None, policy=POLICY, trusted_root=TRUSTED)
    assert [r.reason for r in check_installed(listed(IDENTITY), several)] == ["revoked.identity"]


def test_a_record_that_cannot_be_read_is_no_record_of_nothing() -> None:
    plain = rests.as_dict(RESTS)
    damaged: list[dict[str, Any]] = [
        *({name: value for name, value in plain.items() if name != gone} for gone in plain),
        *({**plain, name: 3} for name in plain),
        {**plain, "more": 1},
        {**plain, "format": 2},
        {**plain, "digest": "x"},
        {**plain, "signatures": [3]},
        {**plain, "signatures": [{}]},
    ]
    for values in damaged:
        with pytest.raises(Unverifiable) as caught:
            rests.from_dict(values)
        assert caught.value.reason == "rests.malformed"


# -- whatever goes in ---------------------------------------------------------------------------

odd: st.SearchStrategy[object]
odd = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just([{}])


@cases(200)
@given(st.data())
def test_of_any_list_only_our_error_leaves(data: st.DataObject) -> None:
    one = {**data.draw(st.sampled_from([*HIT, SKIPPED]))}
    one[data.draw(st.sampled_from([*one, "since", "critical", "reason"]))] = data.draw(odd)
    content = written(one, **{data.draw(st.sampled_from(["version", "issued", "x"])): 5})
    for mutated in (written(one), content, content[: data.draw(st.integers(0, len(content)))]):
        read(mutated)


@cases(200)
@given(st.binary(max_size=80))
def test_of_any_bytes_only_our_error_leaves(content: bytes) -> None:
    read(content)


@cases(200)
@given(st.data())
def test_of_any_record_only_our_error_leaves(data: st.DataObject) -> None:
    plain = rests.as_dict(RESTS)
    plain[data.draw(st.sampled_from([*plain, "x"]))] = data.draw(odd)
    try:
        said = rests.from_dict(plain).digest
    except Unverifiable as error:
        said = error.reason
    assert said in {ARTIFACT, "rests.malformed"}


def read(content: bytes) -> None:
    try:
        said = parse(content).digest
    except Unverifiable as error:
        said = error.reason
    assert len(said) == 64 or said.startswith("revocations.")
