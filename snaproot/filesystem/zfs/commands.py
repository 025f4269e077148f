"""What libzfs_core lacks, by zfs(8) and zpool(8): properties, lists, differences.

Always `-Hp`: one parser for every OpenZFS since 2.1; names and values have no tab in them.
"""

from collections.abc import Mapping, Sequence

from snaproot.errors import CommandFailed
from snaproot.filesystem.zfs.reasons import failure, printed
from snaproot.run import run

Row = Sequence[str]


def rows(argv: Sequence[str], what: str) -> list[Row]:
    """Run a program and split what it prints; `what` is told where it fails."""
    return [line.split("\t") for line in output(argv, what).split("\n") if line]


def output(argv: Sequence[str], what: str) -> str:
    """Run a program and return what it prints. Raises SnaprootError in our words."""
    try:
        return run(argv).output
    except CommandFailed as failed:
        said = failed.output.strip().splitlines()[-1:] or [""]
        raise failure(what, printed(failed.output), said[0]) from failed


def local(
    *datasets: str, depth: int = 0, properties: Sequence[str] = ("all",)
) -> dict[str, dict[str, str]]:
    """Read what was set on datasets themselves, and down to `depth` below: name → property.

    Of many, name the properties: zfs(8) works out every value of `all`, and drops what is not set
    (sixty take five times as long).
    """
    argv = ["zfs", "get", "-Hp", "-o", "name,property,value", "-s", "local", "-t", "filesystem"]
    argv += ["-d", str(depth), ",".join(properties), *datasets]
    found: dict[str, dict[str, str]] = {}
    for name, key, value in rows(argv, f"read the properties of {', '.join(datasets)}"):
        found.setdefault(name, {})[key] = value
    return found


def values(properties: Sequence[str], *names: str) -> dict[tuple[str, str], str]:
    """Read properties, wherever they come from, of names that all exist: (name, property)."""
    argv = ["zfs", "get", "-Hp", "-o", "name,property,value", ",".join(properties), *names]
    found = rows(argv, f"read the properties of {', '.join(names)}")
    return {(name, key): value for name, key, value in found}


def listed(kinds: str, columns: Sequence[str], *below: str, deep: bool = True) -> list[Row]:
    """List datasets of some kinds at and below others, sorted as they were created.

    Not `deep`: snapshots and bookmarks of these datasets alone.
    """
    argv = ["zfs", "list", "-Hp", "-s", "createtxg", "-t", kinds, "-o", ",".join(columns)]
    argv += ["-r"] if deep else ["-d", "1"]
    return rows([*argv, *below], f"list {', '.join(below)}")


def put(dataset: str, properties: Mapping[str, str]) -> None:
    """Set properties in one step of the pool; durable when it returns."""
    words = [f"{name}={value}" for name, value in properties.items()]
    output(["zfs", "set", *words, dataset], f"set properties of {dataset}")


def unset(dataset: str, name: str) -> None:
    """Remove a property that was set on a dataset itself; not set is fine."""
    output(["zfs", "inherit", name, dataset], f"remove {name} of {dataset}")


def pool_value(pool: str, name: str) -> str:
    """Read one property of a pool; `-` where it has none."""
    argv = ["zpool", "get", "-Hp", "-o", "value", name, pool]
    return output(argv, f"read {name} of {pool}").strip()


def put_pool(pool: str, name: str, value: str) -> None:
    """Set one property of a pool; durable when it returns."""
    output(["zpool", "set", f"{name}={value}", pool], f"set {name} of {pool}")


def altroots() -> dict[str, str]:
    """Name every imported pool and the root that its mount points are below; `-` for none."""
    return {row[0]: row[1] for row in rows(["zpool", "list", "-Hp", "-o", "name,altroot"], "list")}
