"""What is said of a machine that may be adopted, and of one that was."""

from dataclasses import replace

import pytest

from snaproot.finding import Level
from snaproot.machine import Esp, Machine, broken, findings, refusals
from snaproot.machine.facts import Binary, Device, Kind

GOOD = Machine(
    esp=Esp(place="/boot/efi", spec="/dev/sda1", free=190 << 20),
    root_devices=(Device("sda2"),),
    secure_boot=True,
    watchdog="iTCO_wdt",
)


def said(machine: Machine, subject: str) -> list[tuple[Level, str]]:
    return [(one.level, one.what) for one in findings(machine) if one.subject == subject]


def test_a_good_machine_has_limits_and_nothing_bad() -> None:
    assert [*refusals(GOOD)] == []
    assert [*broken(GOOD)] == []
    assert {one.level for one in findings(GOOD)} == {Level.GOOD, Level.LIMIT}
    assert said(GOOD, "ESP") == [(Level.GOOD, "/boot/efi: 190 MiB are free")]
    assert "never go back" in said(GOOD, "not reverted")[0][1]


def test_all_refusals_are_told_at_once_and_a_container_alone() -> None:
    machine = replace(GOOD, boot="/dev/sda3, ext4", selinux=True, hibernated=("/dev/sda4",))
    assert [one.subject for one in refusals(machine)] == ["/boot", "SELinux", "hibernation"]
    assert [one.subject for one in refusals(replace(machine, enclosure="a chroot"))] == ["root"]


def test_who_verifies_what_is_said() -> None:
    on, always = said(GOOD, "Secure Boot")
    assert on[0] is Level.GOOD
    assert "shim GRUB, and GRUB each kernel" in on[1]
    assert always[0] is Level.LIMIT
    assert "nobody verifies an initramfs" in always[1]
    assert "snaproot's script" in always[1]
    for machine, says in (
        (replace(GOOD, secure_boot=False), "it is off"),
        (replace(GOOD, secure_boot=None), "the firmware does not say"),
        (replace(GOOD, shim_checks=False), "shim does not verify"),
    ):
        state, again = said(machine, "Secure Boot")
        assert (state[0], says in state[1]) == (Level.LIMIT, True)
        assert again == always
    assert said(replace(GOOD, efi=False), "Secure Boot") == []


def test_a_missing_watchdog_is_a_limit() -> None:
    assert said(GOOD, "watchdog")[0][0] is Level.GOOD
    level, what = said(replace(GOOD, watchdog=""), "watchdog")[0]
    assert level is Level.LIMIT
    assert "hangs until somebody resets" in what


def test_what_the_root_is_on_is_said() -> None:
    assert said(GOOD, "root") == []
    machine = replace(GOOD, root_devices=(Device("dm-0", Kind.LVM, "vg-root"), Device("sda2")))
    ((level, what),) = said(machine, "root")
    assert level is Level.LIMIT
    assert "vg-root (LVM)" in what


def test_a_policy_that_is_enforced_is_a_limit_where_labels_can_be_set() -> None:
    machine = replace(GOOD, selinux=True, relabels=True)
    assert said(machine, "SELinux")[0][0] is Level.LIMIT
    assert said(GOOD, "SELinux") == []


@pytest.mark.parametrize(
    ("installed", "packaged", "says"),
    [
        ("2.06-1", "2.12-9", "has 2.06-1, this root's package 2.12-9"),
        ("", "", "is not the one of this root's package"),
        ("2.06-1", "", "has 2.06-1, this root's package one of its own"),
    ],
)
def test_another_loader_than_the_packages_is_a_limit(
    installed: str, packaged: str, says: str
) -> None:
    machine = replace(GOOD, binaries=(Binary("EFI/debian/grubx64.efi", installed, packaged),))
    ((level, what),) = said(machine, "loader")
    assert (level, says in what) == (Level.LIMIT, True)


def test_a_full_esp_is_refused() -> None:
    machine = replace(GOOD, esp=Esp(place="/boot/efi", free=1 << 20))
    (one,) = refusals(machine)
    assert "1024 KiB free" in one.what
    assert [*broken(machine)] == [one]
    assert said(machine, "ESP") == []


def test_of_an_adopted_machine_only_what_breaks_it_is_bad() -> None:
    machine = replace(GOOD, boot="/dev/sda3, ext4", esp=Esp(place="/boot/efi", read_only=True))
    assert [one.subject for one in broken(machine)] == ["ESP"]
    assert [one.subject for one in broken(replace(GOOD, hibernated=("/swap",)))] == ["hibernation"]


def test_a_copy_of_an_esp_is_a_limit() -> None:
    machine = replace(GOOD, esp=Esp(place="/copy", is_copy=True, free=9 << 20))
    ((level, what),) = said(machine, "ESP")
    assert level is Level.LIMIT
    assert "a copy of" in what
