"""Build snaproot's Debian packages: `build.py --suite bookworm --suite trixie --output dist/`.

Every wheel in requirements.txt is fetched by digest and unpacked; nothing is compiled and nothing
of the suite is entered, so one machine builds for every suite. The same tree and the same
SOURCE_DATE_EPOCH (by default that of the last commit to what goes in) give the same bytes.
"""

import argparse
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
PINS = HERE / "requirements.txt"
PRIVATE = "usr/lib/snaproot/python"
COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/snaproot",
    "zsh": "usr/share/zsh/vendor-completions/_snaproot",
    "fish": "usr/share/fish/vendor_completions.d/snaproot.fish",
}
# Templates of this directory: where they go, and their mode.
TEMPLATES = {
    "snaproot.in": ("usr/bin/snaproot", 0o755),
    "boot.in": ("usr/lib/snaproot/boot", 0o755),
    "copyright": ("usr/share/doc/snaproot/copyright", 0o644),
    "control.in": ("DEBIAN/control", 0o644),
    "postinst.in": ("DEBIAN/postinst", 0o755),
    "prerm.in": ("DEBIAN/prerm", 0o755),
    "postrm.in": ("DEBIAN/postrm", 0o755),
}
UNITS = "usr/lib/systemd/system"
SCRIPTS = "usr/share/initramfs-tools/scripts"
# Files of the project that go in as they are: a pattern, a name or directory, and their mode.
SHIPPED = (
    ("snaproot/boot/units/*", f"{UNITS}/", 0o644),
    ("snaproot/boot/trial.conf", "usr/lib/snaproot/", 0o644),
    ("snaproot/boot/generator", "usr/lib/systemd/system-generators/snaproot-generator", 0o755),
    ("contrib/initramfs/hook", "usr/share/initramfs-tools/hooks/snaproot", 0o755),
    ("contrib/initramfs/snaproot-etc.sh", f"{SCRIPTS}/local-bottom/snaproot", 0o755),
    ("contrib/initramfs/*.sh", "usr/lib/dracut/modules.d/91snaproot/", 0o755),
)
# Enabled by the package itself, in every root that has it: an interrupted deployment is finished
# by whatever is booted, the original root too, which nobody else may write to.
ENABLED = {
    f"{UNITS}/multi-user.target.wants/snaproot-recover.service": "../snaproot-recover.service"
}
EMPTY = ("etc/snaproot",)


class BuildError(Exception):
    """The package cannot be built; the message says why."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A Debian release, by what decides which wheels fit it."""

    name: str
    minor: int
    glibc: int

    @property
    def python(self) -> str:
        return f"3.{self.minor}"

    def pip_options(self) -> list[str]:
        """Name the interpreter and the platforms of the release instead of this machine's."""
        platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(self.glibc, 4, -1)]
        legacy = ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]
        return [
            *("--only-binary", ":all:", "--implementation", "cp"),
            *("--python-version", self.python, "--abi", f"cp3{self.minor}"),
            *(word for platform in platforms + legacy for word in ("--platform", platform)),
        ]


SUITES = {
    "bookworm": Suite("bookworm", minor=11, glibc=36),
    "trixie": Suite("trixie", minor=13, glibc=41),
}
# Not released: built where it is asked for by name, with the same pins.
TESTING = {"forky": Suite("forky", minor=14, glibc=43)}
KNOWN = SUITES | TESTING


