"""What becomes an area, and where every nested subvolume goes. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from snaproot import areas
from snaproot.adoption.decisions import AreaPlan, How, Nested, Places, Policy
from snaproot.adoption.facts import Found, Mount, Root, Subvolume, Survey, is_within
from snaproot.areas import Area, Backup, Kind
from snaproot.errors import Refused
from snaproot.fstab import Entry

SWAP = "/swap"
SHARED = ("/var", "/home", "/root", "/srv", "/usr/local")
_HOME = "@snaproot/areas"
_WHOLE = (
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/sbin",
    "/usr/share",
    "/etc",
    "/bin",
    "/sbin",
    "/lib",
)
_SEALED = ("/usr", "/etc", "/boot", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_PASSING = ("/tmp", "/run", "/mnt", "/media", "/proc", "/sys", "/dev")  # noqa: S108 - places
_TOOLS = {".snapshots", "timeshift-btrfs"}
_KINDS = (("/var/log", Kind.LOG), ("/var/cache", Kind.CACHE), ("/var/tmp", Kind.CACHE))  # noqa: S108


@dataclass(frozen=True, slots=True)
class Layout:
    """What the decisions are made from; `state` names directories of package managers."""

    survey: Survey
    root: Root
    entries: Sequence[Entry]
    mounts: Sequence[Mount]
    state: frozenset[str]

    def mount_at(self, point: str) -> Mount | None:
        return next((mount for mount in self.mounts if mount.point == point), None)

    def is_foreign(self, point: str) -> bool:
        """Tell whether another filesystem is mounted at a place."""
        here = {mount.line for mount in self.mounts}
        pool = self.survey.pool
        listed = any(e.file.rstrip("/") == point and e.line not in here for e in self.entries)
        return listed or (pool is not None and point in pool.elsewhere)

    def nested_at(self, point: str) -> Subvolume | None:
        return self.survey.by_path(joined(self.root.subvolume.path, point.lstrip("/")))

    def has_swap(self, path: str) -> bool:
        return any(PurePosixPath(f.path).is_relative_to(path) for f in self.survey.swap_files)


def decided(layout: Layout) -> Places:
    """Decide about every place. Raises Refused for one that cannot be handled."""
    _check_mounts(layout)
    findings: list[str] = []
    plans = [plan for point in SHARED for plan in _shared(layout, point, findings)]
    plans += _others(layout, {plan.source for plan in plans})
    nested = tuple(_nested(layout, plans))
    return Places(tuple(_named([*_swap(layout, plans), *plans])), nested, tuple(findings))


def joined(path: str, inner: str) -> str:
    """Join paths from the top level, either of which may be empty."""
    return "/".join(filter(None, (path, inner)))


def is_tool(path: str) -> bool:
    """Tell whether a path belongs to another snapshot tool."""
    return not _TOOLS.isdisjoint(PurePosixPath(path).parts)


def _check_mounts(layout: Layout) -> None:
    for entry in layout.entries:
        point = entry.file.rstrip("/")
        if point in _WHOLE:
            raise Refused(
                f"fstab line {entry.line}: {point} is a filesystem of its own; nothing was changed",
                hint="the boot environment holds it: move its content into the root first",
            )
    for mount in layout.mounts:
        if mount.line == 0 and mount.point in _WHOLE:
            raise Refused(
                f"{mount.subvolume}: {mount.point} is a dataset of its own; nothing was changed",
                hint="the boot environment holds it: move its content into the root first",
            )
        _check_state(layout, mount.point, mount.subvolume)
    if layout.is_foreign("/var"):
        raise Refused(
            "/var is on another filesystem; nothing was changed",
            hint="it holds the package database: move it onto the root's filesystem first",
        )


def _is_sealed(point: str) -> bool:
    path = PurePosixPath(point)
    return any(map(path.is_relative_to, _SEALED)) and not path.is_relative_to("/usr/local")


def _shared(layout: Layout, point: str, findings: list[str]) -> Iterable[AreaPlan]:
    if layout.is_foreign(point):
        findings.append(f"{point} is on another filesystem: it is mounted as before, and no area")
        return
    mount, nested = layout.mount_at(point), layout.nested_at(point)
    place = layout.survey.place(point)
    if mount is not None:
        yield _separate(layout, mount)
    elif nested is not None:
        yield AreaPlan(_area(layout, point), How.SNAPSHOT, nested.path)
    elif place.found is Found.LINK and point != "/var":
        findings.append(f"{point} is a link: what it leads to is no area of its own")
    elif place.found in {Found.LINK, Found.OTHER}:
        raise Refused(f"{point} is no directory; nothing was changed", hint="make it one")
    elif place.found is Found.MISSING:
        yield AreaPlan(_area(layout, point), How.EMPTY)
    else:
        yield AreaPlan(
            _area(layout, point), How.CARVED, layout.root.subvolume.path, point.lstrip("/")
        )


def _others(layout: Layout, taken: set[str]) -> Iterable[AreaPlan]:
    for mount in layout.mounts:
        if mount.point in SHARED or mount.subvolume in taken or not _may_be_area(layout, mount):
            continue
        taken.add(mount.subvolume)
        yield _separate(layout, mount)


def _may_be_area(layout: Layout, mount: Mount) -> bool:
    """Leave alone what is only passing, the whole filesystem, roots, `/boot` and other tools."""
    path = PurePosixPath(mount.point)
    if any(map(path.is_relative_to, _PASSING)) or mount.point == "/boot":
        return False
    mine = layout.root.subvolume.path
    pool = layout.survey.pool
    whole = pool.name if pool else ""
    return not (
        mount.subvolume in {whole, mine} or is_tool(mount.point) or is_tool(mount.subvolume)
    )


def _separate(layout: Layout, mount: Mount) -> AreaPlan:
    """Let a subvolume stay, unless the BE has to have one that differs from the original's."""
    area = _area(layout, mount.point)
    if _is_snapshotted(layout, mount):
        _check_own(mount)
        how = How.EMPTY if area.kind is Kind.SWAP else How.SNAPSHOT
        return AreaPlan(area, how, mount.subvolume)
    return AreaPlan(replace(area, subvolume=mount.subvolume), How.STAYS, mount.subvolume)


