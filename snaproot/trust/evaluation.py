"""What the policy makes of what was verified: accepted, or refused and why. Pure.

All facts are of one artifact. Each is held against each authority that is asked; the first rule
that it does not satisfy is told, for `trust explain` and for whoever is refused.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from snaproot.trust import releaserules, rules, statement, thresholds
from snaproot.trust.facts import Distrusted, Facts
from snaproot.trust.floors import POLICY, Floors
from snaproot.trust.policy import Policy
from snaproot.trust.releaserules import Held
from snaproot.trust.rules import Case
from snaproot.trust.statement import RELEASE, Release
from snaproot.wording import some

_Held = TypeVar("_Held")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One rule that was not satisfied; of which authority and signer, if it is about those."""

    reason: str
    message: str
    authority: str = ""
    identity: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether an artifact is accepted, `by` which authorities, and what of the facts `counted`.

    `refusals` begin with the most telling one. There are some where it is accepted, too: of
    bundles and authorities that were not needed. `release` is what it says that it is.
    """

    accepted: bool
    by: tuple[str, ...]
    refusals: tuple[Refusal, ...]
    counted: tuple[Facts, ...] = ()
    release: Release | None = None

    def insist(self) -> None:
        """Raise Distrusted with the most telling reason unless it is accepted."""
        if not self.accepted:
            why = self.refusals[0]
            raise Distrusted(why.reason, f"{why.message}; it was not accepted", hint=why.hint)


def evaluate(policy: Policy, facts: Sequence[Facts], now: datetime, floors: Floors) -> Decision:
    """Decide about an artifact by all that was verified of it.

    Raises Unverifiable where witnesses are asked for, and the installed cryptography cannot verify
    their kind of key; RuntimeError for facts of several artifacts.
    """
    if len({one.digest for one in facts}) > 1:
        raise RuntimeError("the facts are of several artifacts")
    authorities = [policy.authorities[name] for name in policy.asked]
    cases = [Case(policy, authority, one, now) for authority in authorities for one in facts]
    missed = _missed(cases)
    good = [case for case in cases if case not in missed]
    pairs, short = _enough(policy, facts, good)
    release, unfit = _released(policy, good, now, floors)
    denied = [*standing(policy, now, floors), *short, *(unfit if pairs else [])]
    return Decision(
        accepted=bool(pairs) and not denied,
        by=tuple(name for name, _ in pairs),
        refusals=(*denied, *missed.values()),
        counted=_counted(good, pairs),
        release=release,
    )


def standing(policy: Policy, now: datetime, floors: Floors) -> list[Refusal]:
    """Say what is wrong with the policy itself, whatever is held against it."""
    found = []
    floor, version = floors.of(POLICY), policy.version
    if version < floor:
        what = f"the policy has version {version}, and {floor} was here before"
        found.append(Refusal("policy.rollback", what))
    if policy.expires is not None and now >= policy.expires:
        what = f"the policy expired at {policy.expires:%Y-%m-%d %H:%M %Z}"
        found.append(Refusal("policy.expired", what))
    return found


def seen(decision: Decision) -> Mapping[str, int]:
    """Name the floor of the product that was accepted; of what was refused, there is none."""
    release = decision.release if decision.accepted else None
    return {releaserules.floor_name(release.name): release.rollback_index} if release else {}


def _missed(cases: Sequence[Case]) -> dict[Case, Refusal]:
    """Say of each case the first rule that is not satisfied, those first that came furthest."""
    told = {case: next(_failed(rules.RULES, case), None) for case in cases}
    missed = [(case, *why) for case, why in told.items() if why]
    missed.sort(key=lambda one: -one[1])
    return {case: _refusal(error, case) for case, _, error in missed}


def _failed(
    held_to: Iterable[Callable[[_Held], None]], what: _Held
) -> Iterator[tuple[int, Distrusted]]:
    """Go through rules, and give those that are not satisfied with their numbers."""
    for number, rule in enumerate(held_to):
        try:
            rule(what)
        except Distrusted as error:
            yield number, error


def _refusal(error: Distrusted, case: Case | None = None) -> Refusal:
    who = (case.authority.name, case.facts.identity) if case else ("", "")
    return Refusal(error.reason, str(error), *who, hint=error.hint)


def _enough(
    policy: Policy, facts: Sequence[Facts], good: Sequence[Case]
) -> tuple[thresholds.Pairs, list[Refusal]]:
    """Find who suffices; where nobody signed as any authority, each one's own refusal tells."""
    if not policy.require:
        return (), [Refusal("policy.none", "the policy names no authority that could accept it")]
    if not facts:
        return (), [Refusal("policy.unsigned", "there is no signature of it that was verified")]
    signers: dict[str, dict[str, None]] = {}
    for case in good:
        signers.setdefault(case.authority.name, {})[case.facts.identity] = None
    try:
        pairs = thresholds.chosen(policy, signers)
    except Distrusted as error:
        return (), [_refusal(error)]
    return pairs or (), [_short(policy, good)] if good and not pairs else []


def _short(policy: Policy, good: Sequence[Case]) -> Refusal:
    group = policy.groups[policy.require]
    names = list(dict.fromkeys(case.authority.name for case in good))
    signers = len({case.facts.identity for case in good})
    return Refusal(
        "policy.group",
        f"{group.name} needs {group.need} of {some(group.of)}, each with a signer of its own; it "
        f"was signed as {some(names)}, by {signers} of them",
    )


def _counted(good: Sequence[Case], pairs: thresholds.Pairs) -> tuple[Facts, ...]:
    """Take one bundle for each who counts, and those that say what the artifact is."""
    first: dict[tuple[str, str], Facts] = {}
    for case in good:
        first.setdefault((case.authority.name, case.facts.identity), case.facts)
    counted = [first[pair] for pair in pairs]
    releases = [case.facts for case in good if pairs and statement.is_release(case.facts.statement)]
    return (*counted, *(one for one in releases if one not in counted))


def _released(
    policy: Policy, good: Sequence[Case], now: datetime, floors: Floors
) -> tuple[Release | None, list[Refusal]]:
    """Read what the artifact is off the statements of those believed, and hold it to the floors."""
    said = [case.facts.statement for case in good]
    releases = [statement.release(one) for one in said if one and statement.is_release(one)]
    if not releases:
        return None, _unnamed(policy, floors)
    if len({(r.name, r.version, r.channel, r.rollback_index) for r in releases}) > 1:
        what = "it is released as several things, and only one of them can be held to a floor"
        return None, [Refusal("policy.release-conflict", what)]
    failed = [_failed(releaserules.RULES, Held(one, policy, now, floors)) for one in releases]
    return releases[0], [_refusal(error) for each in failed for _, error in each]


def _unnamed(policy: Policy, floors: Floors) -> list[Refusal]:
    """Refuse what has neither name nor version: an old artifact would look like any other."""
    if not (policy.minimum_version or releaserules.has_products(floors)):
        return []
    what = "nobody believed says which product and version it is, and there are floors to hold"
    return [Refusal("policy.unnamed", what, hint=f"publish it with a statement of {RELEASE}")]
