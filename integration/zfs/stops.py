"""A machine on a pool that is stopped after a call: killed, or switched off. Runs in a bench.

A tiny adopted root, with an EFI system partition. A boot is what GRUB and an initramfs do: the
trial is counted in the loader's file, and what that chooses is mounted. Each boot is a process of
its own, whose mounts end with it.
"""

import json
import os
import signal
import time
import traceback
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import cast

from integration import story
from integration.machine import Machine as Commands
from integration.stopwatch import silent
from integration.story import Code, Machine, digest
from integration.test_adoption_loader import STUB
from integration.zfs.test_adoption import POOL, ROOT, stock
from snaproot import durable, loaders
from snaproot.booting import bootable
from snaproot.bootloader import HOME, Bootloader, envblock
from snaproot.bootloader.grub import Grub
from snaproot.filesystem import Filesystem
from snaproot.filesystem.zfs import view
from snaproot.filesystem.zfs.backend import Zfs
from snaproot.record import Records
from snaproot.retention import Policy
from snaproot.run import run
from snaproot.state import TrialArgument
from snaproot.steps import Boot
from snaproot.system import opened

CODE = Code(retention=Policy(proven=1, unproven=0, total=1))
"""What runs: the rules keep one, so that a promotion removes the base before it."""

CHANGING = {
    *("create", "collect", "seal", "describe", "discard", "set_default", "flush"),
    *("save", "arm", "settle", "leave", "withdraw"),
}
"""The calls of protocols that change something; after any other the disk is as it was before.

Of those that any story makes `empty_trash` is one: it finishes what a cut has left.
"""

STEPS: Mapping[str, Callable[[Machine], object]] = {
    "stage": story.stage,
    "promote": story.promote,
    "reject": story.reject,
    "come up": lambda machine: machine.transaction.recover(),
}
_OPTIONS = ("-o", "cachefile=none", "-O", "canmount=off", "-O", "mountpoint=none")
_BUSY = 50  # tries of an export: a killed process's mounts go a little later than it


@dataclass(frozen=True, slots=True)
class Place:
    """A pool's device, the directory where that is searched, the ESP, and a place for mounts."""

    device: Path
    search: Path
    esp: Path
    altroot: Path

    @property
    def digests(self) -> dict[str, str]:
        """What every root was when it was sealed, as far as somebody was there to see it."""
        path = self.esp / "digests.json"
        found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        return found


def made(place: Place) -> None:
    """Make a pool with a stock root, and adopt it."""
    altroot = str(place.altroot)
    place.altroot.mkdir(parents=True, exist_ok=True)
    run(["zpool", "create", "-f", *_OPTIONS, "-R", altroot, POOL, str(place.device)])
    run(["zfs", "create", "-o", "canmount=off", "-o", "mountpoint=none", f"{POOL}/ROOT"])
    run(["zfs", "create", "-o", "canmount=noauto", "-o", "mountpoint=/", ROOT])
    run(["zfs", "mount", ROOT])
    stock(place.altroot)
    table = "UUID=1234-ABCD /boot/efi vfat umask=0077 0 1\n"
    (place.altroot / "etc/fstab").write_text(table)
    run(["zpool", "set", f"bootfs={ROOT}", POOL])
    again(place)
    (place.esp / "EFI/debian").mkdir(parents=True)
    (place.esp / "EFI/debian/grub.cfg").write_text(STUB)
    words = ("--sysroot", altroot, "--esp", str(place.esp))
    Commands(place.altroot, options=words)("init", "-y")
    alone(lambda: _begin(place))


def _begin(place: Place) -> None:
    """Let a service have written once, and remember what the roots are."""
    with opened(place.altroot, esp=place.esp, notice=silent) as system:
        counter = view.at(system.top).area("var") / Path(story.COUNTER).relative_to(_VAR)
        counter.write_text("0", encoding="ascii")
        note(place, system.filesystem)
        system.filesystem.flush()


_VAR = "@snaproot/areas/var"


def note(place: Place, filesystem: Filesystem) -> None:
    known = place.digests
    new = [e.id for e in filesystem.environments() if e.complete and e.id not in known]
    found = {**known, **{id: digest(filesystem.place(id).root) for id in new}}
    durable.write(place.esp / "digests.json", json.dumps(found).encode(), mode=None)


# -- power ----------------------------------------------------------------------------------------


def again(place: Place) -> None:
    """Export the pool by force, and import it, as it is after a boot."""
    exported()
    imported(place)


def exported() -> None:
    """Export the pool by force."""
    for left in reversed(range(_BUSY)):
        if run(["zpool", "export", "-f", POOL], check=left == 0).status == 0:
            return
        time.sleep(0.1)


