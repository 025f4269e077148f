"""Adopting a ZFS root that runs: a boot is a namespace with processes of its own. Runs in a bench.

As `integration.test_adoption_running` does it on Btrfs: the first process is a shell, and what the
early unit mounts for all is seen by whoever comes later.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from integration.machine import REPOSITORY, Said, programs
from integration.test_adoption_loader import STUB
from integration.zfs.test_adoption import HOME, POOL, ROOT, Disk, pool
from snaproot.adoption import lending
from snaproot.adoption import note as notes
from snaproot.bootloader import envblock
from snaproot.filesystem.layout import Layout
from snaproot.record import Records
from snaproot.run import run

_BOOT = """
set -eu
dataset=$1 id=$2 line=$3 root=$4 esp=$5; shift 5
mount --make-rprivate /
mount -i -t zfs "$dataset" "$root"
if zfs list "$dataset/etc" >/dev/null 2>&1; then mount -i -t zfs "$dataset/etc" "$root/etc"; fi
for shared in {programs}; do mkdir -p "$root$shared"; mount --rbind "$shared" "$root$shared"; done
for shared in /usr /sys /dev; do mount --rbind "$shared" "$root$shared"; done
mount -t proc none "$root/proc"
mount -t tmpfs -o mode=755 none "$root/run"
mkdir -p "$root/run/firmware/efi"
mount --bind "$root/run/firmware" "$root/sys/firmware"
mount --bind "$esp" "$root/boot/efi"
printf '%s\\n' "$id" > "$root/run/boot_id"
printf '%s\\n' "$line" > "$root/run/cmdline"
mount --bind "$root/run/boot_id" "$root/proc/sys/kernel/random/boot_id"
mount --bind "$root/run/cmdline" "$root/proc/cmdline"
cd "$root"
pivot_root . mnt
"$1" $EARLY || echo "early: $?" >&2
while read -r device place type _; do
    [ "$type" = zfs ] && [ "$place" != / ] || continue
    mountpoint -q "$place" || mount -i -t zfs "$device" "$place"
done </etc/fstab
mount -i -t zfs {home} /home
for shared in {programs}; do mount --rbind "/mnt$shared" "$shared"; done
umount --lazy /mnt
shift
eval "$@"
"""
"""What an initramfs, the early unit, systemd's mount units and zfs-mount(8) do, in that order."""


@dataclass(frozen=True)
class Hardware:
    """A pool with a stock root, and its ESP."""

    disk: Disk
    work: Path
    esp: Path

    def boot(
        self, dataset: str, *commands: str, line: str = "", early: str = "-m snaproot.boot shared"
    ) -> Said:
        """Boot a dataset, run shell commands in it (`snaproot` is ours), and switch it off."""
        script = _BOOT.replace("{programs}", " ".join(map(str, programs())))
        script = script.replace("{home}", HOME)
        ours = f'snaproot() {{ {sys.executable} -m snaproot --esp /boot/efi/copy "$@"; }}'
        places = (dataset, os.urandom(4).hex(), line, str(self.work), str(self.esp.parent))
        apart = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
        words = (*apart, "sh", "-c", script, "sh", *places, sys.executable, ours)
        extra = {"PYTHONPATH": str(REPOSITORY), "EARLY": early}
        done = run([*words, *(f"\n{command}" for command in commands)], extra=extra, check=False)
        return Said(done.status, done.output, done.errors)

    @contextmanager
    def record(self) -> Iterator[Layout]:
        """Mount what snaproot knows, as its own view does."""
        layout = Layout(self.disk.altroot / "known")
        layout.snaproot.mkdir(parents=True, exist_ok=True)
        run(["mount", "-i", "-t", "zfs", f"{POOL}/snaproot", str(layout.snaproot)])
        try:
            yield layout
        finally:
            run(["umount", str(layout.snaproot)])

    @property
    def target(self) -> str:
        with self.record() as layout:
            pending = Records(layout.record).load().pending
        assert pending is not None
        return pending.target

    @property
    def trial(self) -> str:
        with self.record() as layout:
            pending = Records(layout.record).load().pending
        assert pending is not None
        return f"snaproot.canary=1 snaproot.trial={pending.id}.1"

    @property
    def env(self) -> envblock.Env:
        found = envblock.parse((self.esp / "EFI/snaproot/env").read_bytes())
        assert found is not None
        return found

    def tried(self) -> None:
        """Let GRUB count the trial, as it does when it starts it."""
        left = replace(self.env, tries=self.env.tries - 1, canary="1")
        (self.esp / "EFI/snaproot/env").write_bytes(envblock.render(left))


@pytest.fixture
def hardware(tmp_path: Path) -> Iterator[Hardware]:
    tool = Path("/usr/share/initramfs-tools/scripts/zfs")
    tool.parent.mkdir(parents=True, exist_ok=True)
    tool.touch()  # a bench is no machine: it has no need of an initramfs
    esp, work = tmp_path / "esp/copy", tmp_path / "root"
    (esp / "EFI/debian").mkdir(parents=True)
    (esp / "EFI/debian/grub.cfg").write_text(STUB)
    work.mkdir()
    with pool(tmp_path / "altroot", "-o", "compatibility=grub2") as disk:
        with disk.mounted(ROOT) as root:
            (root / "boot/efi").mkdir()
            table = "UUID=1234-ABCD /boot/efi vfat umask=0077 0 1\n"
            (root / "etc/fstab").write_text(table)
            # pyzfs finds its library by what ldconfig(8) has listed
            shutil.copy("/etc/ld.so.cache", root / "etc")
            unit = root / lending.UNIT.lstrip("/")
            unit.parent.mkdir(parents=True)
            unit.write_text("[Unit]\n")
            (root / "lib64").symlink_to("usr/lib64")
            (root / "root/.keep").mkdir()
            for place in programs():
                (root / place.relative_to("/")).mkdir(parents=True, exist_ok=True)
        yield Hardware(disk, work, esp)


