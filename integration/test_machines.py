"""Stock Debian machines, booted under emulation."""

import pytest

from integration.vm import images
from integration.vm.guest import Guest, machine
from integration.vm.qemu import Hardware

pytestmark = pytest.mark.machine
LETTER = "/home/letter"


def test_a_stock_machine_boots_loses_power_and_boots_again() -> None:
    with machine(images.stock()) as stock:
        with stock.boot() as guest:
            first = guest.ready()
            healthy(guest)
            guest.login()
            since = guest.type(f"echo kept >{LETTER}; sync; echo written")
            guest.serial.wait("^written$", 60, since)
            guest.pull()
        with stock.boot() as guest:
            assert guest.ready() != first
            assert guest.run(f"cat {LETTER}").output == "kept\n"
            guest.start("systemctl reboot")
            guest.ready()
            assert len(guest.boots) == 2
            guest.off()
        with stock.opened() as (top, files):
            assert (top / "@home/letter").read_text(encoding="utf-8") == "kept\n"
            (files / "EFI/debian/note").write_text("here", encoding="ascii")
        with stock.opened() as (_, files):
            assert (files / "EFI/debian/shimx64.efi").stat().st_size > 100_000
            assert (files / "EFI/debian/note").read_text(encoding="ascii") == "here"


def test_secure_boot_lets_the_distributions_loader_through() -> None:
    with machine(images.stock(), Hardware(secure=True)) as stock, stock.boot() as guest:
        guest.ready()
        assert "Secure boot enabled" in guest.serial.text()
        healthy(guest)
        guest.off()


def healthy(guest: Guest) -> None:
    """Find the system as its installer left it."""
    assert guest.run("systemctl --failed --no-legend").output == ""
    assert guest.boots[-1].endswith(" ro rootflags=subvol=@ console=ttyS0")
    assert "debian" in guest.run("cat /etc/hostname").output
