"""Whether an artifact is accepted: what is revoked first, then the signatures, then the policy.

The order matters: a revoked configuration judges nothing, and a revoked artifact is not asked who
signed it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from snaproot.hashing import sha256
from snaproot.trust import clock, evaluation, rests, revocation, revocationlist, selftest
from snaproot.trust.believed import Believed
from snaproot.trust.establishing import establish
from snaproot.trust.evaluation import Decision, Refusal
from snaproot.trust.facts import Distrusted, Facts, Unverifiable
from snaproot.trust.rests import Rests
from snaproot.trust.sigstore import reading
from snaproot.trust.sigstore.reading import Instance


@dataclass(frozen=True, slots=True)
class Given:
    """One bundle, as it was found: `name` tells it in errors."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Judgement:
    """The decision, the facts that stand, and what the artifact rests on if it is accepted.

    `graceful`: the list of revocations has expired, and the policy lets it serve some days more.
    """

    decision: Decision
    facts: tuple[Facts, ...]
    graceful: bool
    rests: Rests | None = None


def judge(believed: Believed, digest: str, bundles: Sequence[Given], now: datetime) -> Judgement:
    """Judge the artifact that has this SHA-256, in hexadecimal, by its bundles.

    Raises Distrusted where the artifact is revoked, or what would judge it; Unverifiable where
    there is nothing to verify with. What the policy refuses is in the decision.
    """
    graceful = check_standing(believed, now)
    if believed.revocations:
        for revoked in revocation.check_digest(believed.revocations, digest):
            raise revoked.error()
    found = list(_established(believed, digest, bundles, now))
    facts = tuple(one for one in found if isinstance(one, Facts))
    refused = tuple(one for one in found if isinstance(one, Refusal))
    decision = evaluation.evaluate(believed.policy, facts, now, believed.floors)
    first = (*decision.refusals, *refused) if facts else (*refused, *decision.refusals)
    decision = replace(decision, refusals=first)
    return Judgement(decision, facts, graceful, _rests(believed, decision))


def check_standing(believed: Believed, now: datetime) -> bool:
    """Look at the configuration itself, and tell whether its revocations serve in grace only.

    Raises Distrusted where it has expired, gone back or is revoked, Unverifiable for the clock.
    """
    clock.check(now, believed.floors.time - clock.LEEWAY)
    for refusal in evaluation.standing(believed.policy, now, believed.floors):
        raise Distrusted(
            refusal.reason, f"{refusal.message}; nothing is accepted", hint=refusal.hint
        )
    if believed.revocations is None:
        return False
    named = believed.policy.digest, _digest(believed.trusted_root)
    for revoked in revocation.check_configuration(believed.revocations, *named):
        raise Distrusted(revoked.reason, f"{revoked.message}; nothing is accepted")
    rules = believed.policy.revocations
    return revocationlist.require_current(believed.revocations, rules, believed.floors, now)


def _established(
    believed: Believed, digest: str, bundles: Sequence[Given], now: datetime
) -> Iterator[Facts | Refusal]:
    """Give what each bundle establishes, or why it counts for nothing."""
    if not bundles or not believed.policy.require:
        return
    if believed.trusted_root is None:
        raise Unverifiable(
            "root.missing",
            f"the policy ({believed.origin}) comes without a trusted root; nothing was verified",
        )
    selftest.insist(now)
    instance = reading.instance(believed.trusted_root, "the trusted root")
    for given in bundles:
        found = _of_bundle(given, instance, digest, now)
        yield found if isinstance(found, Refusal) else _standing(believed, found)


def _of_bundle(given: Given, instance: Instance, digest: str, now: datetime) -> Facts | Refusal:
    try:
        bundle = reading.bundle(given.content, given.name)
        return establish(bundle, instance, digest, now)
    except (Distrusted, Unverifiable) as error:
        return Refusal(error.reason, str(error), hint=error.hint)


def _standing(believed: Believed, facts: Facts) -> Facts | Refusal:
    """Let a bundle count for nothing if anything of it is revoked.

    Raises Distrusted where the artifact itself is: whoever else signed it.
    """
    hits = revocation.check(believed.revocations, facts) if believed.revocations else []
    for revoked in hits:
        if revoked.whole:
            raise revoked.error()
    return Refusal(hits[0].reason, hits[0].message) if hits else facts


def _rests(believed: Believed, decision: Decision) -> Rests | None:
    if not decision.accepted:
        return None
    trusted_root = _digest(believed.trusted_root)
    return rests.of(
        decision.counted,
        decision.release,
        policy=believed.policy.digest,
        trusted_root=trusted_root,
    )


def _digest(content: bytes | None) -> str:
    return "" if content is None else sha256(content).hexdigest()
