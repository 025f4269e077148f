"""Scripts as greenboot's and health-checker's users have them, run for real."""

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from snaproot.errors import SnaprootError
from snaproot.health import Finding, Result, Severity, judge
from snaproot.health.baseline import Baseline
from snaproot.health.runner import check
from snaproot.health.scripts import Directories, ask, checks, run_after
from snaproot.health.settings import Disk, Health, Network, Scripts, Services
from snaproot.health.suite import Places, probes
from tests.health.asking import answer, put, survivors

ONLY_SCRIPTS = Health(
    services=Services(enabled=False),
    disk=Disk(enabled=False),
    network=Network(enabled=False),
    scripts=Scripts(timeout_seconds=1, retries=0),
)


def directories(top: Path) -> Directories:
    return Directories(
        own=[top / "usr/lib/snaproot", top / "run/snaproot", top / "etc/snaproot"],
        greenboot=[top / "usr/lib/greenboot", top / "etc/greenboot"],
        health_checker=[top / "usr/libexec/health-checker", top / "usr/local/libexec/hc"],
    )


def found(top: Path, settings: Health = ONLY_SCRIPTS) -> Mapping[str, Finding]:
    asked = probes(
        settings,
        baseline=Baseline,
        record=lambda: None,
        places=Places(directories=directories(top)),
    )
    report = check(asked, 30)
    return {
        str(Path(f.probe).relative_to(top)): f for f in report.findings if f.probe != "own.record"
    }


def results(top: Path) -> Mapping[str, str]:
    return {name: f"{f.severity} {f.result}" for name, f in found(top).items()}


def test_every_convention_is_found_and_run(tmp_path: Path) -> None:
    put(tmp_path / "usr/lib/greenboot/check/required.d/01_ok.sh", "#!/bin/bash\n[[ 1 ]]\n", 0o644)
    put(tmp_path / "etc/greenboot/check/wanted.d/02_no.sh", "#!/bin/bash\nexit 4\n", 0o644)
    put(tmp_path / "etc/greenboot/check/required.d/program", "#!/bin/sh\nexit 0\n")
    put(tmp_path / "etc/greenboot/check/required.d/README", "not a script\n", 0o644)
    put(tmp_path / "usr/libexec/health-checker/tmp.sh", '#!/bin/sh\n[ "$1" = check ]\n')
    put(tmp_path / "usr/local/libexec/hc/own", '#!/bin/sh\n[ "$1" = stop ]\n')
    put(tmp_path / "usr/lib/snaproot/check/required.d/10-vendor", "#!/bin/sh\nexit 0\n")
    put(tmp_path / "etc/snaproot/check/wanted.d/20-admin.sh", "exit 1\n", 0o644)
    assert results(tmp_path) == {
        "usr/lib/greenboot/check/required.d/01_ok.sh": "required good",
        "etc/greenboot/check/wanted.d/02_no.sh": "wanted bad",
        "etc/greenboot/check/required.d/program": "required good",
        "usr/libexec/health-checker/tmp.sh": "required good",
        "usr/local/libexec/hc/own": "required bad",
        "usr/lib/snaproot/check/required.d/10-vendor": "required good",
        "etc/snaproot/check/wanted.d/20-admin.sh": "wanted bad",
    }


def test_a_later_directory_shadows_and_a_link_to_dev_null_masks(tmp_path: Path) -> None:
    put(tmp_path / "usr/lib/snaproot/check/required.d/a", "#!/bin/sh\nexit 1\n")
    put(tmp_path / "usr/lib/snaproot/check/required.d/b", "#!/bin/sh\nexit 1\n")
    put(tmp_path / "run/snaproot/check/required.d/a", "#!/bin/sh\nexit 2\n")
    put(tmp_path / "etc/snaproot/check/required.d/a", "#!/bin/sh\nexit 0\n")
    (tmp_path / "etc/snaproot/check/required.d/b").symlink_to("/dev/null")
    assert results(tmp_path) == {"etc/snaproot/check/required.d/a": "required good"}


def test_what_editors_and_packages_leave_is_no_script(tmp_path: Path) -> None:
    for name in ("a~", ".a", "a.dpkg-old", "a.rpmsave", "a.bak"):
        put(tmp_path / "etc/snaproot/check/required.d" / name, "#!/bin/sh\nexit 1\n")
    (tmp_path / "etc/snaproot/check/required.d/directory").mkdir()
    assert results(tmp_path) == {}


@pytest.mark.parametrize("quote", ['"', "'", ""])
def test_what_greenboot_has_switched_off_stays_off(quote: str, tmp_path: Path) -> None:
    put(tmp_path / "usr/lib/greenboot/check/required.d/01_dns.sh", "exit 1\n")
    put(tmp_path / "usr/lib/greenboot/check/required.d/02_dog.sh", "exit 1\n")
    put(tmp_path / "usr/lib/greenboot/check/required.d/03_yes.sh", "exit 0\n")
    names = f"{quote}01_dns.sh{quote}\n  {quote}02_dog.sh{quote}"
    put(tmp_path / "etc/greenboot/greenboot.conf", f"X=1\nDISABLED_HEALTHCHECKS=({names})\n")
    assert list(results(tmp_path)) == ["usr/lib/greenboot/check/required.d/03_yes.sh"]


