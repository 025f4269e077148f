"""The lines of the loader's menu: what they say, which of them stay, and that they fit."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snaproot import menu
from snaproot.bootloader import entry
from snaproot.environment import Environment, PackageChange, Standing
from snaproot.state import Phase, Record
from tests.deployments import BASE, TARGET, deployment

MADE = datetime(2026, 11, 24, 9, 12, tzinfo=UTC)
PACKAGES = (
    *("base-files", "libc6", "linux-image-6.12.117+deb13-cloud-amd64", "linux-image-amd64"),
    *("mawk", "systemd", "zstd"),
)


PLAIN = Environment(
    id=BASE,
    origin="upgrade",
    created=MADE,
    kernel="6.12.117+deb13-cloud-amd64",
    standing=Standing.PROVEN,
    sealed=True,
)


def environment(id: str = BASE, **facts: object) -> Environment:
    return replace(PLAIN, id=id, **facts)  # type: ignore[arg-type]


def changes(*names: str) -> tuple[PackageChange, ...]:
    return tuple(PackageChange(name, "1", "2") for name in names)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (
            {"packages": changes(*PACKAGES)},
            "2026-11-24 6.12.117+deb13 proven  upgrade: linux-image and 6 more",
        ),
        (
            {"packages": changes("mawk", "systemd")},
            "2026-11-24 6.12.117+deb13 proven  upgrade: systemd, mawk",
        ),
        (
            {"origin": "run", "command": "apt-get install -y nginx", "packages": changes("nginx")},
            "2026-11-24 6.12.117+deb13 proven  run apt-get install -y nginx",
        ),
        (
            {"origin": "run", "command": "sh -c 'echo a long one >/usr/lib/changed'"},
            "2026-11-24 6.12.117+deb13 proven  run sh -c 'echo a long one >/..",
        ),
        (
            {"packages": changes(*PACKAGES), "pinned": True},
            "2026-11-24 6.12.117+deb13 proven, pinned  upgrade: 7 packages",
        ),
        ({"origin": "shell"}, "2026-11-24 6.12.117+deb13 proven  shell"),
        (
            {"origin": "adopt", "kernel": "6.1.0-28-amd64", "pinned": True},
            "2026-11-24 6.1.0-28-amd64 proven, pinned  adopt",
        ),
        (
            {"standing": Standing.BAD, "kernel": "6.14.0-23-generic", "origin": "upgrade"},
            "2026-11-24 6.14.0-23      bad  upgrade",
        ),
        (
            {"standing": Standing.UNPROVEN, "kernel": "k" * 30, "created": None},
            f"           {'k' * 14} unproven  upgrade",
        ),
        (
            {"standing": Standing.ORIGINAL, "kernel": "", "sealed": False},
            "2026-11-24                original  the system from before snap..",
        ),
    ],
)
def test_a_line_says_when_with_what_how_good_and_what_for(
    facts: dict[str, object], says: str
) -> None:
    assert menu.line(replace(PLAIN, **facts)) == says  # type: ignore[arg-type]


@given(
    origin=st.text(max_size=80),
    command=st.text(max_size=200),
    kernel=st.text(max_size=80),
    packages=st.lists(st.text(max_size=90)),
    standing=st.sampled_from(Standing),
    pinned=st.booleans(),
)
def test_a_line_fits_whatever_is_in_it(packages: list[str], **facts: object) -> None:
    said = menu.line(environment("b1s1kqk", packages=changes(*packages), **facts), "armed")
    assert len(f"b1s1kqk  {said}") <= entry.WIDTH


IDLE = Record(base=BASE)
ARMED = replace(IDLE, pending=deployment(Phase.ARMED))


def listed(record: Record, *found: Environment) -> dict[str, bool]:
    return {one.id: one.kept for one in menu.shown(found, record)}


def test_only_what_is_complete_can_be_picked() -> None:
    half, torn = environment("b5", sealed=False), environment("b6", damage="torn")
    original = environment("original", standing=Standing.ORIGINAL, sealed=False)
    found = listed(IDLE, environment(), environment("b1"), half, torn, original)
    assert found == {BASE: True, "b1": False, "original": True}


def test_what_is_needed_or_pinned_is_kept_however_old() -> None:
    found = listed(ARMED, environment(), environment(TARGET), environment("b1", pinned=True))
    assert found == {BASE: True, TARGET: True, "b1": True}


def test_what_waits_says_so() -> None:
    target = environment(TARGET, standing=Standing.UNPROVEN)
    (shown,) = menu.shown([target], ARMED)
    assert " unproven, armed  " in shown.says
    staged = replace(IDLE, pending=deployment(Phase.STAGED))
    assert " unproven, staged  " in menu.shown([target], staged)[0].says


def test_what_is_being_made_or_given_up_is_not_offered() -> None:
    target = environment(TARGET)
    assert not menu.shown([target], replace(IDLE, pending=deployment(Phase.REVERTING)))
    assert not menu.shown([target], replace(IDLE, work=deployment(Phase.STAGING)))
