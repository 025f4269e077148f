"""The JSON shapes, as `JSON.md` beside this file documents them. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from snaproot.backoff import Failure
from snaproot.environment import Environment, PackageChange
from snaproot.filesystem import PathChange
from snaproot.health import Probe
from snaproot.overview import Overview
from snaproot.packages import Plan
from snaproot.recovery import Decision
from snaproot.selection import Chosen
from snaproot.state import Deployment, Record
from snaproot.verdicts import Verdict

Shape = dict[str, object]


def environment(seen: Environment, roles: Sequence[str]) -> Shape:
    """Describe one boot environment."""
    return {
        "id": seen.id,
        "parent": seen.parent or None,
        "origin": seen.origin or None,
        "command": seen.command or None,
        "created": seen.created.isoformat() if seen.created else None,
        "kernel": seen.kernel or None,
        "standing": str(seen.standing),
        "sealed": seen.sealed,
        "pinned": seen.pinned,
        "roles": list(roles),
        "damage": seen.damage or None,
        "beneath": seen.beneath or None,
        "unverified": list(seen.unverified),
    }


def listing(seen: Overview, exclusive: Mapping[str, int] | None) -> Shape:
    """List all boot environments; `exclusive_bytes` only where space was asked for."""
    extra = exclusive or {}
    return {
        "environments": [
            environment(one, seen.roles(one.id))
            | ({"exclusive_bytes": extra[one.id]} if one.id in extra else {})
            for one in seen.environments
        ]
    }


def deployment(pending: Deployment | None) -> Shape | None:
    """Describe one attempt to make a target the proven root."""
    if pending is None:
        return None
    return {
        "id": pending.id,
        "kind": str(pending.kind),
        "phase": str(pending.phase),
        "parent": pending.parent,
        "base": pending.base,
        "target": pending.target,
        "created_target": pending.created_target,
        "tries": pending.tries,
        "attempts_used": pending.attempts_used,
        "attempts_given_back": pending.attempts_given_back,
        "reason": pending.reason or None,
    }


def status(seen: Overview) -> Shape:
    """Say what is, what the next boot will be, and what has to be settled first."""
    return {
        "restricted": False,
        "booted": seen.booted,
        "default": seen.default,
        "base": seen.record.base if seen.record else None,
        "pending": deployment(seen.pending),
        "loader": loader(seen),
        "at_work": seen.at_work or None,
        "interrupted": seen.interrupted or None,
        "stranded": seen.stranded or None,
        "unfinished": seen.unfinished or None,
        "tries_left": seen.loader.tries if seen.pending and seen.loader.counts else None,
        "verdict": verdict(seen.verdict),
        "edits": paths(seen.edits),
        "left_behind": {id: list(files) for id, files in seen.left_behind.items()},
        "background": background(seen.failure),
        **listing(seen, None),
    }


def verdict(last: Verdict | None) -> Shape | None:
    """Describe the last verdict; its evidence is in the log."""
    if last is None:
        return None
    return {
        "time": last.time,
        "deployment": last.deployment,
        "target": last.target,
        "result": last.result,
        "by": last.by,
        "reason": last.reason or None,
    }


def background(failure: Failure | None) -> Shape | None:
    """Describe what failed in the background, and when it is tried again."""
    if failure is None:
        return None
    return {
        "times": failure.times,
        "last": failure.last.isoformat(),
        "again": failure.again.isoformat(),
        "reason": failure.reason,
    }


def loader(seen: Overview) -> Shape:
    """Say what the boot loader can do by itself."""
    can = seen.capability
    return {
        "counts": can.counts,
        "one_shot": can.one_shot,
        "summary": can.summary,
        "obstacle": can.obstacle or None,
    }


def plan(planned: Plan) -> Shape:
    """Say what an upgrade would do."""
    return {
        "packages": packages(planned.changes),
        "download_bytes": planned.download,
        "disk_bytes": planned.disk,
    }


def packages(changes: Iterable[PackageChange]) -> list[Shape]:
    """Name package changes; null where a package was not installed."""
    return [
        {"name": one.name, "before": one.before or None, "after": one.after or None}
        for one in changes
    ]


def paths(changes: Iterable[PathChange]) -> list[Shape]:
    """Name changed paths."""
    return [{"path": one.path, "change": str(one.change)} for one in changes]


def deployed(record: Record) -> Shape:
    """Say what is true after a verdict or a choice."""
    return {"base": record.base, "pending": deployment(record.pending)}


def decisions(taken: Iterable[Decision]) -> list[Shape]:
    """Say what recovery found and did, the last one final."""
    return [{"did": str(one.do), "why": one.why, "reboot": one.reboot} for one in taken]


def probe(asked: Probe) -> Shape:
    """Describe one health check, not yet asked."""
    return {
        "probe": asked.name,
        "severity": str(asked.severity),
        "timeout_seconds": round(asked.timeout),
        "retries": asked.retries,
        "delay_seconds": round(asked.delay),
        "source": asked.source,
    }


def chosen(step: Chosen) -> Shape:
    """Describe one step of a rollback, an activation or a verdict."""
    return {"step": str(step.step), "target": step.target, "why": step.why}
