"""What has to hold on a pool wherever a transaction was stopped, and once it is recovered.

Runs in a bench. `python3 -m integration.zfs.recoveries make | go STEP | stop STEP CALL | recovered`
works on the bench's own disks, for a host that cuts the power.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from integration.stopwatch import silent
from integration.story import Code, Machine, digest, shown
from integration.sweep import check_roots, check_settled, deployments
from integration.zfs.bench import SCRATCH
from integration.zfs.stops import (
    CODE,
    Calls,
    Place,
    again,
    alone,
    booted,
    imported,
    made,
    note,
    still,
    taken,
)
from integration.zfs.test_adoption import POOL
from snaproot.booting import bootable
from snaproot.bootloader import HOME, entry
from snaproot.environment import Standing
from snaproot.filesystem.zfs import commands, view
from snaproot.filesystem.zfs.binding import OF
from snaproot.mending import mend
from snaproot.recovery import Decision, Do
from snaproot.state import Phase
from snaproot.system import opened

BENCH = Place(Path(SCRATCH), Path(SCRATCH).parent, Path("/esp"), Path("/run/testbed/altroot"))
STOPPED = "testbed: stopped after "
_MOVING = {Phase.ARMING, Phase.ARMED, Phase.PROMOTING, Phase.REVERTING}


def told(place: Place) -> str:
    """Say what a disk shows, looked at from outside."""
    with opened(place.altroot, esp=place.esp, notice=silent) as system:
        view.at(system.top).area("var")
        return facts(Machine(system))


def facts(machine: Machine) -> str:
    """Say all that a call that has returned has promised to keep."""
    there = [(e.id, e.complete, str(e.standing)) for e in machine.filesystem.environments()]
    loader = replace(machine.system.bootloader.view(), tries=0)  # a boot counts
    return f"{shown(machine)} {loader} {there}"


def check_always(machine: Machine, place: Place) -> None:
    """Assert I1, I2 and I3 on a machine as it comes up, before anything is mended."""
    now, loader = shown(machine), machine.system.bootloader.view()
    known = {e.id: e for e in machine.filesystem.environments()}
    pending = deployments(now.record)
    believed = {e.id for e in known.values() if e.standing is Standing.PROVEN}
    believed |= {d.target for d in pending if d.phase is Phase.PROMOTING}
    moving = {d.target for d in pending if d.phase in _MOVING}
    pointed = {now.default or "", loader.good, loader.fallback, loader.trial} - {""}
    assert now.default in believed, f"the default, {now.default}, moved before the verdict"
    assert loader.good in believed, f"the loader falls back to {loader.good}"
    assert pointed <= believed | moving, f"{pointed} are pointed at, and not recorded"
    check_roots(machine, {*pointed, now.record.base}, partial(same, machine, place))
    halves = {id for id, e in known.items() if not e.complete}
    halves -= {now.record.work.target} if now.record.work else set()
    halves -= {d.target for d in pending if d.phase is Phase.REVERTING}
    assert not halves, f"{halves} can be seen half made or half deleted"
    for id in {loader.good, loader.fallback, loader.trial} - {""}:
        assert loads(machine, place, id), f"GRUB could not boot {id}"


def same(machine: Machine, place: Place, id: str) -> bool:
    """Tell whether a root is what was sealed; its own list says so where nobody saw it then."""
    before = place.digests.get(id)
    if before is not None:
        return digest(machine.filesystem.place(id).root) == before
    machine.filesystem.intact(id)
    return not machine.filesystem.verify(id, _unheard)


def _unheard(_: float) -> None:
    """Nobody waits for it."""


def loads(machine: Machine, place: Place, id: str) -> bool:
    """Tell whether an entry loads what is in the root, byte for byte."""
    found = entry.parse((place.esp / HOME / f"entries/{id}.cfg").read_text())
    boots = bootable(machine.filesystem, id)
    pairs = ((found.kernel, boots.kernel), (found.initramfs, boots.initramfs)) if found else ()
    files = [(place.esp / ours[1:], boots.root / theirs[1:]) for ours, theirs in pairs]
    return bool(files) and all(a.read_bytes() == b.read_bytes() for a, b in files)


def check_nothing_left(machine: Machine) -> None:
    """Assert that no dataset, snapshot or half of a removal is left of what is gone.

    A snapshot of which something was cloned has to stay, such as the original's.
    """
    known = {e.id for e in machine.filesystem.environments()}
    rows = commands.listed("filesystem,snapshot", ["name", OF, "clones"], POOL)
    left = [name for name, of, clones in rows if not ({of} & {"-", *known} or clones.strip("-"))]
    work, gone = f"{POOL}/snaproot/work/", "/trash."
    left += [name for name, _, _ in rows if name.startswith(work) or gone in name]
    assert not left, f"left: {left}"


def recovered(place: Place, code: Code = CODE) -> Sequence[Do]:
    """Boot until recovery asks for no other boot, and assert all along; say what it did."""
    ways: list[Do] = []
    for _ in range(4):
        said = alone(lambda: _came_up(place, code))
        assert said is not None
        *done, reboot = said.split(";")
        ways += map(Do, done)
        if reboot == "stays":
            return ways
        again(place)
    raise AssertionError(f"recovery wants to reboot for ever: {ways}")


def _came_up(place: Place, code: Code) -> str:
    with booted(place, Calls(), code) as machine:
        before = still(machine)
        check_always(before, place)
        done = mend(machine.system, silent)
        after = still(machine)
        if facts(after) != facts(before):
            check_always(after, place)
        if not done[-1].reboot:
            _check_end(machine, after, done)
            note(place, after.filesystem)
        return ";".join([*(one.do for one in done), "reboots" if done[-1].reboot else "stays"])


def _check_end(machine: Machine, after: Machine, done: Sequence[Decision]) -> None:
    """Assert that nothing is left to do, and nothing of what was undone."""
    check_settled(after)
    check_nothing_left(after)
    if len(done) > 1:  # else this was a recovery that found nothing to do
        assert mend(machine.system, silent) == done[-1:], "the second time differs"
        assert facts(still(machine)) == facts(after), "the second time changed something"


# -- a host that cuts the power -------------------------------------------------------------------


def main(words: Sequence[str]) -> None:
    """Do one thing on the bench's own disks."""
    verb, *more = words
    if verb == "make":
        made(BENCH)
    elif verb == "go":
        taken(BENCH, more[0])
    elif verb == "stop":
        _stop_at(*more)
    else:
        imported(BENCH)
        print(alone(lambda: told(BENCH)))
        print(*recovered(BENCH), sep=", ")


def _stop_at(step: str, call: str) -> None:
    """Say what is so after a call, and wait for the power to go."""

    def stop() -> None:
        print(f"{STOPPED}{call}: {alone(lambda: told(BENCH))}", flush=True)
        while True:
            time.sleep(60)

    taken(BENCH, step, Calls(call, stop))


if __name__ == "__main__":
    main(sys.argv[1:])
