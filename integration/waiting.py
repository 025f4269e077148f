"""Wait for a window under a real systemd, and print as JSON what its timer was at each step.

`unshare --pid --fork --kill-child --mount --mount-proc python -m integration.waiting`.
"""

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from integration import managed
from snaproot.boot.reboots import Reboots
from snaproot.config import Action, BackgroundSettings
from snaproot.run import run

AGAIN = Path("/run/again")
SERVICE = f"""\
Type=oneshot
ExecStart=/bin/sh -c 'test ! -e {AGAIN} || . {AGAIN}'
"""
WAITS = "systemd-run --quiet --unit=snaproot-window.service '--on-calendar=2100-01-01 00:00:00 UTC'"
TIMER = managed.RUN / "systemd/transient/snaproot-window.timer"
SECONDS = 20.0


def main() -> None:
    """Wait for one window, for another, for none; then let one come, and wait again in it."""
    managed.start({"snaproot-window": SERVICE}, ("systemctl", "systemd-run"))
    reboots = Reboots(timer=TIMER)
    steps = {"first": _waits(reboots, hours=2), "another": _waits(reboots, hours=5)}
    reboots.call_off()
    steps["called off"] = _timer() == ""
    run(["systemd-run", "--unit=snaproot-window.service", "--on-active=1"])
    steps["over"] = _until("")
    steps["after that"] = _waits(reboots, hours=2)
    reboots.call_off()
    AGAIN.write_text(f"PATH=/run/bin:$PATH\nsystemctl stop snaproot-window.timer\n{WAITS}\n")
    run(["systemd-run", "--unit=snaproot-window.service", "--on-active=1"])
    steps["waits again by itself"] = _until("2100-01-01 00:00:00 UTC")
    sys.stdout.write(json.dumps(steps))


def _waits(reboots: Reboots, *, hours: int) -> bool:
    """Ask for a reboot in a window so many hours from now; tell whether the timer says so."""
    now = datetime.now(UTC)
    begin = (now + timedelta(hours=hours)).astimezone()
    window = f"{begin:%H:%M}-{begin + timedelta(hours=1):%H:%M}"
    reboots.in_window(BackgroundSettings(Action.REBOOT, window), "b2", now)
    return _timer() == f"{begin.astimezone(UTC):%Y-%m-%d %H:%M}:00 UTC"


def _timer() -> str:
    """Say what the timer waits for; nothing where there is none."""
    active = run(["systemctl", "is-active", "snaproot-window.timer"], check=False)
    if not TIMER.exists() or active.status != 0:
        return ""
    lines = TIMER.read_text().splitlines()
    return next(
        (line.partition("=")[2] for line in lines if line.startswith("OnCalendar=")), "soon"
    )


def _until(wanted: str) -> bool:
    end = time.monotonic() + SECONDS
    time.sleep(2)  # until what is on its way has begun
    while _timer() != wanted and time.monotonic() < end:
        time.sleep(0.2)
    return _timer() == wanted


if __name__ == "__main__":
    main()
