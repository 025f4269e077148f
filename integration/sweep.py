"""Power cuts of a recorded system: each disk that one leaves is booted, checked and recovered."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from integration.powercut import rebuilt, recorded, write
from integration.stopwatch import silent
from integration.story import Code, Machine, Shown, Story, booted, digest, shown
from integration.writelog import Cut, cuts
from snaproot.errors import SnaprootError
from snaproot.mending import mend
from snaproot.recovery import Do
from snaproot.state import Deployment, Phase, Record


def check_found(machine: Machine, story: Story, at: int) -> None:
    """Assert what holds at every instant (I1, I2, I3, I6), and what had been promised."""
    now = shown(machine)
    pointed = {d.target for d in deployments(now.record)} | {now.record.base}
    assert now.default in pointed, f"the default is {now.default}, which the record does not know"
    assert machine.filesystem.booted() == now.default, "what booted is not the default"

    def same(id: str) -> bool:
        return digest(machine.filesystem.place(id).root) == story.digests[id]

    check_roots(machine, {now.default, now.record.base}, same)
    assert now.counter >= story.counted(at), "what a service wrote went backwards"


def check_roots(machine: Machine, needed: Iterable[str], same: Callable[[str], bool]) -> None:
    """Assert that what has to boot is complete, and that whatever says so is what was sealed."""
    known = {e.id: e for e in machine.filesystem.environments()}
    for id in needed:
        assert id in known, f"{id} does not exist"
        assert known[id].complete, f"{id} is not complete: {known[id].damage or 'not sealed'}"
    for id in (e.id for e in known.values() if e.complete):
        assert same(id), f"{id} differs"


def check_settled(machine: Machine) -> None:
    """Assert what holds once recovery is through (I1, I5): nothing is left half done."""
    now, layout = shown(machine), machine.layout
    known = {e.id: e for e in machine.filesystem.environments()}
    pending = now.record.pending
    assert now.record.work is None, "work is left"
    assert pending is None or pending.phase in {Phase.STAGED, Phase.ARMED}, f"{pending} is left"
    counts = machine.system.bootloader.view().counts  # then the default waits for the promotion
    armed = pending is not None and pending.phase is Phase.ARMED and not counts
    wanted = pending.target if pending and armed else now.record.base
    assert now.default == wanted, f"the default is {now.default}, not {wanted}"
    assert all(e.complete for e in known.values()), "something incomplete is listed"
    assert {p.name for p in layout.environments.iterdir()} == set(known), "something is left"
    trash = layout.trash
    assert not (trash.exists() and [*trash.iterdir()]), "the trash is not empty"


def deployments(record: Record) -> list[Deployment]:
    """Name what is pending, and what it replaces."""
    pending = record.pending
    return [d for d in (pending, pending and pending.replaces) if d]


# -- cutting --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Sweep:
    """Goes over the disks of a story and counts them."""

    home: Path
    story: Story
    code: Code = field(default_factory=Code)
    seen: set[int] = field(default_factory=set)
    ways: dict[tuple[Do, ...], list[Cut]] = field(default_factory=dict)

    def over(self, chosen: Iterable[Cut]) -> None:
        """Cut the story, boot what is left, and see it recover."""
        for cut in chosen:
            promise = self.story.promised(cut.at)
            ways = self._checked(cut, cut.at, promise.shown if promise else None)
            self.ways.setdefault(ways, []).append(cut)

    def over_recoveries(self, *, each: int, most: int) -> None:
        """Cut the recovery too: for every way in which it went, of `each` cuts, `most` disks."""
        for cut in (cut for found in self.ways.values() for cut in evenly(found, each)):
            file = self.home / "again.img"
            write(cut.image, file)
            with recorded(self.home, file) as tape:
                self._recovered(tape.device, _nothing)
                log = tape.entries()
            for again in evenly([*cuts(tape.base, log, reorderings=1)], most):
                self._checked(again, cut.at, None)

    def over_boots(self, chosen: Iterable[Cut]) -> None:
        """Boot again and again without a verdict: it ends in the base (I4)."""
        for cut in chosen:
            with rebuilt(self.home, cut.image) as device:
                for _ in range(4):
                    self._recovered(device, _nothing)
                with booted(device, self.home, self.code) as machine:
                    running, base = machine.filesystem.booted(), shown(machine).record.base
                    assert running == base, f"{running} runs, promoted by nobody"

    def _checked(self, cut: Cut, at: int, promised: Shown | None) -> tuple[Do, ...]:
        self.seen.add(cut.image.fingerprint)

        def check(machine: Machine) -> None:
            check_found(machine, self.story, at)
            if promised:
                assert shown(machine) == promised, "what had been promised is not there"

        try:
            with rebuilt(self.home, cut.image) as device:
                return self._recovered(device, check)
        except (AssertionError, SnaprootError, RuntimeError, OSError) as error:
            where = f"cut at write {cut.at} of {len(self.story.log)}, {cut.lost} lost"
            raise AssertionError(f"{where}: {error}") from error

    def _recovered(self, device: str, check: Callable[[Machine], None]) -> tuple[Do, ...]:
        """Boot, check, recover, and boot again for as long as recovery asks for it."""
        ways: list[Do] = []
        for _ in range(4):
            with booted(device, self.home, self.code) as machine:
                check(machine)
                taken = mend(machine.system, silent)
                ways += [decision.do for decision in taken]
                if not taken[-1].reboot:
                    check_settled(machine)
                    assert mend(machine.system, silent) == taken[-1:], "the second time differs"
                    return tuple(ways)
            check = _nothing
        raise AssertionError(f"recovery wants to reboot for ever: {ways}")


def evenly(found: Sequence[Cut], most: int) -> Sequence[Cut]:
    """Choose some, spread over all of them."""
    step = max(1, len(found) / most)
    return [found[int(n * step)] for n in range(min(most, len(found)))]


def _nothing(_: Machine) -> None:
    """Check nothing."""
