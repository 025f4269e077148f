"""Whether an artifact is accepted: what is revoked first, then the signatures, then the policy.

The order matters: a revoked configuration judges nothing, and a revoked artifact is not asked who
signed it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from snaproot.trust import evaluation, rests, revocation, selftest, standing
from snaproot.trust.believed import Believed
from snaproot.trust.establishing import establish
from snaproot.trust.evaluation import Decision, Refusal
from snaproot.trust.facts import Distrusted, Facts, Unverifiable
from snaproot.trust.rests import Rests
from snaproot.trust.revocationlist import Kind
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
    graceful = standing.check(believed, now)
    standing.require_vouched(believed, now)
    if believed.revocations:
        for revoked in revocation.check_digest(believed.revocations, digest):
            raise revoked.error()
    found = list(_established(believed, digest, bundles, now))
    facts = tuple(one for one in found if isinstance(one, Facts))
    refused = tuple(one for one in found if isinstance(one, Refusal))
    decision = evaluation.evaluate(believed.policy, facts, now, believed.floors)
    _check_release(believed, digest, decision)
    first = (*decision.refusals, *refused) if facts else (*refused, *decision.refusals)
    decision = replace(decision, refusals=first)
    return Judgement(decision, facts, graceful, _rests(believed, decision))


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
    instance = reading.instance(believed.trusted_root, f"the trusted root ({believed.origin})")
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
    """Let a bundle count for nothing if what verified it is revoked.

    Which version it says that this is counts where who says so does: see `_check_release`.
    """
    hits = revocation.check(believed.revocations, facts) if believed.revocations else []
    hits = [one for one in hits if one.entry.kind is not Kind.VERSION]
    return Refusal(hits[0].reason, hits[0].message) if hits else facts


def _check_release(believed: Believed, digest: str, decision: Decision) -> None:
    """Raise Distrusted where somebody who is believed says that it is a revoked version."""
    said = decision.release
    if said is None or believed.revocations is None:
        return
    released = Rests(digest, product=said.name, version=said.version)
    for revoked in revocation.check_installed(believed.revocations, released):
        raise revoked.error()


def _rests(believed: Believed, decision: Decision) -> Rests | None:
    if not decision.accepted:
        return None
    return rests.of(
        decision.counted,
        decision.release,
        policy=believed.policy.digest,
        trusted_root=believed.root_digest,
    )
