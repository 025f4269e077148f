"""The rollback floor: features of the pool that older roots' ZFS cannot open it with.

A feature that is in use stays in the pool whatever root is booted, and a module that does not know
it does not import the pool for writing (zpool-features(7)). Which root has a module that knows it,
nobody can tell but that module itself: what it says when its root runs is remembered outside all
of them. Of a root that has not run since, nothing is known, and nothing is said. GRUB does not
count here: it reads kernels from the loader's home.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path

from snaproot import durable, formats, zpool
from snaproot.environment import Environment
from snaproot.errors import NeedsRecovery, NewerFormat
from snaproot.filesystem.zfs.view import View
from snaproot.wording import some

FORMAT, READER = 1, "0.1"
NAME = "floor.json"
MODULE = Path("/sys/module/zfs/features.pool")
_KNOWN = ("format", "reader", "knows", "used")


@dataclass(frozen=True, slots=True)
class Use:
    """When a feature was first seen in use, and in which root."""

    since: str
    root: str


@dataclass(frozen=True, slots=True)
class Floor:
    """Which features each root's ZFS knows, and those that the pool was seen to use."""

    knows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    used: Mapping[str, Use] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)

    def noted(
        self, root: str, knows: Iterable[str], used: Iterable[str], there: Iterable[str], now: str
    ) -> "Floor":
        """Add what a root's ZFS says while it runs; forget the roots that are not `there`. Pure."""
        kept = {id: known for id, known in self.knows.items() if id in {*there}}
        first = {name: Use(now, root) for name in sorted(used)}
        knowing = {**kept, root: tuple(sorted(knows))}
        return replace(self, knows=knowing, used={**first, **self.used})

    def beneath(self, root: str, used: Iterable[str]) -> str:
        """Say what of the features in use a root's ZFS does not know; empty for none. Pure."""
        known = self.knows.get(root)
        unknown = sorted({*used} - {*known}) if known else []
        if not unknown:
            return ""
        since = sorted({f"{use.since[:10]} in {use.root}" for use in self._uses(unknown)})
        when = f" since {since[0]}" if since else ""
        return f"its ZFS does not know {some(unknown)}, in use in the pool{when}"

    def _uses(self, names: Iterable[str]) -> Iterator[Use]:
        yield from (self.used[name] for name in names if name in self.used)


def parse(text: bytes) -> Floor:
    """Read it. Raises ValueError on damage, NewerFormat on a newer format. Pure."""
    data = formats.parse(text, "rollback floor", FORMAT)
    try:
        return Floor(
            knows={id: tuple(map(str, names)) for id, names in data["knows"].items()},
            used={
                name: Use(str(use["since"]), str(use["root"])) for name, use in data["used"].items()
            },
            extra={key: value for key, value in data.items() if key not in _KNOWN},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it misses or misplaces {error}") from error


def render(floor: Floor) -> bytes:
    """Write it. Pure."""
    known = asdict(replace(floor, extra={}))
    known.pop("extra")
    head = {"format": FORMAT, "reader": READER}
    return (json.dumps({**floor.extra, **head, **known}, indent=1) + "\n").encode()


def note(view: View, root: str, there: Iterable[str], now: datetime) -> None:
    """Remember what the module that runs knows, for the root that it booted; durable."""
    knows = module_knows()
    if not knows:
        return  # before OpenZFS 0.8 it does not say
    path, before = view.layout.record / NAME, load(view)
    after = before.noted(root, knows, _used(view.pool), there, now.isoformat())
    if after != before:
        durable.write(path, render(after), mode=0o644)


def marked(view: View, environments: Iterable[Environment]) -> list[Environment]:
    """Say of each boot environment what of the pool it cannot read any more."""
    found, floor = list(environments), _believed(view)
    running = frozenset(module_knows())
    if all(running <= {*known} for known in floor.knows.values()):
        return found  # whoever has the pool open knows all that is in use
    used = _used(view.pool)
    return [replace(one, beneath=floor.beneath(one.id, used)) for one in found]


def _believed(view: View) -> Floor:
    """Read it to look at roots: where it is damaged, nothing is known of any; `note` tells that."""
    try:
        return load(view)
    except (NeedsRecovery, NewerFormat):
        return Floor()


def load(view: View) -> Floor:
    """Read what is remembered; nothing where nothing is. Raises NeedsRecovery for a damaged one."""
    path = view.layout.record / NAME
    try:
        return parse(path.read_bytes())
    except FileNotFoundError:
        return Floor()
    except (OSError, ValueError) as error:
        raise NeedsRecovery(
            f"{path} cannot be read ({error}); nothing was changed",
            hint="remove it: it is written anew, and what older roots can read is not known then",
        ) from error


def module_knows() -> frozenset[str]:
    """Name the features that the module which runs knows, as zpool(8) calls them."""
    if not MODULE.is_dir():
        return frozenset()
    return frozenset(
        (place / "uname").read_text(encoding="utf-8").strip() for place in MODULE.iterdir()
    )


def _used(pool: str) -> list[str]:
    """Name the features that are in use.

    One that the module which runs does not know is called by its whole GUID, and lets the pool be
    read only (zpoolprops(7)).
    """
    said = zpool.properties(pool)
    unknown = (
        name for name in said if name.startswith("unsupported@") and said[name] != "inactive"
    )
    return sorted({*zpool.in_use(said), *(name.rpartition(":")[2] for name in unknown)})
