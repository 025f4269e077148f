"""The first state of a deployment, and when there can be none. Pure."""

from collections.abc import Iterable
from datetime import datetime

from snaproot.errors import Refused
from snaproot.ids import next_id
from snaproot.state import Deployment, Kind, Phase, Record


def staging(kind: Kind, record: Record, known: Iterable[str], now: datetime) -> Deployment:
    """Begin with a target that is to be made: from what is pending, else from the base.

    Its number is the deployment's own: the record remembers the newest one, so that the name of an
    environment which was given up, and is gone, is not given to another.
    """
    taken = (f"d{id[1:]}" for id in [*known, *_ids(record)] if id.startswith(("b", "d")))
    id = next_id("d", taken, now)
    return Deployment(
        id=id,
        kind=kind,
        parent=record.pending.target if record.pending else record.base,
        base=record.base,
        target=f"b{id[1:]}",
        created_target=True,
        phase=Phase.STAGING,
    )


def choosing(
    kind: Kind, target: str, record: Record, now: datetime, *, phase: Phase, boot_id: str
) -> Deployment:
    """Begin with a target that exists already."""
    return Deployment(
        id=next_id("d", _ids(record), now),
        kind=kind,
        parent=record.base,
        base=record.base,
        target=target,
        created_target=False,
        phase=phase,
        boot_id=boot_id,
    )


def refuse_to_stack(record: Record, *, arm: bool) -> None:
    """Raise Refused where staging would disarm a target without arming another."""
    pending = record.pending
    if pending is not None and pending.phase is Phase.ARMED and not arm:
        raise Refused(
            f"{pending.target} is armed for the next boot, and staging on top would disarm it; "
            "nothing was changed",
            hint="leave out --stage-only, or snaproot abandon first",
        )


def _ids(record: Record) -> list[str]:
    deployments = [record.work, record.pending, record.pending and record.pending.replaces]
    return [record.last, record.newest, *(id for d in deployments if d for id in (d.id, d.target))]
