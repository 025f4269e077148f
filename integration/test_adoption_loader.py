"""Adopting with an ESP: the loader's home is written, and the way to it last of all."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from integration.machine import Machine, unadopted
from snaproot.bootloader import entry, envblock
from snaproot.filesystem.btrfs import binding

pytestmark = pytest.mark.real

STUB = (
    "search.fs_uuid 8e3a3a3a-1111-2222-3333-444455556666 root hd0,gpt2 \n"
    "set prefix=($root)'/@/boot/grub'\nconfigfile $prefix/grub.cfg\n"
)
UNITS = ("grub-common.service", "apt-daily-upgrade.timer")


@dataclass(frozen=True)
class Bench:
    """A stock machine that is off: its disk, and the files of its ESP."""

    machine: Machine
    esp: Path

    @property
    def home(self) -> Path:
        return self.esp / "EFI/snaproot"

    @property
    def stub(self) -> Path:
        return self.esp / "EFI/debian/grub.cfg"

    @property
    def env(self) -> envblock.Env:
        found = envblock.parse((self.home / "env").read_bytes())
        assert found is not None
        return found

    def seen(self) -> None:
        """Let GRUB have written once, as it does at the first boot."""
        (self.home / "env").write_bytes(envblock.render(replace(self.env, canary="1")))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with unadopted(tmp_path) as machine:
        esp = tmp_path / "esp"
        (esp / "EFI/debian").mkdir(parents=True)
        (esp / "EFI/debian/grub.cfg").write_text(STUB)
        root = machine.top / "@"
        with (root / "etc/fstab").open("a") as table:
            table.write("UUID=1234-ABCD /boot/efi vfat umask=0077 0 1\n")
        units = root / "usr/lib/systemd/system"
        units.mkdir(parents=True, exist_ok=True)
        for unit in UNITS:
            (units / unit).write_text("[Unit]\n")
        (root / "etc/default").mkdir(exist_ok=True)
        (root / "etc/default/grub").write_text('GRUB_CMDLINE_LINUX="console=ttyS0 quiet"\n')
        options = ("--sysroot", str(machine.top), "--esp", str(esp))
        yield Bench(replace(machine, options=options), esp)


def test_the_home_is_there_and_the_old_way_is_kept(bench: Bench) -> None:
    said = bench.machine("init", "-y").out
    (base,) = bench.machine.ids()
    assert "hand over to it, last" in said
    assert bench.stub.stat().st_size == len(STUB)
    assert bench.stub.read_text().startswith("source /EFI/snaproot/grub.cfg\n")
    assert (bench.home / "entries/original.cfg").read_text().startswith(STUB)
    assert (bench.env.good, bench.env.trial, bench.env.canary) == (base, "", "")
    found = entry.parse((bench.home / f"entries/{base}.cfg").read_text())
    assert found is not None
    assert found.arguments[-2:] == ("console=ttyS0", "quiet")
    assert sum(word.startswith("rootflags=") for word in found.arguments) == 1
    root = bench.machine.snaproot / f"environments/{base}/root"
    assert (bench.machine.top / found.kernel.lstrip("/")).is_file()
    for unit in UNITS:
        assert str((root / "etc/systemd/system" / unit).readlink()) == "/dev/null"
        assert not (bench.machine.top / "@/etc/systemd/system" / unit).exists()


def test_nothing_is_tried_before_grub_was_seen_to_write(bench: Bench) -> None:
    bench.machine("init", "-y")
    for words in (("run", "true"), ("upgrade",)):
        assert "nothing can be tried" in bench.machine.refused(*words, status=3)
    assert len(bench.machine.ids()) == 1
    bench.machine("run", "--stage-only", "touch", "/usr/lib/marker")
    bench.machine("abandon", "-y")
    bench.seen()
    bench.machine("run", "touch", "/usr/lib/marker")
    base, target = bench.machine.ids()
    env = bench.env
    assert (env.good, env.trial, env.tries, env.canary) == (base, target, 2, "1")
    assert bench.machine.status()["default"] == base
    bench.machine("promote")
    assert (bench.env.good, bench.env.trial, bench.env.tries) == (target, "", 0)
    bench.machine("activate", "--once", base, "-y")
    assert (bench.env.once, bench.env.good) == (base, target)


@pytest.mark.parametrize("role", ["target", "base"])
def test_what_is_not_as_sealed_is_not_armed(bench: Bench, role: str) -> None:
    """The pivot: the target's kernel is read again, and that of the base to fall back to."""
    bench.machine("init", "-y")
    bench.seen()
    bench.machine("run", "--stage-only", "touch", "/usr/lib/marker")
    base, target = bench.machine.ids()
    damaged = {"base": base, "target": target}[role]
    root = bench.machine.snaproot / f"environments/{damaged}/root"
    binding.set_read_only(root, read_only=False)
    with next((root / "boot").glob("vmlinuz-*")).open("ab") as image:
        image.write(b"x")
    binding.set_read_only(root, read_only=True)
    assert damaged in bench.machine("activate", target, "-y", status=3).err
    assert (bench.env.good, bench.env.trial) == (base, "")


