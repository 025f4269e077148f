"""What runs in an initramfs on ZFS, under the shells that an initramfs has.

The real /proc/mounts cannot say zfs here, so that the script is told another file's name; zfs and
mount.zfs are programs that write down what they were asked.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from contrib.debian import build
from tests.health.asking import put

SCRIPT = build.SOURCE / "contrib/initramfs/snaproot-etc.sh"
SHELLS = (("dash",), ("busybox", "sh"), ("bash",))
ROOT = "tank/ROOT/b4k7q2x"
CHILDREN = f"{ROOT}\t/\tnoauto\n{ROOT}/etc\t/etc\tnoauto\n"
SEALED = f"{ROOT} /sysroot zfs ro,relatime,xattr,noacl 0 0\n"
ETC = f"{ROOT}/etc /sysroot/etc zfs {{}},relatime,xattr,noacl 0 0\n"
MOUNTED = f"mount.zfs -o zfsutil,rw {ROOT}/etc /sysroot/etc"

LOUD = "emergency snaproot: the /etc of this boot environment cannot be mounted on /sysroot/etc"


@dataclass(frozen=True)
class Bench:
    """A dracut or an initramfs-tools in miniature."""

    home: Path
    shell: tuple[str, ...]

    def run(self, mounts: str, children: str = CHILDREN, **fails: int) -> list[str]:
        """Run the script as dracut does, and return what it did.

        `fails` says how often a program fails at first.
        """
        self._program("zfs", f"printf '%s' '{children}'", fails.get("zfs", 0))
        self._program("mount.zfs", "", fails.get("mounting", 0))
        (self.home / "mounts").write_text(f"sysfs /sys sysfs rw 0 0\n{mounts}")
        (self.home / "did").write_text("")
        script = SCRIPT.read_text().replace("/proc/mounts", f"{self.home}/mounts")
        (self.home / "script").write_text(script)
        (self.home / "hook").write_text(
            f'NEWROOT=/sysroot\nemergency_shell() {{ echo "emergency $*" >>{self.home}/did; }}\n'
            f'. {self.home}/script\necho "${{root-}}${{etc-}} $-" >{self.home}/left\n'
        )
        subprocess.run(
            [*self.shell, str(self.home / "hook")],
            env={"PATH": f"{self.home}/bin:/usr/bin:/bin"},
            timeout=20,
            check=True,
        )
        return (self.home / "did").read_text().splitlines()

    def _program(self, name: str, does: str, fails: int) -> None:
        note = f'echo "{name} $*" >>{self.home}/did'
        often = f'[ "$(grep -c "^{name} " {self.home}/did)" -gt {fails} ] || exit 1'
        put(self.home / "bin" / name, f"#!/bin/sh\n{note}\n{often}\n{does}\n")


@pytest.fixture(params=SHELLS, ids=" ".join)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(tmp_path, request.param)


def changes(did: list[str]) -> list[str]:
    return [line for line in did if not line.startswith("zfs list")]


def test_the_child_is_mounted_writable(bench: Bench) -> None:
    assert changes(bench.run(SEALED)) == [MOUNTED]
    options = (bench.home / "left").read_text()
    assert "tank" not in options, "a variable of dracut's may have been changed"
    assert "f" not in options, "an option of dracut's shell was changed"


def test_what_is_mounted_already_is_left_or_made_writable(bench: Bench) -> None:
    assert changes(bench.run(SEALED + ETC.format("rw"))) == []
    remounted = [MOUNTED.replace(",rw", ",remount,rw")]
    assert changes(bench.run(SEALED + ETC.format("ro"))) == remounted


@pytest.mark.parametrize(
    "children",
    [
        f"{ROOT}\t/\tnoauto\n",
        f"{ROOT}\t/\tnoauto\n{ROOT}/etc\tnone\tnoauto\n",
        f"{ROOT}\t/\tnoauto\n{ROOT}/etc\t/etc\toff\n",
        f"{ROOT}\t/\tnoauto\n{ROOT}/etcetera\t/etc\ton\n",
        f"{ROOT}\t/\tnoauto\n{ROOT}/var\t/var\ton\n",
    ],
    ids=["none", "nowhere", "off", "alike", "another"],
)
def test_without_such_a_child_there_is_nothing_to_do(bench: Bench, children: str) -> None:
    assert changes(bench.run(SEALED, children)) == []


@pytest.mark.parametrize(
    "mounts",
    [
        "/dev/vda2 /sysroot btrfs rw,subvol=/@snaproot/environments/b1/root 0 0\n",
        "tank/ROOT/b1 /elsewhere zfs rw 0 0\n",
        SEALED + "overlay /sysroot overlay rw 0 0\n",
        "",
    ],
    ids=["btrfs", "elsewhere", "overlay", "nothing"],
)
def test_on_another_root_nothing_is_even_asked(bench: Bench, mounts: str) -> None:
    assert bench.run(mounts) == []


def test_a_space_in_the_pools_name(bench: Bench) -> None:
    spaced = [text.replace("tank/", "my tank/") for text in (CHILDREN, MOUNTED)]
    assert changes(bench.run(SEALED.replace("tank/", "my\\040tank/"), spaced[0])) == [spaced[1]]


def test_a_child_that_cannot_be_mounted_is_loud_until_it_is(bench: Bench) -> None:
    assert changes(bench.run(SEALED, mounting=2)) == [MOUNTED, LOUD, MOUNTED, LOUD, MOUNTED]


def test_a_zfs_that_does_not_answer_is_loud(bench: Bench) -> None:
    assert changes(bench.run(SEALED, zfs=1)) == [LOUD, MOUNTED]


def test_initramfs_tools_starts_it_and_panics_its_own_way(bench: Bench) -> None:
    bench.run(SEALED)
    (bench.home / "functions").write_text(f'panic() {{ echo "panic $*" >>{bench.home}/did; }}\n')
    script = (bench.home / "script").read_text()
    put(bench.home / "script", script.replace("/scripts/functions", f"{bench.home}/functions"))
    (bench.home / "did").write_text("")
    bench._program("mount.zfs", "", 1)
    started(bench, "prereqs")
    assert (bench.home / "did").read_text() == "", "asked for what it needs, it does nothing"
    started(bench)
    did = (bench.home / "did").read_text().splitlines()
    assert changes(did) == [MOUNTED, LOUD.replace("emergency", "panic"), MOUNTED]


def started(bench: Bench, *words: str) -> None:
    subprocess.run(
        [*bench.shell, str(bench.home / "script"), *words],
        env={"PATH": f"{bench.home}/bin:/usr/bin:/bin", "rootmnt": "/sysroot"},
        timeout=20,
        check=True,
    )
