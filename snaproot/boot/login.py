"""What somebody who logs in is told (pam_motd(8)): what is pending, what failed, and where one is.

Nothing at all, while there is nothing to say.
"""

from collections.abc import Iterator
from pathlib import Path

from snaproot import durable
from snaproot.overview import Overview, look
from snaproot.state import Phase, Result
from snaproot.system import System

PLACE = Path("/run/motd.d/snaproot")


def refresh(system: System, place: Path = PLACE) -> None:
    """Write the message anew, or remove it."""
    text = "".join(f"snaproot: {line}\n" for line in lines(look(system)))
    if not text:
        place.unlink(missing_ok=True)
        return
    place.parent.mkdir(mode=0o755, exist_ok=True)
    durable.write(place, text.encode(), mode=0o644)


def lines(seen: Overview) -> Iterator[str]:
    """Say what matters to somebody who logs in. Pure."""
    pending = seen.pending
    if seen.interrupted:
        yield f"{seen.interrupted}; settle it with: {seen.remedy}"
    if pending and seen.in_trial:
        yield f"this is a trial of {pending.target}, not judged yet (snaproot status)."
    else:
        yield from _whereabouts(seen)
    if seen.stranded:
        yield f"{seen.stranded}."
    if seen.unfinished:
        yield seen.unfinished
    if seen.edits:
        yield f"{len(seen.edits)} edits in /etc are not in the trial: snaproot status names them."
    last = seen.verdict
    if last is not None and last.result != Result.GOOD and not pending:
        yield f"{last.target} was reverted: {last.reason}"
    if seen.failure:
        yield f"upgrade in the background: {seen.failure.said}"


def _whereabouts(seen: Overview) -> Iterator[str]:
    """Say what runs, where that is not the default, and what the next boot is to try."""
    armed = seen.pending is not None and seen.pending.phase is Phase.ARMED
    if seen.by_hand:
        yield f"{seen.booted} is running, chosen by hand, {seen.by_hand}."
    elif seen.booted and not armed and seen.default not in (None, seen.booted):
        yield (
            f"{seen.booted} is running, the default is {seen.default}. "
            "To stay here: snaproot rollback"
        )
    if seen.pending and armed:
        yield f"{seen.pending.target} is tried at the next boot. To drop it: snaproot abandon"
