"""Minimal Debian roots to install the snaproot package in, without any network."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contrib.debian import build
from integration import debian
from integration.disk import MARK
from snaproot.run import Completed, run

MEMORY = Path("/dev/shm")  # noqa: S108
ROOM = 2 << 30


@dataclass(frozen=True, slots=True)
class Root:
    """A copy of a root that a test may change."""

    path: Path
    suite: str
    package: Path

    def run(self, *argv: str, check: bool = True, **extra: str) -> Completed:
        """Run a program inside, without any network, and with `packages/` as /media."""
        everything = ("--cap-add", "ALL", "--unshare-net", "--unshare-pid", "--unshare-ipc")
        places = ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run", "--tmpfs", "/tmp")  # noqa: S108
        packages = ("--ro-bind", str(self.package.parent), "/media", "--chdir", "/media")
        path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}
        sandbox = ["bwrap", "--die-with-parent", *everything, "--bind", str(self.path), "/"]
        return run([*sandbox, *places, *packages, *argv], extra=path | extra, check=check)


def clean(suite: str) -> Path:
    """Return a minimal root, the packages that snaproot depends on downloaded, not installed."""
    return _kept("clean", suite, lambda root: _bootstrap(root, suite))


def ready(suite: str) -> Path:
    """Return a minimal root with the packages that snaproot depends on."""
    return _kept("ready", suite, lambda root: _prepare(root, suite))


@contextmanager
def copied(source: Path, suite: str, package: Path) -> Iterator[Root]:
    """Yield a copy of a root, in memory where there is plenty: packages sync every file.

    What killed runs left is removed. shutil cannot copy a root, as it reads from device nodes.
    """
    for left in MEMORY.glob(f"{MARK}deb-*"):
        if not Path("/proc", left.name.split("-")[-2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    place = MEMORY if shutil.disk_usage(MEMORY).free > ROOM else None
    home = Path(tempfile.mkdtemp(prefix=f"{MARK}deb-{os.getpid()}-", dir=place))
    try:
        run(["cp", "-a", "--reflink=auto", str(source), str(home / "root")])
        yield Root(home / "root", suite, package)
    finally:
        shutil.rmtree(home)


def dependencies(suite: str) -> list[str]:
    """List the packages that the control file names."""
    control = (build.HERE / "control.in").read_text(encoding="utf-8")
    line = control.replace("@PYTHON@", build.SUITES[suite].python).split("\nDepends: ")[1]
    return sorted({word.split()[0] for word in line.splitlines()[0].split(",")})


def _kept(kind: str, suite: str, make: Callable[[Path], None]) -> Path:
    script = Path(__file__).read_text(encoding="utf-8")
    words = "\0".join([*dependencies(suite), *debian.sources(suite), script])
    name = f"deb-{kind}-{suite}-{hashlib.sha256(words.encode()).hexdigest()[:16]}"
    return debian.kept(name, lambda home: make(home / "root")) / "root"


def _bootstrap(root: Path, suite: str) -> None:
    """Make a minimal root, the packages that snaproot depends on downloaded but not installed.

    Only downloads may be a hook's: its APT_CONFIG leads apt's directories to the root, not dpkg.
    """
    words = " ".join(dependencies(suite))
    fetch = "apt-get --quiet --yes --download-only --install-recommends install"
    options = root.parent / "apt.conf"
    options.write_text(debian.options(), encoding="utf-8")
    run(
        [
            *("setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--mount", "--mount-proc"),
            *("--fork", "--kill-child", "--"),
            *("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--aptopt={options}"),
            *("--dpkgopt=force-unsafe-io", "--skip=cleanup/apt", "--skip=check/empty"),
            f"--customize-hook=APT_CONFIG=$MMDEBSTRAP_APT_CONFIG {fetch} {words}",
            "--customize-hook=rm -f $1/etc/apt/apt.conf.d/99mmdebstrap",
            *(suite, str(root), *debian.sources(suite)),
        ],
        extra=os.environ,
    )


def _prepare(root: Path, suite: str) -> None:
    """Make a root with the packages that snaproot depends on, by the root's own apt, offline."""
    run(["cp", "-a", "--reflink=auto", str(clean(suite)), str(root)])
    install = ("apt-get", "--yes", "--no-install-recommends", "install")
    made = Root(root, suite, build.PINS)
    made.run(*install, *dependencies(suite))
    made.run("apt-get", "clean")
    shutil.rmtree(root / "var/lib/apt/lists")
