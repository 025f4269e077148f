"""What the loader reads is damaged: nobody touches the machine, and it boots what is proven.

Two cases in machines, the others by Debian's own grub-emu on the very same disks; afterwards
snaproot is asked, from outside, what it makes of what it finds.
"""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from integration import grubemu
from integration.grubemu import Outcome
from integration.powercut import private_mounts
from integration.vm import disks, parts
from integration.vm.faults import removed
from integration.vm.guest import Machine
from integration.vm.off import Off
from integration.vm.trials import Armed, adopted, armed, lefts, off, status
from snaproot.run import run
from snaproot.state import Phase

pytestmark = pytest.mark.machine

GRUB = "2.12"
FOREIGN = b"# GRUB Environment Block\nsaved_entry=0\n".ljust(1024, b"#")


def test_a_trial_without_a_kernel_and_a_loader_without_memory() -> None:
    """h: the base at once; the attempt is given back, and what the loader forgot is staged."""
    with adopted() as machine:
        what = armed(machine, partial(removed, pattern="boot/vmlinuz-*"), tries=2)
        found = boots_base(machine, what, kernel=r"snaproot\.skipped=")
        assert (found["phase"], found["attempts_given_back"]) == ("armed", 1)
        with off(machine, spoilt=what.target) as disk:
            assert disk.env
            assert disk.env.tries == 2
            (disk.home / "env").write_bytes(bytes(1024))
        found = boots_base(machine, what)
        assert found["phase"] == "staged"
        assert "missing or unreadable" in str(found["reason"])
        with off(machine) as disk:
            assert disk.env
            assert (disk.env.good, disk.env.trial) == (what.base, "")


def boots_base(machine: Machine, what: Armed, kernel: str = "") -> Mapping[str, object]:
    """Switch a machine on, and find it on its base; return what is pending there."""
    with machine.boot() as guest:
        guest.ready(kernel=kernel)
        guest.run("systemctl start snaproot-recover.service")
        found = status(guest)
        assert (found["booted"], found["base"]) == (what.base, what.base)
        assert lefts(guest) == [""]
        guest.off()
    pending = found["pending"]
    assert isinstance(pending, dict)
    return pending


@dataclass(frozen=True, slots=True)
class Case:
    """One damage: what it leaves to boot (`trial`, `base`), and where the trial stands then.

    `restarts`: so often the machine restarts first. `tries` are left at the end.
    """

    damage: Callable[[Off], None]
    boots: str = "base"
    restarts: int = 0
    phase: Phase = Phase.STAGED
    tries: int = 0
    torn: bool = False


def env_is(content: bytes | None) -> Callable[[Off], None]:
    """Replace the loader's file, or delete it."""

    def damage(disk: Off) -> None:
        if content is None:
            (disk.home / "env").unlink()
        else:
            (disk.home / "env").write_bytes(content)

    return damage


def cut(disk: Off, size: int) -> None:
    """Let the loader's file end early; with one sector GRUB still counts in it."""
    path = disk.home / "env"
    path.write_bytes(path.read_bytes()[:size])


def torn_entry(disk: Off) -> None:
    path = disk.home / f"entries/{disk.target}.cfg"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def no_entry(disk: Off) -> None:
    (disk.home / f"entries/{disk.target}.cfg").unlink()


def nothing(_: Off) -> None:
    """Leave it whole: what the others are compared with."""


CASES = {
    "nothing": Case(nothing, "trial", phase=Phase.ARMED, tries=1),
    "env zeroed": Case(env_is(bytes(1024))),
    "env of one sector": Case(partial(cut, size=512), "trial"),
    "env truncated": Case(partial(cut, size=64)),
    "env deleted": Case(env_is(None)),
    "env empty": Case(env_is(b"")),
    "env of another": Case(env_is(FOREIGN)),
    "kernel gone": Case(partial(removed, pattern="boot/vmlinuz-*"), phase=Phase.ARMED, tries=1),
    "kernel torn": Case(nothing, restarts=2, phase=Phase.ARMED, torn=True),
    "initrd gone": Case(partial(removed, pattern="boot/initrd.img-*"), phase=Phase.ARMED, tries=1),
    "entry gone": Case(no_entry, phase=Phase.ARMED, tries=2),
    "entry torn": Case(torn_entry, phase=Phase.ARMED, tries=1),
}


