"""`doctor` on a system that runs, before and after its adoption, with machines that differ.

A boot is a namespace whose root is the disk's, as in test_running.py, and whose PID 1 is snaproot:
with another root than PID 1's it would be a chroot. What the firmware says is laid over /sys.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from integration import tinyroot
from integration.disk import attached, disk
from integration.machine import Machine, programs
from snaproot.finding import Finding, Level
from snaproot.mountinfo import mount_of
from snaproot.record import Records
from snaproot.run import run
from snaproot.state import Record

pytestmark = pytest.mark.real

PAGE = 4096
_SECURE_BOOT = "efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_BOOT = """
set -eu
device=$1 root=$2 said=$3 more=$4; shift 4
mount --make-rprivate /
mount -t btrfs -o "subvol={subvolume}" "$device" "$root"
for area in {areas}; do
    mount -t btrfs -o "subvol=@snaproot/areas/$area" "$device" "$root/$(echo $area | tr - /)"
done
for shared in /usr /sys /dev {shared}; do mount --rbind "$shared" "$root$shared"; done
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 none "$root/run"
mkdir -p "$root/run/systemd/system"
for place in firmware class/watchdog; do mount --bind "$said/$place" "$root/sys/$place"; done
cd "$root"
eval "$more"
{enter} "$@"
"""
_PIVOT = "pivot_root . mnt; umount --lazy /mnt; exec"
_AREAS = "var home root srv usr-local"


@dataclass(frozen=True)
class Bench:
    """A disk, and what the machine that it is in says of itself."""

    disk: Machine
    device: str
    work: Path

    @property
    def root(self) -> Path:
        return self.disk.top / "@"

    @property
    def said(self) -> Path:
        return self.work / "said"

    def booted(self, *options: str, more: str = "", id: str = "", enter: str = _PIVOT) -> Machine:
        """Boot the root, or a boot environment; `more` is what a shell does in it before that."""
        place = f"@snaproot/environments/{id}/root" if id else "@"
        script = _BOOT
        for name, value in (
            ("shared", " ".join(map(str, programs()))),
            ("subvolume", place),
            ("areas", _AREAS if id else ""),
            ("enter", enter),
        ):
            script = script.replace(f"{{{name}}}", value)
        apart = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
        words = ("sh", "-c", script, "sh", self.device, str(self.work / "root"), str(self.said))
        options = ("--wait", "5", *options)
        return replace(self.disk, prefix=(*apart, *words, more), options=options)

    def doctor(self, *options: str, more: str = "", status: int = 0) -> list[Finding]:
        said = self.booted(*options, more=more)("doctor", "--json", status=status).out
        return _read(said)


def _read(said: str) -> list[Finding]:
    found = json.loads(said)["findings"]
    return [
        Finding(Level(one["level"]), one["subject"], one["what"], one["hint"] or "")
        for one in found
    ]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Lend a stock root that runs by UEFI, and a copy of its ESP at /esp."""
    with disk(tmp_path, size="2G") as top:
        run(["btrfs", "subvolume", "create", str(top / "@")])
        root, device = top / "@", mount_of(top).source
        uuid = run(["blkid", "-s", "UUID", "-o", "value", device]).output.strip()
        tinyroot.build(root, spec=f"UUID={uuid}")
        with (root / "etc/fstab").open("a") as table:
            table.write("UUID=1234-ABCD /boot/efi vfat umask=0077 0 1\n")
        (root / "lib64").symlink_to("usr/lib64")
        unit = root / "usr/lib/systemd/system/snaproot-shared.service"  # as the package brings it
        unit.parent.mkdir(parents=True)
        unit.write_text("[Unit]\n")
        for place in programs():
            (root / place.relative_to("/")).mkdir(parents=True, exist_ok=True)
        (root / "esp/EFI/debian").mkdir(parents=True)
        (root / "boot/efi").mkdir()
        (root / "esp/EFI/debian/grub.cfg").write_text("configfile ($root)/@/boot/grub/grub.cfg\n")
        said = tmp_path / "said"
        (said / "firmware/efi/efivars").mkdir(parents=True)
        (said / "firmware" / _SECURE_BOOT).write_bytes(b"\6\0\0\0\1")
        (said / "class/watchdog/watchdog0").mkdir(parents=True)
        (said / "class/watchdog/watchdog0/identity").write_text("iTCO_wdt\n")
        (tmp_path / "root").mkdir()
        yield Bench(Machine(top), device, tmp_path)


