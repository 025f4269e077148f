"""A real pool with real faults, as the health check and doctor see it. Runs in a bench."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.zfs.bench import SCRATCH
from snaproot import zpool
from snaproot.health import Result
from snaproot.health.disk import counted, unharmed, writable
from snaproot.machine import pool as machine
from snaproot.mountinfo import mount_of
from snaproot.run import run
from tests.health.asking import answer

NAME = "faulty"
FILES = [f"/tmp/{NAME}{number}" for number in (1, 2)]  # noqa: S108


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Path]:
    """Yield where a filesystem of a pool on two files is mounted."""
    for file in FILES:
        run(["truncate", "-s", "128M", file])
    own = ("-f", "-o", "cachefile=none", "-O", "mountpoint=none")
    run(["zpool", "create", *own, NAME, "mirror", *FILES])
    run(["zfs", "create", "-o", f"mountpoint={tmp_path}/root", f"{NAME}/root"])
    try:
        yield tmp_path / "root"
    finally:
        run(["zpool", "destroy", "-f", NAME])
        for file in FILES:
            Path(file).unlink(missing_ok=True)


def test_a_healthy_pool_is_good(mirror: Path) -> None:
    found = answer(lambda: unharmed(mirror, dict))
    assert (found.result, found.reason) == (Result.GOOD, f"no device of {NAME} has new errors")
    assert answer(lambda: writable(mirror, [mirror])).result is Result.GOOD


def test_a_sealed_root_is_no_frozen_filesystem(mirror: Path) -> None:
    run(["zfs", "set", "readonly=on", f"{NAME}/root"])
    assert "ro" in mount_of(mirror).super_options.split(",")
    assert answer(lambda: writable(mirror, [])).result is Result.GOOD
    found = answer(lambda: writable(mirror, [mirror]))
    assert f"{mirror} cannot be written: read-only" in found.reason


def test_a_device_that_goes_is_bad_and_one_that_had_gone_is_told(mirror: Path) -> None:
    before = counted(mirror)
    run(["zpool", "offline", NAME, FILES[1]])
    found = answer(lambda: unharmed(mirror, lambda: before))
    assert found.result is Result.BAD
    assert found.reason.split("; ") == [
        f"{NAME} is DEGRADED",
        "mirror-0 is DEGRADED",
        f"{FILES[1]} is OFFLINE",
    ]
    gone = counted(mirror)
    found = answer(lambda: unharmed(mirror, lambda: gone))
    assert found.result is Result.GOOD
    assert f"as before: {NAME} is DEGRADED" in found.reason


def test_damage_is_bad_once_and_the_same_in_a_clone(mirror: Path, tmp_path: Path) -> None:
    run(["zfs", "set", "compression=off", f"{NAME}/root"])
    (mirror / "letter").write_bytes(b"snaproot " * 100_000)
    run(["zpool", "sync", NAME])
    run(["zpool", "export", NAME])
    Path(FILES[1]).unlink()
    _rot(Path(FILES[0]), b"snaproot " * 100)
    run(["zpool", "import", "-d", "/tmp", NAME])  # noqa: S108
    before = counted(mirror)
    assert run(["cat", str(mirror / "letter")], check=False).status == 1
    found = answer(lambda: unharmed(mirror, lambda: before))
    assert found.result is Result.BAD
    assert f"checksum errors on {FILES[0]}: " in found.reason
    assert f"{mirror}/letter is damaged" in found.reason
    run(["zfs", "snapshot", f"{NAME}/root@s"])
    clone = tmp_path / "clone"
    run(["zfs", "clone", "-o", f"mountpoint={clone}", f"{NAME}/root@s", f"{NAME}/clone"])
    known = counted(mirror)
    run(["zfs", "unmount", f"{NAME}/root"])
    assert run(["cat", str(clone / "letter")], check=False).status == 1
    more = {name: {**counts, "checksum": 1 << 20} for name, counts in known.items()}
    data = {"data": known["data"]}
    found = answer(lambda: unharmed(clone, lambda: {**more, **data}))
    assert found.result is Result.GOOD
    assert f"{clone}/letter is damaged" in found.reason


@pytest.mark.usefixtures("mirror")
def test_doctor_reads_a_real_pool() -> None:
    rival = f"{NAME}/rival"
    run(["zfs", "create", "-u", "-o", "mountpoint=/", "-o", "canmount=noauto", rival])
    seen = machine.look(Path("/"), f"{NAME}/root", None)
    assert (seen.untold, seen.health, seen.faults, seen.rivals) == ("", "ONLINE", (), ())
    assert {"lz4_compress", "head_errlog"} <= {*seen.active}
    assert (seen.bootfs, seen.encrypted, seen.foreign) == ("", "", {})
    run(["zfs", "set", "-u", "canmount=on", rival])
    run(["zfs", "set", "org.zectl:bootloader=grub", f"{NAME}/root"])
    run(["zpool", "set", f"bootfs={NAME}/root", NAME])
    seen = machine.look(Path("/"), f"{NAME}/root", None)
    assert (seen.rivals, seen.foreign) == ((rival,), {f"{NAME}/root": "zectl"})
    assert seen.bootfs == f"{NAME}/root"
    assert [*machine.devices(f"{NAME}/root")] == FILES


def _rot(image: Path, content: bytes) -> None:
    """Change a byte of what a file on an image holds."""
    with image.open("r+b") as file:
        file.seek(image.read_bytes().index(content) + len(content) // 2)
        file.write(b"!")


def test_doctor_finds_the_disk_of_a_pool() -> None:
    run(["udevadm", "settle"])
    run(["zpool", "create", "-f", "-o", "cachefile=none", "-m", "none", NAME, SCRATCH])
    try:
        disk = str(Path(SCRATCH).resolve())
        assert [one.rstrip("1") for one in machine.devices(f"{NAME}/ROOT")] == [disk]
    finally:
        run(["zpool", "destroy", "-f", NAME])


@pytest.mark.usefixtures("mirror")
def test_doctor_reads_an_encrypted_root(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a long passphrase")
    secret = [f"keylocation=file://{tmp_path}/key", "keyformat=passphrase", "encryption=on"]
    options = [word for option in secret for word in ("-o", option)]
    run(["zfs", "create", *options, f"{NAME}/secret"])
    run(["zfs", "create", f"{NAME}/secret/root"])
    seen = machine.look(Path("/"), f"{NAME}/secret/root", None)
    assert (seen.encrypted, seen.key) == (f"{NAME}/secret", f"file://{tmp_path}/key")


def test_a_pool_that_is_gone_is_told() -> None:
    seen = machine.look(Path("/"), "nowhere/ROOT/b1", None)
    assert "no such pool" in seen.untold
    assert [*machine.devices("nowhere/ROOT/b1")] == []
    assert zpool.pool_of("nowhere/ROOT/b1") == "nowhere"
