"""i: somebody in front of the menu, on the serial line, picks an older root, and stays there."""

import re
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

import pytest

from integration.vm import trials
from integration.vm.guest import Guest
from integration.vm.menu import ALL, HIGHLIGHTED, Menu, turned_on
from integration.vm.off import Off
from integration.vm.trials import adopted, arguments, done, on, status
from snaproot.bootloader import entry
from snaproot.environment import PackageChange, Standing
from snaproot.health import baseline
from snaproot.ids import next_id

pytestmark = pytest.mark.machine
MANY, PICKED, PINNED, JUDGED_BAD = 60, 31, 58, 5
CHANGED = tuple(PackageChange(name, "1", "2") for name in ("systemd", "linux-image-6.12", "zstd"))


@pytest.mark.parametrize("zfs", on())
def test_of_sixty_an_old_one_is_picked_and_becomes_the_base(zfs: bool) -> None:
    """The list is capped; who picks one runs it, with its own kernel, and changes nothing."""
    with adopted(zfs=zfs) as machine:
        base, ids = done(machine, sixty)
        old = ids[PICKED]
        with machine.boot() as guest:
            menu = Menu(guest)
            menu.opened()
            menu.choose(ALL, HIGHLIGHTED)
            menu.wait(rf"{base}  20..-..-.. \S+ +proven  adopt")
            menu.wait(rf"{ids[JUDGED_BAD]}  20..-..-.. \S+ +bad  upgrade: linux-image and 2 more")
            menu.choose(f"{old}  ", f"Loading {old}")
            guest.serial.wait("Command line: ", 120)
            guest.ready()
            guest.run("systemctl start snaproot-recover.service")
            assert re.search(root_of(old), guest.boots[-1])
            found = status(guest)
            assert (found["booted"], found["base"], found["default"]) == (old, base, base)
            assert f"good={base}\n" in loader(guest)
            said = "chosen by hand, to stay here: snaproot rollback"
            assert said in guest.run("snaproot status").output
            assert f"{old} is running, {said}" in guest.login()
            assert "without a reboot" in guest.run("snaproot -y rollback").output
            stays(guest, old)
        done(machine, settled, old)


def sixty(disk: Off) -> tuple[str, list[str]]:
    """Make so many that the menu does not list all; name the base, and all of them."""
    base, ids = disk.record.base, many(disk)
    disk("pin", ids[PINNED])
    listed = list(entry.listed((disk.home / "index.cfg").read_text()))
    assert len(listed) == entry.MOST_LISTED
    assert listed[-2:] == [ids[PINNED], entry.ORIGINAL]
    (disk.home / "settings.cfg").write_text(turned_on())
    return base, ids


@pytest.mark.parametrize("zfs", on())
def test_with_a_password_and_a_trial_waiting_an_old_one_is_picked(zfs: bool) -> None:
    """Who picks one is asked; beside an armed one it is no trial, and takes no attempt."""
    with adopted(zfs=zfs) as machine:
        old, base, target = done(machine, trial_waits)
        with machine.boot() as guest:
            menu = Menu(guest)
            menu.opened()
            menu.choose(ALL, "Enter username")
            menu.asked()
            menu.wait(rf"{target}  20..-..-.. \S+ +unproven, armed  run sh -c ")
            menu.choose(f"{old}  ", f"Loading {old}")
            guest.serial.wait("Command line: ", 120)
            guest.ready()
            guest.run("systemctl start snaproot-recover.service")
            found = status(guest)
            assert (found["booted"], found["base"], found["tries_left"]) == (old, base, 2)
            told(guest, old, target)
            stays(guest, old)
        done(machine, left_with, {base, old, entry.ORIGINAL})
        done(machine, settled, old)


def trial_waits(disk: Off) -> tuple[str, str, str]:
    """Name an older one, the base, and what is armed; a password guards the menu."""
    old = disk.record.base
    disk("run", "touch", "/usr/lib/changed")
    disk("promote")
    disk(*trials.CHANGE)
    (disk.home / "settings.cfg").write_text(turned_on(guarded=True))
    return old, disk.record.base, disk.target


def left_with(disk: Off, ids: Collection[str]) -> None:
    assert set(disk.environments) == set(ids)


def told(guest: Guest, old: str, target: str) -> None:
    """Assert what is said where a trial waits, and what rollback makes of it."""
    said = guest.login()
    assert f"{old} is running, chosen by hand, to stay here: snaproot rollback." in said
    assert f"{target} is tried at the next boot. To drop it: snaproot abandon" in said
    said = guest.run("snaproot -y rollback").output
    assert f"{target} is given up and deleted: " in said
    assert f"{old} becomes the base and the default, without a reboot: " in said


def loader(guest: Guest) -> str:
    """Read what GRUB keeps."""
    return guest.run("cat /boot/efi/EFI/snaproot/env").output


def stays(guest: Guest, old: str) -> None:
    """Assert that it is the base now, and that the next boot is it, with nobody there."""
    found = status(guest)
    assert found["booted"] == found["base"] == found["default"] == old, found
    assert (found["pending"], found["interrupted"]) == (None, None)
    assert f"good={old}\n" in loader(guest)
    guest.run("test ! -s /run/motd.d/snaproot")
    guest.start("systemctl reboot")
    guest.ready(kernel=root_of(old))
    assert "snaproot.trial" not in arguments(guest.boots[-1])
    found = status(guest)
    assert found["booted"] == found["base"] == found["default"] == old, found
    trials.sound(guest)
    guest.off()


def root_of(id: str) -> str:
    """Say how a kernel's command line names a root: a pattern."""
    return rf"(/environments/{id}/root|/ROOT/{id}) "


def settled(disk: Off, old: str) -> None:
    """Assert that all that says what is good says it of the picked one."""
    trials.settled_on(disk, old)
    assert disk.env
    assert disk.env.trial == ""
    assert "set good=" + old in (disk.home / "good.cfg").read_text()
    assert disk.environments[old].standing is Standing.PROVEN
    assert baseline.load(disk.layout.record).environment == old


def many(disk: Off) -> list[str]:
    """Make older ones beside the base, most of them proven; return all ids, the newest first."""
    filesystem, base = disk.filesystem, disk.environments[disk.record.base]
    assert base.created
    ids = [base.id]
    for number in range(1, MANY):
        made = base.created - timedelta(days=number)
        id = next_id("b", [], made)
        filesystem.collect(filesystem.create(id, base.id))
        standing = Standing.BAD if number == JUDGED_BAD else Standing.PROVEN
        like = replace(base, id=id, parent=base.id, created=made, standing=standing)
        filesystem.seal(replace(like, origin="upgrade", packages=CHANGED))
        ids.append(id)
    return ids
