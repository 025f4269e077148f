"""What happens next, said honestly for each loader."""

from dataclasses import replace

from snaproot.bootloader import Capability
from snaproot.outlook import Outlook
from snaproot.state import Deployment, Kind, Phase

ARMED = Deployment(
    id="d2",
    kind=Kind.UPGRADE,
    parent="b1",
    base="b1",
    target="b2",
    created_target=True,
    phase=Phase.ARMED,
)
COUNTS = Capability(counts=True, one_shot=True, summary="counts")
POINTER = Capability(counts=False, one_shot=False, summary="cannot count")
SEEN = Outlook(ARMED, COUNTS, tries=2, running=True)


def said(outlook: Outlook) -> str:
    return "\n".join(outlook.lines())


def test_a_loader_that_counts_returns_by_itself_and_says_how_often_it_tries() -> None:
    assert "tries it up to 2 times" in said(SEEN)
    assert "tries it once" in said(replace(SEEN, tries=1))
    assert "b1 returns by itself" in said(SEEN)


def test_a_loader_that_cannot_count_promises_nothing() -> None:
    told = said(replace(SEEN, capability=POINTER))
    assert "by itself" not in told
    assert "cannot count" in told
    assert "snaproot reject returns to b1" in told


def test_every_outlook_says_how_to_drop_it() -> None:
    for capability in (COUNTS, POINTER):
        for phase in (Phase.STAGED, Phase.ARMED):
            seen = replace(SEEN, capability=capability, deployment=replace(ARMED, phase=phase))
            assert "snaproot abandon" in said(seen)


def test_what_is_staged_is_not_the_next_boot() -> None:
    told = said(replace(SEEN, deployment=replace(ARMED, phase=Phase.STAGED)))
    assert "The next boot is still b1" in told
    assert "snaproot activate b2" in told


def test_where_nothing_boots_nothing_is_said_to_run() -> None:
    told = said(replace(SEEN, running=False, capability=POINTER))
    assert "running" not in told
    assert "Nothing boots here" in told


def test_what_builds_on_something_unproven_says_on_what() -> None:
    assert "builds on" not in said(SEEN)
    for phase in (Phase.STAGED, Phase.ARMED):
        stacked = replace(ARMED, parent="b9", phase=phase)
        assert "It builds on b9" in said(replace(SEEN, deployment=stacked))
