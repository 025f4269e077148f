"""What a signed statement says, and that nothing else is read into it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snaproot.trust import statement
from snaproot.trust.documents import moment, written
from snaproot.trust.facts import Distrusted
from snaproot.trust.statement import (
    LARGEST,
    PAYLOAD_TYPE,
    PROVENANCE,
    RELEASE,
    STATEMENT,
    Provenance,
    Release,
)
from snaproot.trust.versions import bad_version, order
from tests.fuzzing import cases

DIGEST = "0123456789abcdef" * 4
OTHER = "f" * 64
SUBJECT: dict[str, Any] = {"name": "root.img", "digest": {"sha256": DIGEST, "gitCommit": "abc"}}
BUILD: dict[str, Any] = {
    "buildDefinition": {
        "buildType": "https://ci.example/bt/v1",
        "externalParameters": {"ref": "v1", "n": 1},
        "resolvedDependencies": [],
    },
    "runDetails": {"builder": {"id": "https://ci.example/builder", "version": {}}, "x": 1},
}
RELEASED: dict[str, Any] = {
    "name": "image",
    "version": "1.2.3",
    "channel": "stable",
    "rollback_index": 17,
    "payload": {"stream": OTHER},
    "requires": {"snaproot": "0.1", "policy": 7},
    "issued": "2026-11-24T08:30:00Z",
    "expires": "2027-11-24T08:30:00Z",
}


def payload(predicate: object, kind: str, **more: object) -> bytes:
    values = {"_type": STATEMENT, "subject": [SUBJECT], "predicateType": kind}
    return json.dumps({**values, "predicate": predicate, **more}).encode()


def parsed(predicate: object = BUILD, kind: str = PROVENANCE) -> Mapping[str, object]:
    return statement.parse(PAYLOAD_TYPE, payload(predicate, kind), DIGEST)


def changed(values: Mapping[str, Any], path: str, value: object) -> dict[str, Any]:
    """Copy with another value at a dotted path; without a value, it is gone."""
    name, _, rest = path.partition(".")
    copy = {**values}
    if rest:
        copy[name] = changed(copy[name], rest, value)
    elif value is None:
        del copy[name]
    else:
        copy[name] = value
    return copy


def reason(raised: pytest.ExceptionInfo[Distrusted]) -> str:
    return raised.value.reason


def test_a_statement_about_the_artifact_is_read() -> None:
    found = statement.parse(PAYLOAD_TYPE, payload(BUILD, PROVENANCE, more=1), DIGEST)
    assert found["predicateType"] == PROVENANCE


@pytest.mark.parametrize("subjects", [[SUBJECT], [{"digest": {"sha512": "x"}}, SUBJECT]])
def test_one_of_its_subjects_is_the_artifact(subjects: list[object]) -> None:
    content = payload(BUILD, PROVENANCE, subject=subjects)
    assert statement.parse(PAYLOAD_TYPE, content, DIGEST)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"", "malformed"),
        (b"[]", "malformed"),
        (b"null", "malformed"),
        (b"{", "malformed"),
        (b"\xff", "malformed"),
        (b"\xef\xbb\xbf{}", "malformed"),
        ('{"a": 1}'.encode("utf-16"), "malformed"),
        (b'{"a": NaN}', "malformed"),
        (b'{"a": Infinity}', "malformed"),
        (b'{"a": 1e999}', "malformed"),
        (b'{"a": ' + b"1" * 5000 + b"}", "malformed"),
        (b'{"a": "\\ud800"}', "malformed"),
        (b'{"\\ud800": 1}', "malformed"),
        (b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}", "malformed"),
        (b'{"a": ' + b"[" * 200_000, "malformed"),
        (b'{"a": "' + b"x" * LARGEST + b'"}', "malformed"),
        (b'{"_type": "x", "_type": "y"}', "duplicate-key"),
        (b'{"a": [{"b": {"c": 1, "c": 1}}]}', "duplicate-key"),
        (payload(BUILD, PROVENANCE, _type="https://in-toto.io/Statement/v0.1"), "type"),
        (payload(BUILD, PROVENANCE, _type=None), "type"),
        (payload(BUILD, PROVENANCE, _type=[STATEMENT]), "type"),
        (payload(BUILD, PROVENANCE, predicateType=1), "malformed"),
        (payload(BUILD, PROVENANCE, subject=None), "malformed"),
        (payload(BUILD, PROVENANCE, subject=SUBJECT), "malformed"),
        (payload(BUILD, PROVENANCE, subject=[]), "subject"),
        (payload(BUILD, PROVENANCE, subject=["x"]), "malformed"),
        (payload(BUILD, PROVENANCE, subject=[{"name": "x"}]), "malformed"),
        (payload(BUILD, PROVENANCE, subject=[SUBJECT, {}]), "malformed"),
        (payload(BUILD, PROVENANCE, subject=[{"digest": {"sha256": OTHER}}]), "subject"),
        (payload(BUILD, PROVENANCE, subject=[{"digest": {"sha256": DIGEST.upper()}}]), "subject"),
        (payload(BUILD, PROVENANCE, subject=[{"digest": {"sha512": DIGEST}}]), "subject"),
        (payload(BUILD, PROVENANCE, subject=[{"digest": {"sha256": [DIGEST]}}]), "subject"),
        (payload(BUILD, PROVENANCE, subject=[{"digest": DIGEST}]), "malformed"),
    ],
)
def test_what_is_no_statement_about_it(content: bytes, wanted: str) -> None:
    with pytest.raises(Distrusted) as caught:
        statement.parse(PAYLOAD_TYPE, content, DIGEST)
    assert reason(caught) == f"statement.{wanted}"
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "kind", ["", "text/evil", f"{PAYLOAD_TYPE}; charset=x", "application/json"]
)
def test_another_payload_is_none(kind: str) -> None:
    with pytest.raises(Distrusted) as caught:
        statement.parse(kind, payload(BUILD, PROVENANCE), DIGEST)
    assert reason(caught) == "statement.payload-type"


# -- how it was built ---------------------------------------------------------------------------


def test_provenance_is_read() -> None:
    assert statement.provenance(parsed()) == Provenance(
        "https://ci.example/builder", "https://ci.example/bt/v1", {"ref": "v1", "n": 1}
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("runDetails", None),
        ("runDetails.builder", None),
        ("runDetails.builder", "https://ci.example/builder"),
        ("runDetails.builder.id", None),
        ("runDetails.builder.id", ["https://ci.example/builder"]),
        ("runDetails.builder.id", ""),
        ("runDetails.builder.id", "x\n"),
        ("buildDefinition", []),
        ("buildDefinition.buildType", None),
        ("buildDefinition.externalParameters", None),
        ("buildDefinition.externalParameters", []),
    ],
)
def test_provenance_that_cannot_be_meant(path: str, value: object) -> None:
    with pytest.raises(Distrusted) as caught:
        statement.provenance(parsed(changed(BUILD, path, value)))
    assert reason(caught) == "statement.malformed"


@pytest.mark.parametrize("predicate", [None, [], "x"])
def test_no_predicate_at_all(predicate: object) -> None:
    for kind, read in ((PROVENANCE, statement.provenance), (RELEASE, statement.release)):
        with pytest.raises(Distrusted) as caught:
            read(parsed(predicate, kind))
        assert reason(caught) == "statement.malformed"


def test_one_predicate_is_not_taken_for_another() -> None:
    for kind, read in ((RELEASE, statement.provenance), (PROVENANCE, statement.release)):
        with pytest.raises(Distrusted) as caught:
            read(parsed({**BUILD, **RELEASED}, kind))
        assert reason(caught) == "statement.predicate"
    assert statement.is_release(parsed(RELEASED, RELEASE))
    assert not statement.is_release(parsed())
    assert not statement.is_release(None)


EXPECTED: tuple[str, str, Mapping[str, object]] = (
    "https://ci.example/builder",
    "https://ci.example/bt/v1",
    {"ref": "v1", "n": 1},
)


def test_the_expected_build_is_accepted() -> None:
    made = statement.provenance(parsed())
    statement.require_build(made, *EXPECTED)
    statement.require_build(made, EXPECTED[0], "", EXPECTED[2])


@pytest.mark.parametrize(
    ("path", "value", "wanted"),
    [
        ("runDetails.builder.id", "https://ci.example/builder2", "builder"),
        ("runDetails.builder.id", "https://ci.example/Builder", "builder"),
        ("buildDefinition.buildType", "https://ci.example/bt/v2", "build-type"),
        ("buildDefinition.externalParameters.more", "x", "parameters"),
        ("buildDefinition.externalParameters.ref", None, "parameters"),
        ("buildDefinition.externalParameters.ref", "v2", "parameters"),
        ("buildDefinition.externalParameters.ref", {"x": 1}, "parameters"),
        ("buildDefinition.externalParameters.n", True, "parameters"),
        ("buildDefinition.externalParameters.n", 1.0, "parameters"),
        ("buildDefinition.externalParameters.n", "1", "parameters"),
        ("buildDefinition.externalParameters", {}, "parameters"),
    ],
)
def test_another_build_is_refused(path: str, value: object, wanted: str) -> None:
    made = statement.provenance(parsed(changed(BUILD, path, value)))
    with pytest.raises(Distrusted) as caught:
        statement.require_build(made, *EXPECTED)
    assert reason(caught) == f"statement.{wanted}"


# -- what it is ---------------------------------------------------------------------------------


def test_a_release_is_read() -> None:
    assert statement.release(parsed(RELEASED, RELEASE)) == Release(
        name="image",
        version="1.2.3",
        channel="stable",
        rollback_index=17,
        payload={"stream": OTHER},
        issued=datetime(2026, 11, 24, 8, 30, tzinfo=UTC),
        expires=datetime(2027, 11, 24, 8, 30, tzinfo=UTC),
        snaproot="0.1",
        policy=7,
    )


def test_what_a_release_may_leave_out() -> None:
    least = {k: v for k, v in RELEASED.items() if k not in {"channel", "requires", "expires"}}
    found = statement.release(parsed(least, RELEASE))
    assert (found.channel, found.expires, found.policy) == ("", None, 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *((name, None) for name in ("name", "version", "rollback_index", "payload", "issued")),
        ("name", "image/../x"),
        ("name", "a" * 65),
        ("name", "ïmage"),
        ("version", "1.2.3 "),
        ("version", "~1"),
        ("version", 1),
        ("version", "1" * 129),
        ("channel", 3),
        ("rollback_index", -1),
        ("rollback_index", "17"),
        ("rollback_index", 1.0),
        ("rollback_index", True),
        ("rollback_index", 1 << 60),
        ("payload", []),
        ("payload", {"sha256": "x"}),
        ("payload", {"a b": OTHER}),
        ("issued", "2026-11-24"),
        ("issued", "2026-11-24T08:30:00"),
        ("issued", "2026-11-24T08:30:00+00:00"),
        ("issued", "2026-13-24T08:30:00Z"),
        ("issued", "\uff12026-11-24T08:30:00Z"),
        ("issued", 1),
        ("expires", "never"),
        ("requires", []),
        ("requires.policy", -1),
        ("requires.snaproot", "x y"),
        ("requires.more", 1),
        ("more", 1),
    ],
)
def test_a_release_that_cannot_be_meant(path: str, value: object) -> None:
    with pytest.raises(Distrusted) as caught:
        statement.release(parsed(changed(RELEASED, path, value), RELEASE))
    assert reason(caught) == "statement.release"


# -- versions and times -------------------------------------------------------------------------

RISING = [
    *("0~rc1", "0", "0-1", "0^1", "0.1", "0a", "0a1", "1~~", "1~rc1", "1~rc2", "1", "1-2", "1^p"),
    *(
        "1.0",
        "1.0.1",
        "1.2",
        "1.10",
        "1b",
        "1ba",
        "2",
        "9",
        "10",
        "20261124",
        "99999999999999999999",
    ),
]


def test_versions_have_their_order() -> None:
    assert sorted(set(RISING), key=order) == RISING
    assert order("1.02") == order("1.2")
    assert not any(map(bad_version, RISING))


@pytest.mark.parametrize("text", ["", ".1", "-1", "1+2", "1/2", "1\n", "\uff11", "1_2", "1:2"])
def test_what_is_no_version(text: str) -> None:
    assert bad_version(text)


@given(st.datetimes(timezones=st.just(UTC)))
@cases(50)
def test_a_time_is_read_as_it_was_written(time: datetime) -> None:
    assert moment(written(time)) == time


# -- whatever goes in ---------------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@cases(200)
@given(st.data())
def test_of_any_payload_only_our_error_leaves(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([PROVENANCE, RELEASE]))
    whole = json.loads(payload(BUILD if kind == PROVENANCE else RELEASED, kind))
    paths = [
        "predicate",
        "subject",
        "predicate.requires",
        "predicate.runDetails",
        "predicate.issued",
    ]
    path = data.draw(st.sampled_from([p for p in paths if p.split(".")[-1] in str(whole)]))
    content = json.dumps(changed(whole, path, data.draw(values))).encode()
    for mutated in (content, content[: data.draw(st.integers(0, len(content)))]):
        read(mutated)


@cases(200)
@given(st.binary(max_size=80))
def test_of_any_bytes_only_our_error_leaves(content: bytes) -> None:
    read(content)


def read(content: bytes) -> None:
    for read_predicate in (statement.provenance, statement.release):
        try:
            read_predicate(statement.parse(PAYLOAD_TYPE, content, DIGEST))
        except Distrusted as error:
            said = error.reason
        else:
            said = "statement."
        assert said.startswith("statement.")
