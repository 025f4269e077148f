"""Do what a plan says. Until the stub, or without one the default, has moved, all boots as before.

The order, and what boots if the plug is pulled after each step:

1. The root is built where nobody looks (the base boots, through snaproot), menu included.
2. It is put in its place in one exchange of names (the base).
3. The default moves (the base, by its own arguments; where the default is all there is: the root).
4. The stub gets its content back, in one sector (the root).
5. The note says that this system has left: snaproot takes it for any other from now on.
6. What is left over goes when it is typed again: until the root was seen to boot, the boot
   environments are all there, and `source /EFI/snaproot/grub.cfg` in GRUB's shell reaches them.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from snaproot import durable
from snaproot.bootloader import stub
from snaproot.errors import Refused, SnaprootError
from snaproot.filesystem.faults import translated
from snaproot.filesystem.layout import Layout
from snaproot.leaving import menu, note
from snaproot.leaving.backends import leaving
from snaproot.leaving.building import Builder
from snaproot.leaving.finishing import Finisher
from snaproot.leaving.ground import Ground
from snaproot.leaving.note import Note
from snaproot.leaving.placing import Placer
from snaproot.leaving.regenerating import regenerate
from snaproot.leaving.shape import Facts, LeavingPlan, Way

Step = tuple[str, Callable[[], str | None]]
"""What to say, and what to do; that may have more to say."""


def execute(
    plan: LeavingPlan,
    facts: Facts,
    top: Path,
    report: Callable[[str], None],
    unlock: Callable[[], None] = lambda: None,
) -> None:
    """Leave as planned; `report` is told of each step before it is done.

    `unlock` gives up what `held` holds, before that goes.

    May be repeated after a cut at any point. Raises SnaprootError where a step fails.
    """
    leaver = _Leaver(plan, facts, leaving(top))
    if plan.way is Way.BUILD:
        _attempt(leaver, report)
    if plan.way is not Way.FINISH or leaver.leads_home():
        _do(leaver.switching(), report)
    if plan.finishes:
        _do(leaver.finishing(unlock), report)


@contextmanager
def held(top: Path, wait: float) -> Iterator[Callable[[], None]]:
    """Hold the one lock, as long as there is a record that has one; lend what gives it up.

    Raises Busy after `wait`.
    """
    record = Layout(top).record
    with ExitStack() as lock:
        if record.is_dir():
            lock.enter_context(durable.locked(record / "lock", "snaproot deinit", wait=wait))
        yield lock.close


@dataclass(frozen=True, slots=True)
class _Leaver:
    """The steps of one plan, in order."""

    plan: LeavingPlan
    facts: Facts
    ground: Ground

    def leads_home(self) -> bool:
        """Tell whether GRUB would still look for the home, which is about to go."""
        return bool(self.plan.esp) and stub.leads_home(Path(self.plan.esp))

    def building(self) -> Iterator[Step]:
        plan, ground = self.plan, self.ground
        builder = Builder(plan, ground, self._original())
        placer = Placer(plan, ground)
        yield "clear", placer.clear
        yield f"snapshot {plan.base}", builder.snapshot
        yield "make /etc a directory", builder.fill_etc
        if plan.menu:
            yield "write a menu", builder.write_menu
        yield f"put {plan.place} in place", placer.put

    def switching(self) -> Iterator[Step]:
        if self.plan.way is Way.BUILD and self.plan.running and self.plan.menu:
            yield "write the whole menu", self._regenerate
        yield "set the default", self._set_default
        if self.plan.esp:
            yield "give the stub back", self._give_back
        yield "note it", self._note

    def finishing(self, unlock: Callable[[], None]) -> Iterator[Step]:
        esp = Path(self.plan.esp) if self.plan.esp else None
        finisher = Finisher(self.ground, esp, unlock)
        if self.plan.way is Way.FINISH and not self.facts.note.left:
            yield "note it", self._note
        yield "remove the loader's home", finisher.remove_home
        yield "delete boot environments", finisher.remove_environments
        yield "rename areas", finisher.rename_areas
        yield "remove the rest", finisher.remove_rest

    def _original(self) -> Path:
        """Say where the original root is, if it is anywhere; on Btrfs it may be the top level."""
        ground, root = self.ground, self.facts.root or self.ground.pool
        if ground.pool and root not in self.facts.subvolumes:
            return ground.layout.home(self.plan.base)  # where no units are
        return ground.place(root)

    def _regenerate(self) -> str:
        done = regenerate(self.ground, self.plan.place, self.plan.menu)
        self.ground.sync()
        return "" if done else "keep a plain menu: update-grub writes the whole one in the new root"

    def _set_default(self) -> None:
        self.ground.point(self.plan.default, self.plan.place)

    def _give_back(self) -> None:
        content = self.facts.stub
        if self.plan.menu:
            directory = f"{self.ground.prefix(self.plan.place)}{self.plan.menu}"
            content = menu.pointed(content, self.facts.uuid, directory)
        stub.give_back(Path(self.plan.esp), content)

    def _note(self) -> None:
        record = self.ground.layout.record
        said = note.load(record) or Note()
        note.save(record, replace(said, place=self.plan.place or said.place, left=True))
        self.ground.sync()


def _attempt(leaver: _Leaver, report: Callable[[str], None]) -> None:
    """Build; where that fails, nothing of it stays."""
    try:
        _do(leaver.building(), report)
    except SnaprootError as error:
        leaver.ground.clear()
        kind = Refused if isinstance(error, Refused) else SnaprootError
        raise kind(f"{error}; {leaver.plan.base} boots as before", hint=error.hint) from error


def _do(steps: Iterator[Step], report: Callable[[str], None]) -> None:
    for name, step in steps:
        report(name)
        with translated(name):
            said = step()
        if said:
            report(said)
