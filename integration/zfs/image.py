"""The root of a bench: the base root, ZFS and what the tests import, in one file.

What is kept has `root.img` (ext4, which Debian's cloud kernel reads without an initramfs) and
`vmlinuz`.
"""

import shutil
from hashlib import sha256
from pathlib import Path

from integration import debian
from integration import disk as loop
from integration.vm.stock import inside, timed
from integration.zfs import module
from snaproot.run import run

SIZE = "2G"
_HERE = Path(__file__).parent
_AGENT = _HERE.parent / "vm/agent.sh"
_INIT = _HERE / "init.sh"


def made() -> Path:
    """Return the directory with a bench's root and kernel; make it if it is not there."""
    zfs = module.built()
    content = (
        zfs.name.encode(),
        _AGENT.read_bytes(),
        _INIT.read_bytes(),
        Path(__file__).read_bytes(),
    )
    digest = sha256(b"\0".join(content)).hexdigest()
    name = f"bench-{module.SUITE}-{digest[:16]}"
    return debian.kept(name, lambda home: _make(home, zfs))


def _make(home: Path, zfs: Path) -> None:
    copy = home / f"{loop.MARK}root.img"
    with debian.copied(debian.base(module.SUITE) / "root.img", copy) as top:
        root = top / "@"
        with timed("zfs: packages of the bench"):
            module.install(root, zfs / "debs", without="zfs-initramfs")
            module.install(root, zfs / "tests")
        _configure(root)
        with timed("zfs: the bench's file"):
            shutil.copy(next((root / "boot").glob("vmlinuz-*")), home / "vmlinuz")
            image = str(home / "root.img")
            run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(root), image, SIZE])
    copy.unlink()


def _configure(root: Path) -> None:
    place = root / "testbed"
    place.mkdir()
    shutil.copy(_AGENT, place / "agent.sh")
    shutil.copy(_INIT, place / "init")
    (place / "init").chmod(0o755)
    (root / "etc/fstab").write_text("", encoding="ascii")
    (root / "etc/hosts").write_text("127.0.0.1 localhost bench\n", encoding="ascii")
    # what a pool remembers of who used it last, the same at every start
    (root / "etc/hostid").write_bytes(bytes.fromhex("0b0e0c48"))
    inside(root, (), "rm", "-rf", "/boot/initrd.img", "/usr/share/doc", "/usr/share/locale")
