"""Adopting what runs, without a machine: a boot is a namespace with processes of its own.

Its first process is a shell: what the early unit mounts for all is seen by whoever comes later.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from integration import tinyroot
from integration.disk import disk
from integration.machine import REPOSITORY, Said, programs
from integration.test_adoption_loader import STUB
from snaproot.adoption import lending
from snaproot.adoption import note as notes
from snaproot.bootloader import envblock
from snaproot.filesystem.btrfs import binding
from snaproot.filesystem.layout import Layout
from snaproot.mountinfo import mount_of
from snaproot.record import Records
from snaproot.run import run

pytestmark = pytest.mark.real

_BOOT = """
set -eu
device=$1 subvolume=$2 id=$3 line=$4 root=$5 esp=$6; shift 6
mount --make-rprivate /
mount -t btrfs -o "subvol=$subvolume" "$device" "$root"
[ -d "$root/root/.keep" ] || mount -t tmpfs none "$root/root"
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
while read -r _ place type _; do
    [ "$type" = btrfs ] && [ "$place" != / ] || continue
    mountpoint -q "$place" || mount "$place"
done </etc/fstab
for shared in {programs}; do mount --rbind "/mnt$shared" "$shared"; done
umount --lazy /mnt
shift
eval "$@"
"""
"""What an initramfs, the early unit and systemd's mount units do, in that order.