def test_a_lost_file_of_the_loader_is_written_anew(bench: Bench) -> None:
    bench.machine("init", "-y")
    bench.seen()
    bench.machine("run", "touch", "/usr/lib/marker")
    base, target = bench.machine.ids()
    for content in (None, b"", b"\0" * 1024, b"somebody else's"):
        env = bench.home / "env"
        env.unlink(missing_ok=True)
        if content is not None:
            env.write_bytes(content)
        assert "loader's file is missing" in bench.machine("status", status=4).out
        bench.machine("recover")
        assert bench.env.good == base
        assert bench.machine.status()["pending"]["phase"] == "staged"  # type: ignore[index]
    assert target in bench.machine.ids()


def test_settings_that_are_no_file_are_none(bench: Bench) -> None:
    drop_in = bench.machine.top / "@/etc/default/grub.d/odd.cfg"
    drop_in.mkdir(parents=True)
    bench.machine("init", "-y")
    assert "console=ttyS0" in (bench.home / f"entries/{bench.env.good}.cfg").read_text()


def test_an_esp_that_grub_does_not_start_from_is_refused_before_anything(bench: Bench) -> None:
    bench.stub.unlink()
    said = bench.machine("init", "-y", status=3).err
    assert "EFI/VENDOR/grub.cfg" in said
    assert not bench.machine.snaproot.exists()


def test_a_system_without_a_loader_gets_one_later(bench: Bench) -> None:
    plain = replace(bench.machine, options=("--sysroot", str(bench.machine.top)))
    plain("init", "-y")
    assert "hand over to it" in bench.machine("init", "-n").out
    bench.machine("init", "-y")
    assert bench.env.good == bench.machine.ids()[0]
    assert "adopted already" in plain.refused("init", "-y", status=77)
    assert "the ESP (UUID=1234-ABCD) is not there" in plain.refused("status", status=3)


def test_a_configured_loader_that_is_not_there_is_refused(bench: Bench, tmp_path: Path) -> None:
    plain = replace(bench.machine, options=("--sysroot", str(bench.machine.top)))
    plain("init", "-y")
    settings = tmp_path / "settings"
    settings.mkdir()
    (settings / "snaproot.toml").write_text('[bootloader]\nbackend = "grub"\n')
    alone = ("bwrap", "--cap-add", "ALL", "--dev-bind", "/", "/", "--tmpfs", "/run")
    configured = replace(plain, prefix=(*alone, "--ro-bind", str(settings), "/run/snaproot"))
    assert "has no loader's home" in configured.refused("status", status=3)
    plain("status")


@pytest.mark.parametrize(
    ("change", "says"),
    [('"format": 2', "format 2"), ('"backend": "lilo"', "no loader 'lilo'"), ("[", "cannot be")],
)
def test_a_chosen_loader_that_is_not_understood_is_left_alone(
    bench: Bench, change: str, says: str
) -> None:
    bench.machine("init", "-y")
    env = bench.env
    chosen = bench.machine.snaproot / "record/loader.json"
    key = change.partition(":")[0]
    lines = chosen.read_text().splitlines()
    changed = "\n".join(f" {change}," if line.startswith(f" {key}") else line for line in lines)
    chosen.write_text(changed if key != "[" else "[")
    assert says in bench.machine("status", status=4).err
    assert bench.env == env


