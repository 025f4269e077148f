"""A pool laid out as an adopted system has it, with one small boot environment. Runs in a bench."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from integration.bed import AREAS, FILES, SHARED, put, texts
from integration.zfs.bench import SCRATCH
from snaproot import areas
from snaproot.environment import Standing
from snaproot.filesystem import Workspace
from snaproot.filesystem.layout import Layout
from snaproot.filesystem.zfs import view
from snaproot.filesystem.zfs.backend import Zfs
from snaproot.filesystem.zfs.view import View
from snaproot.run import run
from tests.contract.filesystem import BASE, described

POOL = "bed"


@dataclass(frozen=True)
class ZfsBench:
    """The contract's bench on a real pool."""

    view: View

    @property
    def layout(self) -> Layout:
        return self.view.layout

    @property
    def pool(self) -> str:
        return self.view.pool

    def filesystem(self, booted: str | None = None) -> Zfs:
        return Zfs(self.view, self.view.root(booted) if booted else None)

    def write(self, id: str, path: str, content: str) -> None:
        self.inside(id, path).write_text(content, encoding="utf-8")

    def remove(self, id: str, path: str) -> None:
        self.inside(id, path).unlink()

    def read(self, id: str, path: str) -> str | None:
        place = self.view.root(id) / path.lstrip("/")
        return place.read_text(encoding="utf-8") if place.is_file() else None

    def shared(self) -> Mapping[str, str]:
        return texts(self.view.area("var"), "/var")

    def additions(self, id: str) -> Mapping[str, str]:
        return texts(self.layout.additions(id), "")

    def inside(self, id: str, path: str) -> Path:
        """Say where a program inside a target would find a path."""
        for area in sorted(AREAS, key=lambda area: -len(area.mount)):
            if Path(path).is_relative_to(area.mount):
                return self.layout.copies(id) / area.name / Path(path).relative_to(area.mount)
        return self.view.root(id) / path.lstrip("/")

    def create(self, id: str, parent: str = BASE) -> Workspace:
        return self.filesystem().create(id, parent)


@contextmanager
def pool(device: str = SCRATCH, name: str = POOL) -> Iterator[str]:
    """Make an empty pool on a disk or a file, and destroy it afterwards."""
    own = ("-o", "cachefile=none", "-O", "canmount=off", "-O", "mountpoint=none")
    created("zpool", "create", "-f", *own, name, device)
    try:
        yield name
    finally:
        run(["zpool", "destroy", "-f", name])


def created(*words: str) -> None:
    """Make a pool. The disk is partitioned anew, and a slow udev may still be at the last one."""
    for _ in range(3):
        run(["udevadm", "settle"])
        if run(words, check=False).status == 0:
            return
    run(words)


@contextmanager
def bed(pool: str) -> Iterator[ZfsBench]:
    """Lend an empty pool with `BASE` on it, as the contract wants it; it is empty again after."""
    try:
        _datasets(pool)
        with view.opened(pool) as found:
            yield adopt(found)
    finally:
        for name in ("ROOT", "snaproot"):
            run(["zfs", "destroy", "-R", f"{pool}/{name}"], check=False)


def _datasets(pool: str) -> None:
    """Make all filesystems that an adopted pool has; the bases' roots not yet read-only."""
    off, legacy, noauto = (
        ("-o", word) for word in ("canmount=off", "mountpoint=legacy", "canmount=noauto")
    )
    names = [f"{pool}/snaproot/areas/{area.name}" for area in AREAS]
    for words in (
        (*off, "-o", "mountpoint=none", f"{pool}/ROOT"),
        (*noauto, "-o", "mountpoint=/", f"{pool}/ROOT/{BASE}"),
        (*noauto, "-o", "mountpoint=/etc", f"{pool}/ROOT/{BASE}/etc"),
        (*noauto, *legacy, f"{pool}/snaproot"),
        (*off, f"{pool}/snaproot/areas"),
        *((*legacy, name) for name in names),
    ):
        run(["zfs", "create", *words])


def adopt(found: View) -> ZfsBench:
    """Fill a pool's empty filesystems, and seal `BASE` as its default."""
    layout = found.layout
    for place in (layout.environments, layout.areas, layout.record, layout.trash):
        place.mkdir(exist_ok=True)
    (layout.record / areas.NAME).write_text(areas.render(AREAS), encoding="utf-8")
    for name in SHARED:
        put(found.area("var") / name, f"/var/{name}")
    layout.home(BASE).mkdir()
    for name in FILES:
        put(found.root(BASE) / name, f"/{name}")
    filesystem = Zfs(found, None)
    filesystem.seal(replace(described(BASE, ""), standing=Standing.PROVEN))
    filesystem.set_default(BASE)
    return ZfsBench(found)
