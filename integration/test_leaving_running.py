"""Leaving a system that runs, and what its package says when it is to be removed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from contrib.debian import build
from integration import layouts, tinyroot
from integration.machine import REPOSITORY, Machine, environment
from integration.test_adoption_loader import STUB
from integration.test_adoption_running import Hardware as Stock
from integration.test_adoption_running import hardware as stock  # noqa: F401 - a fixture
from integration.test_adoption_running import said
from integration.test_running import Hardware, hardware  # noqa: F401 - a fixture
from snaproot import fstab
from snaproot.filesystem.btrfs import binding

pytestmark = pytest.mark.real

MKCONFIG = f"""\
#!/bin/sh
# What grub-mkconfig finds out: where the kernel says that / is.
place=$(sed -n 's|^[^ ]* [^ ]* [^ ]* /\\([^ ]*\\) / .*|\\1|p' /proc/self/mountinfo | tail -n 1)
echo "menuentry 'Debian GNU/Linux' {{"
echo "    linux /$place/boot/vmlinuz-{tinyroot.KERNEL} root=UUID=x ro rootflags=subvol=$place"
echo "}}"
"""


def plant(machine: Hardware, tool: str = MKCONFIG) -> str:
    """Give the base a tool that writes GRUB's menu, as if it had been adopted with one."""
    (base,) = machine.offline.ids()
    root = machine.offline.top / f"@snaproot/environments/{base}/root"
    binding.set_read_only(root, read_only=False)
    (root / "boot/grub").mkdir()
    layouts.put(root / "usr/sbin/grub-mkconfig", tool)
    (root / "usr/sbin/grub-mkconfig").chmod(0o755)
    binding.set_read_only(root, read_only=True)
    return base