This machine's own Python may lie in a place that is an area of the root.
"""


@dataclass(frozen=True)
class Hardware:
    """A disk with a stock root in `@`, and its ESP."""

    top: Path
    device: str
    work: Path
    esp: Path

    def boot(
        self, subvolume: str, *commands: str, line: str = "", early: str = "-m snaproot.boot shared"
    ) -> Said:
        """Boot a subvolume, run shell commands in it (`snaproot` is ours), and switch it off.

        `early` is what Python runs where the early unit does.
        """
        script = _BOOT.replace("{programs}", " ".join(map(str, programs())))
        ours = f'snaproot() {{ {sys.executable} -m snaproot --esp /boot/efi/copy "$@"; }}'
        id = os.urandom(4).hex()
        places = (self.device, subvolume, id, line, str(self.work), str(self.esp.parent))
        apart = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
        words = (*apart, "sh", "-c", script, "sh", *places, sys.executable, ours)
        extra = {"PYTHONPATH": str(REPOSITORY), "EARLY": early}
        done = run([*words, *(f"\n{command}" for command in commands)], extra=extra, check=False)
        return Said(done.status, done.output, done.errors)

    @property
    def layout(self) -> Layout:
        return Layout(self.top)

    @property
    def target(self) -> str:
        pending = Records(self.layout.record).load().pending
        assert pending is not None
        return pending.target

    @property
    def trial(self) -> str:
        pending = Records(self.layout.record).load().pending
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
    with stock(tmp_path, "@") as found:
        yield found


@contextmanager
def stock(directory: Path, subvolume: str, *apart: str) -> Iterator[Hardware]:
    """Lend a stock root in a subvolume, with `/home` and more, by their names, in others."""
    with disk(directory, size="2G") as top:
        mounted = {"/home": "@home", **{f"/{name}": f"@{name}" for name in apart}}
        for name in (subvolume, *mounted.values()):
            if name:
                run(["btrfs", "subvolume", "create", str(top / name)])
        root, device = top / subvolume, mount_of(top).source
        uuid = run(["blkid", "-s", "UUID", "-o", "value", device]).output.strip()
        tinyroot.build(root, spec=f"UUID={uuid}", subvolume=subvolume)
        (root / "boot/efi").mkdir()
        with (root / "etc/fstab").open("a") as table:
            for point, name in mounted.items():
                table.write(f"UUID={uuid} {point} btrfs subvol={name} 0 0\n")
            table.write("UUID=1234-ABCD /boot/efi vfat umask=0077 0 1\n")
        for name in apart:
            run(["cp", "-a", f"{root / name}/.", str(top / f"@{name}")])
        unit = root / lending.UNIT.lstrip("/")
        unit.parent.mkdir(parents=True)
        unit.write_text("[Unit]\n")
        (root / "lib64").symlink_to("usr/lib64")
        (root / "root/.keep").mkdir()
        for place in programs():
            (root / place.relative_to("/")).mkdir(parents=True, exist_ok=True)
        esp, work = directory / "esp/copy", directory / "root"
        (esp / "EFI/debian").mkdir(parents=True)
        (esp / "EFI/debian/grub.cfg").write_text(STUB)
        work.mkdir()
        yield Hardware(top, device, work, esp)


def said(found: Said, status: int = 0) -> Said:
    assert found.status == status, found
    return found


def test_what_runs_is_adopted_by_a_trial(hardware: Hardware) -> None:
    default = binding.default_id(hardware.top)
    plan = said(hardware.boot("@", "snaproot init -n")).out
    assert not hardware.layout.snaproot.exists()
    assert (hardware.esp / "EFI/debian/grub.cfg").read_text() == STUB
    assert "@ itself stays untouched" in plan

    done = said(hardware.boot("@", "snaproot init -y", "snaproot status"))
    assert "The next boot tries the adopted root" in done.out
    target = hardware.target
    assert binding.default_id(hardware.top) == default
    assert (hardware.env.good, hardware.env.trial, hardware.env.tries) == ("original", target, 2)
    root = hardware.layout.root(target)
    assert binding.subvolume(root).read_only
    assert (root / "usr/lib/sysimage/dpkg/status").is_file()
    assert [*root.joinpath("var").iterdir()] == []
    assert [*hardware.layout.areas.iterdir()] == []

    refused = said(hardware.boot("@", "snaproot init -y"), status=3)
    assert "is being adopted already" in refused.err
    said(hardware.boot("@", "snaproot run true"), status=3)


def test_a_trial_uses_the_originals_directories_and_the_next_boot_takes_them_over(
    hardware: Hardware,
) -> None:
    said(hardware.boot("@", "snaproot init -y"))
    target, line = hardware.target, hardware.trial
    place = f"@snaproot/environments/{target}/root"
    hardware.tried()
    write = "echo written >/var/lib/written; echo written >/root/written"
    said(hardware.boot(place, write, "snaproot promote", line=line))
    assert (hardware.top / "@/var/lib/written").is_file()
    assert Records(hardware.layout.record).load().base == target
    listed = hardware.boot(place, "readlink /var/lib/dpkg", "cat /root/written", line=line)
    assert [*hardware.layout.areas.iterdir()] != []
    area = hardware.layout.areas
    assert (area / "var/lib/written").read_text() == "written\n"
    assert (area / "var/lib/dpkg").readlink() == Path("../../usr/lib/sysimage/dpkg")
    assert "the shared places are subvolumes" in listed.err
    wanted = hardware.layout.etc(target) / "systemd/system" / lending.WANTED
    assert not wanted.is_symlink()
    note = notes.load(hardware.layout)
    assert note is not None
    assert note.shared is None
    # Nothing is left to do, or to refuse.
    again = said(hardware.boot(place, "snaproot doctor --json || true", "snaproot status"))
    assert "areas at the next boot" not in again.out


def test_the_original_goes_once_its_directories_are_areas(hardware: Hardware) -> None:
    said(hardware.boot("@", "snaproot init -y"))
    target, line = hardware.target, hardware.trial
    place, remove = f"@snaproot/environments/{target}/root", "snaproot cleanup --original -y"
    assert "it is running" in said(hardware.boot("@", remove), status=3).err
    hardware.tried()
    write = "echo written >/var/lib/written"
    early = said(hardware.boot(place, write, "snaproot promote", remove, line=line), status=3)
    assert "/var" in early.err
    assert "these are still its own directories" in early.err
    assert (hardware.top / "@/var/lib/written").is_file()
    after = "snaproot.canary=1"
    said(hardware.boot(place, remove, line=after))
    assert not (hardware.top / "@").exists()
    assert not (hardware.esp / "EFI/snaproot/entries/original.cfg").exists()
    assert (hardware.layout.areas / "var/lib/written").read_text() == "written\n"
    again = said(hardware.boot(place, "snaproot status", "snaproot doctor || true", line=after))
    assert "original" not in again.out


@pytest.mark.parametrize(("subvolume", "apart"), [("", ()), ("@", ("var",))], ids=["top", "var"])
def test_other_layouts_are_adopted_alike(
    tmp_path: Path, subvolume: str, apart: tuple[str, ...]
) -> None:
    """A root that is the top level itself, and a /var in a subvolume with the package state."""
    with stock(tmp_path, subvolume, *apart) as hardware:
        said(hardware.boot(subvolume or "/", "snaproot init -y", "snaproot status"))
        target, line = hardware.target, hardware.trial
        hardware.tried()
        place = f"@snaproot/environments/{target}/root"
        write = "echo written >/var/lib/written; cat /var/lib/dpkg/status"
        said(hardware.boot(place, write, "snaproot promote", line=line))
        before = hardware.top / (f"@{apart[0]}" if apart else "var")
        assert (before / "lib/written").is_file()
        said(hardware.boot(place, "cat /var/lib/written"))
        area = hardware.layout.areas / "var"
        assert (area / "lib/written").read_text() == "written\n"
        assert (area / "lib/dpkg").is_symlink()
        assert (before / "lib/dpkg/status").is_file()
        said(hardware.boot(place, "snaproot status"))


def test_a_given_up_adoption_may_be_repeated(hardware: Hardware) -> None:
    said(hardware.boot("@", "snaproot init -y"))
    first = hardware.target
    said(hardware.boot("@", "snaproot abandon -y"))
    assert not hardware.layout.home(first).exists()
    assert hardware.env.good == "original"
    said(hardware.boot("@", "snaproot init -y"))
    assert hardware.target != first


def test_a_writable_root_is_marked_and_stays(hardware: Hardware) -> None:
    done = said(hardware.boot("@", "snaproot init --writable -y", "snaproot status"))
    assert "@ is marked as writable" in done.out
    assert "a writable root" in done.out
    assert hardware.env.good == "original"
    assert [*hardware.layout.environments.iterdir()] == [hardware.layout.home("original")]
    refused = said(hardware.boot("@", "snaproot run true"), status=3)
    assert "which only its own package manager changes" in refused.err
    said(hardware.boot("@", "snaproot init -y"))
    assert hardware.env.trial == hardware.target


_CUT_INIT = """
import importlib, os, sys
module, _, name = sys.argv.pop(1).rpartition(".")
try:
    owner = importlib.import_module(module)