def bad(found: list[Finding]) -> list[Finding]:
    return [one for one in found if one.bad]


def test_a_machine_that_can_be_adopted_is_good(bench: Bench) -> None:
    found = bench.doctor("--esp", "/esp")
    assert bad(found) == []
    said = {(one.subject, one.level): one.what for one in found}
    assert "is not adopted" in said["system", Level.LIMIT]
    assert said["layout", Level.GOOD] == "A tiny root, in @"
    assert "MiB are needed" in said["space", Level.GOOD]
    assert "shim GRUB, and GRUB each kernel" in said["Secure Boot", Level.GOOD]
    assert said["watchdog", Level.GOOD].startswith("iTCO_wdt")
    assert "a copy of" in said["ESP", Level.LIMIT]
    assert "seen at the first boot" in said["loader", Level.LIMIT]
    assert "never go back" in said["not reverted", Level.LIMIT]
    assert not bench.disk.snaproot.exists()


def test_everything_that_init_would_refuse_is_told_at_once(bench: Bench) -> None:
    (bench.said / "firmware/efi/efivars" / Path(_SECURE_BOOT).name).unlink()
    (bench.said / "firmware/efi/efivars").rmdir()
    (bench.said / "firmware/efi").rmdir()
    # An installer's own /boot, and what is no ESP in its place.
    more = "mount -t tmpfs none boot; mkdir boot/efi; mount -t tmpfs none boot/efi"
    found = bad(bench.doctor(more=more, status=3))
    assert [one.subject for one in found] == ["firmware", "/boot", "ESP"]
    assert "started by BIOS" in found[0].what
    assert "(none, tmpfs)" in found[1].what
    assert "/boot/efi is tmpfs" in found[2].what
    assert all(one.hint for one in found)
    lines = bench.booted(more=more)("doctor", status=3).out.splitlines()
    assert sum(line.startswith("BAD") for line in lines) == 3
    assert lines[-1] == "3 to be settled."


@pytest.mark.parametrize(
    ("more", "esp", "says"),
    [
        ("umount sys/firmware", "/esp", "started by BIOS"),
        ("mount -t tmpfs none boot", "/esp", "/boot is a filesystem of its own"),
        ("echo lxc > run/systemd/container", "/esp", "a container (lxc)"),
        ("mount -t tmpfs none boot/efi", "/boot/efi", "/boot/efi is tmpfs"),
        ("", "", "no EFI system partition is mounted"),
    ],
)
def test_init_refuses_it_alike(bench: Bench, more: str, esp: str, says: str) -> None:
    machine = bench.booted(*(("--esp", esp) if esp else ()), more=more)
    assert says in machine.refused("init", "-y", status=3)
    assert not bench.disk.snaproot.exists()


def test_an_esp_that_is_nowhere_is_refused(bench: Bench) -> None:
    (found,) = bad(bench.doctor(status=3))
    assert "no EFI system partition is mounted" in found.what


def test_what_leads_to_no_menu_is_refused(bench: Bench) -> None:
    """What only the plan of an adoption knows: the stub, and how the root is laid out."""
    (bench.root / "esp/EFI/debian/grub.cfg").unlink()
    (found,) = bad(bench.doctor("--esp", "/esp", status=3))
    assert (found.subject, "no EFI/VENDOR/grub.cfg" in found.what) == ("layout", True)
    (bench.root / "esp/EFI/systemd").mkdir()
    (found,) = bad(bench.doctor("--esp", "/esp", status=3))
    assert (found.subject, "systemd-boot, not by GRUB" in found.what) == ("loader", True)


