"""Enter a target: a bubblewrap container that cannot reach the machine it runs on (DESIGN.md §5).

Three walls, each enough for most of what a package may try: nothing of the machine is in the mount
namespace (no ESP, no disk node, no host /run), the capabilities that could bring it in are gone
and cannot come back through a user namespace, and the commands that would use it are shims.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from snaproot import run as programs
from snaproot import seccomp, shims
from snaproot.devices import Devices, below
from snaproot.errors import CommandFailed
from snaproot.filesystem import Workspace
from snaproot.run import Completed, Line

CAPABILITIES = (
    "CAP_AUDIT_WRITE",  # PAM fails runuser(1) and su(1) where the kernel audits and this is missing
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",  # dpkg unpacks set-uid files
    "CAP_KILL",  # apt ends its methods, which run as _apt
    "CAP_SETFCAP",  # setcap(8) in postinst, as iputils-ping does
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",  # mkinitramfs runs ldconfig -r
)
"""What dpkg and maintainer scripts need. Never CAP_SYS_ADMIN, CAP_MKNOD, CAP_DAC_READ_SEARCH
(open_by_handle_at(2) leaves a mount namespace), CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_NET_*."""

_SYS = ("block", "bus", "class", "dev", "devices", "fs/btrfs", "module")
"""What hooks look at; not firmware (efivars), kernel (debugfs, securityfs) or fs/cgroup."""

_PROC = ("acpi", "asound", "driver", "fs", "scsi")
"""Directories of /proc with files that root may write without any capability."""

_DOOR = (
    *("unshare", "--mount", "--propagation", "private"),
    *("sh", "-c", 'mount -o rbind,ro /dev /dev && exec bwrap "$@"', "bwrap"),
)
"""bwrap binds the machine's own /dev/null; read-only, chmod(2) inside cannot change it."""

_LOG_LIMIT = 1 << 20
_RESOLVER = Path("/etc/resolv.conf")
_BLKID_CACHE = "/run/blkid/blkid.tab"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One root to run programs in. `caches` maps places inside to snaproot's own directories.

    Caches are writable only while the root is not: no maintainer script gets at what apt verified.
    A writable root with network is given none; it downloads into its copy of /var.
    The devices that a writable root is on are shown inside, for initramfs hooks that look them up;
    they cannot be opened.
    """

    workspace: Workspace
    writable: bool
    caches: Mapping[str, Path] = field(default_factory=dict)

    def run(
        self,
        argv: Sequence[str],
        *,
        network: bool = False,
        extra: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> Completed:
        """Run a program inside to its end. Raises CommandFailed if `check`."""
        with _entered(self, network=network) as door:
            done = programs.run(
                door.argv(argv), extra=_environment(extra), pass_fds=door.passed, check=False
            )
            if check and done.status != 0:
                raise CommandFailed(tuple(argv), done.status, done.output + done.errors)
            return replace(done, shimmed=door.shimmed())

    def stream(
        self,
        argv: Sequence[str],
        line: Line,
        *,
        network: bool = False,
        extra: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a program inside and hand over its lines as they come."""
        with _entered(self, network=network) as door:
            done = programs.stream(
                door.argv(argv), line, extra=_environment(extra), pass_fds=door.passed
            )
            return replace(done, shimmed=door.shimmed())

    def interactive(self, argv: Sequence[str], *, network: bool = False) -> int:
        """Run a program inside on the caller's terminal, and return its status."""
        with _entered(self, network=network, terminal=True) as door:
            return programs.interactive(
                door.argv(argv), extra=_environment(None), pass_fds=door.passed
            )


@dataclass(frozen=True, slots=True)
class Machine:
    """What a sandbox takes from the machine: gathered by `_machine`, so that the rest is pure.

    `proc` are directories of /proc to cover, `covered` those inside which lack the place of a cache
    and are read-only; `resolver` is a file and the place inside where the root looks for it.
    """

    proc: tuple[str, ...] = ()
    covered: tuple[str, ...] = ()
    devices: Devices = field(default_factory=Devices)
    resolver: tuple[str, str] | None = None


def arguments(
    sandbox: Sandbox, machine: Machine, *, network: bool, terminal: bool = False
) -> list[str]:
    """Build bwrap(1)'s arguments, all but descriptors and the program to run. Pure."""
    return [
        *("--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts"),
        "--unshare-cgroup-try",
        *(() if network else ("--unshare-net",)),
        *(() if terminal else ("--new-session",)),
        *("--cap-drop", "ALL"),
        *(word for name in CAPABILITIES for word in ("--cap-add", name)),
        *_root(sandbox, machine, network=network),
        *_kernel(machine),
        *_devices(machine.devices),
        *("--perms", "1777", "--tmpfs", "/tmp"),  # noqa: S108
        *("--perms", "0755", "--tmpfs", "/run", "--perms", "1777", "--dir", "/run/lock"),
        *(("--ro-bind", *machine.resolver) if machine.resolver else ()),
        *("--setenv", "PATH", shims.PATH, "--chdir", "/"),
    ]


def _root(sandbox: Sandbox, machine: Machine, *, network: bool) -> list[str]:
    bind = "--bind" if sandbox.writable else "--ro-bind"
    areas = sorted(sandbox.workspace.areas.items())
    caches = {} if sandbox.writable and network else sandbox.caches
    cache_bind = "--ro-bind" if sandbox.writable else "--bind"
    return [
        *(bind, str(sandbox.workspace.root), "/"),
        *(word for place, copy in areas for word in (bind, str(copy), place)),
        *(word for place in machine.covered for word in ("--tmpfs", place)),
        *(word for place, ours in caches.items() for word in (cache_bind, str(ours), place)),
    ]


