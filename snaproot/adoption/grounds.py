"""Where an adoption's roots and areas lie on disk, and the areas' half of building them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from snaproot import areas
from snaproot.adoption import carving
from snaproot.adoption.decisions import AreaPlan, How, Nested, Policy
from snaproot.adoption.facts import Found, is_within
from snaproot.adoption.shape import AdoptionPlan
from snaproot.adoption.sysimage import DPKG, SINGLE_FILES, StateLink
from snaproot.adoption.view import found_at, inside
from snaproot.adoption.volumes import Ground
from snaproot.areas import Kind
from snaproot.filesystem.cloning import copy_attributes
from snaproot.filesystem.layout import SNAPROOT, Layout

PARTIAL = f"{SNAPROOT}.partial"


@dataclass(frozen=True, slots=True)
class Grounds:
    """One plan and where it is carried out: `ground` is the filesystem, `layout` holds the new.

    `aside`: areas are made where no fstab(5) finds them, until all of them are complete.
    """

    plan: AdoptionPlan
    ground: Ground
    layout: Layout
    aside: bool = False

    @property
    def root(self) -> Path:
        return self.layout.root(self.plan.id)

    @property
    def original(self) -> Path:
        return self.ground.place(self.plan.root)

    @property
    def areas(self) -> Path:
        return self.layout.snaproot / "areas.new" if self.aside else self.layout.areas

    # -- areas -----------------------------------------------------------------------------------

    def seed(self) -> None:
        """Keep what becomes volumes as it is now."""
        self.drop_seed()
        carved = {plan.inner for plan in self.plan.areas if plan.how is How.CARVED}
        self.ground.gather(self.original, self.seed_place, {*carved, "etc"})

    def drop_seed(self) -> None:
        """Let go of it; a cut may have left one."""
        self.ground.remove(self.seed_place)

    def is_made(self, plan: AreaPlan) -> bool:
        """Tell whether an area has a volume of ours."""
        return plan.how is not How.STAYS and self.ground.is_volume(self.area_place(plan))

    def drop(self, plan: AreaPlan) -> None:
        """Remove an area's volume that nobody uses yet, and what is nested in it."""
        if self.is_made(plan):
            self.ground.remove(self.area_place(plan))

    def keep(self, plan: AreaPlan) -> None:
        """Remember which volume an area is that stays where it is; nothing for any other."""
        if plan.how is How.STAYS:
            self.ground.keep(plan.source, plan.area.name)

    def fill(self, plan: AreaPlan, *, passing: bool = False) -> None:
        """Make an area's volume, with its content; a `passing` one does not stay."""
        if plan.how is How.STAYS:
            self.keep(plan)
            return
        place = self.area_place(plan)
        self._fill(plan, place, passing=passing)
        if plan.area.kind is Kind.SWAP:
            carving.set_flags(place, carving.flags(place) | carving.NO_COW)

    def _fill(self, plan: AreaPlan, place: Path, *, passing: bool) -> None:
        match plan.how:
            case How.CARVED:
                self.ground.carve(self.seed_place, plan.inner, place, passing=passing)
                self.replace_placeholders(place, f"{plan.source}/{plan.inner}".strip("/"))
            case How.SNAPSHOT:
                self.ground.copy(self.ground.place(plan.source), place, passing=passing)
                self.replace_placeholders(place, plan.source)
            case _:
                self.ground.create(place)
                user, _, group = plan.area.owner.partition(":")
                os.chown(place, int(user), int(group))
                place.chmod(int(plan.area.mode, 8))

    def reattach(self) -> None:
        """Copy nested volumes to where they were; the sealed ones are sealed again last."""
        wanted = [n for n in self.plan.nested if n.policy is Policy.REATTACHED]
        attached = [n for n in wanted if self.ground.is_volume(self.ground.place(n.subvolume))]
        for nested in attached:
            place = self._place_of(nested)
            place.rmdir()
            self.ground.copy(self.ground.place(nested.subvolume), place)
            self.replace_placeholders(place, nested.subvolume)
        for nested in reversed(attached):
            if nested.readonly:
                self.ground.seal(self._place_of(nested))

    def link(self, link: StateLink) -> None:
        """Put a link to the root's package state into an area, in place of what was there."""
        above = self.holder(link.path)
        if above is not None and above.how is How.STAYS:
            return
        place = self.on_disk(link.path)
        if found_at(place) is Found.DIRECTORY:
            carving.remove(place)
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        up = "../" * len(PurePosixPath(link.path).parent.parts[1:])
        place.symlink_to(up + link.home.lstrip("/"))

    def drop_single_files(self) -> None:
        """Remove files of package state from areas, where a setting names their new home."""
        if any(link.path == DPKG for link in self.plan.links):
            for single in SINGLE_FILES:
                if single.moves:
                    remove_file(self.on_disk(single.path))

    # -- places ----------------------------------------------------------------------------------

    @property
    def seed_place(self) -> Path:
        return self.layout.snaproot / "seed"

    def area_place(self, plan: AreaPlan) -> Path:
        return self.areas / plan.area.name

    def prepared(self, point: str) -> Path | None:
        """Make sure of a mount point in what shows it; None where that is not ours to write.

        Users may have put a link on the way, in an area of theirs.
        """
        above = self.holder(point)
        if above is not None and not self.is_made(above):
            return None
        base, inner = self._shown_by(point)
        found = inside(base, inner)[0]
        if found is Found.MISSING:
            (base / inner).mkdir(mode=0o755, parents=True)
        return base / inner if found in {Found.MISSING, Found.DIRECTORY} else None

    def holder(self, path: str) -> AreaPlan | None:
        """Find the area that a path lies in; one that is mounted right there does not hold it."""
        others = [plan for plan in self.plan.areas if plan.area.mount != path]
        area = areas.holding([plan.area for plan in others], path)
        return next((plan for plan in others if plan.area is area), None)

    def on_disk(self, path: str) -> Path:
        """Say where the BE has a path: in an area, else in its root."""
        base, inner = self._shown_by(path)
        return base / inner

    def in_root(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def replace_placeholders(self, place: Path, source: str) -> None:
        """Make real directories, like the nested subvolumes that a snapshot of `source` lacks."""
        for nested in self._below(source):
            hole = place / PurePosixPath(nested).relative_to(source or ".")
            if carving.is_placeholder(hole):
                hole.rmdir()
                hole.mkdir(mode=0o755)
                copy_attributes(self.ground.place(nested), hole)

    def _below(self, source: str) -> Iterator[str]:
        known = {nested.subvolume for nested in self.plan.nested}
        known |= {plan.source for plan in self.plan.areas}
        return (path for path in sorted(known) if path and is_within(path, source))

    def _shown_by(self, path: str) -> tuple[Path, str]:
        """Split a path into the subvolume that shows it, and the rest."""
        above = self.holder(path)
        if above is None:
            return self.root, path.lstrip("/")
        rest = PurePosixPath(path).relative_to(above.area.mount)
        return self.areas / above.area.name, str(rest)

    def _place_of(self, nested: Nested) -> Path:
        area = next(area for area in self.plan.declared if area.mount == nested.area)
        return self.areas / area.name / nested.inner


def remove_file(path: Path) -> None:
    """Remove a plain file of ours, if it is there."""
    if path.is_file() and not path.is_symlink():
        carving.remove(path)
