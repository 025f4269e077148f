"""Each thing without which a target would not boot, taken away from a root that would."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration import tinyroot
from integration.tinyroot import INITRAMFS, KERNEL
from snaproot.errors import CommandFailed, ExitCode, Refused
from snaproot.filesystem import Workspace
from snaproot.proof import Proof, prove
from snaproot.run import Completed
from snaproot.sandbox import Sandbox

DPKG = {"/var/lib/dpkg": "/usr/lib/sysimage/dpkg", "/var/lib/ucf": "/usr/lib/sysimage/ucf"}
RICH = (*INITRAMFS, "usr/sbin/cryptsetup", "cryptroot/crypttab")
INITRD = f"boot/initrd.img-{KERNEL}"


@dataclass(frozen=True)
class Stub(Sandbox):
    """Runs nothing: names the members of an archive, and has a snaproot where there is a file."""

    def run(
        self,
        argv: Sequence[str],
        *,
        network: bool = False,
        extra: Mapping[str, str] | None = None,  # noqa: ARG002 - as the sandbox has it
        check: bool = True,  # noqa: ARG002
    ) -> Completed:
        assert not network
        root = self.workspace.root
        if argv[0] == "/usr/bin/lsinitramfs":
            return Completed(0, members((root / argv[1].lstrip("/")).read_bytes()))
        assert tuple(argv) == ("/usr/bin/snaproot", "--version")
        if not (root / "usr/bin/snaproot").exists():
            raise CommandFailed(tuple(argv), 127, "no such file")
        return Completed(0, "snaproot 1\n")


def members(archive: bytes) -> str:
    """List a newc archive: a header of 110 bytes, the name, the data, each padded to 4."""
    names: list[str] = []
    at = 0
    while True:
        size, length = (int(archive[at + o : at + o + 8], 16) for o in (54, 94))
        name = archive[at + 110 : at + 110 + length - 1].decode()
        if name == "TRAILER!!!":
            return "\n".join(names)
        names.append(name)
        at = (at + 110 + length + 3) // 4 * 4
        at = (at + size + 3) // 4 * 4


@dataclass(frozen=True)
class Bench:
    """A target and its parent, alike at first."""

    target: Path
    parent: Path
    var: Path

    def prove(
        self,
        *,
        devices: Sequence[str] = ("LABEL=tiny",),
        warnings: Sequence[str] = (),
        links: Mapping[str, str] = DPKG,
        kind: str = "btrfs",
    ) -> Proof:
        workspace = Workspace("b4k7q2x", self.target, {"/var": self.var})
        return prove(
            Stub(workspace, writable=False),
            self.parent,
            kind=kind,
            devices=lambda spec: spec in devices,
            links=links,
            warnings=warnings,
        )

    def refusal(self, **given: Sequence[str] | str) -> str:
        with pytest.raises(Refused) as caught:
            self.prove(**given)  # type: ignore[arg-type]
        said = str(caught.value)
        assert caught.value.exit_code is ExitCode.REFUSED
        assert "\n" not in said
        assert said.startswith("b4k7q2x would not boot: ")
        assert said.endswith("; the base is untouched")
        return said


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path / "target", tmp_path / "parent", tmp_path / "var")
    for root in (made.target, made.parent):
        tinyroot.build(root)
    (made.target / "usr/lib/sysimage/dpkg").mkdir()
    (made.var / "lib").mkdir(parents=True)
    (made.var / "lib/dpkg").symlink_to("/usr/lib/sysimage/dpkg")
    return made


def test_a_complete_root_is_proved(bench: Bench) -> None:
    assert bench.prove() == Proof(KERNEL, f"/boot/vmlinuz-{KERNEL}", f"/{INITRD}")


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        (f"boot/vmlinuz-{KERNEL}", "there is no kernel in /boot"),
        ("boot", "there is no kernel in /boot"),
        (INITRD, "there is no initramfs for the kernel"),
        (f"usr/lib/modules/{KERNEL}", f"there are no modules /lib/modules/{KERNEL}"),
        (f"usr/lib/modules/{KERNEL}/modules.dep", "modules.dep is missing or empty"),
        ("usr/sbin/init", "/sbin/init: no such file or directory"),
        ("usr/bin/busybox", "/sbin/init: no such file or directory"),
        ("etc/fstab", "/etc/fstab: no such file or directory"),
        ("usr/bin/snaproot", "/usr/bin/snaproot does not run in it (snaproot exited 127"),
    ],
)
def test_without_it_nothing_boots(bench: Bench, gone: str, says: str) -> None:
    path = bench.target / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert says in bench.refusal()


def test_an_empty_kernel_is_refused(bench: Bench) -> None:
    (bench.target / f"boot/vmlinuz-{KERNEL}").write_bytes(b"")
    assert "is empty or cannot be read" in bench.refusal()


def test_a_kernel_in_a_shared_area_is_none(bench: Bench) -> None:
    image = bench.target / f"boot/vmlinuz-{KERNEL}"
    image.rename(bench.var / "kernel")
    image.symlink_to("/var/kernel")
    assert "vmlinuz" in bench.refusal()


def test_the_newest_kernel_decides(bench: Bench) -> None:
    (bench.target / "boot/vmlinuz-6.2.0").write_bytes(tinyroot.kernel("6.2.0"))
    assert "no initramfs for the kernel /boot/vmlinuz-6.2.0" in bench.refusal()


def test_a_broken_older_kernel_is_told(bench: Bench) -> None:
    (bench.target / "boot/vmlinuz-5.10.0").write_bytes(tinyroot.kernel("5.10.0"))
    proof = bench.prove()
    assert proof.kernel == KERNEL
    assert proof.told == ("there is no initramfs for the kernel /boot/vmlinuz-5.10.0",)


def test_an_init_that_only_the_running_system_has_is_none(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("#!/bin/sh\n")
    outside.chmod(0o755)
    (bench.target / "usr/sbin/init").unlink()
    (bench.target / "usr/sbin/init").symlink_to(outside)
    assert "/sbin/init: no such file" in bench.refusal()


def test_an_init_that_cannot_be_run_is_none(bench: Bench) -> None:
    (bench.target / "usr/bin/busybox").chmod(0o644)
    assert "/sbin/init is no program" in bench.refusal()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("UUID=1 / btrfs defaults,subvol=@ 0 0 0", "/etc/fstab: line 1: "),
        ("UUID=1 /", "/etc/fstab: line 1: "),
        ("\nUUID=6f1c /data ext4", "/etc/fstab, line 2: there is no UUID=6f1c for /data"),
        ('LABEL="old" /data ext4', "/etc/fstab, line 1: there is no LABEL=old for /data"),
        ("/dev/sdz1 none swap sw 0 0", "/etc/fstab, line 1: there is no /dev/sdz1 for none"),
    ],
)
def test_an_fstab_that_would_stop_the_boot_is_refused(bench: Bench, line: str, says: str) -> None:
    (bench.target / "etc/fstab").write_text(f"{line}\n")
    assert says in bench.refusal()


@pytest.mark.parametrize(
    "line",
    [
        "UUID=6f1c /data ext4 nofail",
        "UUID=6f1c /data ext4 ro,noauto 0 0",
        *("tmpfs /tmp tmpfs", "proc /proc proc", "nas:/x /x nfs", "/home/x /x none bind"),
        "LABEL=tiny / btrfs",
        "# UUID=6f1c /data ext4",
        "",
    ],
)
def test_an_fstab_that_can_wait_is_fine(bench: Bench, line: str) -> None:
    (bench.target / "etc/fstab").write_text(f"{line}\n")
    bench.prove()


def test_an_fstab_in_a_strange_encoding_is_read(bench: Bench) -> None:
    (bench.target / "etc/fstab").write_bytes(b"# f\xfcr\nLABEL=tiny / btrfs\n")
    bench.prove()


def test_a_warning_of_an_initramfs_hook_is_a_refusal(bench: Bench) -> None:
    said = bench.refusal(warnings=["cryptsetup: WARNING: Couldn't resolve device\n", "more"])
    assert "warned: cryptsetup: WARNING: Couldn't resolve device (and 1 more)" in said


@pytest.mark.parametrize("kind", ["directory", "file"])
def test_package_state_that_left_its_place_is_a_refusal(bench: Bench, kind: str) -> None:
    link = bench.var / "lib/dpkg"
    link.unlink()
    link.mkdir() if kind == "directory" else link.write_text("state")
    said = bench.refusal()
    assert f"/var/lib/dpkg became a {kind}; it has to be a link to /usr/lib/sysimage/dpkg" in said


def test_package_state_that_leads_elsewhere_is_a_refusal(bench: Bench) -> None:
    (bench.var / "lib/ucf").symlink_to("/srv/ucf")
    assert "/var/lib/ucf leads to /srv/ucf" in bench.refusal()


def test_a_relative_link_to_the_same_place_is_fine(bench: Bench) -> None:
    (bench.var / "lib/ucf").symlink_to("../../usr/lib/sysimage/ucf/")
    bench.prove()


def test_an_initramfs_that_lost_what_the_parents_has_is_a_refusal(bench: Bench) -> None:
    (bench.parent / INITRD).write_bytes(tinyroot.cpio(RICH))
    assert "has lost cryptsetup, the list of encrypted devices" in bench.refusal()


def test_an_initramfs_without_the_root_filesystem_is_a_refusal(bench: Bench) -> None:
    bare = [name for name in INITRAMFS if "btrfs" not in name]
    (bench.target / INITRD).write_bytes(tinyroot.cpio(bare))
    assert "has lost the module btrfs" in bench.refusal()
    builtin = bench.target / f"usr/lib/modules/{KERNEL}/modules.builtin"
    builtin.write_text("kernel/fs/btrfs/btrfs.ko\n")
    bench.prove()


def test_an_initramfs_that_gained_something_is_fine(bench: Bench) -> None:
    (bench.target / INITRD).write_bytes(tinyroot.cpio(RICH))
    bench.prove()


def test_an_initramfs_like_the_parents_is_not_opened(bench: Bench) -> None:
    (bench.target / "usr/bin/lsinitramfs").unlink()
    bench.prove()


def test_an_initramfs_that_nothing_can_list_is_a_refusal(bench: Bench) -> None:
    (bench.target / "usr/bin/lsinitramfs").unlink()
    (bench.target / INITRD).write_bytes(tinyroot.cpio(RICH))
    assert "there is no lsinitramfs, lsinitrd or lsinitcpio" in bench.refusal()


@pytest.mark.parametrize("gone", ["boot", "usr/bin/lsinitramfs"])
def test_a_parent_that_shows_nothing_is_told(bench: Bench, gone: str) -> None:
    path = bench.parent / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    (bench.target / INITRD).write_bytes(tinyroot.cpio(RICH))
    assert len(bench.prove().told) == 1


# -- on ZFS ----------------------------------------------------------------------------------------

MODULE = f"usr/lib/modules/{KERNEL}/updates/dkms/zfs.ko"
ON_ZFS = {
    "sbin/zfs": "zfs",
    "sbin/zpool": "zpool",
    "sbin/mount.zfs": "mount.zfs",
    "scripts/zfs": "the script that mounts a root on ZFS",
    "scripts/local-bottom/snaproot": "snaproot's own hook",
    MODULE: "the module zfs",
}


def both_have(bench: Bench, *names: str) -> None:
    for root in (bench.target, bench.parent):
        (root / INITRD).write_bytes(tinyroot.cpio(("init", *names)))


def test_an_initramfs_that_can_mount_zfs_is_proved(bench: Bench) -> None:
    both_have(bench, *ON_ZFS)
    assert bench.prove(kind="zfs").told == ()


@pytest.mark.parametrize("gone", ON_ZFS)
def test_what_zfs_needs_is_missed_even_if_the_parent_never_had_it(bench: Bench, gone: str) -> None:
    both_have(bench, *(name for name in ON_ZFS if name != gone))
    assert f"/{INITRD} lacks {ON_ZFS[gone]}, without" in bench.refusal(kind="zfs")
    assert bench.prove(kind="btrfs").told == ()


def test_what_zfs_needs_is_missed_where_there_is_nothing_to_compare(bench: Bench) -> None:
    shutil.rmtree(bench.parent / "boot")
    assert "lacks mount.zfs, snaproot's own hook, the module zfs" in bench.refusal(kind="zfs")


def test_a_zfs_that_is_built_into_the_kernel_is_no_module(bench: Bench) -> None:
    both_have(bench, *(name for name in ON_ZFS if name != MODULE))
    (bench.target / f"usr/lib/modules/{KERNEL}/modules.builtin").write_text("kernel/fs/zfs.ko\n")
    assert bench.prove(kind="zfs").kernel == KERNEL