except ModuleNotFoundError:
    above, _, last = module.rpartition(".")
    owner = getattr(importlib.import_module(above), last)
setattr(owner, name, lambda *_, **__: os._exit(9))
from snaproot.__main__ import main
main()
"""


@pytest.mark.parametrize(
    "step",
    [
        "snaproot.record.Records.save",
        "snaproot.adoption.running.put_in_place",
        "snaproot.bootloader.stub.establish",
        "snaproot.loaders.save",
        "snaproot.transaction.Transaction.adopt",
        "snaproot.adoption.building.Builder._make_etc",
        "snaproot.adoption.building.Builder._drop_left_over",
        "snaproot.filesystem.btrfs.backend.Btrfs.seal",
        "snaproot.bootloader.grub.Grub.arm",
    ],
)
def test_init_may_be_cut_anywhere(hardware: Hardware, step: str) -> None:
    """The machine boots as before, or through a home whose good is the original; init goes on."""
    default = binding.default_id(hardware.top)
    script = hardware.esp / "cut.py"
    script.write_text(_CUT_INIT)
    command = f"{sys.executable} /boot/efi/copy/cut.py {step} --esp /boot/efi/copy init -y"
    said(hardware.boot("@", command), status=9)
    stub = (hardware.esp / "EFI/debian/grub.cfg").read_text()
    assert stub == STUB or (hardware.env.good, hardware.env.tries) == ("original", 0)
    assert binding.default_id(hardware.top) == default
    said(hardware.boot("@", "snaproot recover || true", "snaproot abandon -y || true"))
    said(hardware.boot("@", "snaproot init -y"))
    assert (hardware.env.trial, hardware.env.tries) == (hardware.target, 2)
    ids = {path.name for path in hardware.layout.environments.iterdir()}
    assert ids == {"original", hardware.target}
    assert not (hardware.layout.snaproot / "seed").exists()
    assert [*hardware.layout.areas.iterdir()] == []


def adopted(hardware: Hardware) -> tuple[str, str]:
    """Adopt, try and promote; return the boot environment and its root, before the next boot."""
    said(hardware.boot("@", "snaproot init -y"))
    target, line = hardware.target, hardware.trial
    hardware.tried()
    place = f"@snaproot/environments/{target}/root"
    said(hardware.boot(place, "snaproot promote", line=line))
    return target, place


def test_what_is_in_use_is_not_taken_over(hardware: Hardware) -> None:
    """A disk that was full is not any more, and somebody starts the unit by hand: too late."""
    _, place = adopted(hardware)
    again = f"{sys.executable} -m snaproot.boot shared"
    record = hardware.layout.record / "record.json"
    kept = record.read_bytes()
    record.write_bytes(b"torn")
    restore = f"printf '%s' '{kept.decode()}' >/run/record.json"
    into = "mount -t btrfs -o subvolid=5 {0} /media && cp /run/record.json /media/{1}"
    place_of = f"@snaproot/record/{record.name}"
    done = hardware.boot(
        place,
        "findmnt -n -o FSROOT /var",
        restore,
        into.format(hardware.device, place_of),
        f"{again} || echo ended $?",
    )
    assert "/@/var" in said(done).out
    assert "ended 1" in done.out
    assert "in use already" in done.err
    note = notes.load(hardware.layout)
    assert note is not None
    assert note.shared is not None


_COMPLAINS = """
import sys
from snaproot.adoption import note
from snaproot.boot.__main__ import main
from snaproot.errors import SnaprootError
save = note.save
def saved(*words):
    save(*words)
    raise SnaprootError("the disk says no, after it was written")
