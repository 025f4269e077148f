"""What holds for every run of the tests."""

import pytest


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a run with a skipped test fail: what was not run shows nothing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
