"""Deployments of a tiny adopted system on a real Btrfs, recorded write by write.

The system boots as a machine without an initramfs would: its default subvolume is mounted, and
whatever that names runs.
"""

import hashlib
import itertools
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from integration.powercut import Tape, mounted, recorded, write
from integration.stopwatch import silent
from integration.writelog import Entry, Image
from snaproot import durable
from snaproot.bootloader.pointer import PointerLoader
from snaproot.filesystem import Filesystem
from snaproot.filesystem.btrfs.backend import Btrfs
from snaproot.filesystem.layout import Layout
from snaproot.record import Records
from snaproot.retention import Policy
from snaproot.staging import Staging
from snaproot.state import Judge, Kind, Record, Result, Verdict
from snaproot.steps import Boot
from snaproot.system import System, opened
from snaproot.transaction import Transaction

COUNTER = "@snaproot/areas/var/lib/counter"
CHANGE = (
    *("sh", "-e", "-c"),
    "head -c 40000 /dev/urandom > /usr/bin/new; rm -f /usr/bin/tail;"
    "echo new > /etc/new; echo new > /var/lib/new",
)
_BOOTS = itertools.count()


@dataclass(frozen=True, slots=True)
class Code:
    """The classes that run, and what they keep; a planted bug replaces one of them."""

    transactions: type[Transaction] = Transaction
    filesystems: type[Btrfs] = Btrfs
    records: type[Records] = Records
    retention: Policy = Policy()  # noqa: RUF009 - it is frozen


@dataclass(frozen=True, slots=True, kw_only=True)
class Booted(System):
    """A system whose operations are those of the code that is looked at, in a boot of its own."""

    operations: Transaction

    @property
    def transaction(self) -> Transaction:
        return self.operations


@dataclass(frozen=True, slots=True)
class Machine:
    """A system that was booted."""

    system: System

    @property
    def transaction(self) -> Transaction:
        return self.system.transaction

    @property
    def filesystem(self) -> Filesystem:
        return self.system.filesystem

    @property
    def layout(self) -> Layout:
        return Layout(self.system.top)

    def counter(self) -> int:
        """Read what a service wrote to a shared area."""
        return int((self.system.top / COUNTER).read_text(encoding="ascii"))

    def count(self) -> None:
        """Let a service write to a shared area, durably."""
        durable.write(self.system.top / COUNTER, str(self.counter() + 1).encode())


@dataclass(frozen=True, slots=True)
class Shown:
    """What a disk tells of itself."""

    record: Record
    default: str | None
    counter: int


@dataclass(frozen=True, slots=True)
class Promise:
    """What a step had done when it returned: every cut up to `end` has to show it."""

    step: str
    begin: int
    end: int
    shown: Shown


@dataclass(slots=True)
class Story:
    """A recorded run: the disk it began with, what was written to it, and what is true of it."""

    base: Image
    log: Sequence[Entry] = ()
    promises: list[Promise] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)

    def promised(self, at: int) -> Promise | None:
        """Find the step that had returned before this write, if none was going on."""
        return next((p for p in self.promises if p.begin <= at <= p.end), None)

    def counted(self, at: int) -> int:
        """Say what the counter must have reached."""
        return max((p.shown.counter for p in self.promises if p.begin <= at), default=0)


@contextmanager
def booted(device: str, home: Path, code: Code) -> Iterator[Machine]:
    """Boot a disk: mount what it has as its default, and the top level beside it."""
    with (
        mounted(device, home / "root", "") as root,
        mounted(device, home / "top") as top,
        opened(top, notice=silent) as system,
    ):
        filesystem = code.filesystems(Layout(top), root)
        boot = Boot(id=f"boot-{next(_BOOTS)}")
        records, loader = code.records(Layout(top).record), PointerLoader(filesystem)
        ours = replace(system, filesystem=filesystem, bootloader=loader, records=records)
        yield assembled(ours, code, boot)


