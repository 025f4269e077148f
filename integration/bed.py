"""A Btrfs laid out as an adopted system has it, with one small boot environment."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from integration.disk import disk
from snaproot import areas
from snaproot.areas import Area
from snaproot.environment import Standing
from snaproot.filesystem import Workspace
from snaproot.filesystem.btrfs import binding
from snaproot.filesystem.btrfs.backend import Btrfs
from snaproot.filesystem.layout import Layout
from tests.contract.filesystem import BASE, described

AREAS = (
    Area(name="var", subvolume="@snaproot/areas/var", mount="/var"),
    Area(name="var-log", subvolume="@snaproot/areas/var-log", mount="/var/log"),
    Area(name="home", subvolume="@snaproot/areas/home", mount="/home"),
    Area(name="swap", subvolume="@snaproot/areas/swap", mount="/swap", kind=areas.Kind.SWAP),
)
FILES = ("usr/bin/tool", "usr/lib/old", "etc/host.conf")
SHARED = ("lib/state", "lib/stale")


@dataclass(frozen=True)
class BtrfsBench:
    """The contract's bench on a real filesystem."""

    layout: Layout

    def filesystem(self, booted: str | None = None) -> Btrfs:
        return Btrfs(self.layout, self.layout.root(booted) if booted else None)

    def write(self, id: str, path: str, content: str) -> None:
        place = self.inside(id, path)
        place.write_text(content, encoding="utf-8")

    def remove(self, id: str, path: str) -> None:
        self.inside(id, path).unlink()

    def read(self, id: str, path: str) -> str | None:
        place = self.layout.root(id) / path.lstrip("/")
        return place.read_text(encoding="utf-8") if place.is_file() else None

    def shared(self) -> Mapping[str, str]:
        return texts(self.layout.areas / "var", "/var")

    def additions(self, id: str) -> Mapping[str, str]:
        return texts(self.layout.additions(id), "")

    def inside(self, id: str, path: str) -> Path:
        """Say where a program inside a target would find a path."""
        for area in sorted(AREAS, key=lambda area: -len(area.mount)):
            if Path(path).is_relative_to(area.mount):
                return self.layout.copies(id) / area.name / Path(path).relative_to(area.mount)
        return self.layout.root(id) / path.lstrip("/")

    def create(self, id: str, parent: str = BASE) -> Workspace:
        return self.filesystem().create(id, parent)


@contextmanager
def bed(directory: Path, *, size: str = "512M") -> Iterator[BtrfsBench]:
    """Lend a filesystem with `BASE` on it, as the contract wants it."""
    with disk(directory, size=size) as top:
        yield adopt(Layout(top))


def adopt(layout: Layout) -> BtrfsBench:
    """Lay an empty filesystem out, and seal `BASE` as its default."""
    binding.create(layout.snaproot)
    for place in (layout.environments, layout.areas, layout.record, layout.trash):
        place.mkdir()
    for area in AREAS:
        binding.create(layout.top / area.subvolume)
    (layout.record / areas.NAME).write_text(areas.render(AREAS), encoding="utf-8")
    for name in SHARED:
        put(layout.areas / "var" / name, f"/var/{name}")
    layout.home(BASE).mkdir()
    binding.create(layout.root(BASE))
    binding.create(layout.etc(BASE))
    for name in FILES:
        put(layout.root(BASE) / name, f"/{name}")
    filesystem = Btrfs(layout, None)
    filesystem.seal(replace(described(BASE, ""), standing=Standing.PROVEN))
    filesystem.set_default(BASE)
    return BtrfsBench(layout)


def fill(root: Path, files: int, size: int) -> None:
    """Put many files of that many bytes into a root that is still writable."""
    content = bytes(size)
    for number in range(files):
        place = root / f"usr/share/d{number // 100}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"f{number}").write_bytes(content + str(number).encode())


def put(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def texts(place: Path, prefix: str) -> Mapping[str, str]:
    files = (path for path in sorted(place.rglob("*")) if path.is_file())
    return {f"{prefix}/{path.relative_to(place)}": path.read_text("utf-8") for path in files}
