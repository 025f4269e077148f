"""Where everything lies, from the top level (DESIGN.md §5). Pure: nothing here touches the disk."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

SNAPROOT = "@snaproot"
_ENVIRONMENTS = f"{SNAPROOT}/environments"
_TRASH = f"{SNAPROOT}/trash"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one filesystem, mounted at `top` by its top level (subvolid 5)."""

    top: Path

    @property
    def snaproot(self) -> Path:
        return self.top / SNAPROOT

    @property
    def environments(self) -> Path:
        return self.top / _ENVIRONMENTS

    @property
    def areas(self) -> Path:
        return self.snaproot / "areas"

    @property
    def loader(self) -> Path:
        return self.snaproot / "loader"

    @property
    def record(self) -> Path:
        return self.snaproot / "record"

    @property
    def log(self) -> Path:
        return self.snaproot / "log"

    @property
    def trash(self) -> Path:
        return self.top / _TRASH

    @property
    def cache(self) -> Path:
        """Downloads; a subvolume of its own, so that no snapshot holds them."""
        return self.snaproot / "cache"

    def home(self, id: str) -> Path:
        """Name the directory of one boot environment."""
        return self.environments / id

    def root(self, id: str) -> Path:
        return self.home(id) / "root"

    def etc(self, id: str) -> Path:
        return self.root(id) / "etc"

    def etc_parent(self, id: str) -> Path:
        """Name the parent's `/etc` as it was when staging began."""
        return self.home(id) / "etc.parent"

    def etc_pristine(self, id: str) -> Path:
        """Name `/etc` as staging left it."""
        return self.home(id) / "etc.pristine"

    def etc_proven(self, id: str) -> Path:
        """Name `/etc` as it was when last proven."""
        return self.home(id) / "etc.proven"

    def additions(self, id: str) -> Path:
        """Name what staging added to areas; paths in it are those of the booted root."""
        return self.home(id) / "additions"

    def metadata(self, id: str) -> Path:
        return Path(self.metadata_name(id))

    def metadata_name(self, id: str) -> str:
        """Name it as plain text, which is fast to make."""
        return f"{self.top}/{_ENVIRONMENTS}/{id}/environment.toml"

    def files(self, id: str) -> Path:
        """Name the list of file digests."""
        return self.home(id) / "files.list"

    def copies(self, id: str) -> Path:
        """Name the directory of the areas' throw-away copies."""
        return self.home(id) / "areas"

    def references(self, id: str) -> Path:
        """Name the directory of what the copies are compared with."""
        return self.home(id) / "areas.parent"

    def trashed(self, id: str) -> Path:
        return self.trash / id

    def inside(self, path: Path) -> str:
        """Name a path as the filesystem does: from the top level."""
        return str(path.relative_to(self.top)).removeprefix(".")


def root_subvolume(id: str) -> str:
    """Name the root of a boot environment from the top level."""
    return f"{_ENVIRONMENTS}/{id}/root"


def environment_of(subvolume: str) -> str | None:
    """Name the boot environment whose root this subvolume is; None if it is no such root."""
    path = PurePosixPath(subvolume)
    ours = path.name == "root" and str(path.parent.parent) == _ENVIRONMENTS
    return path.parent.name if ours else None