def said(found: Said, status: int = 0) -> Said:
    assert found.status == status, found
    return found


def test_what_runs_is_adopted_by_a_trial(hardware: Hardware) -> None:
    before = hardware.disk.datasets()
    plan = said(hardware.boot(ROOT, "snaproot init -n")).out
    assert hardware.disk.datasets() == before
    assert (hardware.esp / "EFI/debian/grub.cfg").read_text() == STUB
    assert f"{ROOT} itself stays untouched" in plan

    done = said(hardware.boot(ROOT, "snaproot init -y", "snaproot status"))
    assert "The next boot tries the adopted root" in done.out
    target = hardware.target
    assert hardware.disk.bootfs == ROOT
    assert (hardware.env.good, hardware.env.trial, hardware.env.tries) == ("original", target, 2)
    root = f"{POOL}/ROOT/{target}"
    assert hardware.disk.value(root, "readonly") == "on"
    with hardware.disk.mounted(root) as place:
        assert (place / "usr/lib/sysimage/dpkg/status").is_file()
        assert [*place.joinpath("var").iterdir()] == []
    areas = f"{POOL}/snaproot/areas"
    assert not [name for name in hardware.disk.datasets() if name.startswith(f"{areas}/")]
    assert not [name for name in hardware.disk.snapshots() if "seed" in name]

    refused = said(hardware.boot(ROOT, "snaproot init -y"), status=3)
    assert "is being adopted already" in refused.err
    said(hardware.boot(ROOT, "snaproot run true"), status=3)


def test_a_trial_uses_the_originals_directories_and_the_next_boot_takes_them_over(
    hardware: Hardware,
) -> None:
    said(hardware.boot(ROOT, "snaproot init -y"))
    target, line = hardware.target, hardware.trial
    place, areas = f"{POOL}/ROOT/{target}", f"{POOL}/snaproot/areas"
    hardware.tried()
    write = "echo written >/var/lib/written; echo written >/root/written"
    letter = "cat /home/user/letter"
    done = said(hardware.boot(place, letter, write, "snaproot promote", line=line))
    assert "Dear all" in done.out
    with hardware.disk.mounted(ROOT) as original:
        assert (original / "var/lib/written").is_file()
    taken = said(
        hardware.boot(place, "cat /root/written", "cat /var/lib/written", "snaproot status")
    )
    assert "the shared places are datasets of their own now" in taken.err
    with hardware.disk.mounted(f"{areas}/var") as var:
        assert (var / "lib/written").read_text() == "written\n"
        assert (var / "lib/dpkg").readlink() == Path("../../usr/lib/sysimage/dpkg")
    with hardware.record() as layout:
        note = notes.load(layout)
        assert note is not None
        assert note.shared is None
        assert note.default == ROOT
    more, remove = "echo more >/var/lib/more", "snaproot cleanup --original -y"
    again = said(hardware.boot(place, more, remove, line="snaproot.canary=1"))
    assert ROOT not in hardware.disk.datasets(), again
    said(hardware.boot(place, "cat /var/lib/more /root/written /home/user/letter"))


def test_giving_the_trial_up_leaves_the_original_as_it_was(hardware: Hardware) -> None:
    said(hardware.boot(ROOT, "snaproot init -y"))
    first = hardware.target
    said(hardware.boot(ROOT, "snaproot abandon -y"))
    assert f"{POOL}/ROOT/{first}" not in hardware.disk.datasets()
    assert not [name for name in hardware.disk.snapshots() if name.startswith(f"{ROOT}@")]
    assert hardware.env.good == "original"
    said(hardware.boot(ROOT, "snaproot init -y"))
    assert hardware.target != first


def test_edits_after_init_are_named(hardware: Hardware) -> None:
    said(hardware.boot(ROOT, "snaproot init -y"))
    done = said(hardware.boot(ROOT, "echo x >/etc/edited", "snaproot status"))
    assert "etc/edited" in done.out


_CUT = """
import os, sys
from pathlib import Path
from snaproot.adoption import grounds, lending, note
from snaproot.filesystem.layout import Layout
from snaproot.system import top_level
step = sys.argv[2]
with top_level(Path(sys.argv[1])) as top:
    found = note.load(Layout(top))
    if step:
        owner = note if step == "save" else grounds.Grounds
        setattr(owner, step, lambda *_, **__: os._exit(9))
    lending.take_over(top, found, found.shared)
"""


@pytest.mark.parametrize("step", ["seed", "fill", "reattach", "link", "drop_seed", "save"])
def test_taking_over_may_be_cut_anywhere(hardware: Hardware, step: str) -> None:
    """Until it is done the original's directories are what counts, and what they got meanwhile."""
    said(hardware.boot(ROOT, "snaproot init -y"))
    assert taken_over(hardware, step) == 9
    with hardware.disk.mounted(ROOT) as original:
        (original / "var/lib/later").write_text("later\n")
    assert taken_over(hardware, "") == 0
    with hardware.disk.mounted(f"{POOL}/snaproot/areas/var") as var:
        assert (var / "lib/later").read_text() == "later\n"
    left = [name for name in hardware.disk.snapshots() if "seed" in name]
    assert not left
    half_made = f"{POOL}/snaproot/areas.new/"  # itself goes when the boot is settled
    assert not [name for name in hardware.disk.datasets() if name.startswith(half_made)]


def taken_over(hardware: Hardware, step: str) -> int:
    words = (sys.executable, "-c", _CUT, str(hardware.disk.altroot), step)
    return run(words, extra={"PYTHONPATH": str(REPOSITORY)}, check=False).status
