"""Which boot environments there are: one `zfs get` of what was set on the datasets themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from snaproot.environment import ID, Environment, Standing
from snaproot.errors import Refused
from snaproot.filesystem import metadata
from snaproot.filesystem.zfs import binding, commands
from snaproot.filesystem.zfs.names import id_of, trashed
from snaproot.filesystem.zfs.properties import (
    ENVIRONMENT,
    ORIGINAL,
    STAGING,
    listed,
    longer,
    text_of,
)
from snaproot.filesystem.zfs.view import View

DEFAULT = "default"
"""The key of `Environment.extra` with the `bootfs` from before an original root's adoption."""

_Known = Mapping[str, str]
UNFINISHED = "staging was not finished"


@dataclass(frozen=True, slots=True)
class Original:
    """The original root: a dataset that lies where it always was."""

    id: str
    dataset: str


@dataclass(frozen=True, slots=True)
class Root:
    """The dataset of a boot environment, and what was set on it; None where it is not there."""

    id: str
    dataset: str
    known: _Known | None
    original: bool = False


def environments(view: View) -> Sequence[Environment]:
    """Read every boot environment, sorted by id."""
    names = view.names
    found = commands.local(names.container, names.home, depth=1, properties=listed())
    more = [dataset for dataset, known in found.items() if longer(known)]
    found |= commands.local(*more) if more else {}
    roots = {id: known for dataset, known in found.items() if (id := _ours(view, dataset, known))}
    original = original_of(view, found.get(names.home, {}))
    if original is not None:  # its dataset may lie among the roots, under a name of its own
        beside = {original.id, id_of(original.dataset)}
        roots = {id: known for id, known in roots.items() if id not in beside}
    read = [_environment(id, known) for id, known in roots.items()]
    if original is not None:
        read += _original(original, found.get(original.dataset))
    return sorted(read, key=lambda one: one.id)


def existing(view: View, id: str) -> Environment:
    """Read one boot environment without looking at the others; there has to be one."""
    return read(view, id)[0]


def read(view: View, id: str) -> tuple[Environment, _Known]:
    """Read one that exists, and the properties that it has."""
    root = located(view, id)
    known = root.known or {}
    if root.original:
        for one in _original(Original(id, root.dataset), root.known):
            return one, known
    elif root.known is not None and is_ours(view, root):
        return _environment(id, known), known
    raise RuntimeError(f"{id} does not exist")


def located(view: View, id: str) -> Root:
    """Find the dataset of a root, be it there or not, without looking at the others."""
    dataset = view.names.root(id)
    original, known = _beside_original(view, dataset if ID.fullmatch(id) else "")
    if original is not None and original.id == id:
        return Root(id, original.dataset, _local(original.dataset), original=True)
    if original is not None and original.dataset == dataset:
        raise RuntimeError(f"{id} is called {original.id}")
    return Root(id, dataset, known)


def _beside_original(view: View, dataset: str) -> tuple[Original | None, _Known | None]:
    """Read in one go which the original root is, and a dataset's properties, if it is there."""
    there = bool(dataset) and binding.exists(dataset)
    found = commands.local(view.names.home, *([dataset] if there else []))
    known = found.get(dataset, {}) if there else None
    return original_of(view, found.get(view.names.home, {})), known


def sealed(view: View, id: str) -> Environment:
    """Read one that has to be sealed. Raises Refused where it is not."""
    environment = existing(view, id)
    if not environment.complete or not environment.sealed:
        why = environment.damage or "it is not sealed"
        hint = "snaproot recover" if environment.damage else ""
        raise Refused(f"{id} cannot be used: {why}; nothing was changed", hint=hint)
    return environment


def original(view: View) -> Original | None:
    """Find the original root, if there is one still."""
    return original_of(view, commands.local(view.names.home).get(view.names.home, {}))