def run(argv: Sequence[str], **extra: str) -> str:
    """Run a program in this environment (pip needs its PIP_* and certificates), return stdout."""
    program = shutil.which(argv[0])
    if program is None:
        raise BuildError(f"{argv[0]}: no such program")
    done = subprocess.run(
        [program, *argv[1:]],
        env=os.environ | extra,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BuildError(f"{' '.join(argv[:4])} exited {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def epoch() -> int:
    """Return the one time that every file carries, in seconds since 1970.

    Without a repository (a source archive, a checkout of another user's) it is that of the sources.
    """
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    log = ["git", "-C", str(SOURCE), "log", "-1", "--format=%ct", "--", "snaproot", "contrib"]
    try:
        return int(run(log))
    except (BuildError, ValueError):
        return int(max((SOURCE / path).stat().st_mtime for path in modules()))


def version() -> str:
    """Read snaproot's version without importing it."""
    text = (SOURCE / "snaproot/__init__.py").read_text()
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise BuildError("snaproot/__init__.py: no __version__")
    return found[1]


def cache() -> Path:
    """Return where downloads are kept: $SNAPROOT_CACHE, else ~/.cache/snaproot."""
    given = os.environ.get("SNAPROOT_CACHE")
    return (Path(given) if given else Path.home() / ".cache/snaproot") / "wheels"


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pinned(text: str) -> dict[str, str]:
    """Map each SHA-256 of a pin list to its `name==version`."""
    pins: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        word = line.strip().removesuffix("\\").strip()
        if word.startswith("--hash=sha256:"):
            pins[word.removeprefix("--hash=sha256:")] = name
        elif word and not word.startswith("#"):
            name = word
    return pins


def wheels(suite: Suite) -> list[Path]:
    """Return the suite's wheels, from the cache or fetched, each checked against its pin.

    Raises BuildError where pip fails, a digest is not pinned, or a pin has no wheel.
    """
    place = cache() / f"{suite.name}-{digest(PINS)[:16]}"
    if not place.exists():
        fetch(suite, place)
    pins = pinned(PINS.read_text())
    found = {path: pins.get(digest(path)) for path in sorted(place.iterdir())}
    if strangers := [path.name for path, pin in found.items() if pin is None]:
        raise BuildError(f"{place}: not pinned: {', '.join(strangers)}; remove the directory")
    if missing := sorted(set(pins.values()) - {pin for pin in found.values() if pin}):
        raise BuildError(f"{place}: missing: {', '.join(missing)}; remove the directory")
    return list(found)


def fetch(suite: Suite, place: Path) -> None:
    """Let this Python's pip download into a directory that appears only when it is complete."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix="fetching-") as name:
        fetched = Path(name) / "wheels"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(fetched)]
        pins = ["--no-deps", "--require-hashes", "--requirement", str(PINS)]
        run([*pip, *suite.pip_options(), *pins])
        fetched.rename(place)


def unpack(wheel: Path, root: Path) -> None:
    """Unpack a wheel's packages and metadata (PEP 427), without console scripts and hidden files.

    Raises BuildError for a wheel that an unpacked archive does not install.
    """
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            parts = Path(name).parts
            if parts[0].endswith(".data") and parts[1] in {"purelib", "platlib"}:
                raise BuildError(f"{wheel.name}: {name} needs an installer")
            if parts[0].endswith(".data") or any(part.startswith(".") for part in parts):
                continue
            archive.extract(name, root)


def modules() -> Iterator[Path]:
    """Find snaproot's own files, relative to the project, without those for places of their own."""
    elsewhere = {path for pattern, *_ in SHIPPED for path in SOURCE.glob(pattern)}
    for path in sorted({*(SOURCE / "snaproot").rglob("*")} - elsewhere):
        if path.is_file() and "__pycache__" not in path.parts and path.name[0] != ".":
            yield path.relative_to(SOURCE)


def write(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file, and the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def completion(python: Path, shell: str) -> bytes:
    """Let the packaged typer print a completion script; zsh loads it as a function's body."""
    ask = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from typer._completion_shared import get_completion_script as script\n"
        "print(script(prog_name='snaproot', complete_var='_SNAPROOT_COMPLETE', shell=sys.argv[2]))"
    )
    text = run([sys.executable, "-I", "-B", "-c", ask, str(python), shell]).strip() + "\n"
    if shell == "zsh":
        text += '_snaproot_completion "$@"\n'
    return text.encode()


def manual(python: Path, time: int) -> str:
    """Let the packaged snaproot describe itself; nothing that its help imports is compiled."""
    render = str(SOURCE / "contrib/man/render.py")
    return run([sys.executable, "-I", "-B", render, str(python), str(time)])


def changelog(release: str, suite: str, time: int) -> str:
    """Render the one entry of deb-changelog(5) that a build has."""
    date = format_datetime(datetime.fromtimestamp(time, UTC))
    who = "snaproot maintainers <snaproot@localhost>"
    return f"snaproot ({release}) {suite}; urgency=medium\n\n  * Release.\n\n -- {who}  {date}\n"


def fill(tree: Path, suite: Suite, release: str, time: int) -> None:
    """Put everything but the computed control files where it is to be installed."""
    python = tree / PRIVATE
    for wheel in wheels(suite):
        unpack(wheel, python)
    for path in modules():
        write(python / path, (SOURCE / path).read_bytes())
    for pattern, target, mode in SHIPPED:
        for path in sorted(SOURCE.glob(pattern)):
            name = f"{target}{path.name}" if target.endswith("/") else target
            write(tree / name, path.read_bytes(), mode)
    for name, target in ENABLED.items():
        (tree / name).parent.mkdir(parents=True)
        (tree / name).symlink_to(target)
    write(tree / "usr/share/man/man8/snaproot.8.gz", zipped(manual(python, time)))
    policy = (SOURCE / "contrib/man/snaproot-policy.5").read_text(encoding="utf-8")
    write(tree / "usr/share/man/man5/snaproot-policy.5.gz", zipped(policy))
    for shell, target in COMPLETIONS.items():
        write(tree / target, completion(python, shell))
    for name in EMPTY:
        (tree / name).mkdir(parents=True, exist_ok=True)
    history = zipped(changelog(release, suite.name, time))
    write(tree / "usr/share/doc/snaproot/changelog.gz", history)


def zipped(text: str) -> bytes:
    """Compress as `gzip -9n` does."""
    return gzip.compress(text.encode(), 9, mtime=0)


def describe(tree: Path, suite: Suite, release: str) -> None:
    """Write the control files, the launcher and the checksums, from what the tree now holds."""
    values = {
        "VERSION": release,
        "PYTHON": suite.python,
        "NEXT": f"3.{suite.minor + 1}",
        "SIZE": str(sum(kibibytes(path) for path in tree.rglob("*"))),
    }
    for name, (target, mode) in TEMPLATES.items():
        text = (HERE / name).read_text()
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        write(tree / target, text.encode(), mode)
    sums = [
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {name}\n"
        for path in sorted(tree.rglob("*"))
        if path.is_file()
        and not path.is_symlink()
        and not (name := str(path.relative_to(tree))).startswith("DEBIAN/")
    ]
    write(tree / "DEBIAN/md5sums", "".join(sums).encode())


def kibibytes(path: Path) -> int:
    """Count as dpkg-gencontrol does for Installed-Size."""
    return 1 if path.is_dir() else -(-path.stat().st_size // 1024)


def settle(tree: Path, time: int) -> None:
    """Give everything the modes and times that neither umask nor clock had a say in."""
    for path in (*sorted(tree.rglob("*"), reverse=True), tree):
        if path.is_symlink():
            os.utime(path, (time, time), follow_symlinks=False)
            continue
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)
        os.utime(path, (time, time))


def build(suite: Suite, output: Path, time: int) -> Path:
    """Build one package, every file as of `time`; it replaces an older build in one step."""
    release = f"{version()}~{suite.name}"
    package = output / f"snaproot_{release}_amd64.deb"
    with tempfile.TemporaryDirectory(dir=output, prefix=".building-") as name:
        tree, unnamed = Path(name) / "tree", Path(name) / "package.deb"
        fill(tree, suite, release, time)
        describe(tree, suite, release)
        settle(tree, time)
        pack = ["dpkg-deb", "-Zzstd", "--threads-max=1", "--root-owner-group", "--build"]
        run([*pack, str(tree), str(unnamed)], SOURCE_DATE_EPOCH=str(time))
        unnamed.rename(package)
    return package


def main(argv: Sequence[str] | None = None) -> int:
    """Build what the command line names, all suites at once, and return the exit code."""
    parser = argparse.ArgumentParser(description="Build snaproot's Debian packages.")
    default = ", ".join(SUITES)
    parser.add_argument("--suite", action="append", choices=KNOWN, help=f"default: {default}")
    parser.add_argument("--output", type=Path, default=SOURCE / "dist", help="default: dist/")
    options = parser.parse_args(argv)
    options.output.mkdir(parents=True, exist_ok=True)
    chosen = [KNOWN[name] for name in options.suite or SUITES]
    time = epoch()
    try:
        with ThreadPoolExecutor() as pool:
            for package in pool.map(lambda suite: build(suite, options.output, time), chosen):
                sys.stdout.write(f"{package}\n")
    except BuildError as error:
        sys.stderr.write(f"build.py: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
