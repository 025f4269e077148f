"""What `trust show` shows of a policy: all that it asks for, to programs and to people."""

import io
import json
import re
import sys

from snaproot.cli import trustbelieved
from snaproot.cli.trustbelieved import shape
from snaproot.output import Output
from snaproot.trust.believed import Believed
from snaproot.trust.floors import Floors
from snaproot.trust.policyfile import parse
from tests.cli.test_shapes import MANUAL
from tests.trust.test_policy import ALL, FINGERPRINT, HERE, NOW

FOUND = Believed(
    str(HERE), parse(ALL.encode(), HERE), floors=Floors({"policy": 7, "product image": 3})
)


def shown() -> str:
    out = io.StringIO()
    trustbelieved.show(Output(json=False, out=out, err=sys.stderr, in_=sys.stdin), FOUND, None, NOW)
    return re.sub(r"\s+", " ", out.getvalue())


def test_all_that_is_asked_for_is_an_object() -> None:
    made = json.loads(json.dumps(shape(FOUND, None)))
    policy = made["policy"]
    (builder, *_) = policy["authorities"]
    assert builder["claims"]["runner_environment"] == "hosted"
    assert builder["builder"] == "https://ci.example/builder"
    assert builder["external_parameters"]["deep"] == {"a": [1, True, "x"]}
    assert policy["maximum_age_days"] == 30
    assert policy["minimum_version"] == {"image": "1.2.0"}
    assert policy["witnesses"] == {"need": 2, "of": ["w1", "w2"]}
    assert made["floors"] == {"policy": 7, "product image": 3}


def test_archives_lists_and_globs_are_among_it() -> None:
    policy = json.loads(json.dumps(shape(FOUND, None)))["policy"]
    assert [one["glob"] for one in policy["authorities"]] == [True, False, False, False]
    assert policy["revocations"] == {"minimum_version": 3, "expired": "grace", "grace_days": 5}
    (pinned,) = policy["packages"]["pinned"]
    assert pinned == {
        "name": "debian",
        "origin": "Debian",
        "suite": "trixie",
        "signed_by": [FINGERPRINT],
    }


def test_all_that_is_asked_for_is_told_to_people() -> None:
    said = shown()
    for words in (
        "signed at most 30 days ago",
        "image: version 1.2.0, or later",
        "2 of w1, w2",
        "serves for 5 days more",
        "rebuilders: 1 of rb0, rb1",
        "let in: unauthenticated, older versions",
        "pinned: Debian, trixie, signed by",
        "builder: runner_environment is hosted",
        "builder: built by https://ci.example/builder, as https://ci.example/bt/v1",
        "builder: built with ref = refs/tags/v1",
    ):
        assert words in said, words


def test_the_manual_has_each_key() -> None:
    made = shape(FOUND, None)
    policy = made["policy"]
    assert isinstance(policy, dict)
    for key in (*made, *policy):
        assert f"`{key}`" in MANUAL, key
