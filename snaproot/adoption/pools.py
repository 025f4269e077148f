"""What a ZFS pool mounts where, and what of it cannot be adopted: the counterpart of `table`. Pure.

A dataset that is mounted by itself is mounted in every root alike, and where it is mounted cannot
differ between two of them. What a line of fstab(5) mounts can.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from snaproot import fstab
from snaproot.adoption.facts import Dataset, Mount, Pool, is_within
from snaproot.areas import Area
from snaproot.errors import Refused
from snaproot.filesystem.zfs.names import HOME, Names, short, trashed
from snaproot.fstab import Entry

_OURS = "@snaproot/"
_LONGEST = 255
"""Bytes of a name, with that of a snapshot (ZFS_MAX_DATASET_NAME_LEN of sys/fs/zfs.h)."""
ORDER = "/etc/systemd/system/zfs-mount.service.d/50snaproot.conf"


@dataclass(frozen=True, slots=True)
class PoolTable:
    """One pool as the root `root` sees it, implementing `Table`."""

    pool: Pool
    root: str

    def check(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.file == "/" and not self._is_here(entry):
                raise Refused(
                    f"fstab line {entry.line}: / is {entry.spec} ({entry.type}), this is "
                    f"{self.root}; nothing was changed",
                    hint="correct that line, or adopt the filesystem that it names",
                )
            optional = entry.option("nofail") is not None or entry.option("noauto") is not None
            lost = self._is_here(entry) and self.pool.dataset(entry.spec) is None
            if lost and entry.file != "/" and not optional:
                raise Refused(
                    f"fstab line {entry.line}: {entry.file} is on a dataset that is not there; "
                    "nothing was changed",
                    hint="correct that line, or mark it nofail",
                )

    def mounts(self, entries: Sequence[Entry]) -> tuple[Mount, ...]:
        listed = [
            Mount(entry.line, entry.file.rstrip("/"), entry.spec)
            for entry in entries
            if entry.file.startswith("/") and entry.file != "/" and self._is_here(entry)
            if self.pool.dataset(entry.spec) is not None
        ]
        taken = {mount.point for mount in listed}
        found = [mount for mount in self._by_themselves() if mount.point not in taken]
        return (*listed, *sorted(found, key=lambda mount: mount.point))

    def differs(self, entry: Entry, subvolume: str) -> bool:
        return entry.spec != self.dataset_of(subvolume)

    def pinned(self, entry: Entry, subvolume: str) -> str:
        options = entry.without("zfsutil").options or ("defaults",)
        line = Entry(0, self.dataset_of(subvolume), entry.file, "zfs", options)
        return fstab.render(line)

    def area(self, area: Area, entries: Sequence[Entry]) -> Entry:  # noqa: ARG002
        """Make the line that mounts an area; one of another name has its own mount point."""
        name = self.dataset_of(area.subvolume)
        options = ("defaults",) if area.subvolume.startswith(_OURS) else ("zfsutil",)
        return Entry(0, name, area.mount, "zfs", options)

    def written(
        self,
        text: str,
        entries: Sequence[Entry],
        changes: Mapping[int, Sequence[str]],
        added: Sequence[Entry],
    ) -> str:
        """Write no line for `/`: the kernel's command line alone says which dataset that is."""
        lines = [fstab.render(entry) for entry in added]
        root = next((entry for entry in entries if entry.file == "/"), None)
        if root is None:
            return "\n".join([*lines, fstab.rewritten(text, changes)])
        return fstab.rewritten(text, {**changes, root.line: lines})

    def dataset_of(self, subvolume: str) -> str:
        """Name the dataset of an area, as `Area.subvolume` has it."""
        return Names(self.pool.name).area(Area(name="", subvolume=subvolume, mount=""))

    def _is_here(self, entry: Entry) -> bool:
        return entry.type == "zfs" and entry.spec.split("/")[0] == self.pool.name

    def _by_themselves(self) -> Iterable[Mount]:
        for one in self.pool.datasets:
            inherited = is_within(one.name, self.root) and one.canmount == "noauto"
            point = one.mountpoint.rstrip("/")
            if point.startswith("/") and (one.mounts_itself or inherited):
                yield Mount(0, point, one.name, by_itself=one.mounts_itself)


def check(pool: Pool) -> None:
    """Raise Refused for a pool that nothing should be made in."""
    if pool.health != "ONLINE":
        raise Refused(
            f"the pool {pool.name} is {pool.health}; nothing was changed",
            hint="zpool status says what is missing: bring it back, or replace it",
        )
    if pool.readonly:
        raise Refused(
            f"the pool {pool.name} is imported read-only; nothing was changed",
            hint=f"zpool export {pool.name}, and import it without readonly=on",
        )


def candidates(pool: Pool, running: str = "") -> list[Dataset]:
    """Name the datasets that may be a root, by what they say of themselves, and what runs."""
    return [
        one
        for one in pool.datasets
        if one.name in {pool.bootfs, running} or (one.mountpoint == "/" and one.canmount != "off")
    ]


def check_keys(pool: Pool, root: str) -> None:
    """Raise Refused where what is made beside the root could not be encrypted as it is.

    `root` is empty where none was found: then one that cannot be looked into is the reason.
    """
    for one in candidates(pool):
        if one.locked and root in {"", one.name}:
            raise Refused(
                f"{one.name} is encrypted, and its key is not loaded; nothing was changed",
                hint=f"zfs load-key {one.key}",
            )
    found = pool.dataset(root)
    if found is not None and found.key not in {"", pool.name}:
        raise Refused(
            f"{root} is encrypted with the key of {found.key}, which what is made beside it in "
            f"{pool.name}/snaproot would not be; nothing was changed",
            hint="snaproot needs a root that is encrypted with its whole pool",
        )


def check_names(pool: Pool, id: str, areas: Iterable[Area]) -> None:
    """Raise Refused where something that is made now or later would have too long a name."""
    names = Names(pool.name)
    wanted = [f"{trashed(names.root(id))}/etc@{short(names.pristine(id))}"]
    for area in areas:
        early = names.area(area).replace(f"/{HOME}/", f"/{HOME}.partial/", 1)
        wanted += [f"{early}@{id}", names.copy(id, area.name)]
    longest = max(wanted, key=lambda name: len(name.encode()))
    if len(longest.encode()) > _LONGEST:
        raise Refused(
            f"{longest} would have {len(longest.encode())} bytes, and a name in a pool has "
            f"at most {_LONGEST}; nothing was changed",
            hint="give the pool a shorter name: zpool export POOL, then zpool import POOL NAME",
        )


def ordering(mounts: Sequence[Mount], places: Sequence[str]) -> str:
    """Write what has zfs-mount(8) wait for the areas that it mounts into; "" if there are none.

    systemd orders mount units by their paths, but not this service (systemd.unit(5)).
    """
    above = [
        place
        for place in places
        if any(one.by_itself and is_within(one.point, place) for one in mounts)
    ]
    return f"[Unit]\nRequiresMountsFor={' '.join(above)}\n" if above else ""
