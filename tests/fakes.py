"""Fakes of the protocols, stricter than the kernel, on a disk that can lose power at any write.

Every call is several writes. A write is visible at once, durable only after a sync, and a cut may
lose any subset of what was not synced: more than Btrfs would ever lose.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path

from snaproot.bootloader import Capability, Shown, Trial
from snaproot.environment import Environment, Standing
from snaproot.errors import NeedsRecovery, Refused, SnaprootError
from snaproot.filesystem import Address, Change, Collected, PathChange, Space, Workspace
from snaproot.record import parse, render
from snaproot.state import Deployment, LoaderView, Record, Verdict

Key = tuple[str, ...]
Files = Mapping[str, str]
GARBLED = b"\0garbled"
_GONE = object()


class PowerCut(BaseException):
    """The plug was pulled; nothing that runs may catch it."""


@dataclass
class Disk:
    """Keys and values; `cut_at` counts writes and syncs from 1."""

    durable: dict[Key, object] = field(default_factory=dict)
    unsynced: list[tuple[Key, object]] = field(default_factory=list)
    writes: int = 0
    cut_at: int | None = None
    watch: Callable[[], None] | None = None

    def get(self, key: Key) -> object:
        for written, value in reversed(self.unsynced):
            if written == key:
                return None if value is _GONE else value
        return self.durable.get(key)

    def present(self) -> set[Key]:
        return {key for key in {*self.durable, *(k for k, _ in self.unsynced)} if self.has(key)}

    def has(self, key: Key) -> bool:
        return self.get(key) is not None

    def put(self, key: Key, value: object) -> None:
        self._count()
        self.unsynced.append((key, value))
        if self.watch:
            self.watch()

    def drop(self, key: Key) -> None:
        if self.has(key):
            self.put(key, _GONE)

    def sync(self, *prefixes: str) -> None:
        """Make everything durable, or only keys that begin with one of `prefixes`."""
        self._count()
        kept = []
        for key, value in self.unsynced:
            if not prefixes or key[0] in prefixes:
                self._settle(key, value)
            else:
                kept.append((key, value))
        self.unsynced = kept

    def _settle(self, key: Key, value: object) -> None:
        if value is _GONE:
            self.durable.pop(key, None)
        else:
            self.durable[key] = value

    def _count(self) -> None:
        self.writes += 1
        if self.cut_at is not None and self.writes >= self.cut_at:
            raise PowerCut  # and again at whatever an exception handler still tries to write

    def copy(self) -> "Disk":
        return Disk(dict(self.durable), list(self.unsynced))

    def remains(self, most: int = 24) -> Iterator["Disk"]:
        """Every disk that a cut now can leave; of very many subsets, the smallest and largest."""
        indices = range(len(self.unsynced))
        sizes = sorted(range(len(self.unsynced) + 1), key=lambda n: min(n, len(indices) - n))
        subsets = (kept for size in sizes for kept in combinations(indices, size))
        for _, kept in zip(range(most), subsets, strict=False):
            disk = Disk(dict(self.durable))
            for index in kept:
                disk._settle(*self.unsynced[index])
            yield disk


@dataclass
class FakeLedger:
    """The record as `durable.write` keeps it: temporary file, sync, rename, sync again."""

    disk: Disk

    def load(self) -> Record:
        content = self.disk.get(("record",))
        if not isinstance(content, bytes):
            raise NeedsRecovery("there is no record")
        try:
            return parse(content)
        except ValueError as error:
            raise NeedsRecovery(f"the record is damaged: {error}") from error

    def save(self, record: Record) -> None:
        content = render(record)
        self.disk.put(("record.tmp",), content)
        self._sync_file()
        renamed = content if ("record.tmp",) in self.disk.durable else GARBLED
        self.disk.put(("record",), renamed)
        self.disk.drop(("record.tmp",))
        self.disk.sync("record", "record.tmp")

    def _sync_file(self) -> None:
        self.disk.sync("record.tmp")


@dataclass
class FakeQuarantine:
    """The list of what was reverted, replaced as a whole."""

    disk: Disk

    def add(self, environment: Environment, reason: str) -> None:
        known = self.contents()
        if (environment.id, reason) not in known:
            self.disk.put(("quarantine",), (*known, (environment.id, reason)))
            self.disk.sync("quarantine")

    def contents(self) -> tuple[tuple[str, str], ...]:
        found = self.disk.get(("quarantine",))
        return found if isinstance(found, tuple) else ()


@dataclass
class FakeLog:
    """The log of verdicts: lines that are only ever added."""

    disk: Disk

    def append(self, deployment: Deployment, verdict: Verdict) -> None:
        line = (deployment.id, str(verdict.result), str(verdict.by), verdict.reason)
        lines = self.lines()
        if line not in lines[-1:]:
            self.disk.put(("log",), (*lines, line))
            self.disk.sync("log")

    def lines(self) -> tuple[tuple[str, ...], ...]:
        found = self.disk.get(("log",))
        return found if isinstance(found, tuple) else ()


_PARTS = ("root", "etc", "etc.parent", "etc.pristine", "additions", "areas", "sealed", "meta")


@dataclass
class FakeFilesystem:
    """Boot environments as keys of a disk; refuses what the kernel refuses, and more."""

    disk: Disk
    running: str | None = None

    # -- catalogue

    def environments(self) -> Sequence[Environment]:
        ids = sorted(k[1] for k in self.disk.present() if k[0] == "where")
        return [self._environment(id) for id in ids if self._where(id) == "environments"]

    def environment(self, id: str) -> Environment:
        self._existing(id)
        return self._environment(id)

    def place(self, id: str) -> Workspace:
        self._existing(id)
        return Workspace(id, Path("/fake") / id / "root", {"/var": Path("/fake/areas/var")})

    def describe(self, environment: Environment) -> None:
        self._existing(environment.id)
        self.disk.put(("meta", environment.id), environment)
        self.disk.sync("meta")

    def changes(self, older: str, newer: str) -> Sequence[PathChange]:
        before, after = self._everything(older), self._everything(newer)
        return _changes(before, after)

    def space(self, ids: Sequence[str]) -> Space:
        return Space(1 << 30, 1 << 29, dict.fromkeys(ids, 0))

    def verify(self, id: str, report: Callable[[float], None]) -> Sequence[PathChange]:
        self._existing(id)
        report(1.0)
        return []

    def salvage(self, id: str) -> Environment:
        self._existing(id)
        if not self.disk.get(("sealed", id)) or not self.disk.has(("meta", id)):
            raise Refused(f"{id} was never finished")
        found = Environment(id=id, sealed=True)
        self.describe(found)
        return found

    # -- workshop

    def create(self, new: str, parent: str) -> Workspace:
        self._existing(parent)
        if not self.disk.get(("sealed", parent)):
            raise Refused(f"{parent} is not sealed")
        if self.disk.has(("where", new)):
            raise RuntimeError(f"{new} exists already")
        self.disk.put(("where", new), "environments")
        self.disk.put(("root", new), self.disk.get(("root", parent)))
        self.disk.put(("etc", new), self.disk.get(("etc", parent)))
        self.disk.put(("etc.parent", new), self.disk.get(("etc", parent)))
        self.disk.put(("areas", new), self.disk.get(("var",)) or {})
        return Workspace(new, Path("/fake") / new / "root", {"/var": Path("/fake") / new / "var"})

    def collect(self, workspace: Workspace) -> Collected:
        before, after = self._files(("var",)), self._files(("areas", workspace.id))
        added = tuple(sorted(path for path in after if path not in before))
        self.disk.put(("additions", workspace.id), {path: after[path] for path in added})
        self.disk.drop(("areas", workspace.id))
        return Collected(
            added,
            tuple(sorted(p for p in after if p in before and before[p] != after[p])),
            tuple(sorted(p for p in before if p not in after)),
        )

    def seal(self, environment: Environment) -> Environment:
        id = environment.id
        self._existing(id)
        self.disk.put(("etc.pristine", id), self.disk.get(("etc", id)))
        self.disk.put(("sealed", id), True)
        sealed = replace(environment, sealed=True)
        self.disk.put(("meta", id), sealed)
        self.disk.sync()
        return sealed

    def intact(self, id: str) -> None:
        self._existing(id)
        if not self.disk.get(("sealed", id)) or not self.disk.has(("meta", id)):
            raise Refused(f"{id} is not sealed")

    def discardable(self, id: str) -> None:
        if id in (self.running, self.default()):
            raise Refused(f"{id} is in use")

    def discard(self, id: str) -> None:
        self.discardable(id)
        if not any(self.disk.has((part, id)) for part in ("where", *_PARTS)):
            return
        self.disk.put(("where", id), "trash")
        self.disk.put(("shared", id), "what others were made from")
        self.disk.sync()
        self.disk.put(("sealed", id), False)
        for part in ("additions", "areas", "etc.parent", "etc.pristine", "etc"):
            self._delete(part, id)
        self._delete("root", id)
        self.disk.drop(("meta", id))
        self.disk.drop(("sealed", id))
        self.disk.sync()  # Btrfs keeps the order of a directory and of what was in it
        self.disk.drop(("where", id))
        self.disk.sync()

    def empty_trash(self) -> None:
        for key in sorted(self.disk.present()):
            if key[0] == "where" and self._where(key[1]) == "trash":
                self.discard(key[1])
        for id in self.left():
            self.disk.drop(("shared", id))
            self.disk.sync()

    def left(self) -> list[str]:
        """Name those that are gone, and of which something is still there."""
        return [key[1] for key in sorted(self.disk.present()) if key[0] == "shared"]

    # -- pointer

    def booted(self) -> str | None:
        return self.running

    def note_boot(self, now: datetime) -> None:
        """Nothing: what is beneath the floor is described as such."""

    def default(self) -> str | None:
        id = self.disk.get(("default",))
        return id if isinstance(id, str) and self._where(id) == "environments" else None

    def flush(self) -> None:
        self.disk.sync()

    def address(self, id: str) -> Address:
        self._existing(id)
        return Address("fake", f"/{id}", (f"root={id}",))

    def edits(self, id: str) -> Sequence[PathChange]:
        parent = self._environment(id).parent
        if self._where(parent) != "environments":
            return []
        return _changes(self._files(("etc.parent", id)), self._files(("etc", parent)))

    def additions(self, id: str) -> Path:
        self._existing(id)
        return Path("/fake") / id / "additions"

    def set_default(self, id: str) -> None:
        self._existing(id)
        if not self._environment(id).complete:
            raise Refused(f"{id} is not complete")
        self.disk.put(("default",), id)
        self.disk.sync()

    # -- what a sandbox would do

    def write(self, id: str, path: str, content: str) -> None:
        """Write a file as a program inside the target would: EROFS inside a sealed root."""
        part = "etc" if path.startswith("/etc/") else "root"
        part = "areas" if path.startswith("/var/") else part
        if part == "root" and self.disk.get(("sealed", id)):
            raise OSError(30, "Read-only file system", path)
        if part == "areas" and not self.disk.has(("areas", id)):
            raise FileNotFoundError(path)
        self.disk.put((part, id), {**self._files((part, id)), path: content})

    def _delete(self, part: str, id: str) -> None:
        """Delete a subvolume as the kernel does: not inside what is sealed, deepest first."""
        if part in {"etc", "root"} and self.disk.get(("sealed", id)):
            raise OSError(30, "Read-only file system")
        if part == "root" and self.disk.has(("etc", id)):
            raise OSError(39, "Directory not empty")
        if self._where(id) != "trash":
            raise RuntimeError(f"{id} would be seen half deleted")
        self.disk.drop((part, id))

    def _environment(self, id: str) -> Environment:
        found = self.disk.get(("meta", id))
        if not isinstance(found, Environment):
            return Environment(id=id, damage="staging was not finished")
        return replace(found, sealed=bool(self.disk.get(("sealed", id))))

    def _everything(self, id: str) -> Files:
        self._existing(id)
        return {**self._files(("root", id)), **self._files(("etc", id))}

    def _files(self, key: Key) -> dict[str, str]:
        value = self.disk.get(key)
        return dict(value) if isinstance(value, Mapping) else {}

    def _where(self, id: str) -> object:
        return self.disk.get(("where", id))

    def _existing(self, id: str) -> None:
        if self._where(id) != "environments":
            raise RuntimeError(f"{id} does not exist")


def _changes(before: Files, after: Files) -> list[PathChange]:
    return [
        PathChange(path, _change(before.get(path), after.get(path)))
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    ]


def _change(before: str | None, after: str | None) -> Change:
    if before is None:
        return Change.ADDED
    return Change.REMOVED if after is None else Change.CHANGED


@dataclass(frozen=True)
class Env:
    """The loader's file: all its variables, in one write."""

    good: str
    trial: str = ""
    deployment: str = ""
    tries: int = 0
    once: str = ""


