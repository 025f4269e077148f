"""Is the pool of a root on ZFS whole, and does it make mistakes."""

import re
from collections.abc import Callable, Iterator, Mapping

from snaproot import zpool
from snaproot.health import Outcome, Result
from snaproot.zpool import Status, Vdev

_LOST = {"FAULTED", "UNAVAIL", "SUSPENDED"}
_DATA = "data"
_NAME = re.compile(r"/|:(?=<)")

Counters = Mapping[str, Mapping[str, int]]
"""Of each device, by Btrfs's id or ZFS's GUID: how often what went wrong."""


def unharmed(pool: str, before: Callable[[], Counters]) -> Outcome:
    """Tell whether the pool works, with no error and no fault that was not there `before`.

    What is degraded already is told, and is no fault of the root that runs.
    """
    seen = zpool.status(pool)
    now, known = counters(seen), before()
    evidence: dict[str, object] = {"health": seen.health, "now": now, "before": known}
    if seen.health in _LOST:
        return Outcome(Result.BAD, f"the pool {pool} is {seen.health}", evidence)
    if grown := [*_grown(seen, known)]:
        return Outcome(Result.BAD, "; ".join(grown), evidence)
    old = faults(seen)
    what = f"no device of {pool} has new errors"
    return Outcome(Result.GOOD, f"{what}; as before: {'; '.join(old)}" if old else what, evidence)


def counters(status: Status) -> Counters:
    """Count the errors of each device by its GUID, and what is damaged under `data`. Pure.

    A state other than ONLINE is counted as a fault of that name. The errors of devices are those
    since the pool was imported, the damage is all there is.
    """
    found = {vdev.guid: _counts(vdev) for vdev in status.vdevs}
    damage = {_name(path): 1 for path in status.damaged}
    if status.untold:
        damage["untold"] = _number(status.untold)
    return {**found, **({_DATA: damage} if damage else {})}


def faults(status: Status) -> list[str]:
    """Say all that is wrong with a pool, in words. Pure."""
    return [*_grown(status, {})]


def _grown(status: Status, known: Counters) -> Iterator[str]:
    for vdev in status.vdevs:
        was = known.get(vdev.guid, {})
        for what, count in _counts(vdev).items():
            if count <= was.get(what, 0):
                continue
            if what == vdev.state:
                yield f"{vdev.name} is {what}{f' ({vdev.note})' if vdev.note else ''}"
            else:
                yield f"{what} errors on {vdev.name}: {count}, were {was.get(what, 0)}"
    damage = known.get(_DATA, {})
    yield from (f"{path} is damaged" for path in status.damaged if _name(path) not in damage)
    if status.untold and _number(status.untold) > damage.get("untold", 0):
        yield f"the pool {status.pool} has damage that cannot be listed: {status.untold}"


def _counts(vdev: Vdev) -> Mapping[str, int]:
    counts = {"read": vdev.read, "write": vdev.write, "checksum": vdev.checksum}
    return counts if vdev.state == "ONLINE" else {**counts, vdev.state: 1}


def _name(path: str) -> str:
    """Name damage by what a clone of it has in common: the last part of its path, or its object.

    The same block is damaged in a boot environment and its parent, which are mounted by turns.
    """
    return _NAME.split(path)[-1]


def _number(said: str) -> int:
    number = said.split(" ", 1)[0]
    return int(number) if number.isdecimal() else 1