def test_all_scripts_can_be_made_wanted_or_switched_off(tmp_path: Path) -> None:
    put(tmp_path / "etc/snaproot/check/required.d/a", "#!/bin/sh\nexit 1\n")
    wanted = replace(ONLY_SCRIPTS.scripts, severity=Severity.WANTED)
    (one,) = found(tmp_path, replace(ONLY_SCRIPTS, scripts=wanted)).values()
    assert one.severity is Severity.WANTED
    off = replace(ONLY_SCRIPTS.scripts, enabled=False)
    assert found(tmp_path, replace(ONLY_SCRIPTS, scripts=off)) == {}


def test_what_a_script_says_is_evidence(tmp_path: Path) -> None:
    path = put(tmp_path / "s", "#!/bin/sh\necho out\necho disk is gone >&2\nexit 3\n")
    one = answer(lambda: ask([str(path)], 5))
    assert (one.result, one.reason) == (Result.BAD, "exited 3: disk is gone")
    assert one.evidence == {"output": "out\ndisk is gone\n", "status": 3}


def test_one_that_says_too_much_is_kept_to_its_last_words(tmp_path: Path) -> None:
    path = put(tmp_path / "s", "#!/bin/sh\nyes | head -c 5000000\necho last; exit 1\n")
    one = answer(lambda: ask([str(path)], 5))
    assert one.reason == "exited 1: last"
    assert len(str(one.evidence["output"])) <= 1 << 14


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        ("#!/no/such/interpreter\n", 0o755, "no such program"),
        ("#!/bin/sh\n", 0o644, "cannot be started: permission denied"),
        ("\x7fELF but not quite\n", 0o755, "cannot be started: exec format error"),
        ("#!/bin/sh\nkill -9 $$\n", 0o755, "was killed by signal 9"),
        ("#!/bin/sh\necho waiting for the bus; sleep 60\n", 0o755, "in 0.5 s: waiting for the bus"),
    ],
    ids=["no interpreter", "not executable", "no program", "killed", "hangs"],
)
def test_one_that_cannot_answer_is_unknown(text: str, mode: int, says: str, tmp_path: Path) -> None:
    path = put(tmp_path / "s", text, mode)
    one = answer(lambda: ask([str(path)], 0.5))
    assert one.result is Result.UNKNOWN
    assert says in one.reason


def test_a_hanging_script_holds_up_neither_the_others_nor_the_verdict(tmp_path: Path) -> None:
    mark = f"snaproot-test-{os.getpid()}-{tmp_path.name}"
    hangs = f"#!/bin/sh\nexport MARK={mark}\n(setsid sh -c 'sleep 60; :' &)\nsleep 60; :\n"
    put(tmp_path / "etc/snaproot/check/required.d/hangs", hangs)
    put(tmp_path / "etc/snaproot/check/required.d/ok", "#!/bin/sh\nexit 0\n")
    begun = time.monotonic()
    seen = found(tmp_path)
    assert time.monotonic() - begun < 5
    assert [f.result for f in seen.values()] == [Result.UNKNOWN, Result.GOOD]
    assert judge([*seen.values()]).result is Result.UNKNOWN
    assert survivors(mark) == []


def test_a_daemon_that_a_script_leaves_does_not_look_like_a_hang(tmp_path: Path) -> None:
    mark = f"snaproot-test-{os.getpid()}-{tmp_path.name}"
    path = put(tmp_path / "s", f"#!/bin/sh\nexport MARK={mark}\nsleep 60 &\nsetsid sleep 60 &\n")
    begun = time.monotonic()
    assert answer(lambda: ask([str(path)], 10)).result is Result.GOOD
    assert time.monotonic() - begun < 5
    assert survivors(mark) == []


def test_a_directory_that_cannot_be_read_is_loud(tmp_path: Path) -> None:
    place = tmp_path / "etc/snaproot/check/required.d"
    place.parent.mkdir(parents=True)
    place.symlink_to(place)
    with pytest.raises(SnaprootError, match="cannot read"):
        checks(directories(tmp_path))


@pytest.mark.parametrize(
    ("result", "ran"),
    [(Result.GOOD, ["green"]), (Result.BAD, ["red"]), (Result.UNKNOWN, ["red"])],
)
def test_after_the_verdict_its_scripts_run_in_order(
    result: Result, ran: list[str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    for colour in ("green", "red"):
        put(tmp_path / f"etc/greenboot/{colour}.d/1.sh", f"echo {colour} 2 >>{log}\n", 0o644)
        put(tmp_path / f"usr/lib/snaproot/{colour}.d/9", f"#!/bin/sh\necho {colour} 1 >>{log}\n")
        put(tmp_path / f"usr/lib/snaproot/{colour}.d/8", "#!/bin/sh\nexit 1\n")
    findings = run_after(result, 5, directories(tmp_path))
    assert [f.result for f in findings] == [Result.BAD, Result.GOOD, Result.GOOD]
    assert log.read_text() == "".join(f"{colour} {n}\n" for colour in ran for n in (1, 2))


def test_red_scripts_cannot_delay_the_reboot(tmp_path: Path) -> None:
    put(tmp_path / "etc/snaproot/red.d/1", "#!/bin/sh\nsleep 60\n")
    put(tmp_path / "etc/snaproot/red.d/2", f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    begun = time.monotonic()
    findings = run_after(Result.BAD, 1, directories(tmp_path))
    assert time.monotonic() - begun < 2
    assert [f.result for f in findings] == [Result.UNKNOWN, Result.UNKNOWN]
    assert not (tmp_path / "ran").exists()
