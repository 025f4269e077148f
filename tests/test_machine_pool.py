"""A root on ZFS: what is read of its pool, and what is said of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from snaproot.finding import Finding, Level
from snaproot.machine import Esp, Machine, broken, findings, look, refusals
from snaproot.machine.facts import Device, Kind, Pool
from tests.health.asking import first_on_path, put
from tests.health.pools import DEGRADED, HEALTHY, numbered
from tests.laidout import Laid, esp_at, stock

ROOT = "tank/ROOT/debian"
POOL = Pool(name="tank", root=ROOT, own_hostid="00bab10c", hostid="00bab10c")
MACHINE = Machine(
    esp=Esp(place="/boot/efi", spec="/dev/sda1", free=190 << 20),
    root_devices=(Device("sda3"),),
    watchdog="iTCO_wdt",
    pool=POOL,
)
SUBJECTS = {"pool", "encryption", "datasets", "swap", "hostid", "default", "loader", "initramfs"}


def machine(**changed: object) -> Machine:
    return replace(MACHINE, pool=replace(POOL, **changed))  # type: ignore[arg-type]


def said(seen: Machine) -> list[Finding]:
    """Say what there is to say of the pool, besides that it is whole."""
    found = [one for one in findings(seen) if one.subject in SUBJECTS]
    return [one for one in found if one.level is not Level.GOOD]


def refused(seen: Machine) -> Finding:
    """Insist on the one refusal, of an adopted machine too."""
    (found,) = refusals(seen)
    assert [*broken(seen)] == [found]
    assert found.bad
    assert found.hint
    return found


# -- what is said ----------------------------------------------------------------------------------


def test_of_a_good_pool_nothing_is_said_but_that() -> None:
    assert [*refusals(MACHINE)] == []
    assert said(MACHINE) == []
    (good,) = (one for one in findings(MACHINE) if one.subject == "pool")
    assert (good.level, good.what) == (Level.GOOD, "tank is ONLINE, without errors")


@pytest.mark.parametrize(
    ("changed", "says", "hint"),
    [
        ({"untold": "zpool exited 1"}, "cannot be examined: zpool exited 1", "zfsutils-linux"),
        ({"health": "SUSPENDED"}, "the pool tank is SUSPENDED", "zpool clear tank"),
        ({"mounter": ""}, "nothing here puts ZFS into an initramfs", "zfs-initramfs"),
        ({"rivals": ("tank/old",)}, "tank/old has mountpoint=/ and", "canmount=noauto tank/old"),
    ],
)
def test_what_is_refused(changed: dict[str, object], says: str, hint: str) -> None:
    found = refused(machine(**changed))
    assert says in found.what
    assert hint in found.hint


@pytest.mark.parametrize(
    ("changed", "level", "says"),
    [
        ({"health": "DEGRADED", "faults": ("tank is DEGRADED",)}, Level.BAD, "tank is DEGRADED: a"),
        ({"active": ("zstd_compress",), "grub": "2.12"}, Level.LIMIT, "GRUB 2.12 cannot read"),
        ({"active": ("edonr",), "grub": "2.14"}, Level.LIMIT, "(edonr in use)"),
        ({"active": ("draid",)}, Level.LIMIT, "a GRUB that does not say its version cannot"),
        ({"encrypted": "tank", "key": "prompt"}, Level.LIMIT, "asks for its passphrase"),
        ({"encrypted": "tank", "key": "file:///k"}, Level.LIMIT, "without that file finds no root"),
        ({"encrypted": "tank", "key": "https://k"}, Level.LIMIT, "with a key from https://k"),
        ({"bootfs": "tank/ROOT/other"}, Level.BAD, "bootfs is tank/ROOT/other"),
        ({"foreign": {"tank/ROOT": "zectl"}}, Level.LIMIT, "zectl keeps boot environments here"),
        ({"bootmenu": "EFI/zbm on the ESP"}, Level.LIMIT, "untested"),
        ({"swaps": ("/dev/zd0",)}, Level.LIMIT, "swap is on a volume of a pool (/dev/zd0)"),
        ({"own_hostid": ""}, Level.LIMIT, "there is no /etc/hostid"),
        ({"hostid": "00000001"}, Level.BAD, "imported as 00000001, and /etc/hostid is 00bab10c"),
    ],
)
def test_what_is_told(changed: dict[str, object], level: Level, says: str) -> None:
    seen = machine(**changed)
    (found,) = said(seen)
    assert found.level is level
    assert says in found.what
    assert found.hint
    assert [*refusals(seen)] == []


@pytest.mark.parametrize(
    "changed",
    [
        {"active": ("lz4_compress", "large_blocks", "log_spacemap", "block_cloning")},
        {"active": ("zstd_compress", "head_errlog", "vdev_zaps_v2"), "grub": "2.14"},
        {"bootfs": ROOT},
        {"bootfs": "tank/ROOT/b1", "ours": ("tank/ROOT/b1",)},
        {"foreign": {"tank/ROOT/b1": "Ubuntu's zsys"}, "ours": ("tank/ROOT/b1",)},
        {"hostid": ""},
    ],
)
def test_what_is_as_it_should_be(changed: dict[str, object]) -> None:
    assert said(machine(**changed)) == []


def test_luks_below_a_pool_is_refused_for_what_it_is() -> None:
    below = (Device("dm-0", Kind.CRYPT, "crypt"), Device("sda3"))
    seen = replace(
        MACHINE, root_devices=below, crypttab=("crypt",), unlocker="cryptsetup-initramfs"
    )
    (found,) = refusals(seen)
    assert "the pool is on LUKS (crypt), and no boot of that was ever tried" in found.what
    (found,) = refusals(replace(seen, crypttab=()))
    assert "/etc/crypttab does not name it" in found.what


def test_a_boot_of_its_own_is_refused_with_what_helps_on_zfs() -> None:
    (found,) = refusals(replace(MACHINE, boot="bpool/BOOT/debian, zfs"))
    assert "/boot is a dataset of its own" in found.what
    assert "canmount=noauto bpool/BOOT/debian" in found.hint


# -- what is read ----------------------------------------------------------------------------------

LIST = """\
tank\t9.50G\t1.42G\t8.08G\t-\t-\t1%\t14%\t1.00x\tONLINE\t-
\tmirror-0\t9.50G\t1.42G\t8.08G\t-\t-\t1%\t14.9%\t-\tONLINE
\t{}\t10G\t-\t-\t-\t-\t-\t-\t-\tONLINE
\t/var/lib/pool.img\t10G\t-\t-\t-\t-\t-\t-\t-\tONLINE
\t3333333333333333333\t-\t-\t-\t-\t-\t-\t-\t-\tUNAVAIL
"""
PROPERTIES = """\
size\t10200547328
bootfs\ttank/ROOT/b1
feature@async_destroy\tenabled
feature@lz4_compress\tactive
feature@zstd_compress\tactive
"""
OWN = f"""\
tank\tmountpoint\tnone
{ROOT}\tmountpoint\t/
{ROOT}\tcanmount\ton
tank/ROOT/old\tmountpoint\t/
tank/ROOT/noauto\tmountpoint\t/
tank/ROOT/noauto\tcanmount\tnoauto
tank/ROOT/ubuntu\tcom.ubuntu.zsys:last-used\t1700000000
tank/ROOT/z\torg.zectl:bootloader\tsystemdboot
tank/ROOT/b1\tmountpoint\t/
tank/ROOT/b1\tcanmount\tnoauto
tank/ROOT/b1\torg.snaproot:environment\t1
tank/home\tmountpoint\t/home
a line of another's value
"""


@contextmanager
def tools(home: Path, device: str, status: str = HEALTHY) -> Iterator[None]:
    """Have a zpool(8) and a zfs(8) that know one pool."""
    answers = {
        "zpool list -H -o health tank": "ONLINE\n",
        "zpool status -P -p -v tank": status,
        "zpool status -g -p tank": numbered(status),
        "zpool list -v -H -P -L tank": LIST.format(device),
        "zpool get -H -p -o property,value all tank": PROPERTIES,
        "zfs get -H -p -r -t filesystem -s local,received -o name,property,value all tank": OWN,
        f"zfs get -H -p -o value encryptionroot {ROOT}": "tank/ROOT\n",
        "zfs get -H -p -o value keylocation tank/ROOT": "prompt\n",
    }
    script = '#!/bin/sh\ncase "${0##*/} $*" in\n'
    for number, (asked, answered) in enumerate(answers.items()):
        (home / f"answer-{number}").write_text(answered)
        script += f'"{asked}") exec cat {home}/answer-{number} ;;\n'
    for name in ("zpool", "zfs"):
        put(home / "bin" / name, f'{script}*) echo "unexpected: $*" >&2; exit 2 ;;\nesac\n')
    with first_on_path(home / "bin"):
        yield


@pytest.fixture
def laid(tmp_path: Path) -> Laid:
    made = stock(tmp_path / "machine")
    line = f"22 1 0:21 / / ro,relatime shared:1 - zfs {ROOT} ro,xattr,noacl"
    made.put("proc/self/mountinfo", f"{line}\n{esp_at('/boot/efi')}\n")
    made.put("etc/fstab", "/dev/zvol/tank/swap none swap sw 0 0\n")
    made.put("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/zd0 partition 9 0 -2\n")
    made.put("proc/sys/kernel/spl/hostid", "bab10c\n")
    made.put("etc/hostid", b"\x0c\xb1\xba\x00")
    made.put("usr/share/initramfs-tools/scripts/zfs")
    made.put("boot/efi/EFI/debian/grubx64.efi", SIGNED)
    return made


SIGNED = (
    b"MZ\0sbat,1,SBAT Version,sbat,1,https://x\ngrub,5,Free Software Foundation,grub,2.12,//x\n"
    b"grub.debian,5,Debian,grub2,2.12-9,https://x\n\0"
)


def test_a_pool_is_read(laid: Laid, tmp_path: Path) -> None:
    with tools(tmp_path, "/dev/sda3"):
        seen = look(laid.root)
    assert seen.root_devices == (Device("sda3"), Device("sda"))
    assert seen.boot == ""
    assert seen.pool == Pool(
        name="tank",
        root=ROOT,
        bootfs="tank/ROOT/b1",
        active=("lz4_compress", "zstd_compress"),
        grub="2.12",
        encrypted="tank/ROOT",
        key="prompt",
        rivals=("tank/ROOT/old",),
        foreign={"tank/ROOT/ubuntu": "Ubuntu's zsys", "tank/ROOT/z": "zectl"},
        ours=("tank/ROOT/b1",),
        mounter="zfs-initramfs",
        swaps=("/dev/zd0", "/dev/zvol/tank/swap"),
        hostid="00bab10c",
        own_hostid="00bab10c",
    )


def test_what_is_wrong_with_a_pool_is_read(laid: Laid, tmp_path: Path) -> None:
    with tools(tmp_path, "/dev/sda3", DEGRADED):
        pool = look(laid.root).pool
    assert pool is not None
    assert pool.faults[0] == "tank is DEGRADED"


def test_what_is_below_a_device_of_the_pool_is_read(laid: Laid, tmp_path: Path) -> None:
    name = laid.mapped("CRYPT-LUKS2-1234", "crypt", "sda3")
    with tools(tmp_path, name):
        seen = look(laid.root)
    assert seen.root_devices[0] == Device("dm-0", Kind.CRYPT, "crypt")
    assert "/etc/crypttab does not name it" in next(iter(refusals(seen))).what


def test_a_zpool_that_does_not_answer_is_told(laid: Laid, tmp_path: Path) -> None:
    put(tmp_path / "bin/zpool", "#!/bin/sh\necho 'The ZFS modules are not loaded.' >&2\nexit 1\n")
    with first_on_path(tmp_path / "bin"):
        seen = look(laid.root)
    assert seen.root_devices == ()
    assert "The ZFS modules are not loaded." in refused(seen).what


def test_zfsbootmenu_is_found(laid: Laid, tmp_path: Path) -> None:
    option = b"\1\0\0\0\x2e\0" + "ZFSBootMenu".encode("utf-16-le") + b"\0\0\x04\x01"
    name = "sys/firmware/efi/efivars/Boot0003-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    with tools(tmp_path, "/dev/sda3"):
        laid.put("boot/efi/EFI/zbm/vmlinuz.EFI")
        assert bootmenu(laid) == "EFI/zbm on the ESP"
        laid.put(name, b"\x06\0\0\0" + option)
        assert bootmenu(laid) == "the firmware's menu"


def bootmenu(laid: Laid) -> str:
    pool = look(laid.root).pool
    return pool.bootmenu if pool else ""