def original_of(view: View, home: _Known) -> Original | None:
    """Read which dataset is the original root, out of what `<pool>/snaproot` has."""
    id, _, inner = home.get(ORIGINAL, "").partition(" ")
    if not ID.fullmatch(id):
        return None
    return Original(id, f"{view.pool}/{inner}" if inner else view.pool)


def declare_original(view: View, id: str, dataset: str) -> None:
    """Remember which dataset is the original root; its metadata is described after that."""
    inner = dataset.removeprefix(view.pool).lstrip("/")
    commands.put(view.names.home, {ORIGINAL: f"{id} {inner}".strip()})


def forget_original(view: View) -> None:
    """Forget it; there is none already is fine."""
    commands.unset(view.names.home, ORIGINAL)


def dataset_of(view: View, id: str) -> str:
    """Name the dataset of a root."""
    return datasets_of(view, [id])[id]


def datasets_of(view: View, ids: Sequence[str]) -> dict[str, str]:
    """Name the datasets of roots."""
    found = original(view)
    beside = {found.id: found.dataset} if found is not None else {}
    return {id: beside.get(id, view.names.root(id)) for id in ids}


def named(view: View, dataset: str) -> str | None:
    """Name the boot environment whose root a dataset is."""
    original, known = _beside_original(view, dataset)
    if original is not None and original.dataset == dataset:
        return original.id
    return _ours(view, dataset, known or {}) if dataset.startswith(f"{view.pool}/") else None


def default(view: View) -> str | None:
    """Name the boot environment that the pool's `bootfs` stands for."""
    bootfs = commands.pool_value(view.pool, "bootfs")
    found = named(view, bootfs) if bootfs != "-" else None
    if found is not None:
        return found
    beside = original(view)
    if beside is None:
        return None
    return beside.id if existing(view, beside.id).extra.get(DEFAULT) == bootfs else None


def is_default(view: View, root: Root) -> bool:
    """Tell whether the pool's `bootfs` stands for a root."""
    bootfs = commands.pool_value(view.pool, "bootfs")
    return bootfs == root.dataset or (root.original and default(view) == root.id)


def pointed_at(view: View, environment: Environment) -> str:
    """Say what `bootfs` is where a boot environment is the default; empty for none."""
    beside = environment.extra.get(DEFAULT)
    if environment.standing is Standing.ORIGINAL and isinstance(beside, str):
        return "" if beside == "-" else beside
    return dataset_of(view, environment.id)


def is_ours(view: View, root: Root) -> bool:
    """Tell whether snaproot made or adopted a root, even if it did not get far."""
    return root.original or _ours(view, root.dataset, root.known or {}) is not None


def _ours(view: View, dataset: str, known: _Known) -> str | None:
    """Name a dataset's boot environment, if snaproot made it: another tool's may be called so."""
    id = id_of(dataset)
    if id is None or not (ENVIRONMENT in known or view.layout.home(id).is_dir()):
        return None
    return id


def local(dataset: str) -> _Known:
    """Read what was set on one dataset that exists."""
    return commands.local(dataset).get(dataset, {})


def _local(dataset: str) -> _Known | None:
    return local(dataset) if binding.exists(dataset) else None


def _original(original: Original, known: _Known | None) -> list[Environment]:
    """Describe an original root; none once its removal has begun."""
    if known is None and (known := _local(original.dataset)) is None:
        gone = binding.exists(trashed(original.dataset))
        return [] if gone else [Environment(id=original.id, damage="its root is missing")]
    return [_environment(original.id, known)]


def _environment(id: str, known: _Known) -> Environment:
    """Read the text, and believe `sealed` of it only as far as the root is read-only."""
    read_only = known.get("readonly") == "on"
    if known.get(ENVIRONMENT, STAGING) == STAGING:
        return Environment(id=id, damage=UNFINISHED)
    try:
        environment = metadata.parse(text_of(known), id)
    except ValueError as error:
        return Environment(id=id, damage=f"its metadata cannot be read: {error}")
    sealed = environment.sealed and read_only and environment.standing is not Standing.ORIGINAL
    return replace(environment, sealed=sealed)
