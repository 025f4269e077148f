"""Which witnesses suffice, against every choice of them that would."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snaproot.tlog import note
from snaproot.tlog.quorum import MOST, Cosigned, Evaluation, Group, Quorum, Witness
from snaproot.trust.facts import Distrusted
from tests.fuzzing import cases
from tests.tlog import signers
from tests.tlog.signers import NOON, ORIGIN, ROOT, SIZE, Signer, ecdsa, ed25519, head, signed

Need = int | Literal["any", "all"]

NOW = datetime.fromtimestamp(NOON, UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NAMES = ("w1", "w2", "w3", "w4", "pq")
LOG = ed25519(ORIGIN)
SIGNERS = {name: signers.witness(f"{name}.example") for name in NAMES[:4]}
SIGNERS["pq"] = signers.mldsa44("pq.example")
WITNESSES = tuple(Witness(name, signer.vkey) for name, signer in SIGNERS.items())
TEXT = head()


def quorum(*groups: Group, rule: str = "", age: timedelta | None = None) -> Quorum:
    return Quorum(WITNESSES, groups, rule or groups[-1].name, age)


def cosigned(*names: str, text: str = TEXT, **times: int) -> str:
    """Let the log sign, and these witnesses; some at another time, in seconds from noon."""
    late = [SIGNERS[name].line(text, NOON + seconds) for name, seconds in times.items()]
    return signed(text, LOG, *(SIGNERS[name] for name in names)) + "".join(late)


def evaluated(what: Quorum, text: str, now: datetime = NOW) -> Evaluation:
    return what.evaluate(note.parse(text), origin=ORIGIN, size=SIZE, root=ROOT, now=now)


def refused(what: Quorum, text: str, now: datetime = NOW) -> str:
    """The reason; empty where the quorum is met."""
    try:
        what.require(note.parse(text), origin=ORIGIN, size=SIZE, root=ROOT, now=now)
    except Distrusted as error:
        return error.reason
    return ""


TWO = Group("two", 2, ("w1", "w2", "w3"))
ANY = Group("either", "any", ("w4", "pq"))
ALL = Group("both", "all", ("two", "either"))
NESTED = quorum(TWO, ANY, ALL)


# -- what suffices -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "met"),
    [
        ((), False),
        (("w1", "w2"), False),
        (("w4", "pq"), False),
        (("w1", "w4"), False),
        (("w1", "w2", "w4"), True),
        (("w2", "w3", "pq"), True),
        (NAMES, True),
    ],
)
def test_the_example_of_the_specification(names: tuple[str, ...], met: bool) -> None:
    """C2SP tlog-policy: two of one organization, and one of another."""
    assert NESTED.met(set(names)) is met
    assert refused(NESTED, cosigned(*names)) == ("" if met else "witness.quorum")


def test_who_cosigned_is_told() -> None:
    found = evaluated(NESTED, cosigned("w1", "pq"))
    assert found == Evaluation((Cosigned("w1", NOW), Cosigned("pq", NOW)), (), met=False)


def test_one_witness_may_be_the_rule() -> None:
    assert refused(quorum(rule="w2"), cosigned("w2")) == ""
    assert refused(quorum(rule="w2"), cosigned("w1", "w3")) == "witness.quorum"


def test_a_groups_name_is_no_witness() -> None:
    assert not NESTED.met({"two", "either", "both"})


@st.composite
def quorums(draw: st.DrawFn) -> Quorum:
    """Any forest over the witnesses, with any of its trees or branches as the rule."""
    free, groups = list(NAMES), list[Group]()
    for number in range(draw(st.integers(0, 4))):
        members = draw(st.lists(st.sampled_from(free), min_size=1, unique=True))
        words: list[Need] = ["any", "all"]
        need = draw(st.sampled_from([*words, *range(1, len(members) + 1)]))
        groups.append(Group(f"g{number}", need, tuple(members)))
        free = [name for name in free if name not in members] + [f"g{number}"]
    shuffled = draw(st.permutations(groups))
    return quorum(*shuffled, rule=draw(st.sampled_from([*NAMES, *(g.name for g in groups)])))


def choices(name: str, groups: dict[str, Group]) -> Iterator[frozenset[str]]:
    """Every smallest set of witnesses that does it: so many members, and what does it for each."""
    if name not in groups:
        yield frozenset({name})
        return
    members = groups[name].members
    least = {"any": 1, "all": len(members)}.get(str(groups[name].need), groups[name].need)
    for some in itertools.combinations(members, int(least)):
        for sets in itertools.product(*(list(choices(one, groups)) for one in some)):
            yield frozenset().union(*sets)


SUBSETS = [set(some) for count in range(6) for some in itertools.combinations(NAMES, count)]


@given(quorums())
@settings(deadline=None)
def test_those_suffice_among_whom_is_one_that_suffices(what: Quorum) -> None:
    enough = set(choices(what.rule, {group.name: group for group in what.groups}))
    for some in SUBSETS:
        assert what.met(some) is any(choice <= some for choice in enough)


@given(quorums(), st.sampled_from(SUBSETS))
@cases(50)
def test_a_note_is_worth_its_cosignatures(what: Quorum, names: set[str]) -> None:
    found = evaluated(what, cosigned(*sorted(names)))
    assert {one.witness for one in found.counted} == names
    assert found.met is what.met(names)


# -- what counts ---------------------------------------------------------------------------------


def test_a_witness_counts_once() -> None:
    twice = cosigned("w1", "w1", w1=-5)
    assert evaluated(quorum(TWO), twice).counted == (Cosigned("w1", NOW),)
    assert refused(quorum(TWO), twice) == "witness.quorum"


def test_a_key_that_is_no_witness_counts_nothing() -> None:
    strangers = [signers.witness(f"stranger{number}") for number in range(3)]
    assert refused(quorum(TWO), signed(TEXT, LOG, *strangers)) == "witness.quorum"


def test_another_key_of_a_witness_counts_nothing() -> None:
    name = SIGNERS["w1"].key.name
    plain, other = ed25519(name), replace(signers.witness("w2.else"), key=SIGNERS["w1"].key)
    assert refused(quorum(rule="w1"), signed(TEXT, plain)) == "witness.quorum"
    assert refused(quorum(rule="w1"), signed(TEXT, other)) == "witness.signature"


def test_a_bad_cosignature_of_a_witness_refuses_what_suffices() -> None:
    bad = SIGNERS["w3"].line(head(size=SIZE + 1))
    assert refused(quorum(TWO), cosigned("w1", "w2") + bad) == "witness.signature"


def test_the_logs_own_signature_is_not_looked_at() -> None:
    """It is verified where the log's key is known."""
    logs = (LOG.line("another\n"), ecdsa("rekor.example").line(TEXT), "")
    for line in logs:
        text = f"{TEXT}\n{line}{SIGNERS['w1'].line(TEXT)}"
        assert refused(quorum(rule="w1"), text) == ""


