"""The verb that adopts a system: init."""

from snaproot.cli.app import Call, DryRun, verb


@verb("snaproot init -n", "snaproot init", "snaproot --sysroot /mnt init -y")
def init(call: Call, dry_run: DryRun = False) -> None:
    """Adopt a system: lay its root out as boot environments. The original root stays as it is."""
    raise RuntimeError