def assembled(system: System, code: Code, boot: Boot) -> Machine:
    """Make a machine of an adopted system that is open, and of the code that runs in this boot."""
    transaction = code.transactions(
        ledger=system.records,
        filesystem=system.filesystem,
        bootloader=system.bootloader,
        boot=boot,
        now=system.transaction.now,
        notice=silent,
        log=system.transaction.log,
        quarantine=system.quarantine,
        retention=code.retention,
        announce=silent,
    )
    kept = {one.name: getattr(system, one.name) for one in fields(System)}
    return Machine(Booted(**kept, operations=transaction))


# -- the story ------------------------------------------------------------------------------------


def stage(machine: Machine) -> None:
    """Stage a change of the root, of /etc and of an area, and arm it."""
    build = Staging(machine.system).command(CHANGE, network=False, line=silent)
    machine.transaction.stage(Kind.RUN, build, arm=True)


def promote(machine: Machine) -> None:
    """Judge the trial that runs: good."""
    machine.transaction.promote(Verdict(Result.GOOD, Judge.HAND))


def roll_back(machine: Machine) -> None:
    """Arm the oldest boot environment."""
    machine.transaction.choose(Kind.ROLLBACK, machine.filesystem.environments()[0].id)


def stage_only(machine: Machine) -> None:
    """Stage a change, and leave the next boot as it is."""
    build = Staging(machine.system).command(CHANGE, network=False, line=silent)
    machine.transaction.stage(Kind.RUN, build, arm=False)


def arm(machine: Machine) -> None:
    """Make what is staged the next boot."""
    machine.transaction.arm()


def reject(machine: Machine) -> None:
    """Judge the trial that runs: bad."""
    machine.transaction.reject(Verdict(Result.BAD, Judge.HAND, "red"))


def abandon(machine: Machine) -> None:
    """Give up what is armed."""
    machine.transaction.abandon()


def remove_original(machine: Machine) -> None:
    """Remove the root from before the adoption."""
    machine.transaction.remove_original("original")


Step = Callable[[Machine], None]

BOOTS: Sequence[Sequence[Step]] = (
    (stage,),
    (promote, roll_back),
    (promote, stage, abandon),
)

OTHERS: Mapping[str, Sequence[Sequence[Step]]] = {
    "rejected": ((stage,), (reject,)),
    "stacked": ((stage, stage), (promote,)),
    "superseded": ((stage_only, stage_only, arm, abandon),),
    "rollback rejected": ((stage,), (promote, roll_back), (reject,)),
}
"""What `make integration` cuts beside; each is a part of what can happen in a machine's life."""


def told(home: Path, base: Image, code: Code, boots: Sequence[Sequence[Step]] = BOOTS) -> Story:
    """Run a story on a disk, with a reboot between its parts, and record it."""
    image = home / "story.img"
    write(base, image)
    with recorded(home, image) as tape:
        story = Story(tape.base)
        for steps in boots:
            with booted(tape.device, home, code) as machine:
                for step in steps:
                    _take(story, tape, machine, step)
        story.log = tape.entries()
    return story


def _take(story: Story, tape: Tape, machine: Machine, step: Step) -> None:
    if story.promises:
        story.promises[-1] = replace(story.promises[-1], end=len(tape.entries()))
    machine.count()
    step(machine)
    now = len(tape.entries())
    story.promises.append(Promise(step.__name__, now, sys.maxsize, shown(machine)))
    for environment in machine.filesystem.environments():
        story.digests[environment.id] = digest(machine.filesystem.place(environment.id).root)


def shown(machine: Machine) -> Shown:
    """Look at the disk from outside: nothing is changed."""
    record = Records(machine.layout.record).load()
    return Shown(record, machine.filesystem.default(), machine.counter())


def digest(root: Path) -> str:
    """Walk a root and hash every name, type, mode, owner and content."""
    whole = hashlib.sha256()
    for path, found in _walk(os.fspath(root)):
        facts = f"{path} {found.st_mode:o} {found.st_uid}:{found.st_gid}\n"
        whole.update(facts.removeprefix(f"{root}/").encode())
        if stat.S_ISLNK(found.st_mode):
            whole.update(os.fsencode(Path(path).readlink()))
        elif stat.S_ISREG(found.st_mode):
            whole.update(Path(path).read_bytes())
    return whole.hexdigest()


def _walk(place: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(place) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            yield entry.path, entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path)
