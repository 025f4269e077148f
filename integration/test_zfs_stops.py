"""The power goes while a transaction works on a pool, and the machine is switched on again.

What had returned by then is there: the record, the loader's file on FAT, the roots and bootfs.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from integration.vm import disks
from integration.zfs.bench import Bench, packed, running, scratch
from snaproot.run import run

pytestmark = [pytest.mark.zfs, pytest.mark.machine, pytest.mark.xdist_group("zfs")]

CUTS = (
    ("stage", "collect", "discard the unfinished target"),
    ("stage", "arm", "finish arming"),
    ("promote", "set_default", "finish promoting"),
    ("reject", "leave", "finish reverting"),
)
"""A step, the call after which the power goes, and what recovery has to do; one after another."""

STOPS = "PYTHONDONTWRITEBYTECODE=1 python3 -m integration.zfs.recoveries"
_ESP = "mkdir -p /esp && mount /dev/disk/by-id/virtio-esp /esp"
_STOPPED = r"^testbed: stopped after \w+: (.*)\n"
_PATIENCE = 400.0  # seconds


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with switched_on() as lent:
        lent.run(f"{_ESP} && {STOPS} make", seconds=_PATIENCE)
        yield lent


@contextmanager
def switched_on() -> Iterator[Bench]:
    """Lend a bench that has an ESP, too."""
    with disks.home() as home:
        esp = home / "esp.img"
        run(["truncate", "-s", "64M", str(esp)])
        run(["mkfs.vfat", "-n", "ESP", str(esp)])
        with running(home, packed(home), scratch(home, "4G"), esp) as guest:
            yield Bench(guest)


def test_what_had_returned_survives_a_loss_of_power_and_it_recovers(bench: Bench) -> None:
    began = time.monotonic()
    for step, call, done in CUTS:
        if step == "reject":
            bench.run(f"{STOPS} go stage", seconds=_PATIENCE)
        known = stopped(bench, step, call)
        reset(bench)
        found, ways = bench.run(f"{STOPS} recovered", seconds=_PATIENCE).output.splitlines()[-2:]
        assert found == known, f"{step}, {call}: what had been promised is not there"
        assert done in ways, f"{step}, {call}: {ways}"
        print(f"{step}, {call}: {ways}")
    print(f"{len(CUTS)} losses of power, {time.monotonic() - began:.0f} s")


def stopped(bench: Bench, step: str, call: str) -> str:
    """Let a step stop after a call, and return what is so then.

    The bench's own disk is not written meanwhile, or it would have to be checked.
    """
    guest, since = bench.guest, bench.guest.serial.now
    bench.run("sync && mount -o remount,ro /")
    guest.start(f"cd /snaproot; {STOPS} stop {step} {call} >/dev/ttyS0 2>&1")
    said = guest.serial.wait(f"{_STOPPED}|Traceback", _PATIENCE, since)
    assert said[1], guest.serial.text(since)
    return str(said[1])


def reset(bench: Bench) -> None:
    bench.guest.process.monitor("system_reset")
    bench.guest.ready(_PATIENCE)
    bench.run(_ESP)
