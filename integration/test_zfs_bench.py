"""How a bench reads what pytest reported: nothing that did not pass is taken for a pass."""

import pytest

from integration.zfs.bench import outcomes

REPORT = """\
<testsuites><testsuite name="pytest">
<testcase classname="integration.zfs.test_x.TestX" name="test_a[1]" time="1.5" />
<testcase classname="integration.zfs.test_x" name="test_b" time="0.1">{said}</testcase>
</testsuite></testsuites>
"""


@pytest.mark.parametrize("tag", ["failure", "error", "skipped"])
def test_what_did_not_pass_has_a_reason(tag: str) -> None:
    found = outcomes(REPORT.format(said=f'<{tag} message="no pool">at line 3</{tag}>'))
    assert list(found) == [
        "integration.zfs.test_x.TestX.test_a[1]",
        "integration.zfs.test_x.test_b",
    ]
    passed, ill = found.values()
    assert (passed.reason, passed.seconds) == ("", 1.5)
    assert "no pool" in ill.reason
    assert "at line 3" in ill.reason


def test_what_a_test_printed_is_no_reason() -> None:
    found = outcomes(REPORT.format(said="<system-out>hello</system-out>"))
    assert not any(outcome.reason for outcome in found.values())
