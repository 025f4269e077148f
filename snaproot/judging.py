"""From what the health checks found to a verdict, and what a promotion leaves behind."""

import json
from functools import partial
from pathlib import Path

from snaproot import durable
from snaproot.errors import SnaprootError
from snaproot.health import baseline, suite
from snaproot.health.runner import insist
from snaproot.health.scripts import run_after
from snaproot.health.suite import Places
from snaproot.run import run
from snaproot.state import Judge, Kind, Record, Result, Verdict
from snaproot.steps import Notice
from snaproot.system import System

REPORT = Path("/run/snaproot/verdict.json")
STAYS = Path("/run/snaproot/stays")
"""There once nothing leaves this boot any more: the units of the failure path look for it."""
_MARGIN = 30.0  # seconds before boot-complete.target's own limit
_AFTER = {Result.GOOD: 30.0, Result.BAD: 2.0, Result.UNKNOWN: 2.0}
"""Seconds that scripts get after a good and after a bad verdict: nothing delays a revert."""


def observe(system: System, tell: Notice) -> Verdict:
    """Run every probe, keep the verdict for whoever carries it out, and return it."""
    directory, limits = system.records.directory, system.config.health
    probes = suite.probes(
        limits,
        baseline=partial(baseline.load, directory),
        record=system.records.load,
        places=Places(written=(*Places().written, directory)),
    )
    report = insist(probes, _deadline(limits.deadline_seconds), parallel=limits.parallel)
    for finding in report.findings:
        if finding.result is not Result.GOOD:
            tell(f"{finding.probe} ({finding.severity}) is {finding.result}: {finding.reason}")
    found = tuple(finding.shape() for finding in report.findings)
    verdict = Verdict(report.result, Judge.HEALTH, report.reason, found)
    _keep(verdict, system.boot_id)
    return verdict


def judgement(system: System) -> Verdict | None:
    """Return what `observe` found in this boot; None where it found nothing yet."""
    try:
        data = json.loads(REPORT.read_bytes())
    except FileNotFoundError:
        return None
    if data["boot"] != system.boot_id:
        return None
    return Verdict(Result(data["result"]), Judge.HEALTH, data["reason"], tuple(data["findings"]))


def promote_by_hand(system: System, reason: str) -> Record:
    """Promote what somebody looked at; where nothing boots, its additions are put in place."""
    pending = system.records.load().pending
    if pending is not None and not system.running and pending.created_target:
        system.put_additions(pending.target)
    record = system.transaction.promote(Verdict(Result.GOOD, Judge.HAND, reason))
    if system.running:
        note_baseline(system)
        stay()
    return record


def promote_what_runs(system: System, kind: Kind) -> Record:
    """Promote a root that somebody booted by hand, with all that a trial of it would have had."""
    booted = system.filesystem.booted() or ""
    system.put_additions(booted)
    record = system.transaction.promote_booted(kind)
    note_baseline(system)
    return record


def stay() -> None:
    """Let nothing leave this boot any more: it is promoted, or reverting is switched off."""
    STAYS.mkdir(mode=0o755, parents=True, exist_ok=True)


def note_baseline(system: System) -> None:
    """Remember what was wrong already on a root that was found good.

    Without systemd's answer the older baseline stays: then the next trial is judged more strictly.
    """
    try:
        measured = suite.measure(system.records.load().base)
        baseline.save(system.records.directory, measured)
    except SnaprootError as error:
        system.notice(f"the health baseline stays as it was: {error}")


def run_scripts(result: Result, tell: Notice) -> None:
    """Run what an admin wants run after a verdict; its failure is told, and changes nothing."""
    for finding in run_after(result, _AFTER[result]):
        if finding.result is not Result.GOOD:
            tell(f"{finding.probe}: {finding.reason}")


def _keep(verdict: Verdict, boot_id: str) -> None:
    kept = {
        "boot": boot_id,
        "result": str(verdict.result),
        "reason": verdict.reason,
        "findings": list(verdict.findings),
    }
    REPORT.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    durable.write(REPORT, json.dumps(kept).encode())


def _deadline(configured: float) -> float:
    """Return seconds from now: as configured, but before systemd's own patience ends.

    JobTimeoutUSec counts from when the root's systemd began (systemd.unit(5)): a passphrase that
    the initramfs waited for takes nothing from it.
    """
    limit = _seconds(_shown("JobTimeoutUSec", "boot-complete.target"))
    if limit is None:
        return configured
    began = int(_shown("UserspaceTimestampMonotonic") or 0) / 1_000_000
    return max(min(configured, limit - (_uptime() - began) - _MARGIN), 1.0)


def _shown(name: str, *unit: str) -> str:
    words = ["systemctl", "show", "--value", f"--property={name}", *unit]
    return run(words, check=False).output.strip()


def _seconds(text: str) -> float | None:
    """Read a time span as systemd prints it (systemd.time(7)): `1min 30s`; None for none."""
    units = {"h": 3600.0, "min": 60.0, "s": 1.0, "ms": 0.001, "us": 0.000001}
    total = 0.0
    for word in text.split():
        unit = word.lstrip("0123456789.")
        if unit not in units:
            return None
        total += float(word.removesuffix(unit)) * units[unit]
    return total or None


def _uptime() -> float:
    return float(Path("/proc/uptime").read_text().split()[0])
