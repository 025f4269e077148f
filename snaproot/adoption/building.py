"""Build the adopted boot environment beside the original, where nobody knows of it yet."""

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from snaproot.adoption import carving, lending
from snaproot.adoption.decisions import AreaPlan, How
from snaproot.adoption.facts import Found
from snaproot.adoption.grounds import PARTIAL, Grounds, remove_file
from snaproot.adoption.roots import shown
from snaproot.adoption.shape import AdoptionPlan, SwapMove
from snaproot.adoption.sysimage import DPKG, SINGLE_FILES, StateLink
from snaproot.adoption.view import inside
from snaproot.adoption.volumes import Ground
from snaproot.areas import Kind
from snaproot.errors import SnaprootError
from snaproot.filesystem.cloning import copy_attributes
from snaproot.filesystem.layout import SNAPROOT, Layout
from snaproot.run import run

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OVER = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC

Step = tuple[str, Callable[[], None]]


@dataclass(frozen=True, slots=True)
class Builder(Grounds):
    """Does the steps of one plan; everything new lies in `layout`.

    Where the original runs, it goes on writing to what is shared: then no area is made yet, and
    what is copied of them here is only where the package state is taken from.
    """

    def steps(self) -> Iterator[Step]:
        """Yield what is to be done, in order; none of it touches what is there."""
        plan = self.plan
        yield f"snapshot {shown(plan.root)}", self._snapshot_root
        yield "gather what moves out of the root", self.seed
        for area in plan.areas:
            yield f"area for {area.area.mount}", partial(self._make_area, area)
        yield "make /etc a volume of its own", self._make_etc
        if not plan.live:
            yield "re-attach nested subvolumes", self.reattach
        yield "make mount points", self._make_mount_points
        if plan.boot:
            yield f"copy {plan.boot}", self._copy_boot
        yield "move package state", self._move_state
        yield "write settings and fstab", self._write_etc
        yield "mask and enable units", self._settle_units
        for move in plan.swap:
            yield f"make {move.home}", partial(self._make_swap, move)
        yield "drop what is left over", self._drop_left_over

    def _snapshot_root(self) -> None:
        """Branch the root; what that leaves of nested subvolumes become plain directories."""
        self.layout.home(self.plan.id).mkdir(mode=0o700)
        self.ground.branch(self.original, self.root)
        if self.plan.root == "":
            if not self.plan.live:
                self._keep_original()
            for ours in (PARTIAL, SNAPROOT):
                if os.path.lexists(self.root / ours):
                    carving.remove(self.root / ours)
        self.replace_placeholders(self.root, self.plan.root)

    def _keep_original(self) -> None:
        """Snapshot a top level, which cannot be a boot environment itself.

        A swap file whose extents a snapshot shares cannot be swapped on any more (btrfs(5)), so
        the snapshot has none.
        """
        original = self.layout.root(self.plan.original)
        self.ground.branch(self.original, original)
        carving.remove(original / PARTIAL)
        for move in self.plan.swap:
            remove_file(original / move.path.lstrip("/"))

    def _make_area(self, plan: AreaPlan) -> None:
        if not self.plan.live:
            self.fill(plan)
        elif (plan.how is How.EMPTY or self._holds_state(plan)) and not self._is_used(plan):
            self.drop(plan)
            self.fill(plan, passing=plan.how is not How.EMPTY)
        mount_point = self.prepared(plan.area.mount)
        if mount_point is not None and self.holder(plan.area.mount) is None:
            carving.empty(mount_point)

    def _is_used(self, plan: AreaPlan) -> bool:
        """Tell whether an earlier trial has written to an area that the original has not."""
        data = plan.how is How.EMPTY and plan.area.kind is not Kind.SWAP and self.is_made(plan)
        return data and any(self.area_place(plan).iterdir())

    def _holds_state(self, plan: AreaPlan) -> bool:
        return any(link.exists and self.holder(link.path) is plan for link in self.plan.links)

    def _make_etc(self) -> None:
        etc = self.layout.etc(self.plan.id)
        carving.remove(etc)
        self.ground.carve(self.seed_place, "etc", etc)
        if self.plan.live:  # what is edited from now on is named before it is left
            self.ground.keep_etc(self.layout, self.plan.id)

    def _make_mount_points(self) -> None:
        for point in self.plan.mount_points:
            self.prepared(point)

    def _copy_boot(self) -> None:
        """Copy a separate `/boot`, sharing data where it is on this filesystem."""
        boot = self.root / "boot"
        carving.empty(boot)
        _copy(Path(self.plan.boot), boot)
        if (boot / "lost+found").is_dir():
            carving.remove(boot / "lost+found")

    def _move_state(self) -> None:
        for link in self.plan.links:
            self._take_in(link)
            self.link(link)
        if any(link.path == DPKG for link in self.plan.links):
            self._copy_single_files()
        self.drop_single_files()

    def _copy_single_files(self) -> None:
        for single in SINGLE_FILES:
            source, target = self.on_disk(single.path), self.in_root(single.home)
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            if source.is_file() and not source.is_symlink():
                run(["cp", "-a", "--reflink=auto", "--", str(source), str(target)])

    def _take_in(self, link: StateLink) -> None:
        """Copy one directory of state into the root."""
        above = self.holder(link.path)
        if above is not None and above.how is How.STAYS:
            return
        home, place = self.in_root(link.home), self.on_disk(link.path)
        if link.exists and home.is_dir() and any(home.iterdir()):
            raise SnaprootError(f"{link.path} and {link.home} both have content")
        home.mkdir(mode=0o755, parents=True, exist_ok=True)
        if link.exists:
            _copy(place, home)
            copy_attributes(place, home)

    def _write_etc(self) -> None:
        for setting in self.plan.settings:
            self._write(setting.path, setting.content)
        self._write("/etc/fstab", self.plan.fstab)

    def _write(self, path: str, content: str) -> None:
        """Write a file of the BE's `/etc`; an existing one keeps owner and mode."""
        parent = str(PurePosixPath(path).parent)
        if inside(self.root, parent.lstrip("/"))[0] in {Found.LINK, Found.OTHER}:
            raise SnaprootError(f"{parent} is no plain directory")
        place = self.in_root(path)
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with os.fdopen(os.open(place, _OVER, 0o644), "w", errors="surrogateescape") as file:
            file.write(content)

    def _settle_units(self) -> None:
        """Mask units as systemctl(1) does, and have what is shared lent to the trial."""
        for unit in self.plan.masked:
            self._link_unit(unit, "/dev/null")
        if self.plan.live:
            self._link_unit(lending.WANTED, lending.UNIT)

    def _link_unit(self, name: str, target: str) -> None:
        place = self.in_root(f"/etc/systemd/system/{name}")
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if os.path.lexists(place):
            carving.remove(place)
        place.symlink_to(target)

    def _make_swap(self, move: SwapMove) -> None:
        """Make a swap file: no copy-on-write, fully allocated (btrfs(5), swapfile support)."""
        if move.path != move.home:
            remove_file(self.on_disk(move.path))
        place = self.on_disk(move.home)
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with os.fdopen(os.open(place, _NEW, 0o600), "wb") as file:
            carving.set_flags(place, carving.flags(place) | carving.NO_COW)
            os.posix_fallocate(file.fileno(), 0, move.size)
        run(["mkswap", "--uuid", str(uuid.uuid4()), str(place)])

    def _drop_left_over(self) -> None:
        for plan in self.plan.areas if self.plan.live else ():
            if plan.how is not How.EMPTY:
                self.drop(plan)
        self.drop_seed()


def lay_out(plan: AdoptionPlan, ground: Ground, layout: Layout) -> None:
    """Make the tree, with the original's place in it, still empty."""
    ground.lay_out(layout, plan.root)
    layout.home(plan.original).mkdir(mode=0o700)


def _copy(source: Path, target: Path) -> None:
    """Copy the content of a directory with everything, without other filesystems."""
    options = ["-a", "--reflink=auto", "--one-file-system"]
    run(["cp", *options, "--", f"{source}/.", str(target)])
