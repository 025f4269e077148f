"""The verdict over all findings."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snaproot.health import Finding, Result, Severity, judge


def finding(result: Result, severity: Severity = Severity.REQUIRED, name: str = "p") -> Finding:
    return Finding(name, severity, result, f"it is {result}", {}, 1, 1)


@pytest.mark.parametrize(("one", "other"), [*product(Result, Result)])
def test_the_worst_required_answer_counts(one: Result, other: Result) -> None:
    order = [Result.BAD, Result.UNKNOWN, Result.GOOD]
    assert judge([finding(one), finding(other)]).result is min(one, other, key=order.index)


@given(st.lists(st.sampled_from(Result)))
def test_wanted_ones_never_decide(wanted: list[Result]) -> None:
    told = [finding(result, Severity.WANTED) for result in wanted]
    for required in Result:
        assert judge([*told, finding(required)]).result is required


def test_the_reason_names_what_decided() -> None:
    found = [finding(Result.BAD, name="a"), finding(Result.UNKNOWN, name="b")]
    assert judge(found).reason == "a: it is bad"
    assert judge(found[1:]).reason == "b: it is unknown"


def test_a_wanted_one_that_is_not_good_is_told() -> None:
    assert "only wanted: x is bad" in judge([finding(Result.BAD, Severity.WANTED, "x")]).reason


def test_no_probe_at_all_is_good_and_says_so() -> None:
    assert (judge([]).result, judge([]).reason) == (Result.GOOD, "there is no health check")


def test_the_shape_is_json_for_scripts_and_the_log() -> None:
    assert judge([finding(Result.GOOD)]).shape() == {
        "result": "good",
        "reason": "every required health check is good",
        "findings": [
            {
                "probe": "p",
                "severity": "required",
                "result": "good",
                "reason": "it is good",
                "evidence": {},
                "milliseconds": 1,
                "attempts": 1,
            }
        ],
    }
