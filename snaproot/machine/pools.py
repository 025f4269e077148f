"""What is to be known of the pool of a root on ZFS, before it is adopted and after. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from snaproot.finding import Finding, Level
from snaproot.machine.facts import Machine, Pool
from snaproot.wording import some

_LOST = {"FAULTED", "UNAVAIL", "SUSPENDED"}
_READABLE = frozenset(
    {
        *("allocation_classes", "async_destroy", "block_cloning", "block_cloning_endian"),
        *("bookmarks", "device_rebuild", "empty_bpobj", "enabled_txg", "fast_dedup"),
        *("filesystem_limits", "large_microzap", "livelist", "log_spacemap", "obsolete_counts"),
        *("physical_rewrite", "project_quota", "resilver_defer", "spacemap_histogram"),
        *("spacemap_v2", "userobj_accounting", "zilsaxattr", "zpool_checkpoint"),
    }
)
"""Features that whoever only reads need not know (zpool-features(7), of 2.4)."""
_GRUB = frozenset(
    {"embedded_data", "extensible_dataset", "hole_birth", "large_blocks", "lz4_compress"}
)
_GRUB_SINCE = {"2.14": frozenset({"head_errlog", "vdev_zaps_v2", "zstd_compress"})}
"""What GRUB's zfs.c knows (spa_feature_names): in 2.06 and 2.12, and what came with later ones."""


def broken(machine: Machine) -> Iterator[Finding]:
    """Say what keeps a pool from being adopted, or its machine from being trusted afterwards."""
    pool = machine.pool
    if pool is None:
        return
    if pool.untold:
        yield _bad(
            "pool",
            f"the pool {pool.name} cannot be examined: {pool.untold}",
            "on Debian: apt install zfsutils-linux",
        )
    if pool.health in _LOST:
        yield _bad(
            "pool",
            f"the pool {pool.name} is {pool.health}: nothing can be written to it",
            f"zpool status -v {pool.name} names the device; once it is back: zpool clear "
            f"{pool.name}",
        )
    if not pool.mounter:
        yield _bad(
            "initramfs",
            "nothing here puts ZFS into an initramfs: one that is made for a target would not "
            "find its root",
            "on Debian: apt install zfs-initramfs (or zfs-dracut)",
        )
    for name in pool.rivals:
        yield _bad(
            "datasets",
            f"{name} has mountpoint=/ and canmount=on: every boot mounts it over the root that "
            "was chosen",
            f"zfs set canmount=noauto {name}",
        )


def findings(machine: Machine) -> Iterator[Finding]:
    """Say what is good to know of a pool besides."""
    if machine.pool is not None:
        for say in (_health, _features, _key, _pointer, _others, _hostid):
            yield from say(machine.pool)


def unread(active: Iterable[str], grub: str) -> Sequence[str]:
    """Name the features in use for which a GRUB of that version reads nothing of a pool."""
    known = _GRUB.union(*(more for since, more in _GRUB_SINCE.items() if grub >= since))
    return [name for name in active if name not in known | _READABLE]


def _health(pool: Pool) -> Iterator[Finding]:
    if pool.untold or pool.health in _LOST:
        return
    if not pool.faults:
        yield Finding(Level.GOOD, "pool", f"{pool.name} is {pool.health}, without errors")
        return
    yield _bad(
        "pool",
        f"{some(pool.faults)}: a trial is not reverted for it, as it is no fault of the trial's, "
        "but the next fault may cost every boot environment at once",
        f"zpool status -v {pool.name}; then: zpool replace, or zpool scrub and zpool clear",
    )


