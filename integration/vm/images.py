"""Disk images of Debian, layer by layer: each made once, and kept outside the repository.

`stock` is Debian as its installer leaves it, with shim and the signed GRUB put there by
grub-install; `packaged` has snaproot's package too; `adopted` was given boot environments, and has
booted once. Each is a directory with `disk.img` and the firmware's variables, `vars.fd`.
"""

import sys
from hashlib import sha256
from inspect import getsource
from pathlib import Path

from integration import debian
from integration import disk as loop
from integration.vm import esp
from integration.vm import stock as debian_stock
from integration.vm.guest import switched_on
from integration.vm.stock import inside, opened, timed
from snaproot.bootloader import envblock
from snaproot.errors import SnaprootError
from snaproot.run import Completed, run

SUITE = "trixie"
_HERE = Path(__file__).parent
_REPOSITORY = _HERE.parents[1]
_STOCK = ("stock.py", "parts.py", "agent.sh", "agent.service", "finish.sh")


def stock(suite: str = SUITE) -> Path:
    """Return Debian without snaproot."""
    made = debian.base(suite)
    parts = (made.name.encode(), *((_HERE / file).read_bytes() for file in _STOCK))
    name = _named(suite, "stock", *parts)
    image = debian.kept(name, lambda home: debian_stock.make(home, made / "root.img"))
    if suite not in debian.DRACUT:
        return image
    name = _named(suite, "dracut", image.name.encode(), getsource(debian.with_dracut).encode())
    return debian.kept(name, lambda home: _with_dracut(home, image))


def packaged(suite: str = SUITE) -> Path:
    """Return the same with snaproot's package, installed by the root's own dpkg."""
    made, package = stock(suite), debian.package(suite)
    name = _named(suite, "packaged", made.name.encode(), package.read_bytes())
    return debian.kept(name, lambda home: _packaged(home, made, package))


def adopted() -> Path:
    """Return the same, adopted by this checkout's snaproot, and proven by a boot."""
    made = packaged()
    name = _named(SUITE, "adopted", made.name.encode(), Path(__file__).read_bytes())
    return debian.kept(name, lambda home: _adopted(home, made))


def snaproot(top: Path, boot: Path, *words: str, check: bool = True) -> Completed:
    """Run this checkout's snaproot on an opened disk: its top level, and its ESP's files."""
    command = [sys.executable, "-m", "snaproot", "--sysroot", str(top)]
    place = {"PYTHONPATH": str(_REPOSITORY)}
    return run([*command, "--esp", str(boot), *words], extra=place, check=check)


def _named(suite: str, kind: str, *content: bytes) -> str:
    digest = sha256(b"\0".join(content)).hexdigest()
    return f"machine-{suite}-{kind}-{digest[:16]}"


def _with_dracut(home: Path, made: Path) -> None:
    disk = copied(made, home)
    with timed("dracut: apt"), opened(home, disk) as top:
        debian.with_dracut(home, top / "@")
        run(["fstrim", str(top)])
    disk.rename(home / "disk.img")


def _packaged(home: Path, made: Path, package: Path) -> None:
    disk = copied(made, home)
    with timed("packaged: dpkg"), opened(home, disk) as top:
        place = f"/run/{package.name}"
        bound = ("--ro-bind", str(package), place)
        inside(top / "@", bound, "dpkg", "--force-unsafe-io", "--install", place)
        run(["fstrim", str(top)])
    disk.rename(home / "disk.img")


def _adopted(home: Path, made: Path) -> None:
    disk = copied(made, home)
    with (
        timed("adopted: init"),
        opened(home, disk) as top,
        esp.directory(disk, home / "esp") as boot,
    ):
        snaproot(top, boot, "-y", "init")
        run(["fstrim", str(top)])
    with timed("adopted: a boot"):
        booted(home, disk)
    disk.rename(home / "disk.img")


def booted(home: Path, disk: Path) -> None:
    """Boot what was adopted once, by its own menu, so that what its loader can do is known."""
    with switched_on(home, disk, home / "vars.fd") as guest:
        guest.ready()
        guest.run("systemctl is-system-running --wait", status=None)
        guest.off()
    with esp.directory(disk, home / "esp") as boot:
        found = envblock.parse((boot / "EFI/snaproot/env").read_bytes())
        if found is None or not found.canary:
            raise SnaprootError("the adopted machine was not started from its own menu")


def copied(made: Path, home: Path) -> Path:
    """Begin a layer with a copy of the one below."""
    disk = home / f"{loop.MARK}disk.img"
    for source, target in ((made / "disk.img", disk), (made / "vars.fd", home / "vars.fd")):
        run(["cp", "--sparse=always", "--reflink=auto", str(source), str(target)])
    return disk


if __name__ == "__main__":
    print(adopted())