def test_whatever_of_the_loader_is_damaged_the_base_boots() -> None:
    """h, all other cases: one disk, armed once, and begun with again for each of them."""
    with adopted() as machine:
        what = armed(machine, tries=2)
        kept = machine.home / "armed.qcow2"
        shutil.copyfile(machine.disk, kept)
        faults = {}
        for name, case in CASES.items():
            shutil.copyfile(kept, machine.disk)
            faults[name] = fault(machine, what, case)
        shutil.copyfile(kept, machine.disk)
        faults["ESP full"] = fault_of_full_esp(machine, what)
        assert not {name: found for name, found in faults.items() if found}


def fault(machine: Machine, what: Armed, case: Case) -> str:
    """Damage the disk, start it until it boots, look at it; return what is wrong with that."""
    with off(machine) as disk:
        kernel = disk.entry(what.target).kernel
        case.damage(disk)
    torn = (kernel,) if case.torn else ()
    outcomes = [emulated(machine, torn) for _ in range(case.restarts + 1)]
    ended = outcomes.pop()
    if not all(outcome.restarted for outcome in outcomes):
        return f"restarts: {[outcome.screen for outcome in outcomes]}"
    if wrong := fault_of_boot(ended, what, case.boots):
        return wrong
    with off(machine, spoilt=what.target if case.phase is Phase.ARMED else "") as disk:
        return fault_afterwards(disk, what, case)


def fault_of_boot(ended: Outcome, what: Armed, boots: str) -> str:
    wanted = what.target if boots == "trial" else what.base
    if ended.waited or f"/{wanted}/" not in ended.kernel or f"/{wanted}/" not in ended.initramfs:
        return f"booted {ended}"
    if ("snaproot.trial=" in ended.arguments) != (boots == "trial"):
        return f"told {ended.arguments}"
    return ""


def fault_afterwards(disk: Off, what: Armed, case: Case) -> str:
    """Ask snaproot; a typed `recover` makes the loader's file sound again."""
    before = disk("status", status=4 if case.phase is Phase.STAGED else 0)
    interrupted = "missing or unreadable" in str(before["interrupted"])
    disk("recover")
    pending, env = disk.record.pending, disk.env
    assert env
    found = (interrupted, pending and pending.phase, env.good, env.tries)
    wanted = (case.phase is Phase.STAGED, case.phase, what.base, case.tries)
    return "" if found == wanted else f"{found} for {wanted}, {before}"


def fault_of_full_esp(machine: Machine, what: Armed) -> str:
    """With no room left on the ESP the counter counts, and what was armed can be dropped."""
    with raw(machine) as (image, _):
        listed = run(["mdir", "-i", f"{image}@@{parts.ESP_AT}", "::/"]).output
    free = re.search(r"([\d ]+) bytes free", listed)
    assert free
    with off(machine) as disk:
        (disk.esp / "fills").write_bytes(bytes(int(free[1].replace(" ", ""))))
    ended = emulated(machine, ())
    if wrong := fault_of_boot(ended, what, "trial"):
        return wrong
    with off(machine) as disk:
        disk("status")
        assert disk.env
        counted = disk.env.tries
        disk("abandon")
        after = disk.env
    return "" if (counted, after.good, after.trial) == (1, what.base, "") else f"{counted}, {after}"


def emulated(machine: Machine, torn: tuple[str, ...]) -> Outcome:
    """Start GRUB on a machine's disk, without the machine."""
    with raw(machine) as (image, top):
        return grubemu.boot(GRUB, [image], esp="hd0,gpt1", files=top, torn=torn, seconds=20)


@contextmanager
def raw(machine: Machine) -> Iterator[tuple[Path, Path]]:
    """Yield a machine's disk as a file, and its top level as a directory."""
    place = machine.home
    with (
        disks.alone(),
        private_mounts(),
        disks.served(machine.disk, place / "served.img") as image,
        parts.mounted(image, place / "top") as top,
    ):
        yield image, top
