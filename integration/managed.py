"""Ask the probes of services under a real systemd, and print what they answer as JSON.

`unshare --pid --fork --kill-child --mount --mount-proc python -m integration.managed`: systemd runs
as a user's manager, which needs no machine of its own; `systemctl` on PATH speaks to it.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from snaproot.health import Finding, Outcome, Probe
from snaproot.health.runner import check
from snaproot.health.services import all_active, failed, nothing_new_failed, starting
from snaproot.run import run

RUN = Path("/run/user/0")
UNITS = {
    "good": "ExecStart=/bin/sleep 600",
    "broken": "ExecStart=/bin/false",
    "slow": "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep 2",
    "doomed": "Type=oneshot\nExecStart=/bin/sleep 2\nExecStart=/bin/false",
    "endless": "Type=oneshot\nExecStart=/bin/sleep 600",
    "flapping": "ExecStart=/bin/false\nRestart=always\nRestartSec=600",
}


def main() -> None:
    """Play every case once."""
    start(UNITS)
    cases = {
        "nothing failed": _asked(lambda: nothing_new_failed(list, 5)),
        "not started": _up("good.service"),
        "unknown unit": _up("missing.service"),
    }
    _systemctl("start", "good.service")
    cases["started"] = _up("good.service")
    _systemctl("start", "--no-block", "slow.service")
    cases["starts slowly"] = _up("slow.service")
    _systemctl("start", "--no-block", "endless.service")
    cases["starts for ever"] = _up("endless.service", seconds=1)
    cases["is told"] = _asked(lambda: nothing_new_failed(list, 1))
    _systemctl("stop", "endless.service")
    _systemctl("reset-failed")
    _systemctl("start", "flapping.service")
    cases["flaps"] = _up("flapping.service", seconds=1)
    _systemctl("stop", "flapping.service")
    _systemctl("start", "--no-block", "doomed.service")
    cases["fails while asked"] = _asked(lambda: nothing_new_failed(list, 20))
    cases["had failed before"] = _asked(lambda: nothing_new_failed(failed, 5))
    _systemctl("start", "broken.service")
    time.sleep(0.3)
    cases["another fails"] = _asked(lambda: nothing_new_failed(lambda: ["doomed.service"], 5))
    cases["failed"] = _up("broken.service")
    shape = {name: [str(one.result), one.reason] for name, one in cases.items()}
    sys.stdout.write(json.dumps({**shape, "starting": starting()}))


def _asked(ask: Callable[[], Outcome]) -> Finding:
    (found,) = check([Probe("asked", ask)], 60).findings
    return found


def _up(*units: str, seconds: float = 10) -> Finding:
    return _asked(lambda: all_active(units, seconds))


def _systemctl(*words: str) -> None:
    run(["systemctl", *words], check=False)


def start(services: Mapping[str, str], programs: Sequence[str] = ("systemctl",)) -> None:
    """Start a manager of these services in a /run of our own, let programs ask it, and wait."""
    run(["mount", "--make-rprivate", "/"])
    run(["mount", "-t", "tmpfs", "tmpfs", "/run"])
    Path("/run/systemd/system").mkdir(parents=True)  # what says that systemd runs
    units = RUN / "systemd/user"
    units.mkdir(parents=True)
    for name, text in services.items():
        (units / f"{name}.service").write_text(f"[Service]\n{text}\n")
    place = Path("/run/bin")
    place.mkdir()
    for name in programs:
        script = f'#!/bin/sh\nXDG_RUNTIME_DIR={RUN} exec /usr/bin/{name} --user "$@"\n'
        (place / name).write_text(script)
        (place / name).chmod(0o755)
    os.environ["PATH"] = f"{place}:{os.environ['PATH']}"
    manager = ["/lib/systemd/systemd", "--user", "--unit=basic.target"]
    environment = {"XDG_RUNTIME_DIR": str(RUN), "HOME": "/root", "PATH": os.environ["PATH"]}
    subprocess.Popen(manager, env=environment, stdout=sys.stderr)
    until = time.monotonic() + 20
    words = ["systemctl", "is-active", "basic.target"]
    while run(words, check=False).status != 0 and time.monotonic() < until:
        time.sleep(0.1)


if __name__ == "__main__":
    main()