def _is_snapshotted(layout: Layout, mount: Mount) -> bool:
    """Say whether a mounted subvolume is the original's own: in it, or with package state."""
    root = "" if layout.survey.pool else layout.root.subvolume.path
    inside = root != "" and is_within(mount.subvolume, root)
    point = PurePosixPath(mount.point)
    return (
        mount.point == "/var"
        or inside
        or any(
            PurePosixPath(path).is_relative_to(point)
            and layout.survey.place(path).found is Found.DIRECTORY
            for path in layout.state
        )
    )


def _check_own(mount: Mount) -> None:
    """Refuse a dataset that would be mounted in the BE too, over its own."""
    if mount.by_itself:
        raise Refused(
            f"{mount.subvolume} mounts itself at {mount.point}, where the boot environment has to "
            "have what fits it; nothing was changed",
            hint=f"give it the line {mount.subvolume} {mount.point} zfs defaults 0 0 in /etc/fstab "
            f"and no mount point: zfs set -u mountpoint=legacy {mount.subvolume}",
        )


def _area(layout: Layout, point: str) -> Area:
    place = layout.survey.place(point)
    name = re.sub(r"[^a-z0-9_.-]+", "-", point.lower().replace("/", "-")).strip("-.") or "area"
    kind = next((k for above, k in _KINDS if PurePosixPath(point).is_relative_to(above)), Kind.DATA)
    if layout.has_swap(point) and point not in SHARED:
        kind = Kind.SWAP
    backup = Backup.SKIP if kind in {Kind.CACHE, Kind.SWAP} else Backup.KEEP
    return Area(
        name=name[:48],
        subvolume=f"{_HOME}/{name[:48]}",
        mount=point,
        owner=place.owner,
        mode=place.mode,
        kind=kind,
        backup=backup,
    )


def _swap(layout: Layout, plans: Sequence[AreaPlan]) -> Iterable[AreaPlan]:
    """Make a swap area for files that lie in what is snapshotted; they cannot stay there."""
    kinds = [areas.holding([plan.area for plan in plans], f.path) for f in layout.survey.swap_files]
    if all(area is not None and area.kind is Kind.SWAP for area in kinds):
        return
    place = layout.survey.place(SWAP)
    if any(plan.area.mount == SWAP for plan in plans):
        return
    if place.found is not Found.MISSING and not place.empty:
        raise Refused(
            f"{SWAP} holds something else than swap files; nothing was changed",
            hint="the swap area goes there: rename that directory, or swapoff and drop the files",
        )
    yield AreaPlan(
        Area(name="swap", subvolume="", mount=SWAP, kind=Kind.SWAP, backup=Backup.SKIP), How.EMPTY
    )


