"""A clock that cannot be right: a machine without one that is kept begins in 1970. Pure.

Every window and expiry is held against the clock, and with a wrong one they say "not yet valid" or
"expired" of what is neither. So it is asked first, and the answer is that nothing can be verified.
"""

from datetime import UTC, datetime, timedelta

from snaproot.trust.facts import Unverifiable

RELEASED = datetime(2026, 11, 1, tzinfo=UTC)
"""No machine can run this release before. Moved with each release."""

LEEWAY = timedelta(days=1)
"""How far behind a clock may fall: it is corrected, or was in local time for a while."""

_SET = "set the clock, or wait until it is synchronised: timedatectl(1)"
_LASTING = timedelta(days=20 * 365)
"""Nobody runs a release for longer; the keys that it could believe have expired by then."""


def check(now: datetime, known: datetime = RELEASED) -> None:
    """Refuse a time before `known`, the latest that was ever established, or far behind it.

    Raises Unverifiable.
    """
    if now < max(known, RELEASED):
        later = f"; was it ahead before? Then all is well from {known:%Y-%m-%d} on"
        raise Unverifiable(
            "clock.early",
            f"the clock says {now:%Y-%m-%d}, which is over already; nothing was verified",
            hint=_SET + (later if known > RELEASED else ""),
        )
    if now > RELEASED + _LASTING:
        raise Unverifiable(
            "clock.late",
            f"the clock says {now:%Y-%m-%d}, which this release will not see; nothing was verified",
            hint=_SET,
        )
