"""How a target is built: change it in the sandbox, prove that it can boot, describe it."""

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from snaproot import devices, durable, fstab, kernels, permits, quarantine, room
from snaproot.adoption import sysimage
from snaproot.environment import Environment, Installed, PackageChange, brought
from snaproot.errors import CommandFailed, NothingToDo
from snaproot.filesystem import Workspace
from snaproot.inside import Inside
from snaproot.mountinfo import mount_of
from snaproot.packages import PackageManager, Plan, Progress, Report, detect
from snaproot.packages.aptoutput import hook_warnings
from snaproot.proof import prove
from snaproot.run import Line
from snaproot.sandbox import Sandbox
from snaproot.state import Kind
from snaproot.system import System, now
from snaproot.transaction import Build
from snaproot.trust import audit, history
from snaproot.trust.believed import Believed

_MIB = 1 << 20
_NO_SUCH = "bwrap: execvp"
_NOT_FOUND = 127  # as a shell has it
_BOOT_FILES = 200 * _MIB
"""What a kernel, its modules and two initramfs may take beyond what packages announce."""


@dataclass(frozen=True, slots=True)
class Staging:
    """Builds targets on one system. `retry` lets in what was reverted before."""

    system: System
    retry: bool = False

    def plan(self, report: Report) -> Plan:
        """Refresh the indexes and say what an upgrade would do.

        Raises NothingToDo if nothing, Refused where the policy does not let it.
        """
        believed = self.system.believed()
        manager, reader = self._bound(believed), self._reader()
        manager.refresh(reader, report)
        plan = manager.plan(reader)
        if not plan.changes:
            raise NothingToDo(f"{self._parent()} is up to date")
        permits.check_packages(believed, plan.vouched)
        self._refuse_reverted(self.content(plan))
        return plan

    def content(self, plan: Plan) -> str:
        """Name what the base would get by a plan, as the quarantine does."""
        return quarantine.digest(self._since_base(plan.changes))

    def check_room(self, plan: Plan | None = None) -> None:
        """Refuse before anything is written, if the plan and the reserve do not fit.

        Without a plan nobody knows what it takes: then only the reserve has to be there.
        """
        needed = plan.download + max(plan.disk, 0) + _BOOT_FILES if plan else 0
        room.check(self.system, needed, kept=self.system.config.space.reserve_mib * _MIB)

    def download(self, report: Report) -> None:
        """Fetch what the plan needs, before any target exists."""
        self._bound(self.system.believed()).download(self._reader(), report)

    def upgrade(self, report: Report) -> Build:
        """Apply the upgrade from the cache, without network."""
        believed = self.system.believed()
        manager = self._bound(believed)

        def build(workspace: Workspace, parent: str) -> Environment:
            self._write_down(believed)
            outcome = manager.upgrade(self._writer(workspace), report)
            permits.check_packages(believed, outcome.vouched)
            self._tell_kept_away(outcome.shimmed)
            report(Progress("proving and sealing the target"))
            made = self._finished(workspace, parent, Kind.UPGRADE, "upgrade", outcome.warnings)
            return self._with_history(made, believed, outcome.vouched)

        return build

    def command(self, argv: Sequence[str], *, network: bool, line: Line) -> Build:
        """Run one command in the target; its failure discards the target.

        Raises Refused at once where the policy does not let it.
        """
        believed = self.system.believed()
        permits.check_command("run", permits.rules(believed, now()).run, network=network)

        def build(workspace: Workspace, parent: str) -> Environment:
            self._write_down(believed)
            done = self._writer(workspace).stream(argv, line, network=network)
            _check(argv, done.status, done.output)
            self._tell_kept_away(done.shimmed)
            warnings = hook_warnings(done.output)
            made = self._finished(workspace, parent, Kind.RUN, shlex.join(argv), warnings)
            return self._with_history(made, believed)

        return build

    def shell(self, argv: Sequence[str], *, network: bool) -> Build:
        """Let somebody work in the target; leaving it with a failure discards the target.

        Raises Refused at once where the policy does not let it.
        """
        believed = self.system.believed()
        permits.check_command("shell", permits.rules(believed, now()).shell, network=network)

        def build(workspace: Workspace, parent: str) -> Environment:
            self._write_down(believed)
            status = self._writer(workspace).interactive(argv, network=network)
            _check(argv, status, "")
            made = self._finished(workspace, parent, Kind.SHELL, "shell", ())
            return self._with_history(made, believed)

        return build

    def _finished(
        self, workspace: Workspace, parent: str, kind: Kind, command: str, warnings: Sequence[str]
    ) -> Environment:
        system = self.system
        source = system.filesystem.place(parent)
        proof = prove(
            Sandbox(workspace, writable=False),
            source.root,
            kind=mount_of(workspace.root).kind,
            devices=self._devices(source.root),
            links=_state_links(source),
            warnings=warnings,
        )
        for line in proof.told:
            system.notice(line)
        collected = system.filesystem.collect(workspace)
        changes = self._package_changes(source.root, workspace.root)
        brought = quarantine.digest(self._since_base(changes))
        self._refuse_reverted(brought)
        booted = kernels.digests(Inside(workspace.root), proof.image, proof.initramfs)
        return Environment(
            id=workspace.id,
            parent=parent,
            origin=kind.value,
            command=command,
            created=now(),
            kernel=proof.kernel,
            packages=changes,
            digests=replace(booted, packages=brought),
            state_changed=(*collected.changed, *collected.removed),
        )

    def _with_history(
        self, made: Environment, believed: Believed, vouched: Sequence[Installed] = ()
    ) -> Environment:
        """Add what earlier deployments brought and rest on, and which of them nobody verified.

        Whatever descends from what `run` or `shell` made has in it what they changed, for good.
        """
        parent = self.system.filesystem.environment(made.parent)
        unverified = (made.id,) if made.origin in {Kind.RUN, Kind.SHELL} else ()
        return replace(
            made,
            installed=brought(parent.installed, made.packages, vouched),
            unverified=(*parent.unverified, *unverified),
            extra=audit.carried(
                parent, policy=believed.policy.digest, trusted_root=believed.root_digest
            ),
        )

    def _tell_kept_away(self, shimmed: Sequence[str]) -> None:
        for command in dict.fromkeys(shimmed):
            self.system.notice(f"kept from the machine: {command}")

    def _package_changes(self, before: Path, after: Path) -> tuple[PackageChange, ...]:
        manager = self._manager()
        return _changed(manager.installed(before), manager.installed(after))

    def _since_base(self, changes: Sequence[PackageChange]) -> tuple[PackageChange, ...]:
        """Say what changes would bring to the base, with what a pending parent has brought."""
        record = self.system.records.load()
        if record.pending is None:
            return tuple(changes)
        place = self.system.filesystem.place
        before = self._manager().installed(place(record.base).root)
        after = {**self._manager().installed(place(record.pending.target).root)}
        after.update({change.name: change.after for change in changes})
        return _changed(before, {name: version for name, version in after.items() if version})

    def _refuse_reverted(self, content: str) -> None:
        if content and not self.retry:
            self.system.quarantine.refuse(content)

    def _devices(self, base: Path) -> Callable[[str], bool]:
        """Tell whether an fstab's device exists; another system's own are believed."""
        believed = frozenset() if self.system.running else _named_devices(base)
        return lambda spec: spec in believed or devices.exists(spec)

    def _parent(self) -> str:
        record = self.system.records.load()
        return record.pending.target if record.pending else record.base

    def _manager(self) -> PackageManager:
        """Find what can read the packages of a root, whatever the policy says."""
        return self.system.packages(self.system.filesystem.place(self._parent()).root)

    def _bound(self, believed: Believed) -> PackageManager:
        """Find the package manager, bound to the policy. Raises Distrusted where none may work."""
        rules = permits.archives(believed, now())
        root = self.system.filesystem.place(self._parent()).root
        return detect(root, self.system.config.packages, rules)

    def _write_down(self, believed: Believed) -> None:
        """Keep which policy a target is built by, before it is; the very one that was asked.

        From then on no older one of the admin's is believed, whatever root with whatever `/etc`
        runs.
        """
        history.note(self.system.trust, believed, now())
        if believed.seen:
            self.system.trust.raise_floors(believed.seen)

    def _reader(self) -> Sandbox:
        place = self.system.filesystem.place(self._parent())
        return Sandbox(place, writable=False, caches=self._caches())

    def _writer(self, workspace: Workspace) -> Sandbox:
        return Sandbox(workspace, writable=True, caches=self._caches())

    def _caches(self) -> Mapping[str, Path]:
        places = {
            inside: self.system.cache / ours for inside, ours in self._manager().caches().items()
        }
        for place in places.values():
            for directory in (place.parent, place):
                durable.make_directory(directory, mode=0o755)  # apt's own user goes in
        return places


def _changed(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[PackageChange, ...]:
    return tuple(
        PackageChange(name, old.get(name, ""), new.get(name, ""))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    )


def _check(argv: Sequence[str], status: int, output: str) -> None:
    if status == 0:
        return
    if output.strip().rpartition("\n")[2].startswith(_NO_SUCH):
        raise CommandFailed(tuple(argv), _NOT_FOUND, "there is no such command in the target")
    raise CommandFailed(tuple(argv), status, output)


def _state_links(place: Workspace) -> Mapping[str, str]:
    """Name the links that keep the package managers' state in the boot environment."""
    inside = Inside(place.root, place.areas)
    found = {}
    for path in sysimage.looked_at():
        with suppress(OSError):
            here = inside.locate(path, follow=False)
            if here.is_symlink():
                found[path] = os.path.normpath(Path(path).parent / here.readlink())
    return found


def _named_devices(root: Path) -> frozenset[str]:
    """Name the devices in a root's fstab; none if it cannot be read, as proof will say."""
    try:
        text = Inside(root).locate("/etc/fstab").read_text("utf-8", errors="surrogateescape")
        entries = fstab.parse(text)
    except (OSError, ValueError):
        return frozenset()
    return frozenset(entry.spec.replace('"', "") for entry in entries)
