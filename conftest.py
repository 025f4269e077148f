"""What holds for every run of the tests."""

import pytest


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a run with a skipped test fail: what was not run shows nothing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_configure(config: pytest.Config) -> None:
    """Let scenarios that boot machines be seen one by one, however many workers there are."""
    config.pluginmanager.register(Scenarios(config))


class Scenarios:
    """Prints a line with name and seconds for each scenario."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and report.when == "call" and "machine" in report.keywords:
            name = report.nodeid.partition("::")[2]
            reporter.ensure_newline()
            reporter.write_line(f"machine: {name}: {report.outcome}, {report.duration:.0f} s")
