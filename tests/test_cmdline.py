"""The kernel's command line is written by a boot loader and by hand; anything may be on it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snaproot.cmdline import CommandLine, parse
from snaproot.state import TrialArgument

TRIAL = TrialArgument("d4k7q2x", 1)


@pytest.mark.parametrize(
    "text",
    [
        "BOOT_IMAGE=/boot/vmlinuz root=UUID=1 ro quiet snaproot.trial=d4k7q2x.1 panic=30\n",
        "snaproot.trial=d4k7q2x.1",
        'dyndbg="file a +p; file b" "snaproot.trial=d4k7q2x.1"',
        "snaproot.trial=dzzzzzz.0 ro\tsnaproot.trial=d4k7q2x.1",
    ],
    ids=["debian", "alone", "quoted", "the last wins"],
)
def test_a_trial_is_seen(text: str) -> None:
    assert parse(text) == CommandLine(trial=TRIAL)


@pytest.mark.parametrize(
    "value",
    [
        *("", "d4k7q2x", "d4k7q2x.", ".1", "d4k7q2x.-1", "d4k7q2x.1x", "d4k7q2x.1.1", "4k7.1"),
        *("D4K7.1", "../etc.1", "d4k7q2x.\u0661", "d4k7q2x.99999", "a" * 33 + ".1", "$(id).1"),
    ],
)
def test_a_malformed_value_is_no_trial_and_skips_nothing(value: str) -> None:
    assert parse(f"ro snaproot.trial={value} snaproot.skipped={value} quiet") == CommandLine()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "ro quiet",
        "xsnaproot.trial=d4k7q2x.1",
        "snaproot.trialx=d4k7q2x.1",
        "snaproot.trial",
        'systemd.setenv="x snaproot.trial=d4k7q2x.1"',
        "snaproot.trial=d4k7q2x.1 snaproot.trial=garbled",
    ],
)
def test_what_only_looks_like_it_is_no_trial(text: str) -> None:
    assert parse(text) == CommandLine()


def test_a_boot_that_skipped_the_trial_says_so() -> None:
    skipped = TrialArgument("d4k7q2x", 2)
    assert parse("ro snaproot.skipped=d4k7q2x.2") == CommandLine(skipped=skipped)


def test_what_the_loader_wrote_and_what_somebody_asked_for_is_seen() -> None:
    assert parse("ro snaproot.canary=1 snaproot.norevert") == CommandLine(canary="1", reverts=False)


@given(st.text())
def test_no_command_line_is_an_error(text: str) -> None:
    parse(text)


@given(st.text('snaprot.il="d1 \t\n=', max_size=60))
def test_an_unfinished_quote_never_invents_a_trial(text: str) -> None:
    assert parse(f'x="{text.replace(chr(34), "")} snaproot.trial=d4k7q2x.1').trial is None