def _named(plans: Sequence[AreaPlan]) -> Iterable[AreaPlan]:
    """Give every area a name of its own."""
    taken: set[str] = set()
    for plan in plans:
        name, number = plan.area.name, 2
        while name in taken:
            name, number = f"{plan.area.name}-{number}", number + 1
        taken.add(name)
        ours = plan.how is not How.STAYS
        subvolume = f"{_HOME}/{name}" if ours else plan.area.subvolume
        yield replace(plan, area=replace(plan.area, name=name, subvolume=subvolume))


def _nested(layout: Layout, plans: list[AreaPlan]) -> Iterable[Nested]:
    """Go through what lies in snapshotted subvolumes, parents first; may add areas to `plans`."""
    root = layout.root.subvolume.path
    views = {root: "", **{m.subvolume: m.point for m in layout.mounts if m.subvolume != root}}
    views |= {plan.source: plan.area.mount for plan in plans if plan.how is How.SNAPSHOT}
    copied = {root, *(plan.source for plan in plans if plan.how is How.SNAPSHOT)}
    found = []
    for subvolume in sorted(layout.survey.subvolumes, key=lambda s: PurePosixPath(s.path).parts):
        above = _closest(subvolume.path, views)
        if subvolume.path in views or above not in copied or is_ours(subvolume.path):
            continue
        path = f"{views[above]}/{PurePosixPath(subvolume.path).relative_to(above)}"
        nested = _placed(layout, plans, subvolume, path)
        found.append(nested)
        if layout.has_swap(path) and nested.policy is Policy.LEFT:
            plans.append(AreaPlan(_area(layout, path), How.EMPTY, subvolume.path))
        if nested.policy is Policy.AREA:
            plans.append(AreaPlan(_area(layout, path), How.SNAPSHOT, subvolume.path))
            views[subvolume.path] = path
            copied.add(subvolume.path)
    return found


def is_ours(path: str) -> bool:
    """Tell whether a path from the top level is snaproot's."""
    return PurePosixPath(path).parts[:1] in {("@snaproot",), ("@snaproot.partial",)}


def _closest(path: str, views: Iterable[str]) -> str | None:
    above = [view for view in views if is_within(path, view)]
    return max(above, key=len, default=None)


def _placed(layout: Layout, plans: Sequence[AreaPlan], nested: Subvolume, path: str) -> Nested:
    """Choose the policy for one nested subvolume."""
    _check_nested(layout, nested, path)
    left = Nested(nested.path, path, Policy.LEFT, readonly=nested.readonly)
    passing = any(map(PurePosixPath(path).is_relative_to, _PASSING[:2]))
    if is_tool(path) or passing or layout.has_swap(path):
        return left
    area = areas.holding([plan.area for plan in plans], path)
    if area is None:
        return replace(left, policy=Policy.AREA)
    plan = next(plan for plan in plans if plan.area is area)
    inner = str(PurePosixPath(path).relative_to(area.mount))
    if not _holds(plan, nested.path, inner):
        return left
    return replace(left, policy=Policy.REATTACHED, area=area.mount, inner=inner)


def _holds(plan: AreaPlan, subvolume: str, inner: str) -> bool:
    """Tell whether an area shows this very subvolume, not something mounted over it."""
    return plan.how in {How.CARVED, How.SNAPSHOT} and subvolume == joined(
        joined(plan.source, plan.inner), inner
    )


def _check_nested(layout: Layout, nested: Subvolume, path: str) -> None:
    _check_state(layout, path, nested.path)
    if _is_sealed(path) and path != "/boot":
        raise Refused(
            f"{nested.path}: a subvolume nested at {path} cannot be part of a sealed root; "
            "nothing was changed",
            hint="make it a plain directory, or mount it from outside the root",
        )


def _check_state(layout: Layout, point: str, subvolume: str) -> None:
    """Package state has to be plain directories: the boot environment takes them in."""
    if any(PurePosixPath(point).is_relative_to(state) for state in layout.state):
        raise Refused(
            f"{subvolume}: package state at {point} is a subvolume; nothing was changed",
            hint="make it a plain directory",
        )
