"""Whether what judges stands itself: it has not expired, gone back or been revoked. Pure."""

from datetime import datetime

from snaproot.trust import clock, evaluation, revocation, revocationlist
from snaproot.trust.believed import Believed
from snaproot.trust.facts import Distrusted
from snaproot.trust.floors import TIME


def check(believed: Believed, now: datetime) -> bool:
    """Look at the configuration itself, and tell whether its revocations serve in grace only.

    Raises Distrusted where it has expired, gone back or is revoked, Unverifiable for the clock.
    """
    try:
        return _serves(believed, now)
    except Distrusted as error:
        error.hint = believed.renewal
        raise


def require_vouched(believed: Believed, now: datetime) -> None:
    """Raise Distrusted where nobody has lately said that what was delivered is the newest."""
    if believed.expires and believed.expires <= now:
        raise Distrusted(
            "delivery.expired",
            f"nobody has vouched for the policy since {believed.expires:%Y-%m-%d}; "
            "nothing is accepted",
            hint=believed.renewal,
        )


def _serves(believed: Believed, now: datetime) -> bool:
    if _has_dates(believed):
        clock.check(now, believed.floors.time - clock.LEEWAY)
    for refusal in evaluation.standing(believed.policy, now, believed.floors):
        raise Distrusted(refusal.reason, f"{refusal.message}; nothing is accepted")
    if believed.revocations is None:
        return False
    named = believed.policy.digest, believed.root_digest
    for revoked in revocation.check_configuration(believed.revocations, *named):
        raise Distrusted(revoked.reason, f"{revoked.message}; nothing is accepted")
    rules = believed.policy.revocations
    return revocationlist.require_current(believed.revocations, rules, believed.floors, now)


def _has_dates(believed: Believed) -> bool:
    """Tell whether any answer depends on the clock; of what is shipped, none does."""
    delivered = believed.floors.of(TIME) > 0
    return delivered or bool(believed.policy.expires or believed.revocations)
