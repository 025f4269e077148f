"""Real Debian roots on Btrfs, built once from the machine's own apt sources and then copied.

A root is a sparse image of a Btrfs with the stock layout (`@`, `@home`). What is kept is named by
a digest of everything that went in, lies outside the repository, and appears by one rename.
"""

import fcntl
import hashlib
import inspect
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from integration import disk as loop
from integration.archive import RAW
from snaproot.errors import SnaprootError
from snaproot.run import run

SUITES = ("bookworm", "trixie")
PACKAGES = (
    "btrfs-progs",
    "bubblewrap",
    "ca-certificates",
    "initramfs-tools",
    "python3",
    "python3-btrfsutil",
    "systemd-sysv",
    "udev",
    "zstd",
)
DRACUT = ("forky",)
"""Suites whose kernel asks for dracut first; mmdebstrap is left with what all of them have."""
KERNELS = {"amd64": "linux-image-cloud-amd64", "arm64": "linux-image-cloud-arm64"}
SIZE = "6G"
KEPT = 2
TAILS = ("", "-updates", "-security")
_REPOSITORY = Path(__file__).resolve().parent.parent
_PASSED = re.compile(r"Acquire::(https?|ftp|Retries|Check-Date|Check-Valid-Until|ForceIPv\d)\b")
_INDEX = "$(REPO_URI) $(RELEASE) $(COMPONENT)"


def cache() -> Path:
    """Name the directory outside the repository that keeps what is dear: $SNAPROOT_CACHE."""
    home = Path(os.environ.get("HOME", "/root"))
    place = Path(os.environ.get("SNAPROOT_CACHE") or home / ".cache/snaproot")
    place.mkdir(parents=True, exist_ok=True)
    return place


def root(suite: str) -> Path:
    """Return the image of a Debian root with the snaproot package installed."""
    own, made = package(suite), dracut(suite) if suite in DRACUT else base(suite)
    name = _named(suite, "root", made.name.encode(), own.read_bytes())
    return kept(name, lambda home: _install(home, made / "root.img", own)) / "root.img"


def base(suite: str) -> Path:
    """Return a directory with `root.img`, a Debian root without snaproot, and `debs/`."""
    words = " ".join((*PACKAGES, *RAW, architecture()))
    name = _named(suite, "base", words.encode(), _script())
    return kept(name, lambda home: _bootstrap(home, suite))


def dracut(suite: str) -> Path:
    """Return a directory with the base's `root.img`, with dracut instead of initramfs-tools."""
    made = base(suite)
    name = _named(suite, "dracut", made.name.encode(), inspect.getsource(with_dracut).encode())
    return kept(name, lambda home: _dracut(home, made / "root.img"))


def package(suite: str) -> Path:
    """Return the snaproot package for a suite, built anew where the code changed."""
    made = kept(_named(suite, "package", *_code()), lambda home: _build(home, suite))
    return next(made.glob("*.deb"))


def raw(suite: str) -> Path:
    """Return the directory with the suite's own packages that archive.py rebuilds."""
    return base(suite) / "debs"


@contextmanager
def disk(suite: str, directory: Path, *, image: Path | None = None) -> Iterator[Path]:
    """Copy the root, give the copy a UUID of its own, and yield its mounted top level."""
    home = Path(tempfile.mkdtemp(prefix=f"{loop.MARK}{os.getpid()}-", dir=directory))
    copy = home / f"{loop.MARK}{suite}.img"
    try:
        _copy(image or root(suite), copy)
        with _opened(copy) as top:
            yield top
    finally:
        shutil.rmtree(home)


def architecture() -> str:
    """Return Debian's name of this machine's architecture."""
    return run(["dpkg", "--print-architecture"]).output.strip()


def sources(suite: str) -> tuple[str, ...]:
    """Return sources.list(5) lines for a suite on the mirrors that this machine uses."""
    release = Path("/etc/os-release").read_text(encoding="utf-8")
    own = re.search(r"^VERSION_CODENAME=\"?(\w+)", release, re.MULTILINE)
    listed = run(["apt-get", "indextargets", "--format", _INDEX, "Created-By: Packages"]).output
    return translated(listed, own.group(1) if own else "stable", suite)