def imported(place: Place) -> None:
    """Import the pool of a machine that was switched off."""
    place.altroot.mkdir(parents=True, exist_ok=True)
    words = ("-f", "-N", "-d", str(place.search), "-o", "cachefile=none")
    run(["zpool", "import", *words, "-R", str(place.altroot), POOL])


def alone(do: Callable[[], object]) -> str | None:
    """Do something in a process of its own; None where that was killed, else what it returned.

    Raises AssertionError with all that it said where it failed.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _child(do, writer)
    os.close(writer)
    with os.fdopen(reader) as said:
        text = said.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, -signal.SIGKILL}, text
    return text if status == 0 else None


def _child(do: Callable[[], object], writer: int) -> None:
    status = 1
    try:
        said = str(do())
        status = 0
    except BaseException:  # noqa: BLE001 - the parent is told
        said = traceback.format_exc()
    with os.fdopen(writer, "w") as file:
        file.write(said)
    os._exit(status)


def killed() -> None:
    """End as by the loss of power, as far as a process can."""
    os.kill(os.getpid(), signal.SIGKILL)


# -- calls ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Calls:
    """Counts the calls that change something; after one, by its number or its name, it stops."""

    at: int | str = 0
    stop: Callable[[], None] = killed
    made: list[str] = field(default_factory=list)

    def watched(self, real: object) -> "Watched":
        """Put this between an object and those who call it."""
        return Watched(real, self)

    def done(self, name: str) -> None:
        """Count a call that has returned."""
        self.made.append(name)
        if self.at in {name, len(self.made)}:
            self.stop()


class Watched:
    """An object whose changing calls are counted."""

    def __init__(self, real: object, calls: Calls) -> None:
        self._real = real
        self._calls = calls

    def __getattr__(self, name: str) -> object:
        found = getattr(self._real, name)
        return partial(self._watched, found, name) if name in CHANGING else found

    def _watched(self, real: Callable[..., object], name: str, *words: object) -> object:
        answer = real(*words)
        self._calls.done(name)
        return answer


class Remembered:
    """A filesystem that answers a question once: programs are slow, and a look changes nothing."""

    def __init__(self, real: Filesystem) -> None:
        self._real = real
        self._known: dict[tuple[object, ...], object] = {}

    def __getattr__(self, name: str) -> object:
        return partial(self._asked, name)

    def _asked(self, name: str, *words: Hashable) -> object:
        if (name, *words) not in self._known:
            self._known[(name, *words)] = getattr(self._real, name)(*words)
        return self._known[(name, *words)]


def still(machine: Machine) -> Machine:
    """Look at a machine for as long as nobody changes anything."""
    seen = cast(Filesystem, Remembered(machine.filesystem))
    return Machine(replace(machine.system, filesystem=seen))


@contextmanager
def booted(place: Place, calls: Calls, code: Code = CODE) -> Iterator[Machine]:
    """Boot: mount what GRUB chooses, and put `calls` between the operations and the protocols."""
    id, trial = chosen(place)
    with opened(place.altroot, esp=place.esp, notice=silent) as system:
        seen = view.at(system.top)
        root = view.mount(seen.names.root(id), place.altroot / "booted")
        filesystem = cast(Filesystem, calls.watched(Zfs(seen, root)))
        filesystem.place(id)  # as a machine has its areas mounted
        grub = replace(
            cast(Grub, system.bootloader),
            bootable=partial(bootable, filesystem),
            flush=partial(loaders.flush, filesystem, place.esp / HOME),
            canary="1",
        )
        ours = replace(
            system,
            filesystem=filesystem,
            bootloader=cast(Bootloader, calls.watched(grub)),
            records=cast(Records, calls.watched(system.records)),
        )
        boot = Boot(id=f"boot-{time.time_ns()}", trial=trial)
        yield story.assembled(ours, code, boot)


def chosen(place: Place) -> tuple[str, TrialArgument | None]:
    """Choose as GRUB does, and count: the root, and what its kernel is told."""
    path = place.esp / HOME / "env"
    env = envblock.parse(path.read_bytes())
    if env is None:
        good = (place.esp / HOME / "good.cfg").read_text().strip()
        return good.removeprefix("set good="), None
    tried = bool(env.trial and env.tries)
    left = replace(env, tries=env.tries - tried, canary="1")
    durable.overwrite(path, envblock.render(left))
    return (env.trial, TrialArgument(env.deployment, left.tries)) if tried else (env.good, None)


def taken(place: Place, step: str, calls: Calls | None = None, code: Code = CODE) -> str:
    """Boot, let a service write, take a step, and say which calls that was."""
    calls = calls or Calls()
    with booted(place, calls, code) as machine:
        machine.count()
        STEPS[step](machine)
        if not calls.at:
            note(place, machine.filesystem)
    return ";".join(calls.made)
