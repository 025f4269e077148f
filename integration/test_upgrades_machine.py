"""After the adoption: without the original, after many upgrades, and after one of everything."""

import hashlib
from pathlib import Path

import pytest

from integration.vm.guest import machine
from integration.vm.images import adopted as image
from integration.vm.off import Off
from integration.vm.trials import CHANGE, arguments, off, served, settled, sound
from snaproot.run import run

pytestmark = pytest.mark.machine

UPGRADES, SIXTY = 20, 60
LIMIT = 10
SOURCES = (*("grub2", "grub-efi-amd64-signed", "linux-signed-amd64", "shim-signed", "systemd"),)
CORE = {"grub-efi-amd64", "linux-image-cloud-amd64", "systemd"}


def foreign(esp: Path) -> str:
    """Digest all of an ESP that is not snaproot's."""
    digest = hashlib.sha256()
    for path in sorted(esp.rglob("*")):
        if path.is_file() and "snaproot" not in path.relative_to(esp).parts:
            digest.update(f"{path.relative_to(esp)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def promoted(disk: Off, *words: str) -> None:
    disk(*words)
    disk("promote")


def test_it_boots_without_the_original_and_after_many_upgrades_of_everything() -> None:
    """j2: `cleanup --original`, 20 upgrades, one of GRUB, kernel and systemd; the ESP stays."""
    with machine(image()) as found:
        with off(found) as disk:
            before = foreign(disk.esp)
            disk("cleanup", "--original")
            assert "original" not in disk.environments
            for _ in range(UPGRADES):
                promoted(disk, *CHANGE)
            assert len(disk.environments) <= LIMIT
            with served(disk) as archive:
                root = disk.layout.root(disk.record.base)
                assert set(archive.repack(root, *SOURCES)) >= CORE
                disk("upgrade")
            target = disk.target
            names = {change.name for change in disk.environments[target].packages}
            assert names >= CORE
            assert foreign(disk.esp) == before
        with found.boot() as guest:
            guest.ready()
            assert "snaproot.trial" in arguments(guest.boots[0])
            assert settled(guest)["base"] == target
            sound(guest)
            guest.off()
        with off(found) as disk:
            assert foreign(disk.esp) == before
            assert len(list((disk.home / "entries").glob("*.cfg"))) <= len(disk.environments)


def test_after_sixty_upgrades_on_a_small_disk_the_last_ones_boot() -> None:
    """q: 4 GB of Btrfs, an ESP of 200 MB; limits are kept, and trial and base are booted."""
    with machine(image()) as found:
        with off(found) as disk:
            run(["btrfs", "filesystem", "resize", "4G", str(disk.top)])
            for _ in range(SIXTY):
                promoted(disk, *CHANGE)
                assert len(disk.environments) <= LIMIT
            before = disk.record.base
            disk(*CHANGE)
            target = disk.target
        with found.boot() as guest:
            guest.ready()
            assert "snaproot.trial" in arguments(guest.boots[0])
            assert settled(guest)["base"] == target
            guest.run(f"snaproot -y activate {before}")
            guest.start("systemctl reboot")
            guest.ready()
            assert settled(guest)["base"] == before
            sound(guest)
            guest.off()
        with off(found) as disk:
            assert {before, target} <= {*disk.environments}