def translated(listed: str, own: str, suite: str) -> tuple[str, ...]:
    """Turn this machine's sources into the same ones of another suite. Pure."""
    names = {f"{o}{tail}": f"{suite}{tail}" for o in (own, "stable", "oldstable") for tail in TAILS}
    found = {
        f"deb {uri} {names[release.split('/')[0]]} main"
        for uri, release, component in map(str.split, listed.splitlines())
        if component == "main" and release.split("/")[0] in names
    }
    if not any(line.endswith(f" {suite} main") for line in found):
        raise SnaprootError(
            f"this machine's apt sources name no Debian archive of {own}",
            hint="add one under /etc/apt, for example in /etc/apt/sources.list.d/debian.sources",
        )
    return tuple(sorted(found))


def options() -> str:
    """Render the machine's own settings for fetching, a proxy for example."""
    dumped = run(["apt-config", "dump"], extra=os.environ).output
    return "".join(f"{line}\n" for line in dumped.splitlines() if _PASSED.match(line))


def kept(name: str, build: Callable[[Path], None]) -> Path:
    """Return what is kept under a name; build it, in a directory of ours, if it is not there."""
    place = cache() / name
    with (cache() / f"{name.rsplit('-', 1)[0]}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            sweep(cache())
            _forget(name)
            home = Path(tempfile.mkdtemp(prefix=f"{loop.MARK}{os.getpid()}-", dir=cache()))
            try:
                build(home)
                home.rename(place)
            finally:
                shutil.rmtree(home, ignore_errors=True)
    os.utime(place)
    return place


def _named(suite: str, kind: str, *parts: bytes) -> str:
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()
    return f"{kind}-{suite}-{digest[:16]}"


def _script() -> bytes:
    made_by = (_bootstrap, _mmdebstrap)
    return "".join(inspect.getsource(function) for function in made_by).encode()


def _code() -> Iterator[bytes]:
    """Yield what the snaproot package is made from."""
    for place in ("snaproot", "contrib"):
        for path in sorted((_REPOSITORY / place).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path.relative_to(_REPOSITORY)).encode()
                yield path.read_bytes()


def sweep(directory: Path) -> None:
    """Remove what runs that were killed have left: loop devices, and homes in a directory."""
    loop.clean()
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    for left in directory.glob(f"{loop.MARK}*"):
        owner = left.name.removeprefix(loop.MARK).split("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists() and str(left) not in mounts:
            shutil.rmtree(left, ignore_errors=True)


def _forget(name: str) -> None:
    """Remove all but the last used of the same kind."""
    alike = sorted(cache().glob(f"{name.rsplit('-', 1)[0]}-*"), key=lambda p: p.stat().st_mtime)
    for old in alike[: max(0, len(alike) - KEPT + 1)]:
        shutil.rmtree(old, ignore_errors=True)


def _bootstrap(home: Path, suite: str) -> None:
    """Make the base: mmdebstrap straight into the subvolume, then what is to be rebuilt."""
    image = home / f"{loop.MARK}root.img"
    (home / "debs").mkdir()
    with loop.attached(image, SIZE) as device:
        run(["mkfs.btrfs", "-q", "-L", "debian", device])
        with loop.mounted(device, home / "top", options="subvolid=5,compress=zstd:1") as top:
            for name in ("@", "@home"):
                run(["btrfs", "-q", "subvolume", "create", str(top / name)])
            _mmdebstrap(suite, top / "@", home / "debs")
            run(["fstrim", str(top)])
    image.rename(home / "root.img")


def _dracut(home: Path, image: Path) -> None:
    copy = home / f"{loop.MARK}root.img"
    _copy(image, copy)
    with _opened(copy) as top:
        with_dracut(home, top / "@")
        run(["fstrim", str(top)])
    copy.rename(home / "root.img")


def with_dracut(home: Path, root: Path) -> None:
    """Let apt put dracut in the place of initramfs-tools: it makes every initramfs anew."""
    settings = home / "apt.conf"
    settings.write_text(f'{options()}APT::Sandbox::User "root";\n', encoding="utf-8")
    script = (
        "apt-get -q update; apt-get -q install -y --no-install-recommends "
        "-o Dpkg::Options::=--force-unsafe-io dracut initramfs-tools-; "
        "apt-get -q autoremove -y --purge; dpkg --purge initramfs-tools; "
        "apt-get clean; rm -rf /var/lib/apt/lists/*"
    )
    argv = [
        *("bwrap", "--die-with-parent", "--unshare-pid", "--bind", str(root), "/"),
        *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run", "--tmpfs", "/tmp"),  # noqa: S108
        *("--ro-bind", str(settings), "/run/apt.conf"),
        *("--ro-bind", "/etc/resolv.conf", "/etc/resolv.conf"),
        *("env", "APT_CONFIG=/run/apt.conf", "DEBIAN_FRONTEND=noninteractive"),
        *("sh", "-ec", script),
    ]
    there = (root / "etc/resolv.conf").exists()
    run(argv)
    if not there:
        (root / "etc/resolv.conf").unlink()
    settings.unlink()


def _mmdebstrap(suite: str, target: Path, debs: Path) -> None:
    """Run mmdebstrap where nothing of it outlives us (setpriv(1), unshare(1))."""
    kernel = KERNELS.get(architecture(), f"linux-image-{architecture()}")
    settings = debs.parent / "apt.conf"
    settings.write_text(options(), encoding="utf-8")
    fetch = f"cd {debs} && APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -q download {' '.join(RAW)}"
    argv = [
        *("setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--mount", "--mount-proc"),
        *("--fork", "--kill-child", "mmdebstrap", "--quiet", "--mode=root"),
        *("--variant=minbase", "--dpkgopt=force-unsafe-io", f"--aptopt={settings}"),
        f"--include={','.join((*PACKAGES, kernel))}",
        f"--customize-hook={fetch}",
        "--customize-hook=rm -f $1/etc/apt/apt.conf.d/99mmdebstrap",
        *("--skip=check/empty", suite, str(target), *sources(suite)),
    ]
    done = run(argv, extra=os.environ, check=False)
    if done.status != 0:
        raise SnaprootError(f"mmdebstrap {suite}: {_reason(done.output + done.errors)}")
    settings.unlink()


def _reason(said: str) -> str:
    """Find what went wrong in what mmdebstrap said: its first error, with the line before it."""
    lines = said.splitlines()
    first = next((n for n, line in enumerate(lines) if line.startswith("E: ")), len(lines))
    return "; ".join(lines[max(0, first - 1) : first + 2])


def _build(home: Path, suite: str) -> None:
    """Build the package with one fixed time in it: the same code makes the same bytes."""
    builder = str(_REPOSITORY / "contrib/debian/build.py")
    run(
        [sys.executable, builder, "--suite", suite, "--output", str(home)],
        extra={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
    )


def _install(home: Path, image: Path, package: Path) -> None:
    """Make the last layer: the snaproot package, installed by the root's own dpkg, offline."""
    copy = home / f"{loop.MARK}root.img"
    _copy(image, copy)
    with _opened(copy) as top:
        run(
            [
                *("bwrap", "--die-with-parent", "--unshare-all", "--bind", str(top / "@"), "/"),
                *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run"),
                *("--ro-bind", str(package), f"/run/{package.name}"),
                *("dpkg", "--force-unsafe-io", "--install", f"/run/{package.name}"),
            ]
        )
        run(["fstrim", str(top)])
    copy.rename(home / "root.img")


@contextmanager
def copied(image: Path, copy: Path) -> Iterator[Path]:
    """Copy an image, give the copy a UUID of its own, and yield its mounted top level."""
    _copy(image, copy)
    with _opened(copy) as top:
        yield top


def _copy(image: Path, copy: Path) -> None:
    run(["cp", "--sparse=always", "--reflink=auto", "--", str(image), str(copy)])
    run(["btrfstune", "-f", "-u", str(copy)])


@contextmanager
def _opened(image: Path) -> Iterator[Path]:
    """Mount an image's top level, its fstab made to name the image's own UUID."""
    with loop.attached(image, SIZE) as device, loop.mounted(device, image.parent / "top") as top:
        uuid = run(["blkid", "-p", "-s", "UUID", "-o", "value", device]).output.strip()
        (top / "@/etc/fstab").write_text(
            f"UUID={uuid} / btrfs defaults,subvol=@ 0 0\n"
            f"UUID={uuid} /home btrfs defaults,subvol=@home 0 0\n",
            encoding="utf-8",
        )
        yield top


if __name__ == "__main__":
    for wanted in sys.argv[1:] or SUITES:
        print(root(wanted))
