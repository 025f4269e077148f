"""The frame of the command line: options everywhere, errors, exit codes, a quick start."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from snaproot import __version__

VERBS = (
    *("status", "list", "diff", "init", "upgrade", "run", "shell", "rollback", "activate"),
    *("abandon", "promote", "reject", "pin", "unpin", "cleanup", "recover", "verify", "doctor"),
    *("deinit", "health", "trust"),
)
NOWHERE = "/nonexistent/top"


def snaproot(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "snaproot", *words],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "COLUMNS": "100", **environment},
        check=False,
    )


def test_without_a_word_it_helps_and_calls_it_usage() -> None:
    done = snaproot()
    assert done.returncode == 2
    assert "rollback" in done.stdout


def test_the_version() -> None:
    assert snaproot("--version").stdout == f"snaproot {__version__}\n"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["frobnicate"], "no such command 'frobnicate'", "see snaproot --help"),
        (["list", "--jsn"], "no such option: --jsn", "see snaproot list --help"),
        (["pin"], "missing argument 'ID'", "see snaproot pin --help"),
        (["diff"], "missing argument 'A'", "see snaproot diff --help"),
        (["status", "--wait", "long"], "invalid value for '--wait'", "see snaproot status --help"),
        (["upgrade", "--reboot", "--stage-only"], "--reboot cannot go with", "leave one"),
        (["upgrade", "--reboot=04:00", "--stage-only"], "--reboot cannot go with", "leave one"),
        (["upgrade", "--reboot=4:00"], "--reboot=4:00: a time is HH:MM", "snaproot upgrade"),
        (["upgrade", "--reboot="], "--reboot=: a time is HH:MM", "snaproot upgrade"),
        (["upgrade", "--reboot", "04:00"], "got unexpected extra", "see snaproot upgrade"),
        (["upgrade", "--background", "--reboot"], "--background does what is", "[background]"),
        (["upgrade", "--background", "-n"], "--background does what is", "[background]"),
    ],
)
def test_wrong_words_are_one_line_a_hint_and_2(words: list[str], message: str, hint: str) -> None:
    done = snaproot(*words)
    said = done.stderr.splitlines()
    assert done.returncode == 2
    assert said[0].startswith(f"snaproot: {message}")
    assert said[1].startswith(f"hint: {hint}")
    assert len(said) == 2
    assert done.stdout == ""


def test_wrong_words_with_json_are_an_object_too() -> None:
    done = snaproot("list", "--json", "--jsn")
    assert json.loads(done.stdout)["error"]["exit_code"] == done.returncode == 2


def test_options_mean_the_same_before_and_after_the_verb() -> None:
    before = snaproot("--json", "--sysroot", NOWHERE, "status")
    after = snaproot("status", "--json", "--sysroot", NOWHERE)
    assert before.returncode == after.returncode != 0
    assert json.loads(before.stdout) == json.loads(after.stdout)


@pytest.mark.parametrize("place", range(3))
def test_options_mean_the_same_around_a_verb_of_two_words(place: int) -> None:
    words = ["health", "baseline"]
    words[place:place] = ["--json", "--sysroot", NOWHERE]
    done = snaproot(*words)
    assert json.loads(done.stdout)["error"]["message"].startswith(f"{NOWHERE} is no directory")


@pytest.mark.parametrize("verb", ["check", "list", "baseline"])
def test_every_verb_of_a_group_explains_itself_with_examples(verb: str) -> None:
    done = snaproot("health", verb, "--help")
    assert done.returncode == 0
    assert f"snaproot health {verb}" in done.stdout.split("Examples:")[1]
    assert "--json" in done.stdout


def test_the_overview_of_a_group_is_whole_sentences() -> None:
    shown = snaproot("health", "--help", COLUMNS="80").stdout.split("Commands:")[1].splitlines()[1:]
    assert [line.split()[0] for line in shown] == ["check", "list", "baseline"]
    assert not [line for line in shown if line.endswith("...")]


def test_a_group_without_a_verb_is_one_line_a_hint_and_2() -> None:
    done = snaproot("health")
    assert done.returncode == 2
    assert done.stderr == "snaproot: missing command\nhint: see snaproot health --help\n"


@pytest.mark.parametrize("words", [["check"], ["list"], ["baseline", "--record"]])
def test_health_is_not_asked_of_another_system(words: list[str]) -> None:
    done = snaproot("--sysroot", NOWHERE, "health", *words)
    assert done.returncode == 3
    assert "the system that runs" in done.stderr
    assert "hint: leave --sysroot out" in done.stderr


def test_the_option_after_the_verb_wins() -> None:
    done = snaproot("--sysroot", "/nonexistent/other", "status", "--sysroot", NOWHERE)
    assert "/nonexistent/other" not in done.stderr


def test_run_leaves_the_words_of_its_command_alone() -> None:
    done = snaproot("--sysroot", NOWHERE, "run", "ls", "--help", "--version", "--no-such-option")
    assert done.stdout == ""
    assert "no such option" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["upgrade", "--reboot"],
        ["upgrade", "--reboot=04:00"],
        ["update", "-y", "--reboot=+10"],
        ["upgrade", "--reboot", "-y"],
        ["run", "--reboot", "true"],
        ["shell", "--reboot"],
    ],
)
def test_a_reboot_is_asked_for_with_a_time_or_without(words: list[str]) -> None:
    """Understood as a wish to reboot, which another machine's disk cannot have."""
    done = snaproot("--sysroot", NOWHERE, *words)
    assert done.returncode == 2
    assert done.stderr.startswith("snaproot: --reboot cannot go with --sysroot")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_examples(verb: str) -> None:
    done = snaproot(verb, "--help")
    assert done.returncode == 0
    assert f"    snaproot {verb}" in done.stdout or f" {verb}" in done.stdout.split("Examples:")[1]
    assert "--json" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_the_overview_shows_every_verb_in_whole_sentences() -> None:
    shown = snaproot("--help", COLUMNS="80").stdout.split("Commands:")[1].splitlines()[1:]
    assert [line.split()[0] for line in shown] == list(VERBS)
    assert not [line for line in shown if line.endswith("...")]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from snaproot.cli.boundary import guarded; guarded(['--help']); "
        "print(*sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={}
    )
    assert not {"rich", "sigstore", "btrfsutil", "tomli_w"} & set(done.stderr.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_verbs_are_completed(shell: str) -> None:
    done = snaproot(
        _SNAPROOT_COMPLETE=f"complete_{shell}",
        COMP_WORDS="snaproot up",
        COMP_CWORD="1",
        _TYPER_COMPLETE_ARGS="snaproot up",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
    )
    assert "upgrade" in done.stdout
    assert "_SNAPROOT_COMPLETE" in snaproot(_SNAPROOT_COMPLETE=f"source_{shell}").stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_runs_the_cleanups_and_ends_1(number: signal.Signals, tmp_path: Path) -> None:
    marker = tmp_path / "cleaned"
    code = f"""
import os, signal, sys
from pathlib import Path
from snaproot.cli import app, boundary
from snaproot.cli.app import Call, verb

@verb("snaproot hang")
def hang(call: Call) -> None:
    "Wait for a signal, and be hit by another one while cleaning up."
    try:
        os.kill(os.getpid(), {number})
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        Path({str(marker)!r}).touch()

sys.exit(boundary.guarded(["hang"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={}
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"snaproot: stopped by {number.name}; the running system")
    assert marker.exists()


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "snaproot", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.close()
    _, said = child.communicate()
    assert b"Traceback" not in said
    assert b"Exception ignored" not in said
