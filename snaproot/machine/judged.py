"""Whether a machine can be adopted, and what has to be known of it. Pure.

What the layout of its filesystem allows is decided by the plan of an adoption, what its menu
allows when that is taken over; here is all that lies around both.
"""

from collections.abc import Callable, Iterable, Iterator

from snaproot.errors import Refused
from snaproot.finding import Finding, Level
from snaproot.machine import pools
from snaproot.machine.facts import FAT, Esp, Kind, Machine
from snaproot.wording import some

_MIB = 1 << 20
_HOME = 2 * _MIB
"""What the loader's home may take: its script, and an entry for each boot environment."""
_READABLE = (Kind.RAID, Kind.LVM)


def refuse(machine: Machine) -> None:
    """Raise Refused, with a hint, for the first thing that keeps the machine from being adopted."""
    for one in refusals(machine):
        raise Refused(f"{one.what}; nothing was changed", hint=one.hint)


def refusals(machine: Machine) -> Iterator[Finding]:
    """Say all that keeps a running machine from being adopted, what has to be settled first."""
    if machine.enclosure:
        yield _bad(
            "root",
            f"this is {machine.enclosure}: what runs here is not what the machine boots",
            "boot the machine itself; or, from a rescue system: mount -o subvolid=5 DEVICE DIR && "
            "snaproot --sysroot DIR init",
        )
        return  # the rest would be said of another machine
    for judge in _JUDGES:
        yield from judge(machine)


def broken(machine: Machine) -> Iterator[Finding]:
    """Say what keeps an adopted machine, whose loader counts on its ESP, from being trusted."""
    for judge in (_esp, _hibernated, pools.broken):
        yield from judge(machine)


def findings(machine: Machine) -> Iterator[Finding]:
    """Say what is good to know of a machine, adopted or not: limits, and what is as it should."""
    if not any(_esp(machine)):
        yield from _place_of_esp(machine.esp)
    yield from _secure_boot(machine)
    yield _watchdog(machine)
    yield from _below_root(machine)
    yield from pools.findings(machine)
    yield from _labels(machine)
    yield from _old_loaders(machine)
    yield Finding(
        Level.LIMIT,
        "not reverted",
        "what all boot environments share (/home, /root, /srv, /usr/local, the rest of /var), "
        "the loaders on the ESP and the firmware's settings never go back with a root",
    )


def _bad(subject: str, what: str, hint: str) -> Finding:
    return Finding(Level.BAD, subject, what, hint)


# -- what is refused -------------------------------------------------------------------------------


def _firmware(machine: Machine) -> Iterator[Finding]:
    if not machine.efi:
        yield _bad(
            "firmware",
            "this machine was started by BIOS: snaproot's loader counts trials on an EFI system "
            "partition, which only UEFI starts from",
            "choose UEFI in the firmware's setup, and install grub-efi; what cannot is adopted "
            "with --sysroot alone, and counts no trials",
        )


def _separate_boot(machine: Machine) -> Iterator[Finding]:
    if machine.boot.endswith(", zfs"):
        yield _bad(
            "/boot",
            f"/boot is a dataset of its own ({machine.boot}): kernels there do not go back with a "
            "root",
            "copy what is in it into the root's own /boot, then: zfs set canmount=noauto "
            f"{machine.boot.removesuffix(', zfs')}",
        )
    elif machine.boot:
        yield _bad(
            "/boot",
            f"/boot is a filesystem of its own ({machine.boot}): kernels there do not go back "
            "with a root",
            "copy what is in it into the root's own /boot, remove its line from /etc/fstab, "
            "then: grub-install && update-grub",
        )


