"""`doctor` on stock Debian that runs: a real firmware's variables, a real ESP, a real kernel."""

import json
import re

import pytest

from integration.vm import images
from integration.vm.guest import Guest, machine
from integration.vm.qemu import Hardware

pytestmark = pytest.mark.machine


def test_a_stock_machine_is_told_what_it_is_like_before_its_adoption() -> None:
    with machine(images.packaged(), Hardware(secure=True)) as stock, stock.boot() as guest:
        guest.ready()
        found = _doctor(guest)
        assert _bad(found) == []
        said = {(one["subject"], one["level"]): one["what"] for one in found}
        assert said["layout", "good"] == "Debian GNU/Linux 13 (trixie), in @"
        assert said["ESP", "good"].startswith("/boot/efi: ")
        assert "the firmware verifies shim, shim GRUB" in said["Secure Boot", "good"]
        assert ("watchdog", "good") in said or ("watchdog", "limit") in said
        assert "this root's package" not in str(found)  # grub-install put them there just now

        guest.run("umount /boot/efi")
        found = _doctor(guest)
        (esp,) = [one["what"] for one in found if one["subject"] == "ESP"]
        assert "not mounted: " in esp
        assert _bad(found) == []

        guest.run("mount -o ro /boot/efi")
        (esp,) = _bad(_doctor(guest, status=3))
        assert "/boot/efi is mounted read-only" in esp
        guest.run("mount -o remount,rw /boot/efi")

        guest.run("cp /boot/efi/EFI/debian/shimx64.efi /boot/efi/EFI/debian/grubx64.efi")
        told = [one["what"] for one in _doctor(guest) if one["subject"] == "loader"]
        assert re.search(r"grubx64\.efi on the ESP has \d\S+, .* package 2\.", told[0]), told
        guest.off()


def _doctor(guest: Guest, status: int = 0) -> list[dict[str, str]]:
    found = json.loads(guest.run("snaproot doctor --json", status=status).output)["findings"]
    assert isinstance(found, list)
    return found


def _bad(found: list[dict[str, str]]) -> list[str]:
    return [one["what"] for one in found if one["level"] == "bad"]