def test_what_grub_install_took_away_is_given_back(bench: Bench) -> None:
    bench.machine("init", "-y")
    bench.seen()
    bench.machine("run", "touch", "/usr/lib/marker")
    _, target = bench.machine.ids()
    bench.stub.write_text(STUB)
    assert "a deployment is pending" in bench.machine("init", "-y", status=3).err
    bench.machine("promote")
    said = bench.machine("doctor", status=3).out
    assert "does not lead to snaproot's menu" in said
    assert f"hint: snaproot --sysroot {bench.machine.top} --esp {bench.esp} init" in said
    bench.machine("init", "-y")
    bench.machine("doctor")
    assert bench.stub.read_text().startswith("source /EFI/snaproot/grub.cfg\n")
    assert bench.env.good == target


def test_the_home_of_another_system_is_refused(bench: Bench) -> None:
    bench.machine("init", "-y")
    (base,) = bench.machine.ids()
    entry = bench.home / f"entries/{base}.cfg"
    uuid = entry.read_text().split("--set=root '")[1][:36]
    entry.write_text(entry.read_text().replace(uuid, "00000000-1111-2222-3333-444444444444"))
    assert "belongs to another system" in bench.machine.refused("status", status=3)


def test_an_esp_that_the_machine_could_not_find_is_refused(bench: Bench) -> None:
    table = bench.machine.top / "@/etc/fstab"
    kept = [line for line in table.read_text().splitlines() if "vfat" not in line]
    table.write_text("\n".join(kept) + "\n")
    assert "nothing says which device" in bench.machine("init", "-y", status=3).err
    assert not bench.machine.snaproot.exists()


def test_what_worked_is_not_made_anew_from_settings(bench: Bench) -> None:
    """An argument that does not work is tried with the next target; its fallback is as proven."""
    bench.machine("init", "-y")
    bench.seen()
    (base,) = bench.machine.ids()
    proven = (bench.home / f"entries/{base}.cfg").read_text()
    settings = bench.machine.snaproot / f"environments/{base}/root/etc/default/grub"
    for argument in ("mem=64M", "dyndbg='file"):
        settings.write_text(f'GRUB_CMDLINE_LINUX="{argument}"\n')
        bench.machine("recover")
        assert (bench.home / f"entries/{base}.cfg").read_text() == proven
    assert "dyndbg" in bench.machine("run", "touch", "/usr/lib/marker", status=3).err
    settings.write_text('GRUB_CMDLINE_LINUX="mem=64M"\n')
    bench.machine("abandon", "-y")
    bench.machine("run", "touch", "/usr/lib/marker")
    _, target = bench.machine.ids()
    assert "mem=64M" in (bench.home / f"entries/{target}.cfg").read_text()
    assert (bench.home / f"entries/{base}.cfg").read_text() == proven


def test_a_choice_that_cannot_be_armed_is_forgotten(bench: Bench) -> None:
    bench.machine("init", "-y")
    bench.seen()
    bench.machine("run", "touch", "/usr/lib/marker")
    base, target = bench.machine.ids()
    bench.machine("promote")
    root = bench.machine.snaproot / f"environments/{base}/root"
    binding.set_read_only(root, read_only=False)
    with next((root / "boot").glob("vmlinuz-*")).open("ab") as image:
        image.write(b"x")
    binding.set_read_only(root, read_only=True)
    assert base in bench.machine("rollback", "-y", status=3).err
    assert bench.machine.status()["pending"] is None
    assert bench.env.good == target


def test_a_cut_adoption_is_taken_up_again(bench: Bench) -> None:
    """The ESP cannot be written: the machine starts as before, and the next init goes on."""
    blocked = bench.home
    blocked.parent.mkdir(exist_ok=True)
    blocked.write_text("in the way")
    said = bench.machine("init", "-y", status=1).err
    assert "starts as before" in said
    assert bench.stub.read_text() == STUB
    blocked.unlink()
    bench.machine("init", "-y")
    assert bench.env.good == bench.machine.ids()[0]
