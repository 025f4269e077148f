"""Deployments of a tiny adopted system on a real Btrfs, recorded write by write.

The system boots as a machine without an initramfs would: its default subvolume is mounted, and
whatever that names runs.
"""

import hashlib
import itertools
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from integration.powercut import Tape, mounted, recorded, write
from integration.writelog import Entry, Image
from snaproot import durable
from snaproot.bootloader.pointer import PointerLoader
from snaproot.environment import Environment
from snaproot.filesystem import Workspace
from snaproot.filesystem.btrfs.backend import Btrfs
from snaproot.filesystem.btrfs.layout import Layout
from snaproot.record import Records
from snaproot.state import Kind, Record
from snaproot.transaction import Boot, Transaction

COUNTER = "@snaproot/areas/var/lib/counter"
_BOOTS = itertools.count()


@dataclass(frozen=True, slots=True)
class Code:
    """The classes that run; a planted bug replaces one of them."""

    transactions: type[Transaction] = Transaction
    filesystems: type[Btrfs] = Btrfs
    records: type[Records] = Records


@dataclass(frozen=True, slots=True)
class Machine:
    """A system that was booted: its top level, its root, and the code that works on it."""

    top: Path
    root: Path
    boot_id: str
    code: Code

    @property
    def filesystem(self) -> Btrfs:
        return self.code.filesystems(Layout(self.top), self.root)

    @property
    def transaction(self) -> Transaction:
        return self.code.transactions(
            ledger=self.code.records(Layout(self.top).record),
            filesystem=self.filesystem,
            bootloader=PointerLoader(self.filesystem),
            boot=Boot(id=self.boot_id),
            now=lambda: datetime.now(UTC),
            notice=lambda _: None,
        )

    def counter(self) -> int:
        """Read what a service wrote to a shared area."""
        return int((self.top / COUNTER).read_text(encoding="ascii"))

    def count(self) -> None:
        """Let a service write to a shared area, durably."""
        durable.write(self.top / COUNTER, str(self.counter() + 1).encode())


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
    ):
        yield Machine(top, root, f"boot-{next(_BOOTS)}", code)


# -- the story ------------------------------------------------------------------------------------


def stage(machine: Machine) -> None:
    """Stage a change of the root, of /etc and of an area, and arm it."""
    machine.transaction.stage(Kind.RUN, lambda w, p: _changed(machine, w, p), arm=True)


def promote(machine: Machine) -> None:
    """Judge the trial that runs: good."""
    machine.transaction.promote()


def roll_back(machine: Machine) -> None:
    """Arm the oldest boot environment."""
    machine.transaction.choose(Kind.ROLLBACK, machine.filesystem.environments()[0].id)


def abandon(machine: Machine) -> None:
    """Give up what is armed."""
    machine.transaction.abandon()


Step = Callable[[Machine], None]

BOOTS: Sequence[Sequence[Step]] = (
    (stage,),
    (promote, roll_back),
    (promote, stage, abandon),
)


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


def _changed(machine: Machine, workspace: Workspace, parent: str) -> Environment:
    (workspace.root / "usr/bin/new").write_bytes(os.urandom(40_000))
    (workspace.root / "usr/bin/cat").unlink(missing_ok=True)
    (workspace.root / "etc/new").write_text("new\n", encoding="ascii")
    (workspace.areas["/var"] / "lib/added").write_text("added\n", encoding="ascii")
    machine.filesystem.collect(workspace)
    return Environment(id=workspace.id, parent=parent, created=datetime.now(UTC), command="change")


def shown(machine: Machine) -> Shown:
    """Look at the disk from outside: nothing is changed."""
    record = Records(Layout(machine.top).record).load()
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