def test_a_chroot_and_a_container_are_refused(bench: Bench) -> None:
    chroot = bench.booted("--esp", "/esp", enter="chroot .")  # PID 1 stays outside
    (found,) = bad(_read(chroot("doctor", "--json", status=3).out))
    assert "this is a chroot" in found.what
    container = "echo podman > run/systemd/container"
    (found,) = bad(bench.doctor("--esp", "/esp", more=container, status=3))
    assert "a container (podman)" in found.what


def test_a_hibernated_system_on_a_disk_is_refused(bench: Bench) -> None:
    home = bench.disk.top.parent
    with attached(home / f"{home.name}-swap.img", "16M") as device:
        run(["mkswap", "-q", device])
        with (bench.root / "etc/fstab").open("a") as table:
            table.write(f"{device} none swap sw 0 0\n")
        assert bad(bench.doctor("--esp", "/esp")) == []
        with Path(device).open("r+b") as file:
            file.seek(PAGE - 10)
            file.write(b"S1SUSPEND\0")
        assert "swsuspend" in run(["blkid", "-p", device]).output
        (found,) = bad(bench.doctor("--esp", "/esp", status=3))
        assert f"{device} holds a hibernated system" in found.what
    (home / f"{home.name}-swap.img").unlink()


def test_a_disk_that_is_elsewhere_is_examined_as_well(bench: Bench) -> None:
    found = _read(bench.disk("doctor", "--json").out)
    assert [one.subject for one in found if one.level is Level.GOOD] == ["layout", "space"]
    esp = ("--esp", str(bench.root / "esp"))
    assert bad(_read(bench.disk(*esp, "doctor", "--json").out)) == []
    (bench.root / "etc/fstab").write_text("no fstab\n")
    (found_bad,) = bad(_read(bench.disk("doctor", "--json", status=3).out))
    assert found_bad.subject == "layout"


def test_an_adopted_machine_says_what_it_is_like(bench: Bench) -> None:
    bench.disk("init", "-y")
    (base,) = bench.disk.ids()
    (bench.said / "class/watchdog/watchdog0/identity").unlink()
    (bench.said / "class/watchdog/watchdog0").rmdir()
    machine = bench.booted(id=base)
    said = {one.subject: one for one in _read(machine("doctor", "--json").out)}
    assert "no hardware watchdog" in said["watchdog"].what
    assert said["not reverted"].level is Level.LIMIT
    assert "ESP" not in said  # its loader is the filesystem's pointer


def test_while_the_original_is_the_base_it_may_be_refused_again(bench: Bench) -> None:
    bench.disk("init", "-y")
    (base,) = bench.disk.ids()
    more = "mount -t tmpfs none boot"
    assert "/boot" not in {one.subject for one in bad(_read(_said(bench, base, more, 0)))}
    Records(bench.disk.snaproot / "record").save(Record(base="original"))
    assert "/boot" in {one.subject for one in bad(_read(_said(bench, base, more, 3)))}


def _said(bench: Bench, id: str, more: str, status: int) -> str:
    return bench.booted(id=id, more=more)("doctor", "--json", status=status).out


def test_a_tool_that_comes_after_the_adoption_is_named_too(bench: Bench) -> None:
    bench.disk("init", "-y")
    assert "grub-btrfs" not in bench.disk("doctor").out
    bench.disk("run", "sh", "-c", "mkdir -p /etc/grub.d; touch /etc/grub.d/41_snapshots-btrfs")
    bench.disk("promote")
    said = bench.disk("doctor").out
    assert "grub-btrfs (/etc/grub.d/41_snapshots-btrfs): it is left as it is" in said
