"""How a boot environment is booted: its kernel, the arguments, and where a loader finds them."""

from datetime import UTC
from pathlib import Path

from snaproot import grubdefaults, kernels
from snaproot.bootloader import Bootable
from snaproot.environment import Environment
from snaproot.errors import Refused
from snaproot.filesystem import Filesystem
from snaproot.inside import Inside
from snaproot.kernels import Kernel


def bootable(filesystem: Filesystem, id: str) -> Bootable:
    """Describe how one is booted. Raises Refused where it has no kernel that could be."""
    environment = filesystem.environment(id)
    root, where = filesystem.place(id).root, filesystem.address(id)
    kernel = _kernel(Inside(root), environment)
    return Bootable(
        id=environment.id,
        title=_title(environment, kernel),
        filesystem=where.filesystem,
        prefix=where.prefix,
        root=root,
        kernel=kernel.image,
        initramfs=kernel.initramfs,
        arguments=_arguments(where.arguments, _defaults(root)),
        digests=environment.digests,
        readable=where.readable,
    )


def _kernel(inside: Inside, environment: Environment) -> Kernel:
    """Find the kernel that was proved; without a proof, the newest."""
    sound = [kernel for kernel in kernels.find(inside) if not kernel.fault]
    proved = [kernel for kernel in sound if kernel.release == environment.kernel]
    if not sound:
        raise Refused(f"{environment.id} has no kernel that could be booted; nothing was changed")
    return (proved or sound)[0]


def _title(environment: Environment, kernel: Kernel) -> str:
    """Say what tells it from others; nothing that changes, or its entry would have to."""
    made = f"{environment.created.astimezone(UTC):%Y-%m-%d %H:%M}" if environment.created else ""
    facts = (made, environment.origin, f"Linux {kernel.release}")
    return ", ".join(fact for fact in facts if fact)


def _defaults(root: Path) -> list[str]:
    """Read what the boot environment's own admin has set for GRUB."""
    inside = Inside(root)
    names = [grubdefaults.FILES]
    if inside.holds(grubdefaults.DROP_INS):
        drop_ins = sorted(p.name for p in inside.locate(grubdefaults.DROP_INS).glob("*.cfg"))
        names += [f"{grubdefaults.DROP_INS}/{name}" for name in drop_ins]
    found = (inside.locate(name) for name in names if inside.holds(name))
    return [path.read_text(encoding="utf-8", errors="replace") for path in found if path.is_file()]


def _arguments(mounting: tuple[str, ...], defaults: list[str]) -> tuple[str, ...]:
    """Put the admin's arguments behind the root's, with one `rootflags=` in all.

    Of two, initramfs-tools takes the last alone.
    """
    extra = ",".join(grubdefaults.rootflags(defaults))
    merged = (
        f"{word},{extra}" if extra and word.startswith("rootflags=") else word for word in mounting
    )
    return (*merged, *grubdefaults.arguments(defaults))
