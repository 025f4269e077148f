"""Prove that a finished target can boot, before it is sealed.

Costs what is in /boot and in the initramfs, whatever the size of the root: no tree is walked.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from snaproot import fstab, initramfs, kernels
from snaproot.errors import CommandFailed, Refused, SnaprootError
from snaproot.filesystem import Workspace
from snaproot.inside import Inside
from snaproot.kernels import Kernel
from snaproot.sandbox import Sandbox

_DEVICE = re.compile(r"(?:(?:UUID|LABEL|PARTUUID|PARTLABEL|ID)=|/dev/)")
_OURS = "/usr/bin/snaproot"


@dataclass(frozen=True, slots=True)
class Proof:
    """What was proved: the kernel that decides, and what is to be told besides.

    `kernel` is its release; `image` and `initramfs` are paths inside the root.
    """

    kernel: str
    image: str
    initramfs: str
    told: tuple[str, ...] = ()


def prove(
    sandbox: Sandbox,
    parent_root: Path,
    *,
    kind: str,
    devices: Callable[[str], bool],
    links: Mapping[str, str],
    warnings: Sequence[str] = (),
) -> Proof:
    """Check everything that a boot needs, the cheap first. Raises Refused with the reason.

    `kind` is what mount(8) calls the root's filesystem; `devices` tells whether an fstab's device
    exists; `links` are the package manager's places
    under /var that have to be links, with where they lead; `warnings` are the initramfs hooks'.
    """
    target = sandbox.workspace
    inside = Inside(target.root, target.areas)
    try:
        _no_warnings(warnings)
        _links(inside, links)
        _init(inside)
        _fstab(inside, devices)
        kernel, told = _kernel(Inside(target.root))  # what boots has to be in the root itself
        _runs_snaproot(sandbox)
        _mounts(kind, sandbox, inside, kernel)
        told += _initramfs(sandbox, inside, parent_root, kernel)
    except Refused as refused:
        raise _refusal(target.id, str(refused), refused.hint) from refused
    except OSError as error:
        raise _refusal(target.id, f"it cannot be read ({error})", "") from error
    return Proof(kernel.release, kernel.image, kernel.initramfs, told)


def _refusal(id: str, reason: str, hint: str) -> Refused:
    return Refused(f"{id} would not boot: {reason}; the base is untouched", hint=hint)


def _no_warnings(warnings: Sequence[str]) -> None:
    if warnings:
        more = f" (and {len(warnings) - 1} more)" if len(warnings) > 1 else ""
        raise Refused(
            f"an initramfs hook warned: {warnings[0].strip()}{more}",
            hint="such an initramfs may not find its root; mend what it names, then try again",
        )


def _links(inside: Inside, links: Mapping[str, str]) -> None:
    """Refuse what a package put in a link's place: the state would leave the boot environment."""
    for path, expected in links.items():
        try:
            here = inside.locate(path, follow=False)
        except OSError:
            continue  # the package is gone, and its state with it
        if not here.is_symlink():
            kind = "directory" if here.is_dir() else "file"
            raise Refused(
                f"{path} became a {kind}; it has to be a link to {expected}",
                hint="move what is new there to where the link leads, and set the link again",
            )
        leads = os.path.normpath(Path(path).parent / here.readlink())
        if leads != os.path.normpath(expected):
            raise Refused(f"{path} leads to {leads}; it has to be a link to {expected}")


def _init(inside: Inside) -> None:
    try:
        here = inside.locate("/sbin/init")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Refused(
            f"/sbin/init: {reason}", hint="is the package with init (systemd-sysv) removed?"
        ) from error
    if not here.is_file() or not here.stat().st_mode & 0o111:
        raise Refused("/sbin/init is no program")


def _fstab(inside: Inside, devices: Callable[[str], bool]) -> None:
    try:
        text = inside.locate("/etc/fstab").read_text(errors="surrogateescape")
        entries = fstab.parse(text)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Refused(f"/etc/fstab: {reason}", hint="the shared areas are mounted by it") from error
    except ValueError as error:
        raise Refused(f"/etc/fstab: {error}") from error
    for entry in entries:
        spec = entry.spec.replace('"', "")
        if _is_awaited(entry) and not devices(spec):
            raise Refused(
                f"/etc/fstab, line {entry.line}: there is no {spec} for {entry.file}",
                hint="mount it nofail or noauto if the system can do without it",
            )


def _is_awaited(entry: fstab.Entry) -> bool:
    """Tell whether a boot would wait for this entry's device."""
    optional = {"nofail", "noauto"} & set(entry.options)
    return not optional and _DEVICE.match(entry.spec) is not None


def _kernel(inside: Inside) -> tuple[Kernel, tuple[str, ...]]:
    """Give the newest kernel, which decides, and what is broken about older ones."""
    found = kernels.find(inside)
    if not found:
        raise Refused(
            "there is no kernel in /boot", hint="/boot has to be a directory of the root itself"
        )
    newest, *older = found
    if newest.fault:
        raise Refused(newest.fault, hint="install the kernel again, or remove it altogether")
    return newest, tuple(kernel.fault for kernel in older if kernel.fault)


def _runs_snaproot(sandbox: Sandbox) -> None:
    try:
        sandbox.run([_OURS, "--version"])
    except CommandFailed as error:
        raise Refused(
            f"{_OURS} does not run in it ({error})",
            hint="without it nobody would judge the trial; install snaproot in the root",
        ) from error


def _mounts(kind: str, sandbox: Sandbox, inside: Inside, kernel: Kernel) -> None:
    """Refuse an initramfs that cannot mount the root, even if the parent's is the same.

    The parent may be an original root, whose /etc is no dataset.
    """
    if not initramfs.missing(kind, (), ()):
        return
    files, builtin = _listed(sandbox, inside, kernel), kernels.builtin(inside, kernel)
    if lacks := initramfs.missing(kind, files, builtin):
        raise Refused(
            f"the initramfs {kernel.initramfs} lacks {', '.join(lacks)}, without which no boot "
            "environment on ZFS is mounted",
            hint="on Debian: apt install zfs-initramfs (or zfs-dracut), then update-initramfs -u",
        )


def _initramfs(
    sandbox: Sandbox, inside: Inside, parent_root: Path, kernel: Kernel
) -> tuple[str, ...]:
    """Refuse an initramfs that lost what the parent's has; one that is the same is not opened."""
    parent = Inside(parent_root)
    before = next((k for k in kernels.find(parent) if not k.fault), None)
    if before is None:
        return ("the parent has no bootable kernel of its own to compare the initramfs with",)
    if initramfs.same(parent.locate(before.initramfs), inside.locate(kernel.initramfs)):
        return ()
    now = _listed(sandbox, inside, kernel)
    place = Workspace(sandbox.workspace.id, parent_root, {})
    reader = replace(sandbox, workspace=place, writable=False, caches={})
    try:
        had = _listed(reader, parent, before)
    except Refused as refused:
        return (f"the parent's initramfs was not compared: {refused}",)
    lost = initramfs.lost(
        had, kernels.builtin(parent, before), now, kernels.builtin(inside, kernel)
    )
    if lost:
        raise Refused(
            f"the initramfs {kernel.initramfs} has lost {', '.join(lost)}",
            hint="its maker did not find in the sandbox what it needs; the parent's has it",
        )
    return ()


def _listed(sandbox: Sandbox, inside: Inside, kernel: Kernel) -> frozenset[str]:
    try:
        return initramfs.listing(inside, sandbox.run, kernel.initramfs)
    except SnaprootError as error:
        raise Refused(f"the initramfs {kernel.initramfs} cannot be listed ({error})") from error