def test_a_checkpoint_as_rekors_may_have_extension_lines() -> None:
    text = head(extensions=("Timestamp: 1689177396617352539",))
    assert refused(quorum(rule="w1"), cosigned("w1", text=text)) == ""
    assert refused(quorum(rule="w1"), cosigned("w1", "pq", text=text)) == "witness.signature"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (head(origin="log.example"), "checkpoint.origin"),
        (head(size=SIZE - 1), "checkpoint.size"),
        (head(root=bytes(32)), "checkpoint.root"),
        ("no checkpoint\n", "checkpoint.malformed"),
    ],
    ids=["origin", "size", "root", "text"],
)
def test_a_note_of_another_tree_is_refused(text: str, reason: str) -> None:
    names = ("w1", "w2") if reason != "checkpoint.malformed" else ()
    assert refused(quorum(TWO), cosigned(*names, text=text)) == reason


# -- when it counts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        (0, ""),
        (-3600, ""),
        (-3601, "witness.age"),
        (3600, ""),
        (3601, "witness.age"),
        (-NOON, "witness.age"),
        (4_000_000_000, "witness.age"),
    ],
)
@pytest.mark.parametrize("name", ["w1", "pq"])
def test_a_cosignature_counts_for_a_while(name: str, seconds: int, reason: str) -> None:
    text = signed(TEXT, SIGNERS[name], time=NOON + seconds)
    assert refused(quorum(rule=name, age=HOUR), text) == reason
    assert refused(quorum(rule=name), text) == ""


def test_its_age_is_that_at_the_time_asked_about() -> None:
    what, text = quorum(rule="w1", age=HOUR), cosigned("w1")
    assert refused(what, text, NOW + HOUR) == ""
    assert refused(what, text, NOW + DAY) == "witness.age"
    assert refused(what, text, (NOW + HOUR).astimezone(None)) == ""


def test_old_ones_are_told_apart() -> None:
    text = cosigned("w1", w2=-7200)
    found = evaluated(quorum(TWO, age=HOUR), text)
    assert found.counted == (Cosigned("w1", NOW),)
    assert found.stale == (Cosigned("w2", NOW - 2 * HOUR),)
    assert refused(quorum(TWO, age=HOUR), text) == "witness.age"
    assert refused(quorum(TWO, age=DAY), text) == ""


def test_age_is_not_the_reason_where_more_would_not_do_either() -> None:
    everyone = Group("everyone", "all", ("w1", "w2", "w3"))
    assert refused(quorum(everyone, age=HOUR), cosigned("w1", w2=-7200)) == "witness.quorum"