def _features(pool: Pool) -> Iterator[Finding]:
    """GRUB reads kernels from the loader's home; of the pool it reads what led to the original."""
    lacking = unread(pool.active, pool.grub)
    if lacking:
        version = f"GRUB {pool.grub}" if pool.grub else "a GRUB that does not say its version"
        yield Finding(
            Level.LIMIT,
            "loader",
            f"{version} cannot read the pool {pool.name} ({some(lacking)} in use): boot "
            "environments start from kernels that are copied to where it can, but the original "
            "menu finds nothing in the pool",
            "never zpool upgrade a pool that GRUB has to read; zpool-features(7)",
        )


def _key(pool: Pool) -> Iterator[Finding]:
    if not pool.encrypted:
        return
    if pool.key == "prompt":
        what = (
            f"{pool.encrypted} is encrypted, and every boot asks for its passphrase: a trial that "
            "nobody unlocks neither starts nor goes back by itself"
        )
        hint = "be there when a trial boots, or unlock it by network (zfsunlock, dropbear)"
        yield Finding(Level.LIMIT, "encryption", what, hint)
    elif pool.key.startswith("file://"):
        what = (
            f"{pool.encrypted} is encrypted with {pool.key}: an initramfs that is made without "
            "that file finds no root"
        )
        hint = (
            "see that a hook of the initramfs puts it in, or: zfs change-key -o keylocation=prompt"
        )
        yield Finding(Level.LIMIT, "encryption", what, hint)
    else:
        what = f"{pool.encrypted} is encrypted, with a key from {pool.key or 'nowhere'}"
        hint = "see that every initramfs gets there before the root is mounted"
        yield Finding(Level.LIMIT, "encryption", what, hint)


def _pointer(pool: Pool) -> Iterator[Finding]:
    if pool.bootfs in {"", pool.root, *pool.ours}:
        return
    yield _bad(
        "default",
        f"the pool's bootfs is {pool.bootfs}, and {pool.root} runs: a loader or an initramfs that "
        "looks there boots another root than the one that is updated",
        f"zpool set bootfs={pool.root} {pool.name}",
    )


def _others(pool: Pool) -> Iterator[Finding]:
    tools: dict[str, list[str]] = {}
    for name, tool in pool.foreign.items():
        if name not in pool.ours:
            tools.setdefault(tool, []).append(name)
    for tool, names in tools.items():
        what = f"{tool} keeps boot environments here ({some(names)}): they stay as they are"
        hint = f"let only one of them change what boots: never activate one with {tool} from now on"
        yield Finding(Level.LIMIT, "datasets", what, hint)
    if pool.bootmenu:
        what = f"ZFSBootMenu is there ({pool.bootmenu}), and no boot by it was ever tried: untested"
        hint = "it follows the pool's bootfs, and counts no trials; start snaproot's menu by GRUB"
        yield Finding(Level.LIMIT, "loader", what, hint)
    if pool.swaps:
        what = (
            f"swap is on a volume of a pool ({some(pool.swaps)}): short of memory, the machine "
            "may hang, in a trial too; and no system can be hibernated there"
        )
        yield Finding(Level.LIMIT, "swap", what, "use a partition, or zram")


def _hostid(pool: Pool) -> Iterator[Finding]:
    hint = "then make every initramfs anew: update-initramfs -u -k all (or dracut --force)"
    if pool.hostid and pool.own_hostid and pool.hostid != pool.own_hostid:
        yield _bad(
            "hostid",
            f"the pool was imported as {pool.hostid}, and /etc/hostid is {pool.own_hostid}: an "
            "initramfs with that one takes the pool for another machine's, and does not import it",
            f"zgenhostid -f {pool.hostid}; {hint}",
        )
    elif not pool.own_hostid and not pool.untold:
        used = f"zgenhostid {pool.hostid}".strip()
        what = (
            "there is no /etc/hostid: after another system (a rescue disk) has had the pool, its "
            "import at boot may need -f, and a machine with nobody present stays down"
        )
        yield Finding(Level.LIMIT, "hostid", what, f"{used}; {hint}")


def _bad(subject: str, what: str, hint: str) -> Finding:
    return Finding(Level.BAD, subject, what, hint)
