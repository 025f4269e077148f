"""Health: what is asked of a root that runs, and what the answers mean together. Pure.

A probe says good, or bad, or nobody knows: unknown is never told as bad, and never as good.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from snaproot.state import Result

__all__ = ["Finding", "Outcome", "Probe", "Report", "Result", "Severity", "judge"]


class Severity(StrEnum):
    """Whether an answer decides (`required`), or is only told (`wanted`)."""

    REQUIRED = "required"
    WANTED = "wanted"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt found. `evidence` is JSON: texts, whole numbers, lists and objects."""

    result: Result
    reason: str
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Probe:
    """One health check; `run` is called in a process of its own, once for each attempt.

    `timeout` and `delay` are seconds: for one attempt, and between two. `retries` are attempts
    beyond the first, while the answer is not good. `after` names probes that have to be good
    first. `source` says where the probe comes from, for people.
    """

    name: str
    run: Callable[[], Outcome]
    severity: Severity = Severity.REQUIRED
    timeout: float = 30.0
    retries: int = 0
    delay: float = 0.0
    after: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one probe: its last answer, and what all attempts took together."""

    probe: str
    severity: Severity
    result: Result
    reason: str
    evidence: Mapping[str, object]
    milliseconds: int
    attempts: int

    def shape(self) -> dict[str, object]:
        """Describe it as JSON, for scripts and for the verdict log."""
        return {
            "probe": self.probe,
            "severity": str(self.severity),
            "result": str(self.result),
            "reason": self.reason,
            "evidence": dict(self.evidence),
            "milliseconds": self.milliseconds,
            "attempts": self.attempts,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The judgement over all findings, and why."""

    result: Result
    findings: tuple[Finding, ...]
    reason: str

    def shape(self) -> dict[str, object]:
        """Describe it as JSON."""
        return {
            "result": str(self.result),
            "reason": self.reason,
            "findings": [one.shape() for one in self.findings],
        }


def judge(findings: Sequence[Finding]) -> Report:
    """Judge: any required bad is bad, else any required unknown is unknown, else good."""
    for result in (Result.BAD, Result.UNKNOWN):
        found = [f for f in findings if f.severity is Severity.REQUIRED and f.result is result]
        if found:
            return Report(result, tuple(findings), "; ".join(map(_said, found)))
    return Report(Result.GOOD, tuple(findings), _all_good(findings))


def _said(finding: Finding) -> str:
    return f"{finding.probe}: {finding.reason}"


def _all_good(findings: Sequence[Finding]) -> str:
    if not findings:
        return "there is no health check"
    told = [f"{f.probe} is {f.result}" for f in findings if f.result is not Result.GOOD]
    said = "every required health check is good"
    return f"{said}; only wanted: {', '.join(told)}" if told else said