def _kernel(machine: Machine) -> list[str]:
    """Show the kernel's file systems.

    bwrap covers /proc/sys only where access(2) grants writing, which for root it never does.
    """
    return [
        *("--proc", "/proc", "--dev", "/dev"),
        *("--ro-bind", "/proc/sys", "/proc/sys"),
        *("--ro-bind-try", "/proc/sysrq-trigger", "/proc/sysrq-trigger"),
        *(word for name in machine.proc for word in ("--tmpfs", f"/proc/{name}")),
        *("--tmpfs", "/sys"),
        *(word for name in _SYS for word in ("--ro-bind-try", f"/sys/{name}", f"/sys/{name}")),
        *("--remount-ro", "/sys"),
    ]


def _devices(devices: Devices) -> list[str]:
    """Show device nodes for stat(2): every bind of bwrap's is nodev, opening one is refused."""
    return [
        *(word for node in devices.nodes for word in ("--ro-bind", str(node), str(node))),
        *(word for name, node in devices.links for word in ("--symlink", node, name)),
    ]


@dataclass(frozen=True, slots=True)
class _Door:
    """An opened sandbox: bwrap's arguments, and the descriptors that they name."""

    options: tuple[str, ...]
    passed: tuple[int, ...]
    log: int

    def argv(self, argv: Sequence[str]) -> list[str]:
        return [*_DOOR, *self.options, "--", *argv]

    def shimmed(self) -> tuple[str, ...]:
        return shims.called(os.pread(self.log, _LOG_LIMIT, 0))


@contextmanager
def _entered(sandbox: Sandbox, *, network: bool, terminal: bool = False) -> Iterator[_Door]:
    """Put the shims into memory files: after a kill nothing of them is left anywhere."""
    with ExitStack() as stack:
        machine = _machine(sandbox, network=network)
        log = _memory(stack, b"")
        files = {
            shims.SCRIPT_PLACE: _memory(stack, shims.script(f"/proc/1/fd/{log}").encode()),
            shims.APT_PLACE: _memory(stack, shims.apt_configuration().encode()),
        }
        cache = _memory(stack, machine.devices.blkid.encode())
        calls = seccomp.program(os.uname().machine)
        filters = [_memory(stack, calls)] if calls else []
        yield _Door(
            options=(
                *arguments(sandbox, machine, network=network, terminal=terminal),
                *_shims(files),
                *("--file", str(cache), _BLKID_CACHE),
                *(word for fd in filters for word in ("--seccomp", str(fd))),
                *("--sync-fd", str(log)),
            ),
            passed=(log, cache, *files.values(), *filters),
            log=log,
        )


def _shims(files: Mapping[str, int]) -> list[str]:
    return [
        *("--perms", "0755", "--tmpfs", "/run/snaproot"),
        *(w for to, fd in files.items() for w in ("--perms", "0755", "--file", str(fd), to)),
        *("--dir", shims.DIRECTORY),
        *(w for n in shims.NAMES for w in ("--symlink", "../shim", f"{shims.DIRECTORY}/{n}")),
        *("--remount-ro", "/run/snaproot"),
    ]


def _memory(stack: ExitStack, content: bytes) -> int:
    descriptor = os.memfd_create("snaproot")
    stack.callback(os.close, descriptor)
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _machine(sandbox: Sandbox, *, network: bool) -> Machine:
    return Machine(
        proc=tuple(name for name in _PROC if Path("/proc", name).is_dir()),
        covered=() if sandbox.writable else _covered(sandbox),
        devices=below(sandbox.workspace.root) if sandbox.writable else Devices(),
        resolver=_resolver(sandbox.workspace.root) if network else None,
    )


def _covered(sandbox: Sandbox) -> tuple[str, ...]:
    """Find what bwrap could not make the place of a cache in, as it is read-only."""
    found = {place: _nearest(sandbox.workspace, PurePosixPath(place)) for place in sandbox.caches}
    return tuple(sorted({there for place, there in found.items() if there != place}))


def _nearest(workspace: Workspace, place: PurePosixPath) -> str:
    """Name the deepest directory on the way to a place that is there."""
    for area in sorted(workspace.areas, key=len, reverse=True):
        if place.is_relative_to(area):
            home, inner = workspace.areas[area], place.relative_to(area)
            break
    else:
        area, home, inner = "/", workspace.root, place.relative_to("/")
    there = next(path for path in (inner, *inner.parents) if (home / path).is_dir())
    return str(PurePosixPath(area, there))


def _resolver(root: Path) -> tuple[str, str] | None:
    """Find where a root looks for resolv.conf(5), and give it the machine's own there.

    Not where it has the same already: a bind mount would be in a package's way.
    """
    place = _RESOLVER
    for _ in range(8):
        inside = root / place.relative_to("/")
        if not inside.is_symlink():
            break
        place = Path(os.path.normpath(place.parent / inside.readlink()))
    if place.is_relative_to("/var/run"):
        place = Path("/run") / place.relative_to("/var/run")
    if not _RESOLVER.is_file() or not (place.is_relative_to("/run") or _differs(root, place)):
        return None
    return str(_RESOLVER.resolve()), str(place)


def _differs(root: Path, place: Path) -> bool:
    inside = root / place.relative_to("/")
    return inside.is_file() and inside.read_bytes() != _RESOLVER.read_bytes()


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    """Say what this is: systemd-detect-virt(1) reads `container` from process 1.

    dracut-install takes programs from every place on PATH: the shims are not for an initramfs.
    """
    said = {"container": "snaproot", "HOME": "/root", "APT_CONFIG": shims.APT_PLACE}
    return {**said, "DRACUT_INSTALL_PATH": shims.SYSTEM_PATH, **(extra or {})}