def _esp(machine: Machine) -> Iterator[Finding]:
    esp = machine.esp
    if esp is None:
        if machine.efi:
            yield _bad(
                "ESP",
                "no EFI system partition is mounted, or in /etc/fstab, where GRUB could be made "
                "to count trials",
                "mount it at /boot/efi, with a line in /etc/fstab (lsblk -o +PARTTYPENAME shows "
                "it), or name it: --esp DIR",
            )
        return
    yield from _esp_devices(esp)
    shown = esp.place or esp.spec
    if not esp.is_copy and esp.kind not in FAT:
        yield _bad(
            "ESP",
            f"{shown} is {esp.kind}, and no firmware starts from that: an ESP is FAT",
            "mount the EFI system partition there, or name it: --esp DIR",
        )
    elif esp.read_only:
        yield _bad(
            "ESP",
            f"{shown} is mounted read-only: neither snaproot nor GRUB's counter can be set up",
            f"mount -o remount,rw {shown}; if that fails, check it: fsck.vfat {esp.spec}",
        )
    elif esp.free < _HOME:
        yield _bad(
            "ESP",
            f"{shown} has {esp.free // 1024} KiB free, and the loader's home needs {_HOME // 1024}",
            f"remove what is left of other systems from {shown}/EFI",
        )


def _esp_devices(esp: Esp) -> Iterator[Finding]:
    above = next((device for device in esp.devices if device.kind is not Kind.DISK), None)
    if above is None:
        return
    if above.kind is Kind.RAID:
        yield _bad(
            "ESP",
            f"the ESP is on RAID ({above.shown}): GRUB writes to one of its disks behind the "
            "array's back, or not at all, and no counter can be trusted",
            "keep an ESP on a plain partition of one disk, mount that at /boot/efi, and "
            "grub-install to it",
        )
        return
    yield _bad(
        "ESP",
        f"the ESP is on {above.kind} ({above.shown}), where GRUB cannot write its counter",
        "keep an ESP on a plain partition of a disk, mount that at /boot/efi, and grub-install "
        "to it",
    )


def _other_loader(machine: Machine) -> Iterator[Finding]:
    esp = machine.esp
    said = machine.loader if machine.loader.startswith("systemd-boot") else ""
    if said or (esp is not None and esp.systemd_boot and not esp.grub):
        yield _bad(
            "loader",
            f"this machine is started by {said or 'systemd-boot'}, not by GRUB, and snaproot does "
            "not know how to have trials counted there",
            "on Debian: apt install grub-efi-amd64-signed shim-signed, then grub-install, and "
            "reboot through GRUB",
        )


def _encrypted(machine: Machine) -> Iterator[Finding]:
    mapped = machine.below_root(Kind.CRYPT)
    unknown = [device.shown for device in mapped if device.shown not in machine.crypttab]
    if unknown:
        yield _bad(
            "root",
            f"the root is on LUKS ({some(unknown)}), and /etc/crypttab does not name it: an "
            "initramfs that is made anew would not unlock it",
            f"write a line for {unknown[0]} into /etc/crypttab, then: update-initramfs -u",
        )
    elif mapped and not machine.unlocker:
        yield _bad(
            "root",
            f"the root is on LUKS ({mapped[0].shown}), and nothing here puts its unlocking into "
            "an initramfs",
            "on Debian: apt install cryptsetup-initramfs",
        )
    elif mapped and machine.pool:
        yield _bad(
            "root",
            f"the pool is on LUKS ({mapped[0].shown}), and no boot of that was ever tried",
            "ZFS can encrypt datasets by itself: zfs-load-key(8)",
        )
    elif mapped:
        yield _bad(
            "root",
            f"the root is on LUKS ({mapped[0].shown}), with the kernels in it: the menu on the "
            "ESP does not ask for a passphrase yet, and GRUB would find no boot environment",
            "snaproot needs a root that GRUB reads without a passphrase; encrypt /home instead",
        )


def _unreadable(machine: Machine) -> Iterator[Finding]:
    if machine.pool:
        return  # GRUB reads no kernel there
    for kind in (Kind.MAPPED, Kind.CACHE):
        for device in machine.below_root(kind)[:1]:
            yield _bad(
                "root",
                f"the root is on {kind} ({device.shown}), from which GRUB reads no kernel",
                "snaproot needs a root on a partition, or on RAID or LVM",
            )


def _selinux(machine: Machine) -> Iterator[Finding]:
    if machine.selinux and not machine.relabels:
        yield _bad(
            "SELinux",
            "SELinux is enforcing, and nothing here can label files (restorecon, setfiles): a "
            "boot environment might not start",
            "on Debian: apt install policycoreutils; or set SELINUX=permissive in "
            "/etc/selinux/config",
        )


