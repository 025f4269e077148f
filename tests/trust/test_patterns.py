"""Identities in a policy: what a star reaches, and where there may be none."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snaproot.trust.patterns import LONGEST, Pattern, bad_glob, bad_identity

CI = "https://ci.example/org/image/.ci/build.yml@refs/tags/v*"
BUILT = "https://ci.example/org/image/.ci/build.yml@refs/tags/v1.2.3"


@pytest.mark.parametrize(
    ("glob", "identity"),
    [
        (CI, BUILT),
        (CI, BUILT.replace("v1.2.3", "v")),
        ("https://ci.example/org/*/.ci/build.yml@refs/tags/v1", BUILT.replace(".2.3", "")),
        (
            "https://ci.example/org/image/*.yml@refs/*/v*",
            "https://ci.example/org/image/a.yml@refs/x/v",
        ),
        (  # GitLab's have an empty part in their path
            "https://lab.example/org/image//.gitlab-ci.yml@refs/tags/v*",
            "https://lab.example/org/image//.gitlab-ci.yml@refs/tags/v1",
        ),
        ("https://ci.example:8443/~org/*", "https://ci.example:8443/~org/x.y"),
        ("https://ci.example/org/a*b*c", "https://ci.example/org/abbcbc"),
        ("https://ci.example/org/v*", "https://ci.example/org/v*"),
        ("*@example.org", "rel@example.org"),
        ("release-*@example.org", "release-2@example.org"),
    ],
)
def test_what_a_glob_matches(glob: str, identity: str) -> None:
    assert bad_glob(glob) == ""
    assert Pattern(glob, glob=True).matches(identity)


@pytest.mark.parametrize(
    ("glob", "identity"),
    [
        (CI, BUILT + "/x"),
        (CI, BUILT + "/../x"),
        (CI, BUILT + "@refs/heads/x"),
        (CI, BUILT + "?x"),
        (CI, BUILT + "#x"),
        (CI, BUILT + "%2fx"),
        (CI, BUILT + "\\x"),
        (CI, BUILT + "\n"),
        (CI, BUILT + "\0"),
        (CI, BUILT + "\x7f"),
        (CI, BUILT + "\x85"),
        (CI, BUILT + "\u2028"),
        (CI, BUILT + "\u202e"),
        (CI, "x" + BUILT),
        (CI, " " + BUILT),
        (CI, BUILT.replace("/v1.2.3", "/w1.2.3")),
        (CI, BUILT.replace("ci.example", "ci-example")),
        (CI, BUILT.replace("https", "http")),
        (CI, BUILT.upper()),
        (CI, "https://evil.example/org/x?u=" + BUILT),
        ("https://ci.example/org/*/build.yml", "https://ci.example/org/../build.yml"),
        ("https://ci.example/org/*/build.yml", "https://ci.example/org/./build.yml"),
        ("https://ci.example/org/.*/build.yml", "https://ci.example/org/../build.yml"),
        ("https://ci.example/org/*/build.yml", "https://ci.example/org//build.yml"),
        ("https://ci.example/org//*", "https://ci.example/org/x/y"),
        ("https://ci.example/org//*", "https://ci.example/org/x"),
        ("https://ci.example/org/*", "https://ci.example/org/"),
        ("https://ci.example/org/*", "https://ci.example/org"),
        ("https://ci.example/org/a*a", "https://ci.example/org/a"),
        ("*@example.org", "rel@example.org.evil"),
        ("*@example.org", "rel@evil@example.org"),
        ("*@example.org", "https://evil.example/@example.org"),
    ],
)
def test_what_a_glob_does_not_reach(glob: str, identity: str) -> None:
    assert bad_glob(glob) == ""
    assert not Pattern(glob, glob=True).matches(identity)


@pytest.mark.parametrize(
    ("glob", "why"),
    [
        ("", "has a star"),
        ("https://ci.example/org/x", "has a star"),
        ("*", "is a URI or an e-mail address"),
        ("release-*", "is a URI or an e-mail address"),
        ("*://ci.example/org/x", "star in its scheme"),
        ("http*://ci.example/org/x", "star in its scheme"),
        ("https://*/org/x", "star in its host"),
        ("https://*.example/org/x", "star in its host"),
        ("https://ci.example*/org/x", "star in its host"),
        ("https://ci.example:*/org/x", "star in its host"),
        ("https://ci.example/*", "star in its owner"),
        ("https://ci.example/org*/x", "star in its owner"),
        ("https://ci.example/*/x", "star in its owner"),
        ("https://ci.example/org*@refs/tags/v1", "star in its owner"),
        ("https://ci.example//*", "names an owner"),
        ("https://ci.example/../*", "names an owner"),
        ("https://ci.example/o@g/*", "names an owner"),
        ("https://ci.example/org%2f/*", "names an owner"),
        ("https:///org/*", "begins like"),
        ("HTTPS://ci.example/org/*", "begins like"),
        ("https://org@ci.example/org/*", "begins like"),
        ("https://ci.example/org/../*", "no . and no .."),
        ("https://ci.example/org/./x*", "no . and no .."),
        ("https://ci.example//x/*", "names an owner"),
        ("https://ci.example/org/**", "two stars"),
        ("https://ci.example/org/x?y=*", "has no ?"),
        ("https://ci.example/org/x#*", "has no ?"),
        ("https://ci.example\\/org/*", "has no ?"),
        ("https://ci.example/org/ *", "no spaces"),
        ("https://ci.example/org/*\n", "no spaces"),
        (f"https://ci.example/org/{'x' * LONGEST}*", "has 1 to"),
        ("rel@*", "star in its domain"),
        ("rel@*.example.org", "star in its domain"),
        ("*@example.*", "star in its domain"),
        ("*@x@example.org", "one @ and a domain"),
        ("*@", "one @ and a domain"),
        ("a/*@example.org", "one @ and a domain"),
    ],
)
def test_an_unsafe_glob_is_refused_and_says_why(glob: str, why: str) -> None:
    assert why in bad_glob(glob)


def test_without_a_glob_only_the_same_text_matches() -> None:
    assert Pattern(BUILT).matches(BUILT)
    assert not Pattern(BUILT).matches(f"{BUILT}0")
    assert not Pattern(BUILT.replace(".2", ".")).matches(BUILT)
    assert not Pattern(CI).matches(BUILT)


@pytest.mark.parametrize(
    ("identity", "why"),
    [
        (BUILT, ""),
        ("rel@example.org", ""),
        ("user!ci.example", ""),
        (CI, "identity_glob"),
        ("", "has 1 to"),
        ("x" * (LONGEST + 1), "has 1 to"),
        ("rel@example.org ", "no spaces"),
        ("rel@\u202eexample.org", "no spaces"),
    ],
)
def test_the_form_of_an_identity(identity: str, why: str) -> None:
    assert why in bad_identity(identity)
    assert bool(why) == bool(bad_identity(identity))


def test_a_persons_account_is_told_from_a_workflow() -> None:
    assert Pattern("*@example.org", glob=True).email
    assert not Pattern(CI, glob=True).email


@settings(deadline=None, max_examples=300)
@given(
    st.text("ab*.", min_size=1, max_size=8).filter(lambda text: "**" not in text),
    st.text("ab.@%\n", max_size=10),
)
def test_it_matches_what_the_regular_expression_would(wanted: str, given: str) -> None:
    expression = "[^/@?#%\\\\\\x00-\\x1f\\x7f]*".join(map(re.escape, wanted.split("*")))
    same = re.fullmatch(expression, given) is not None
    glob = Pattern(f"https://ci.example/org/{wanted}", glob=True)
    segment = "*" not in wanted or given not in {"", ".", ".."}
    assert glob.matches(f"https://ci.example/org/{given}") == (same and segment)


def test_no_identity_is_too_long_to_be_matched() -> None:
    glob = Pattern("https://ci.example/org/" + "a*" * 100, glob=True)
    assert bad_glob(glob.text) == ""
    assert glob.matches("https://ci.example/org/" + "a" * 1000)
    assert not glob.matches("https://ci.example/org/" + "a" * 1000 + "@")
    assert not glob.matches("https://ci.example/org/" + "a" * (16 << 20))


@settings(deadline=None, max_examples=300)
@given(st.text())
def test_any_text_gets_an_answer(text: str) -> None:
    assert isinstance(bad_glob(text), str)
    assert isinstance(bad_identity(text), str)
    assert not Pattern(text, glob=True).matches(f"{text}@")
