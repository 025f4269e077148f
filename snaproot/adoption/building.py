"""Build the adopted boot environment beside the original, in a tree that nobody knows of yet."""

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from snaproot import areas
from snaproot.adoption import carving
from snaproot.adoption.decisions import AreaPlan, How, Nested, Policy
from snaproot.adoption.facts import Found, is_within
from snaproot.adoption.roots import shown
from snaproot.adoption.shape import AdoptionPlan, SwapMove
from snaproot.adoption.sysimage import DPKG, SINGLE_FILES, StateLink
from snaproot.adoption.view import inside
from snaproot.areas import Kind
from snaproot.errors import SnaprootError
from snaproot.filesystem.btrfs import binding
from snaproot.filesystem.btrfs.layout import SNAPROOT, Layout
from snaproot.filesystem.cloning import copy_attributes
from snaproot.run import run

PARTIAL = f"{SNAPROOT}.partial"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OVER = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC

Step = tuple[str, Callable[[], None]]


@dataclass(frozen=True, slots=True)
class Builder:
    """Does the steps of one plan; `top` is the filesystem's, everything new lies in `layout`."""

    plan: AdoptionPlan
    top: Path
    layout: Layout

    def steps(self) -> Iterator[Step]:
        """Yield what is to be done, in order; none of it touches what is there."""
        plan = self.plan
        yield "lay out", self._lay_out
        yield f"snapshot {shown(plan.root)}", self._snapshot_root
        yield "gather what moves out of the root", self._seed
        for area in plan.areas:
            yield f"area for {area.area.mount}", partial(self._make_area, area)
        yield "make /etc a subvolume", self._make_etc
        yield "re-attach nested subvolumes", self._reattach
        yield "make mount points", self._make_mount_points
        if plan.boot:
            yield f"copy {plan.boot}", self._copy_boot
        yield "move package state", self._move_state
        yield "write settings and fstab", self._write_etc
        yield "mask units", self._mask_units
        for move in plan.swap:
            yield f"make {move.home}", partial(self._make_swap, move)
        yield "drop what is left over", self._drop_seed

    @property
    def root(self) -> Path:
        return self.layout.root(self.plan.id)

    @property
    def _original(self) -> Path:
        return self.top / self.plan.root

    @property
    def _seed_place(self) -> Path:
        return self.layout.snaproot / "seed"

    def _lay_out(self) -> None:
        """Make the empty tree; only root may go in, as old programs may be set-user-id."""
        layout = self.layout
        layout.top.mkdir(mode=0o700)
        binding.create(layout.snaproot)
        layout.snaproot.chmod(0o700)
        for directory in (layout.environments, layout.areas, layout.record, layout.log):
            directory.mkdir(mode=0o700)
        layout.trash.mkdir(mode=0o700)
        for subvolume in (layout.loader, layout.cache):
            binding.create(subvolume)
        for id in (self.plan.id, self.plan.original):
            layout.home(id).mkdir(mode=0o700)

    def _snapshot_root(self) -> None:
        """Snapshot the root; what that leaves of nested subvolumes become plain directories."""
        binding.snapshot(self._original, self.root)
        if self.plan.root == "":
            self._keep_original()
            carving.remove(self.root / PARTIAL)
        self._replace_placeholders(self.root, self.plan.root)

    def _keep_original(self) -> None:
        """Snapshot a top level, which cannot be a boot environment itself.

        A swap file whose extents a snapshot shares cannot be swapped on any more (btrfs(5)), so
        the snapshot has none.
        """
        original = self.layout.root(self.plan.original)
        binding.snapshot(self._original, original)
        carving.remove(original / PARTIAL)
        for move in self.plan.swap:
            _remove_file(original / move.path.lstrip("/"))

    def _seed(self) -> None:
        """Prune one snapshot to what becomes subvolumes, so that each of them is quickly made."""
        binding.snapshot(self._original, self._seed_place)
        carved = {plan.inner for plan in self.plan.areas if plan.how is How.CARVED}
        carving.prune(self._seed_place, {*carved, "etc"})

    def _make_area(self, plan: AreaPlan) -> None:
        if plan.how is not How.STAYS:
            place = self.layout.areas / plan.area.name
            self._fill(plan, place)
            if plan.area.kind is Kind.SWAP:
                carving.set_flags(place, carving.flags(place) | carving.NO_COW)
        mount_point = self._prepared(plan.area.mount)
        if mount_point is not None and self._holder(plan.area.mount) is None:
            carving.empty(mount_point)

    def _fill(self, plan: AreaPlan, place: Path) -> None:
        match plan.how:
            case How.CARVED:
                binding.snapshot(self._seed_place, place)
                carving.move_up(place, plan.inner)
                self._replace_placeholders(place, f"{plan.source}/{plan.inner}".strip("/"))
            case How.SNAPSHOT:
                binding.snapshot(self.top / plan.source, place)
                self._replace_placeholders(place, plan.source)
            case _:
                binding.create(place)
                user, _, group = plan.area.owner.partition(":")
                os.chown(place, int(user), int(group))
                place.chmod(int(plan.area.mode, 8))

    def _make_etc(self) -> None:
        etc = self.layout.etc(self.plan.id)
        carving.remove(etc)
        binding.snapshot(self._seed_place, etc)
        carving.move_up(etc, "etc")

    def _reattach(self) -> None:
        attached = [n for n in self.plan.nested if n.policy is Policy.REATTACHED]
        for nested in attached:
            place = self._place_of(nested)
            place.rmdir()
            binding.snapshot(self.top / nested.subvolume, place)
            self._replace_placeholders(place, nested.subvolume)
        for nested in reversed(attached):
            if nested.readonly:
                binding.set_read_only(self._place_of(nested), read_only=True)

    def _make_mount_points(self) -> None:
        for point in self.plan.mount_points:
            self._prepared(point)

    def _copy_boot(self) -> None:
        """Copy a separate `/boot`, sharing data where it is on this filesystem."""
        boot = self.root / "boot"
        carving.empty(boot)
        _copy(Path(self.plan.boot), boot)
        if (boot / "lost+found").is_dir():
            carving.remove(boot / "lost+found")

    def _move_state(self) -> None:
        for link in self.plan.links:
            self._link(link)
        if any(link.path == DPKG for link in self.plan.links):
            self._copy_single_files()

    def _copy_single_files(self) -> None:
        for single in SINGLE_FILES:
            source, target = self._on_disk(single.path), self._in_root(single.home)
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            if source.is_file() and not source.is_symlink():
                run(["cp", "-a", "--reflink=auto", "--", str(source), str(target)])
                if single.moves:
                    carving.remove(source)

    def _link(self, link: StateLink) -> None:
        """Move one directory of state into the root, and link to it from the area."""
        above = self._holder(link.path)
        if above is not None and above.how is How.STAYS:
            return
        home, place = self._in_root(link.home), self._on_disk(link.path)
        if link.exists and home.is_dir() and any(home.iterdir()):
            raise SnaprootError(f"{link.path} and {link.home} both have content")
        home.mkdir(mode=0o755, parents=True, exist_ok=True)
        if link.exists:
            _copy(place, home)
            copy_attributes(place, home)
            carving.remove(place)
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        up = "../" * len(PurePosixPath(link.path).parent.parts[1:])
        place.symlink_to(up + link.home.lstrip("/"))

    def _write_etc(self) -> None:
        for setting in self.plan.settings:
            self._write(setting.path, setting.content)
        self._write("/etc/fstab", self.plan.fstab)

    def _mask_units(self) -> None:
        """Keep units from starting: a link to /dev/null, as systemctl(1) makes it."""
        for unit in self.plan.masked:
            place = self._in_root(f"/etc/systemd/system/{unit}")
            place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            if os.path.lexists(place):
                carving.remove(place)
            place.symlink_to("/dev/null")

    def _write(self, path: str, content: str) -> None:
        """Write a file of the BE's `/etc`; an existing one keeps owner and mode."""
        parent = str(PurePosixPath(path).parent)
        if inside(self.root, parent.lstrip("/"))[0] in {Found.LINK, Found.OTHER}:
            raise SnaprootError(f"{parent} is no plain directory")
        place = self._in_root(path)
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with os.fdopen(os.open(place, _OVER, 0o644), "w", errors="surrogateescape") as file:
            file.write(content)

    def _make_swap(self, move: SwapMove) -> None:
        """Make a swap file: no copy-on-write, fully allocated (btrfs(5), swapfile support)."""
        if move.path != move.home:
            _remove_file(self._on_disk(move.path))
        place = self._on_disk(move.home)
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with os.fdopen(os.open(place, _NEW, 0o600), "wb") as file:
            carving.set_flags(place, carving.flags(place) | carving.NO_COW)
            os.posix_fallocate(file.fileno(), 0, move.size)
        run(["mkswap", "--uuid", str(uuid.uuid4()), str(place)])

    def _drop_seed(self) -> None:
        binding.delete(self._seed_place)

    def _replace_placeholders(self, place: Path, source: str) -> None:
        """Make real directories, like the nested subvolumes that a snapshot of `source` lacks."""
        for nested in self._below(source):
            hole = place / PurePosixPath(nested).relative_to(source or ".")
            if carving.is_placeholder(hole):
                hole.rmdir()
                hole.mkdir(mode=0o755)
                copy_attributes(self.top / nested, hole)

    def _below(self, source: str) -> Iterator[str]:
        known = {nested.subvolume for nested in self.plan.nested}
        known |= {plan.source for plan in self.plan.areas}
        return (path for path in sorted(known) if path and is_within(path, source))

    def _prepared(self, point: str) -> Path | None:
        """Make sure of a mount point in what shows it; None where that is not ours to write.

        Users may have put a link on the way, in an area of theirs.
        """
        above = self._holder(point)
        if above is not None and above.how is How.STAYS:
            return None
        base, inner = self._shown_by(point)
        found = inside(base, inner)[0]
        if found is Found.MISSING:
            (base / inner).mkdir(mode=0o755, parents=True)
        return base / inner if found in {Found.MISSING, Found.DIRECTORY} else None

    def _holder(self, path: str) -> AreaPlan | None:
        """Find the area that a path lies in; one that is mounted right there does not hold it."""
        others = [plan for plan in self.plan.areas if plan.area.mount != path]
        area = areas.holding([plan.area for plan in others], path)
        return next((plan for plan in others if plan.area is area), None)

    def _on_disk(self, path: str) -> Path:
        """Say where the BE has a path: in an area, else in its root."""
        base, inner = self._shown_by(path)
        return base / inner

    def _shown_by(self, path: str) -> tuple[Path, str]:
        """Split a path into the subvolume that shows it, and the rest."""
        above = self._holder(path)
        if above is None:
            return self.root, path.lstrip("/")
        rest = PurePosixPath(path).relative_to(above.area.mount)
        return self.layout.areas / above.area.name, str(rest)

    def _in_root(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _place_of(self, nested: Nested) -> Path:
        area = next(area for area in self.plan.declared if area.mount == nested.area)
        return self.layout.areas / area.name / nested.inner


def _remove_file(path: Path) -> None:
    if path.is_file() and not path.is_symlink():
        carving.remove(path)


def _copy(source: Path, target: Path) -> None:
    """Copy the content of a directory with everything, without other filesystems."""
    options = ["-a", "--reflink=auto", "--one-file-system"]
    run(["cp", *options, "--", f"{source}/.", str(target)])
