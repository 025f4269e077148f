"""A machine made of fakes: it boots what its loader chooses, loses power, and is looked at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from snaproot.bootloader.pointer import PointerLoader
from snaproot.environment import Environment, Standing
from snaproot.filesystem import Workspace
from snaproot.recovery import Decision
from snaproot.retention import Policy
from snaproot.state import Judge, Kind, LoaderView, Phase, Record, Result, TrialArgument, Verdict
from snaproot.steps import Boot
from snaproot.transaction import Transaction
from tests.fakes import (
    Clock,
    CountingLoader,
    Disk,
    Env,
    FakeFilesystem,
    FakeLedger,
    FakeLog,
    FakeQuarantine,
    PowerCut,
)

BASE = "b000000"
GREEN = Verdict(Result.GOOD, Judge.HEALTH)
RED = Verdict(Result.BAD, Judge.HEALTH, "red")
KEEPING = Policy(proven=1, unproven=100, total=100)
MOVING = {Phase.ARMING, Phase.ARMED, Phase.PROMOTING, Phase.REVERTING}


@dataclass
class Machine:
    """One disk, and the classes that work on it; planted bugs replace a class."""

    disk: Disk
    counts: bool = True
    transactions: type[Transaction] = Transaction
    filesystems: type[FakeFilesystem] = FakeFilesystem
    ledgers: type[FakeLedger] = FakeLedger
    counters: type[CountingLoader] = CountingLoader
    running: str | None = BASE
    boots: int = 0
    trial: TrialArgument | None = None
    skipped: TrialArgument | None = None
    by_hand: str = ""
    policy: Policy = KEEPING
    clock: Clock = field(default_factory=Clock)
    notices: list[str] = field(default_factory=list)

    @property
    def filesystem(self) -> FakeFilesystem:
        return self.filesystems(self.disk, self.running)

    @property
    def transaction(self) -> Transaction:
        filesystem = self.filesystem
        boot_id = f"boot-{self.boots}" if self.running else ""
        return self.transactions(
            ledger=self.ledgers(self.disk),
            filesystem=filesystem,
            bootloader=self.counters(self.disk) if self.counts else PointerLoader(filesystem),
            boot=Boot(id=boot_id, trial=self.trial, skipped=self.skipped),
            now=self.clock.now,
            notice=self.notices.append,
            log=FakeLog(self.disk).append,
            quarantine=FakeQuarantine(self.disk),
            retention=self.policy,
            announce=self.notices.append,
        )

    @property
    def counter(self) -> LoaderView:
        return self.counters(self.disk).view()

    @property
    def record(self) -> Record:
        return FakeLedger(self.disk).load()

    def build(self, workspace: Workspace, parent: str) -> Environment:
        filesystem = self.filesystem
        filesystem.write(workspace.id, "/usr/bin/true", f"after {parent}")
        filesystem.write(workspace.id, "/etc/changed", "1")
        filesystem.write(workspace.id, "/var/lib/added", "1")
        filesystem.collect(workspace)
        return Environment(id=workspace.id, parent=parent)

    def stage(self, *, arm: bool = True) -> str:
        target = self.transaction.stage(Kind.UPGRADE, self.build, arm=arm).target
        self.transaction.show_menu()
        return target

    def boot(self) -> None:
        """Start again: the loader alone decides, unless somebody picks an entry `by_hand`."""
        self.boots += 1
        self.trial = self.skipped = None
        self.disk.sync()
        pointed = self.by_hand or str(self.disk.get(("default",)))
        self.running = self._counted() if self.counts else pointed

    def come_up(self) -> Decision:
        """Boot, and do what the boot-time unit does: recover, and reboot if that asks for it."""
        for _ in range(5):
            self.boot()
            last = self.transaction.recover()[-1]
            self.transaction.show_menu()
            if not last.reboot:
                return last
        raise AssertionError("it reboots for ever")

    def after_cut(self, disk: Disk) -> "Machine":
        """Put the same machine on what a cut left of its disk."""
        return Machine(
            disk,
            self.counts,
            self.transactions,
            self.filesystems,
            self.ledgers,
            self.counters,
            self.running,
            self.boots,
            self.trial,
            self.skipped,
            self.by_hand,
            self.policy,
            self.clock,
        )

    def _counted(self) -> str:
        env = self.disk.get(("env",))
        if not isinstance(env, Env):
            return str(self.disk.get(("good.cfg",)))
        if env.trial and env.tries > 0 and self.disk.has(("entry", env.trial)):
            left = env.tries - 1
            self.disk.put(("env",), Env(env.good, env.trial, env.deployment, left))
            self.disk.sync()
            counted = TrialArgument(env.deployment, left)
            if self.by_hand:
                self.skipped = counted
                return self.by_hand
            self.trial = counted
            return env.trial
        return self.by_hand or env.good


def check_always(machine: Machine) -> None:
    """Assert I1, I2 and I3 on a disk as it is found, before anything repairs it."""
    record = machine.record
    known = {e.id: e for e in FakeFilesystem(machine.disk).environments()}
    proven = {e.id for e in known.values() if e.standing is Standing.PROVEN}
    pending = [d for d in (record.pending, record.pending and record.pending.replaces) if d]
    moving = {d.target for d in pending if d.phase in MOVING}
    for id in _pointed_at(machine):
        assert id in known, f"{id} is pointed at and does not exist"
        assert known[id].complete, f"{id} is pointed at and not complete"
        assert id in proven | moving, f"{id} is pointed at and not recorded"
    assert record.base in known
    assert known[record.base].complete, "the base is not complete"
    first = machine.disk.get(("root", BASE))
    assert first == {"/usr/bin/true": "1"} or BASE not in known, "the first base was written"
    between = {record.work.target} if record.work else set()
    between |= {d.target for d in pending if d.phase is Phase.REVERTING}
    halves = {id for id, e in known.items() if not e.complete} - between
    assert not halves, f"{halves} can be seen half made or half deleted"
    whole = {id for id, e in known.items() if e.complete}
    picked = {key[1] for key in machine.disk.present() if key[0] == "entry" and machine.counts}
    assert picked <= whole, f"{picked - whole} can be picked and not booted"
    _check_fallback(machine, record, proven)


def _pointed_at(machine: Machine) -> set[str]:
    env = machine.disk.get(("env",))
    pointed = {str(machine.disk.get(("default",)))}
    if machine.counts and isinstance(env, Env):
        pointed |= {env.good} | ({env.trial} if env.tries else set())
    return pointed


def _check_fallback(machine: Machine, record: Record, proven: set[str]) -> None:
    pending = record.pending
    promoting = {pending.target} if pending and pending.phase is Phase.PROMOTING else set()
    believed = proven | promoting
    env = machine.disk.get(("env",))
    good = str(machine.disk.get(("good.cfg",)))
    if not machine.counts:
        return
    if isinstance(env, Env):
        good = env.good
        assert not env.tries or machine.disk.has(("entry", env.trial)), "a trial without an entry"
    assert good in believed, f"the loader falls back to {good}"
    assert machine.disk.has(("entry", good)), f"{good} has no entry to fall back to"
    assert str(machine.disk.get(("default",))) in believed, "the default moved before the verdict"


def check_settled(machine: Machine) -> None:
    """Assert what must hold once recovery is through: I1, and nothing is left lying about."""
    check_always(machine)
    record = machine.record
    assert record.work is None
    assert record.pending is None or record.pending.phase in {Phase.STAGED, Phase.ARMED}
    listed = {e.id for e in machine.filesystem.environments()}
    parts = {k[1] for k in machine.disk.present() if len(k) == 2 and k[0] != "entry"}
    assert parts == listed, f"left lying about: {parts ^ listed}"
    assert all(e.complete for e in machine.filesystem.environments())


def check_reverts_by_itself(machine: Machine) -> None:
    """Assert I4: nobody judges anything, and after some boots a proven root runs."""
    proven = {e.id for e in machine.filesystem.environments() if e.standing is Standing.PROVEN}
    machine.by_hand = ""
    for _ in range(4):
        machine.come_up()
    check_settled(machine)
    assert machine.running == machine.record.base
    assert machine.record.base in proven, "promoted without a verdict"


Scenario = Callable[[Machine], None]


def cuts(
    scenario: Scenario, fresh: Callable[[], Machine], seen: set[str] | None = None
) -> Iterator[Machine]:
    """Run the scenario again and again, cut at each of its writes; yield every disk that leaves."""
    seen = set() if seen is None else seen
    at = 0
    while True:
        at += 1
        machine = fresh()
        machine.disk.writes, machine.disk.cut_at = 0, at
        try:
            scenario(machine)
        except PowerCut:
            yield from _left(machine, seen)
        else:
            machine.disk.cut_at = None
            yield from _left(machine, seen)
            return


def _left(machine: Machine, seen: set[str]) -> Iterator[Machine]:
    for disk in machine.disk.remains():
        what = repr(sorted(disk.durable.items(), key=repr)) + repr(machine.running)
        if what not in seen:
            seen.add(what)
            yield machine.after_cut(disk)
