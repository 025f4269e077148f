"""The loader's home under UEFI firmware, booted by the GRUB images that Debian signed."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from integration import debian, grubemu
from integration.test_grub import image
from snaproot.bootloader import Bootable, Trial
from snaproot.run import run
from tests.bootloader.grubhome import INITRAMFS, KERNEL, GrubHome

pytestmark = [pytest.mark.real, pytest.mark.slow]
FIRMWARE = Path("/usr/share/OVMF")
INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
echo "CAME UP $(/bin/busybox cat /proc/cmdline)"
/bin/busybox poweroff -f
"""


class Real(GrubHome):
    """Its roots have a kernel that boots and says what it was told."""

    def bootable(self, id: str) -> Bootable:
        made = super().bootable(id)
        told = (*made.arguments, "console=ttyS0", "quiet")
        return replace(made, arguments=told, digests=replace(made.digests, kernel=""))

    def root(self, id: str) -> Path:
        known = self.roots / "@snaproot/environments" / id
        fresh = not known.exists()
        root = super().root(id)
        if fresh:
            shutil.copyfile(_kernel() / "vmlinuz", root / KERNEL[1:])
            shutil.copyfile(_kernel() / "initramfs", root / INITRAMFS[1:])
        return root


def _kernel() -> Path:
    return debian.kept("grubkernel-trixie-1", _fetch)


def _fetch(home: Path) -> None:
    grubemu.unpack("trixie", home / "tree", debian.KERNELS["amd64"])
    shutil.copyfile(next((home / "tree/boot").glob("vmlinuz-*")), home / "vmlinuz")
    shutil.rmtree(home / "tree")
    for name in ("bin", "proc", "dev"):
        (home / "files" / name).mkdir(parents=True)
    (home / "files/init").write_text(INIT)
    (home / "files/init").chmod(0o755)
    shutil.copy(shutil.which("busybox") or "/bin/busybox", home / "files/bin/busybox")
    pack = "cd $0 && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1 >$1"
    run(["sh", "-c", pack, str(home / "files"), str(home / "initramfs")])


def torn(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def without_header(path: Path) -> None:
    path.write_bytes(bytes(4096) + path.read_bytes()[4096:])


NOTHING = ""
Damage = Callable[[Path], None]
SEQUENCES: dict[str, tuple[Damage, tuple[str, ...]]] = {
    "sound": (lambda _: None, ("b2 trial=d1.1", "b2 trial=d1.0", "b1 revert=d1")),
    "torn": (torn, (NOTHING, NOTHING, "b1 revert=d1")),
    "without a header": (without_header, ("b1 skipped=d1.1",)),
    "gone": (Path.unlink, ("b1 skipped=d1.1",)),
}


@pytest.mark.parametrize("damage", SEQUENCES)
@pytest.mark.parametrize("version", grubemu.SUITES)
def test_the_signed_image_does_as_the_emulator(version: str, damage: str, tmp_path: Path) -> None:
    spoil, sequence = SEQUENCES[damage]
    home = Real(tmp_path)
    home.lay_stub()
    home.establish()
    home.loader().arm(Trial("d1", "b2", "b1", 2))
    spoil(home.root("b2") / KERNEL[1:])
    disk(home, version)
    shutil.copyfile(FIRMWARE / "OVMF_VARS_4M.fd", tmp_path / "vars.fd")
    assert tuple(came_up(tmp_path) for _ in sequence) == sequence


def disk(home: GrubHome, version: str) -> None:
    """Make a GPT disk: an ESP with the signed image where firmware looks, and the roots."""
    place = home.esp / "EFI/BOOT"
    place.mkdir()
    shutil.copyfile(grubemu.tree(version) / "signed.efi", place / "BOOTX64.EFI")
    image(home.roots, home.directory / "root.img")
    grubemu.fat(home.directory / "esp.img", home.esp, size="64M", kind="32")
    grubemu.partitioned(
        home.directory / "disk.img", home.directory / "esp.img", home.directory / "root.img"
    )


def came_up(place: Path) -> str:
    """Start the machine until it stops, and say what the kernel was told, if one came up."""
    flash = "if=pflash,format=raw"
    argv = [
        *("timeout", "-s", "KILL", "120", "qemu-system-x86_64", "-machine", "q35"),
        *("-accel", "tcg,thread=multi", "-cpu", "max", "-m", "512", "-nic", "none"),
        *("-nographic", "-no-reboot", "-drive", f"file={place}/disk.img,format=raw,if=virtio"),
        *("-drive", f"{flash},readonly=on,file={FIRMWARE}/OVMF_CODE_4M.fd"),
        *("-drive", f"{flash},file={place}/vars.fd"),
    ]
    done = run(argv, check=False)
    assert done.status == 0, done.output
    assert "Press any key" not in done.output
    words = re.search(r"CAME UP (.*)", done.output)
    if words is None:
        return NOTHING
    root = re.search(r"environments/(\w+)/root/", words[1])
    told = re.search(r"snaproot\.((?:trial|skipped|revert)=\S+)", words[1])
    assert root is not None
    return f"{root[1]} {told[1] if told else ''}"
