import tomllib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snaproot.environment import Digests, Environment, Installed, PackageChange, Standing
from snaproot.filesystem.metadata import parse, render

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WORDS = st.text("abcXYZ0189.+~:-_^üé", min_size=1, max_size=9)
VERSIONS = st.one_of(st.just(""), WORDS.filter(lambda word: word != "-"))
ENVIRONMENTS = st.builds(
    Environment,
    id=st.just("b1"),
    parent=TEXTS,
    origin=TEXTS,
    command=TEXTS,
    created=st.one_of(st.none(), st.datetimes(timezones=st.just(UTC))),
    kernel=TEXTS,
    standing=st.sampled_from(Standing),
    pinned=st.booleans(),
    sealed=st.booleans(),
    packages=st.lists(
        st.builds(
            PackageChange,
            name=WORDS.filter(lambda word: word != "-"),
            before=VERSIONS,
            after=VERSIONS,
        ),
        max_size=3,
    ).map(tuple),
    installed=st.lists(
        st.builds(
            Installed,
            name=WORDS,
            version=WORDS,
            digest=st.one_of(st.just(""), st.binary(min_size=32, max_size=32).map(bytes.hex)),
        ),
        max_size=3,
        unique_by=lambda one: one.name,
    ).map(tuple),
    unverified=st.lists(TEXTS, max_size=3).map(tuple),
    digests=st.builds(Digests, files=TEXTS, kernel=TEXTS, initramfs=TEXTS),
    state_changed=st.lists(TEXTS, max_size=3).map(tuple),
    extra=st.dictionaries(TEXTS.map(lambda text: f"x{text}"), TEXTS, max_size=2),
)


@given(ENVIRONMENTS)
def test_what_is_written_is_read(environment: Environment) -> None:
    assert parse(render(environment), "b1") == environment


def test_unknown_keys_are_kept_whatever_they_hold() -> None:
    text = "format = 1\nstanding = 'proven'\nnewer = [1, 2]\n[table]\nkey = 2026-01-01\n"
    data = tomllib.loads(render(parse(text, "b1")))
    assert data["newer"] == [1, 2]
    assert data["table"] == {"key": datetime(2026, 1, 1).date()}  # noqa: DTZ001 - a local date


def test_names_that_are_no_utf8_stay_toml() -> None:
    environment = Environment(id="b1", command="\udcff", state_changed=("/var/\udcfe",))
    text = render(environment).encode()
    assert parse(text.decode(), "b1").state_changed == ("/var/\\xfe",)


def test_a_kernel_that_is_no_utf8_stays_toml() -> None:
    text = render(Environment(id="b1", kernel="6.1-\udcff")).encode()
    assert parse(text.decode(), "b1").kernel == "6.1-\\xff"


def test_a_time_without_a_zone_is_taken_for_utc() -> None:
    text = "format = 1\nstanding = 'proven'\ncreated = 2026-01-02T03:04:05\n"
    assert parse(text, "b1").created == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_what_was_written_before_there_was_this_is_read() -> None:
    found = parse("format = 1\nstanding = 'proven'\npackages = 'a - 1'\n", "b1")
    assert (found.installed, found.unverified) == ((), ())


def test_two_thousand_packages_stay_small() -> None:
    many = tuple(Installed(f"package-{n}", "1.0-1", f"{n:064x}") for n in range(2000))
    text = render(Environment(id="b1", installed=many))
    assert parse(text, "b1").installed == many
    assert len(text) < 2000 * 70


def test_a_damaged_one_is_not_written() -> None:
    with pytest.raises(RuntimeError):
        render(Environment(id="b1", damage="staging was not finished"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no format number"),
        ("format = '1'", "no format number"),
        ("format = 2", "newer"),
        ("format = 1\nstanding = 'good'", "good"),
        ("format = 1\nstanding = 'proven'\nparent = 1", "parent"),
        ("format = 1\nstanding = 'proven'\npackages = 'tool 1.0'", "tool"),
        ("format = 1\nstanding = 'proven'\npackages = 1", "packages"),
        ("format = 1\nstanding = 'proven'\ninstalled = 'tool 1.0'", "tool"),
        (f"format = 1\nstanding = 'proven'\ninstalled = 'tool 1.0 {'A' * 42}'", "tool"),
        (f"format = 1\nstanding = 'proven'\ninstalled = 'tool 1.0 {'A' * 42}B'", "tool"),
        ("format = 1\nstanding = 'proven'\ninstalled = 'tool 1.0 - '", "tool"),
        ("format = 1\nstanding = 'proven'\ninstalled = '''a 1 -\na 2 -'''", "twice"),
        ("format = 1\nstanding = 'proven'\ninstalled = ['tool 1.0 -']", "installed"),
        ("format = 1\nstanding = 'proven'\nunverified = 'b1'", "unverified"),
        ("format = 1\nstanding = 'proven'\ndigests = 1", "digests"),
        ("format = 1\nstanding = ", "Invalid value"),
    ],
)
def test_damage_is_told_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse(text, "b1")