def _hibernated(machine: Machine) -> Iterator[Finding]:
    for swap in machine.hibernated:
        yield _bad(
            "hibernation",
            f"{swap} holds a hibernated system: resumed after a change of the root, it would "
            "destroy the filesystem",
            f"resume it and shut it down in order; only if it may be lost: swapon {swap}, which "
            "drops it",
        )


_JUDGES: tuple[Callable[[Machine], Iterable[Finding]], ...] = (
    *(_firmware, _separate_boot, _esp, _other_loader, _encrypted, _unreadable),
    *(_selinux, _hibernated, pools.broken),
)


# -- what is said ----------------------------------------------------------------------------------


def _place_of_esp(esp: Esp | None) -> Iterator[Finding]:
    if esp is None:
        return
    shown = esp.place or f"{esp.spec}, not mounted"
    what = f"{shown}: {esp.free // _MIB} MiB are free"
    if esp.is_copy:
        yield Finding(
            Level.LIMIT,
            "ESP",
            f"{what}; it is a directory, and nothing tells whether GRUB can write to what it is "
            "a copy of",
        )
    else:
        yield Finding(Level.GOOD, "ESP", what)


def _secure_boot(machine: Machine) -> Iterator[Finding]:
    if not machine.efi:
        return
    if machine.secure_boot and machine.shim_checks:
        what = "it is on: the firmware verifies shim, shim GRUB, and GRUB each kernel by shim"
        yield Finding(Level.GOOD, "Secure Boot", what)
    elif machine.secure_boot:
        what = "it is on, but shim does not verify: any GRUB and any kernel are started"
        yield Finding(Level.LIMIT, "Secure Boot", what, "mokutil --enable-validation")
    else:
        state = "the firmware does not say" if machine.secure_boot is None else "it is off"
        what = f"{state}: whatever is on the ESP and in /boot is started"
        yield Finding(Level.LIMIT, "Secure Boot", what)
    yield Finding(
        Level.LIMIT,
        "Secure Boot",
        "nobody verifies an initramfs, nor what GRUB reads from the ESP, snaproot's script and "
        "counter among it: who can write there chooses what boots",
    )


def _watchdog(machine: Machine) -> Finding:
    if machine.watchdog:
        what = (
            f"{machine.watchdog}: a trial that hangs is restarted from systemd's start on; before "
            "that only if the firmware has set it going"
        )
        return Finding(Level.GOOD, "watchdog", what)
    what = (
        "there is no hardware watchdog: a trial that hangs before systemd runs, or with its "
        "kernel, hangs until somebody resets the machine, and is counted then"
    )
    return Finding(Level.LIMIT, "watchdog", what)


def _below_root(machine: Machine) -> Iterator[Finding]:
    found = [device for kind in _READABLE for device in machine.below_root(kind)]
    if found and not machine.pool:
        names = some([f"{device.shown} ({device.kind})" for device in found])
        what = f"it is on {names}: GRUB only reads there, with modules that signed images have"
        yield Finding(Level.LIMIT, "root", what)


def _labels(machine: Machine) -> Iterator[Finding]:
    if machine.selinux and machine.relabels:
        what = (
            "SELinux is enforcing: a boot environment keeps the labels of its parent, and what "
            "staging makes has those that the running policy gives it"
        )
        yield Finding(Level.LIMIT, "SELinux", what, "snaproot run restorecon -R /usr")


def _old_loaders(machine: Machine) -> Iterator[Finding]:
    for one in machine.binaries:
        versions = (one.installed or "another version", one.packaged or "one of its own")
        what = f"{one.name} on the ESP has {versions[0]}, this root's package {versions[1]}"
        if one.installed == one.packaged:
            what = f"{one.name} on the ESP is not the one of this root's package"
        hint = "no upgrade replaces it; by hand: keep the old one beside it, and copy the new one"
        yield Finding(Level.LIMIT, "loader", what, hint)