@pytest.mark.parametrize("seconds", [-7200, 7200, -NOON])
def test_a_witness_that_cosigned_again_counts_by_the_nearer_time(seconds: int) -> None:
    for text in (cosigned("w1", w1=seconds), cosigned(w1=seconds) + SIGNERS["w1"].line(TEXT)):
        assert evaluated(quorum(rule="w1", age=HOUR), text).counted == (Cosigned("w1", NOW),)


# -- what is no quorum ---------------------------------------------------------------------------


def made(need: Need, *members: str) -> Quorum:
    return quorum(Group("g", need, members))


def nested(*groups: tuple[str, tuple[str, ...]]) -> Quorum:
    return quorum(*(Group(name, "any", members) for name, members in groups))


def renamed(name: str, of: Signer) -> Quorum:
    return Quorum((*WITNESSES, Witness(name, of.vkey)), (), "w1")


TWIN = replace(SIGNERS["w1"], key=replace(SIGNERS["w1"].key, name="twin.example"))
CROWD = tuple(Witness(f"w{n}", signers.witness(f"w{n}").vkey) for n in range(MOST + 1))
NO_QUORUM = {
    "nobody in a group": (lambda: made("any"), "quorum.empty"),
    "all of nobody": (lambda: made("all"), "quorum.empty"),
    "none needed": (lambda: made(0, "w1"), "quorum.need"),
    "fewer than none": (lambda: made(-1, "w1"), "quorum.need"),
    "more than there are": (lambda: made(3, "w1", "w2"), "quorum.need"),
    "true of them": (lambda: made(True, "w1"), "quorum.need"),
    "most of them": (lambda: made("most", "w1"), "quorum.need"),  # type: ignore[arg-type]
    "an unknown member": (lambda: made(1, "w1", "w9"), "quorum.unknown"),
    "an unknown rule": (lambda: quorum(TWO, rule="three"), "quorum.unknown"),
    "no rule": (lambda: Quorum(WITNESSES, (), ""), "quorum.unknown"),
    "nobody at all": (lambda: Quorum((), (), "none"), "quorum.unknown"),
    "a member twice": (lambda: made(2, "w1", "w1"), "quorum.twice"),
    "a member of two": (lambda: nested(("a", ("w1",)), ("b", ("a", "w1"))), "quorum.twice"),
    "a group twice": (lambda: nested(("a", ("w1",)), ("a", ("w2",))), "quorum.twice"),
    "a group named like a witness": (lambda: nested(("w1", ("w2",))), "quorum.twice"),
    "a witness twice": (lambda: renamed("w1", signers.witness("w9")), "quorum.twice"),
    "a key twice": (lambda: renamed("w9", SIGNERS["w1"]), "quorum.twice"),
    "a key by two names": (lambda: renamed("w9", TWIN), "quorum.twice"),
    "a group in itself": (lambda: nested(("a", ("a", "w1"))), "quorum.cycle"),
    "a nameless one, too": (lambda: nested(("", ("", "w1"))), "quorum.cycle"),
    "two in each other": (lambda: nested(("a", ("b", "w1")), ("b", ("a",))), "quorum.cycle"),
    "three in each other": (
        lambda: nested(("a", ("b",)), ("b", ("c",)), ("c", ("a", "w1")), ("d", ("w2",))),
        "quorum.cycle",
    ),
    "no age": (lambda: quorum(TWO, age=timedelta()), "quorum.age"),
    "an age before": (lambda: quorum(TWO, age=-HOUR), "quorum.age"),
    "a crowd": (lambda: Quorum(CROWD, (), "w1"), "quorum.size"),
    "a log's key": (lambda: Witness("w", LOG.vkey), "key.kind"),
    "Rekor's key": (lambda: Witness("w", ecdsa("rekor.example").vkey), "key.kind"),
    "no key": (lambda: Witness("w", SIGNERS["w1"].vkey[:-4]), "key.malformed"),
}


@pytest.mark.parametrize(("make", "reason"), NO_QUORUM.values(), ids=NO_QUORUM)
def test_what_is_no_quorum(make: Callable[[], object], reason: str) -> None:
    with pytest.raises(Distrusted) as caught:
        make()
    assert caught.value.reason == reason


def test_a_quorum_to_the_bounds() -> None:
    chain = tuple(
        Group(f"g{n}", 1, (f"w{n}", f"g{n + 1}") if n + 1 < MOST else (f"w{n}",))
        for n in range(MOST)
    )
    what = Quorum(CROWD[:MOST], chain, "g0")
    assert what.met({f"w{MOST - 1}"})
    assert not what.met(set())