def removal(machine: Machine) -> "subprocess.CompletedProcess[str]":
    """Ask as the package does, on the machine that runs."""
    words = [*machine.prefix, sys.executable, "-m", "snaproot.boot", "removal"]
    env = {**environment(), "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(words, capture_output=True, text=True, env=env, check=False)


def prerm(machine: Machine, *words: str) -> "subprocess.CompletedProcess[str]":
    script = build.HERE / "prerm.in"
    return subprocess.run(
        [*machine.prefix, "sh", str(script), *words],
        capture_output=True,
        text=True,
        env=dict(environment()),
        check=False,
    )


def test_a_running_machine_leaves_and_is_tidied_after_its_reboot(hardware: Hardware) -> None:  # noqa: F811 - the fixture
    top = hardware.offline.top
    base = plant(hardware)
    machine = hardware.boot("boot-1")
    said = machine("deinit", "-y").out
    assert f"Reboot now: what changes in /etc until then stays in {base}" in said
    assert "has left snaproot" in machine.refused("status", status=3)
    assert "still runs from it" in machine.refused("deinit", "-y", status=77)
    menu = (top / "@/boot/grub/grub.cfg").read_text()
    assert "'Debian GNU/Linux'" in menu
    assert f"/@/boot/vmlinuz-{tinyroot.KERNEL}" in menu
    assert menu.rstrip("}\n ").endswith("rootflags=subvol=@")
    assert binding.default_id(top) == binding.TOP_LEVEL  # as adoption found it

    late = top / f"@snaproot/environments/{base}/root/etc/late"
    late.write_text("between deinit and the reboot\n")
    machine = hardware.boot("boot-2", "subvol=@")
    assert "has left snaproot" in machine.refused("status", status=3)
    assert "and not in this root: /etc/late" in machine("deinit", "-n").out
    assert (top / "@snaproot/environments").is_dir()
    machine("deinit", "-y")
    assert not (top / "@snaproot").exists()
    table = fstab.parse((top / "@/etc/fstab").read_text())
    assert {e.file: e.subvolume for e in table}["/var"] == "@var"
    assert "is not adopted" in hardware.offline.refused("status", status=3)


def test_a_menu_that_would_not_boot_this_root_is_not_taken(hardware: Hardware) -> None:  # noqa: F811 - the fixture
    top = hardware.offline.top
    plant(hardware, MKCONFIG.replace("subvol=$place", "subvol=@old"))
    assert "keep a plain menu" in hardware.boot("boot-1")("deinit", "-y").err
    menu = (top / "@/boot/grub/grub.cfg").read_text()
    assert "Written by snaproot deinit" in menu
    assert "rootflags=subvol=@'" in menu


def test_a_cut_right_after_the_stub_is_no_way_back(hardware: Hardware) -> None:  # noqa: F811
    """The root that was built runs, and the note does not say so yet."""
    top = hardware.offline.top
    hardware.boot("boot-1")("deinit", "-y")
    path = top / "@snaproot/record/leaving.json"
    path.write_text(path.read_text().replace('"left": true', '"left": false'))
    machine = hardware.boot("boot-2", "subvol=@")
    machine("recover")
    machine("deinit", "-y")
    assert not (top / "@snaproot").exists()
    assert (top / "@var").is_dir()


@pytest.fixture
def led(stock: Stock) -> Stock:  # noqa: F811
    """Lend a stock machine whose stub leads to its own filesystem."""
    uuid = binding.information(stock.top)[1]
    stub = STUB.replace("8e3a3a3a-1111-2222-3333-444455556666", uuid)
    (stock.esp / "EFI/debian/grub.cfg").write_text(stub)
    (stock.top / "@/boot/grub").mkdir()
    (stock.top / "@/etc/alternatives").mkdir()
    (stock.top / "@/etc/alternatives/awk").symlink_to(os.path.realpath("/usr/bin/awk"))
    return stock


def stub(machine: Stock) -> str:
    return (machine.esp / "EFI/debian/grub.cfg").read_text()


def test_an_adoption_that_is_still_a_trial_is_taken_back(led: Stock) -> None:
    """init, and another mind: the original runs, and goes on without a reboot."""
    before, default = stub(led), binding.default_id(led.top)
    said(led.boot("@", "snaproot init -y"))
    binding.create(led.layout.areas / "swap")
    (led.layout.areas / "swap/file").write_bytes(bytes(4096))
    assert "is pending" in said(led.boot("@", "snaproot deinit -y"), status=3).err
    assert stub(led) != before
    done = said(led.boot("@", "snaproot abandon -y", "snaproot deinit -y", "ls /var/lib/dpkg"))
    assert "nothing of snaproot's is left" in done.out
    assert stub(led) == before
    assert binding.default_id(led.top) == default
    assert sorted(s.path for s in binding.subvolumes(led.top)) == ["@", "@home"]
    assert not (led.esp / "EFI/snaproot").exists()
    said(led.boot("@", "snaproot status"), status=3)


def test_a_root_that_was_adopted_while_it_ran_leaves_with_all_that_it_got(led: Stock) -> None:
    before = stub(led)
    said(led.boot("@", "snaproot init -y"))
    place, line = f"@snaproot/environments/{led.target}/root", led.trial
    led.tried()
    said(led.boot(place, "echo trial >/var/lib/trial", "snaproot promote", line=line))
    write = "echo area >/var/lib/area && echo late >/home/late"
    taken = said(led.boot(place, write, line=line))
    assert "the shared places are subvolumes" in taken.err
    enabled = led.layout.etc(place.split("/")[2]) / "systemd/system/timers.target.wants"
    enabled.mkdir(parents=True)
    (enabled / "snaproot-upgrade.timer").symlink_to(
        "/usr/lib/systemd/system/snaproot-upgrade.timer"
    )
    said(led.boot(place, "snaproot deinit -y", line=line))
    assert stub(led) == before
    assert not [*(led.top / "@/etc/systemd/system").glob("*.wants/snaproot-*")]
    done = said(led.boot("@", "cat /var/lib/trial /var/lib/area /home/late", "snaproot deinit -y"))
    assert done.out.startswith("trial\narea\nlate\n")
    done = said(led.boot("@", "cat /var/lib/trial /var/lib/area /home/late"))
    assert done.out == "trial\narea\nlate\n"
    assert not led.layout.snaproot.exists()


def test_in_the_root_that_was_built_the_stub_goes_before_the_home(led: Stock) -> None:
    """Cut before the stub, and the original's entry picked: that is the built root by then."""
    before = stub(led)
    said(led.boot("@", "snaproot init -y"))
    place, line = f"@snaproot/environments/{led.target}/root", led.trial
    led.tried()
    said(led.boot(place, "snaproot promote", line=line))
    said(led.boot(place, "true", line=line))
    ours, default = stub(led), binding.default_id(led.top)
    said(led.boot(place, "snaproot deinit -y", line=line))
    (led.esp / "EFI/debian/grub.cfg").write_text(ours)
    binding.set_default(led.top, default)
    path = led.layout.record / "leaving.json"
    path.write_text(path.read_text().replace('"left": true', '"left": false'))
    said(led.boot("@", "snaproot deinit -y"))
    assert stub(led) == before
    assert not (led.esp / "EFI/snaproot").exists()
    assert binding.default_id(led.top) == binding.TOP_LEVEL
    assert not led.layout.snaproot.exists()


def test_only_the_base_leaves(hardware: Hardware) -> None:  # noqa: F811 - the fixture
    machine = hardware.boot("boot-1")
    machine("run", "touch", "/usr/lib/marker")
    first, second = machine.ids()
    machine = hardware.boot("boot-2")
    machine("promote")
    machine = hardware.by_hand("boot-3", first)
    said = machine.refused("deinit", "-y", status=3)
    assert f"environments/{first}/root is running, the base is {second}" in said


def test_the_package_stays_while_the_machine_boots_through_it(hardware: Hardware) -> None:  # noqa: F811 - the fixture
    machine = hardware.boot("boot-1")
    done = prerm(machine, "remove")
    assert done.returncode == 1
    assert "this root is one of its boot environments" in done.stderr
    assert "boot environments" not in prerm(machine, "upgrade").stderr
    assert removal(machine).returncode == 3
    original = hardware.boot("boot-2", "subvol=@")
    done = removal(original)
    assert done.returncode == 3
    assert "snaproot deinit gives the machine back" in done.stderr
    machine("deinit", "-y")
    left = hardware.boot("boot-3", "subvol=@")
    done = removal(left)
    assert (done.returncode, "are left over" in done.stderr) == (0, True)


def test_elsewhere_the_package_goes_without_a_word() -> None:
    done = removal(Machine(Path("/")))
    assert (done.returncode, done.stderr) == (0, "")
