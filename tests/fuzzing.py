"""How much is tried: little in `make test`, much in `make fuzz`, which loads this as a plugin.

`-p tests.fuzzing --cases N` runs every property with N cases, and says at the end how many each
that held had, and how long that took. It fails where one had fewer: untried is not shown.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings

_PROFILE = "fuzz"
_STATISTICS = "hypothesis_statistics"  # what Hypothesis's own plugin leaves with a test
_PHASE = re.compile(r"during (?:reuse|generate) phase \(([0-9.]+) seconds\)")
_PASSING = re.compile(r"- ([0-9]+) passing")
_EXHAUSTED = "nothing left to do"


def cases(few: int) -> settings:
    """Try so many, or as many as `make fuzz` wants."""
    if settings.get_current_profile_name() == _PROFILE:
        return settings(deadline=None)
    return settings(deadline=None, max_examples=few)


@dataclass(frozen=True, slots=True)
class Tried:
    """One property, and what was tried of it."""

    name: str
    cases: int
    seconds: float
    exhausted: bool

    @property
    def line(self) -> str:
        every = ", which is every one there is" if self.exhausted else ""
        return f"fuzz: {self.cases:>7,} cases in {self.seconds:>6.1f} s{every}: {self.name}"


def read(name: str, statistics: str) -> Tried:
    """Read what Hypothesis says of one run."""
    return Tried(
        name,
        sum(map(int, _PASSING.findall(statistics))),
        sum(map(float, _PHASE.findall(statistics))),
        _EXHAUSTED in statistics,
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cases", type=int, default=20_000, help="how many of each property")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Decide before any test is read: its settings are made then."""
    settings.register_profile(
        _PROFILE,
        max_examples=config.getoption("--cases"),
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile(_PROFILE)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the report carry the statistics: it may be made in another process."""
    report = yield
    if report.when == "teardown" and hasattr(item, _STATISTICS):
        report.user_properties.append((_STATISTICS, getattr(item, _STATISTICS)))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for one in _tried(terminalreporter):
        terminalreporter.write_line(one.line)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    least = session.config.getoption("--cases")
    found = list(_tried(reporter)) if isinstance(reporter, pytest.TerminalReporter) else []
    if session.exitstatus == 0 and any(one.cases < least and not one.exhausted for one in found):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _tried(reporter: pytest.TerminalReporter) -> Iterator[Tried]:
    failed = {report.nodeid for report in reporter.stats.get("failed", [])}
    for report in (report for listed in reporter.stats.values() for report in listed):
        for name, statistics in getattr(report, "user_properties", ()):
            if name == _STATISTICS and report.when == "teardown" and report.nodeid not in failed:
                yield read(report.nodeid, statistics)
