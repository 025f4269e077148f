"""What is needed stays, whatever the policy; the rest goes in a known order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snaproot.environment import Environment, Standing
from snaproot.errors import ExitCode, Refused
from snaproot.retention import Policy, Removal, dispensable, protected, removable
from snaproot.state import Deployment, Kind, LoaderView, Phase, Record

NOW = datetime(2026, 11, 23, tzinfo=UTC)
GENEROUS = Policy(proven=3, unproven=100, total=100, max_age_days=0)


def be(
    id: str, standing: Standing = Standing.PROVEN, *, age: int = 0, pinned: bool = False
) -> Environment:
    created = NOW - timedelta(days=age)
    return Environment(id=id, standing=standing, created=created, pinned=pinned, sealed=True)


def gone(removals: list[Removal]) -> list[str]:
    return [removal.id for removal in removals]


policies = st.builds(
    Policy,
    proven=st.integers(1, 5),
    unproven=st.integers(0, 5),
    total=st.integers(0, 8),
    max_age_days=st.integers(0, 40),
)
names = st.sampled_from([f"b{n:02}" for n in range(16)])
environments = st.lists(
    st.builds(
        Environment,
        id=names,
        standing=st.sampled_from(Standing),
        pinned=st.booleans(),
        damage=st.sampled_from(["", "", "", "garbled"]),
        created=st.none() | st.integers(-5, 60).map(lambda days: NOW - timedelta(days=days)),
    ),
    unique_by=lambda e: e.id,
    max_size=14,
)


@given(environments, st.frozensets(names), policies)
def test_what_is_needed_never_goes(
    there: list[Environment], needed: frozenset[str], policy: Policy
) -> None:
    removed = set(gone(removable(there, needed, policy, NOW)))
    last_proven = sorted(e.id for e in there if e.standing is Standing.PROVEN)[-policy.proven :]
    never = {e.id for e in there if e.pinned or e.damage or e.standing is Standing.ORIGINAL}
    assert not removed & (needed | never | set(last_proven))


@given(environments, st.frozensets(names), policies)
def test_each_goes_once_and_is_there(
    there: list[Environment], needed: frozenset[str], policy: Policy
) -> None:
    removed = gone(removable(there, needed, policy, NOW))
    assert len(set(removed)) == len(removed)
    assert set(removed) <= {e.id for e in there}


@given(environments, st.frozensets(names), policies)
def test_a_second_run_finds_nothing(
    there: list[Environment], needed: frozenset[str], policy: Policy
) -> None:
    removed = gone(removable(there, needed, policy, NOW))
    rest = [e for e in there if e.id not in removed]
    assert removable(rest, needed, policy, NOW) == []


@given(environments, st.frozensets(names), policies)
def test_the_order_of_listing_does_not_matter(
    there: list[Environment], needed: frozenset[str], policy: Policy
) -> None:
    assert removable(there, needed, policy, NOW) == removable(there[::-1], needed, policy, NOW)


def test_a_hand_may_choose_all_that_is_not_needed() -> None:
    there = [be("b1"), be("b2"), be("b3"), be("b4", pinned=True), be("b5"), be("b6"), be("b7")]
    policy = replace(GENEROUS, total=6)
    assert dispensable(there, {"b2"}, policy, NOW) == [
        Removal("b1", "more than 6 boot environments"),
        Removal("b3"),
    ]


@given(environments, policies)
def test_without_an_age_nothing_goes_below_the_numbers(
    there: list[Environment], policy: Policy
) -> None:
    ageless = replace(policy, max_age_days=0, unproven=100, total=100)
    assert removable(there, frozenset(), ageless, NOW) == []


def test_beyond_the_total_bad_goes_first_then_unproven_then_the_oldest_proven() -> None:
    there = [
        *(be("b1"), be("b2"), be("b3", Standing.UNPROVEN), be("b4", Standing.BAD)),
        *(be("b5"), be("b6"), be("b7"), be("b8", Standing.BAD)),
    ]
    for most, expected in [
        (8, []),
        (7, ["b4"]),
        (5, ["b4", "b8", "b3"]),
        (4, ["b4", "b8", "b3", "b1"]),
        (0, ["b4", "b8", "b3", "b1", "b2"]),
    ]:
        policy = replace(GENEROUS, total=most)
        assert gone(removable(there, frozenset(), policy, NOW)) == expected


def test_what_is_kept_anyway_counts_towards_the_total() -> None:
    there = [be("b1", Standing.ORIGINAL), be("b2", Standing.UNPROVEN), be("b3", pinned=True)]
    policy = replace(GENEROUS, total=2)
    assert removable(there, frozenset(), policy, NOW) == [
        Removal("b2", "more than 2 boot environments")
    ]


def test_what_is_damaged_is_none_of_the_last_proven_ones() -> None:
    """Somebody deleted the roots of two: the last three that boot stay."""
    there = [be("b1"), be("b2"), be("b3"), be("b4"), *(be("b5"), be("b6"))]
    there[4:] = [replace(one, damage="its root is missing") for one in there[4:]]
    assert gone(removable(there, frozenset(), replace(GENEROUS, total=1), NOW)) == ["b1"]


def test_what_is_beneath_the_floor_is_none_of_the_last_proven_ones() -> None:
    """A pool was upgraded: of those that its older roots were, the last three that boot stay."""
    there = [be("b1"), be("b2"), be("b3"), be("b4"), *(be("b5"), be("b6"))]
    there[4:] = [replace(one, beneath="its ZFS is too old") for one in there[4:]]
    removed = gone(removable(there, frozenset(), replace(GENEROUS, total=3), NOW))
    assert removed == ["b1", "b5", "b6"]


def test_the_unproven_have_a_quota_of_their_own() -> None:
    there = [be(f"b{n}", Standing.UNPROVEN) for n in range(4)]
    policy = replace(GENEROUS, unproven=2)
    assert removable(there, {"b0"}, policy, NOW) == [
        Removal("b1", "more than 2 that are not proven")
    ]


def test_age_counts_in_days_and_only_if_it_is_known() -> None:
    there = [
        *(be("b1", Standing.BAD, age=31), be("b2", Standing.BAD, age=30)),
        replace(be("b3", Standing.BAD), created=None),
        *(be("b4", age=90), be("b5", age=80), be("b6", age=70), be("b7", age=60)),
    ]
    policy = replace(GENEROUS, max_age_days=30)
    assert removable(there, frozenset(), policy, NOW) == [
        Removal("b1", "older than 30 days"),
        Removal("b4", "older than 30 days"),
    ]


def pending(target: str, parent: str = "parent", base: str = "base") -> Deployment:
    return Deployment(
        id=f"d-{target}",
        kind=Kind.UPGRADE,
        parent=parent,
        base=base,
        target=target,
        created_target=True,
        phase=Phase.ARMED,
    )


def test_everything_that_is_pointed_at_or_recorded_is_protected() -> None:
    replaced = pending("replaced", parent="grandparent", base="oldbase")
    record = Record(
        base="base",
        work=pending("work", parent="workparent"),
        pending=replace(pending("pending"), replaces=replaced),
    )
    loader = LoaderView(counts=True, good="good", trial="trial", once="once", fallback="fallback")
    there = [be("base"), be("default"), be("other")]
    assert protected(record, "booted", loader, "default", there) == {
        *("base", "work", "workparent", "pending", "parent", "replaced", "grandparent", "oldbase"),
        *("good", "trial", "once", "fallback", "default", "booted"),
    }


def test_with_a_sysroot_nothing_is_booted() -> None:
    assert protected(Record(base="b1"), None, LoaderView(good="b1"), "b1", [be("b1")]) == {"b1"}


@pytest.mark.parametrize(
    ("record", "loader", "default"),
    [
        (Record(base="b1"), LoaderView(present=False), "b1"),
        (Record(base="b1"), LoaderView(), None),
        (Record(base="b1"), LoaderView(), "b9"),
        (Record(base="b9"), LoaderView(), "b1"),
    ],
    ids=["no loader file", "foreign default", "default is gone", "base is gone"],
)
def test_where_it_cannot_be_determined_nothing_is_deleted(
    record: Record, loader: LoaderView, default: str | None
) -> None:
    with pytest.raises(Refused, match="cannot be determined; nothing was deleted") as caught:
        protected(record, "b1", loader, default, [be("b1")])
    assert caught.value.exit_code is ExitCode.REFUSED
