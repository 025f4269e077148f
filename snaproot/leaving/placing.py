"""Put the root that was built in its place: what is there is moved aside, and never deleted."""

from dataclasses import dataclass, replace

from snaproot.leaving import note
from snaproot.leaving.ground import Ground
from snaproot.leaving.note import Note
from snaproot.leaving.shape import LeavingPlan


@dataclass(frozen=True, slots=True)
class Placer:
    """Works on one plan. Every root that was built is noted before it goes anywhere."""

    plan: LeavingPlan
    ground: Ground

    def clear(self) -> None:
        """Remove what a cut left of a root being built: in our place, or on its way aside."""
        if self.plan.aside and self._is_made(self.plan.aside):
            self.ground.remove(self.plan.aside)
        self.ground.clear()

    def put(self) -> None:
        """Let the root appear at its place; it is noted before anything is renamed."""
        plan, said = self.plan, self._said
        made = (*said.made, self.ground.volumes()[self.ground.named(self.ground.root)])
        said = replace(said, base=plan.base, place=plan.place, aside=plan.aside, made=made)
        note.save(self.ground.layout.record, said)
        self.ground.put(plan.place, plan.aside, made=self._is_made(plan.place))

    def _is_made(self, name: str) -> bool:
        return self.ground.volumes().get(name) in self._said.made

    @property
    def _said(self) -> Note:
        return note.load(self.ground.layout.record) or Note()