@dataclass
class CountingLoader:
    """A loader that counts, as GRUB with the loader's home does."""

    disk: Disk

    def capability(self) -> Capability:
        return Capability(counts=True, one_shot=True, summary="counts")

    def view(self) -> LoaderView:
        env = self.disk.get(("env",))
        if not isinstance(env, Env):
            return LoaderView(present=False, counts=True)
        return LoaderView(
            counts=True,
            good=env.good,
            trial=env.trial,
            deployment=env.deployment,
            tries=env.tries,
            once=env.once,
            fallback=str(self.disk.get(("good.cfg",))),
        )

    def arm(self, trial: Trial) -> None:
        self._publish(trial.target)
        self._write(Env(trial.good, trial.target, trial.deployment, trial.tries))

    def settle(self, good: str) -> None:
        self._publish(good)
        self._write(Env(good))
        self.disk.put(("good.cfg",), good)
        self.disk.sync("good.cfg")

    def leave(self, tries: int, good: str) -> None:
        env = self.disk.get(("env",))
        if not isinstance(env, Env):
            self._write(Env(good))
        else:
            once = env.once if tries else ""
            self._write(replace(env, good=good, tries=tries, once=once))

    def boot_once(self, id: str) -> None:
        env = self.disk.get(("env",))
        if not isinstance(env, Env):
            raise Refused("the loader's file is garbled")
        self._publish(id)
        self._write(replace(env, once=id))

    def show(self, menu: Sequence[Shown]) -> None:
        for one in menu:
            if not self.disk.has(("entry", one.id)):
                self._publish(one.id)
        ids = tuple(sorted((one.id for one in menu), reverse=True))
        if self.disk.get(("index",)) != ids:
            self.disk.put(("index",), ids)
            self.disk.sync("index")

    def withdraw(self, id: str) -> None:
        env = self.disk.get(("env",))
        if isinstance(env, Env) and id in (env.good, env.once, env.trial if env.tries else ""):
            raise Refused(f"the loader would boot {id}")
        self.disk.drop(("entry", id))
        self.disk.sync("entry")

    def _publish(self, id: str) -> None:
        self.disk.put(("entry", id), "complete")
        self.disk.sync("entry")

    def _write(self, env: Env) -> None:
        self.disk.put(("env",), env)
        self.disk.sync("env")


@dataclass
class Clock:
    """Time that moves on by itself, so that ids differ."""

    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


def adopted(disk: Disk, base: str = "b000000") -> None:
    """Lay down a system with one proven boot environment."""
    environment = Environment(id=base, standing=Standing.PROVEN, sealed=True)
    disk.durable.update(
        {
            ("where", base): "environments",
            ("root", base): {"/usr/bin/true": "1"},
            ("etc", base): {"/etc/hostname": "base"},
            ("etc.parent", base): {},
            ("etc.pristine", base): {"/etc/hostname": "base"},
            ("sealed", base): True,
            ("meta", base): environment,
            ("default",): base,
            ("var",): {"/var/lib/kept": "1"},
            ("env",): Env(base),
            ("entry", base): "complete",
            ("good.cfg",): base,
            ("record",): render(Record(base=base)),
        }
    )


class Broken(SnaprootError):
    """A build that fails, for tests of what a failure leaves."""