note.save = saved
sys.argv = ["boot", "shared"]
sys.exit(main())
"""


def test_the_note_alone_says_which_copy_is_current(hardware: Hardware) -> None:
    """An error after the last write must not lend what is not current any more."""
    _, place = adopted(hardware)
    (hardware.esp / "complains.py").write_text(_COMPLAINS)
    write = "findmnt -n -o FSROOT /var && echo new >/var/lib/new"
    done = said(hardware.boot(place, write, early="/boot/efi/copy/complains.py"))
    assert "early: 1" in done.err
    assert "/@snaproot/areas/var" in done.out
    assert said(hardware.boot(place, "cat /var/lib/new")).out == "new\n"
    assert not (hardware.layout.snaproot / "areas.new").exists()


def test_subvolumes_that_came_and_went_since_the_plan(hardware: Hardware) -> None:
    """Services make and delete subvolumes between init and the boot that takes over."""
    gone, came = hardware.top / "@/var/lib/gone", hardware.top / "@/var/lib/came"
    binding.create(gone)
    _, place = adopted(hardware)
    binding.delete(gone)
    binding.create(came)
    (came / "data").write_text("data")
    binding.create(came / "inner")
    (came / "inner/more").write_text("more")
    found = hardware.boot(place, "cat /var/lib/came/data /var/lib/came/inner/more")
    assert said(found).out == "datamore"
    area = hardware.layout.areas / "var/lib"
    assert binding.is_subvolume(area / "came")
    assert binding.is_subvolume(area / "came/inner")
    assert (hardware.top / "@/var/lib/came/data").is_file()


def test_edits_after_init_are_named(hardware: Hardware) -> None:
    said(hardware.boot("@", "snaproot init -y"))
    done = said(hardware.boot("@", "echo x >/etc/edited", "snaproot status"))
    assert "etc/edited" in done.out


def test_what_a_trial_wrote_to_a_new_area_is_not_dropped(hardware: Hardware) -> None:
    """The original has no /srv; its area is mounted in the trial, which is given up."""
    (hardware.top / "@/srv").rmdir()
    said(hardware.boot("@", "snaproot init -y"))
    line, place = hardware.trial, f"@snaproot/environments/{hardware.target}/root"
    hardware.tried()
    said(hardware.boot(place, "echo kept >/srv/kept", line=line))
    said(hardware.boot("@", "snaproot abandon -y", "snaproot init -y"))
    assert (hardware.layout.areas / "srv/kept").read_text() == "kept\n"


_CUT = """
import os, sys
from pathlib import Path
from snaproot.adoption import grounds, lending, note
from snaproot.filesystem.layout import Layout
top, step = Path(sys.argv[1]), sys.argv[2]
owner = note if step == "save" else grounds.Grounds
setattr(owner, step, lambda *_: os._exit(9))
found = note.load(Layout(top))
lending.take_over(top, found, found.shared)
"""
"""The plug is pulled where a step would begin."""


@pytest.mark.parametrize(
    "step", ["seed", "fill", "reattach", "link", "drop_single_files", "drop_seed", "save"]
)
def test_taking_over_may_be_cut_anywhere(hardware: Hardware, step: str) -> None:
    """Until it is done the original's directories are what counts, and what they got meanwhile."""
    said(hardware.boot("@", "snaproot init -y"))
    note = notes.load(hardware.layout)
    assert note is not None
    assert note.shared is not None
    words = (sys.executable, "-c", _CUT, str(hardware.top), step)
    assert run(words, extra={"PYTHONPATH": str(REPOSITORY)}, check=False).status == 9
    assert notes.load(hardware.layout) == note
    (hardware.top / "@/var/lib/later").write_text("later\n")
    lending.take_over(hardware.top, note, note.shared)
    assert (hardware.layout.areas / "var/lib/later").read_text() == "later\n"
    assert not (hardware.layout.snaproot / "seed").exists()
    assert (hardware.top / "@/var/lib/dpkg/status").is_file()
