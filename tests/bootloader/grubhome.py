"""A loader's home in a directory, with roots that it can boot."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from snaproot.bootloader import HOME, Bootable
from snaproot.bootloader import envblock as blocks
from snaproot.bootloader.grub import Grub
from snaproot.bootloader.stub import establish
from snaproot.environment import Digests

UUID = "11111111-2222-3333-4444-555555555555"
POOL = "1234567890123456789"
STUB = (
    f"search.fs_uuid {UUID} root hd1\n"
    "set prefix=($root)'/@/boot/grub'\nconfigfile $prefix/grub.cfg\n"
)
KERNEL = "/boot/vmlinuz-6.1"
INITRAMFS = "/boot/initrd.img-6.1"


@dataclass
class GrubHome:
    """`esp` and `roots` lie below one directory; `flushed` counts the flushes.

    Where it is not `readable`, the roots are on a pool, and GRUB is given copies.
    """

    directory: Path
    canary: str | None = None
    readable: bool = True
    kept: frozenset[str] = frozenset()
    flushes: list[str] = field(default_factory=list)
    watch: Callable[[], None] = lambda: None

    @property
    def esp(self) -> Path:
        return self.directory / "esp"

    @property
    def roots(self) -> Path:
        return self.directory / "roots"

    @property
    def home(self) -> Path:
        return self.esp / HOME

    @property
    def stub(self) -> Path:
        return self.esp / "EFI/debian/grub.cfg"

    def lay_stub(self, text: str = STUB, vendor: str = "debian") -> None:
        place = self.esp / "EFI" / vendor
        place.mkdir(parents=True)
        (place / "grub.cfg").write_text(text)

    def root(self, id: str) -> Path:
        """Make a root with something to boot, once."""
        root = self.roots / "@snaproot/environments" / id / "root"
        if not root.exists():
            (root / "boot").mkdir(parents=True)
            (root / KERNEL[1:]).write_bytes(_kernel(id))
            (root / INITRAMFS[1:]).write_bytes(f"initramfs of {id}".encode() * 100)
        return root

    def bootable(self, id: str) -> Bootable:
        return self.read(id) if self.readable else self.on_pool(id)

    def read(self, id: str) -> Bootable:
        """Describe one on a filesystem that GRUB reads."""
        root = self.root(id)
        return Bootable(
            id=id,
            title=f"the root {id}",
            filesystem=UUID,
            prefix=f"/@snaproot/environments/{id}/root",
            root=root,
            kernel=KERNEL,
            initramfs=INITRAMFS,
            arguments=(f"root=UUID={UUID}", f"rootflags=subvol=@snaproot/environments/{id}/root"),
            digests=Digests(kernel=_sealed(_kernel(id)), initramfs=""),
        )

    def on_pool(self, id: str) -> Bootable:
        """Describe one that GRUB cannot read."""
        return replace(
            self.read(id),
            filesystem=POOL,
            prefix="",
            arguments=(f"root=ZFS=rpool/ROOT/{id}",),
            readable=False,
        )

    def loader(self) -> Grub:
        return Grub(self.home, self.bootable, self.flush, self.canary, lambda: self.kept)

    def flush(self) -> None:
        self.flushes.append("flush")
        self.watch()

    def establish(self, good: str = "b1", settings: str = "set timeout=0\n") -> None:
        establish(self.esp, settings, self.loader(), good)

    def started(self, canary: str = "1") -> None:
        """Do what GRUB does at a boot from its menu: write the canary."""
        env = self.env()
        assert env is not None
        (self.home / "env").write_bytes(blocks.render(replace(env, canary=canary)))

    def env(self) -> blocks.Env | None:
        return blocks.parse((self.home / "env").read_bytes())


def _kernel(id: str) -> bytes:
    """Make what GRUB takes for a bzImage: setup sectors, boot flag, magic and version."""
    head = bytearray(4096)
    head[0x1F1], head[0x1FE:0x200] = 4, b"\x55\xaa"
    head[0x202:0x208] = b"HdrS\x0f\x02"
    return bytes(head) + f"kernel of {id}".encode()


def _sealed(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
