"""A small adopted system on real Btrfs, driven through the command line as a person would."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from integration import tinyroot
from integration.disk import disk
from snaproot.run import run

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Said:
    """What one run of snaproot ended with."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, object]:
        shape = json.loads(self.out)
        assert isinstance(shape, dict)
        return shape


@dataclass(frozen=True)
class Machine:
    """A filesystem's top level, and how snaproot is started on it."""

    top: Path
    prefix: tuple[str, ...] = ()
    options: tuple[str, ...] = field(default=())
    code: Path = REPOSITORY

    @property
    def snaproot(self) -> Path:
        return self.top / "@snaproot"

    def __call__(self, *words: str, status: int = 0, stdin: str | None = None) -> Said:
        """Run snaproot, and insist on its exit code."""
        options = self.options or ("--sysroot", str(self.top))
        done = subprocess.run(
            [*self.prefix, sys.executable, "-m", "snaproot", *options, *words],
            capture_output=True,
            text=True,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            env={**environment(), "PYTHONPATH": str(self.code)},
            check=False,
        )
        said = Said(done.returncode, done.stdout, done.stderr)
        assert done.returncode == status, said
        return said

    def begun(self, *words: str) -> "subprocess.Popen[str]":
        """Start snaproot, and return when its first line has come."""
        child = subprocess.Popen(
            [sys.executable, "-m", "snaproot", "--sysroot", str(self.top), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        assert child.stdout is not None
        assert child.stdout.readline()
        return child

    def refused(self, *words: str, status: int) -> str:
        """Run what has to fail with one line and a hint, and return the line."""
        lines = self(*words, status=status).err.splitlines()
        errors = [line for line in lines if line.startswith("snaproot: ")]
        assert len(errors) == 1, lines
        assert lines[-1].startswith("hint: "), lines
        return errors[0]

    def ids(self) -> list[str]:
        """Name the boot environments, oldest first, the original left out."""
        listed = self("list", "--json").json["environments"]
        assert isinstance(listed, list)
        return [one["id"] for one in listed if one["standing"] != "original"]

    def status(self) -> dict[str, object]:
        return self("status", "--json").json


def configured(machine: Machine, settings: str) -> Machine:
    """Give a machine settings: /run is its alone, in a mount namespace of its own."""
    script = """
mount -t tmpfs -o mode=755 none /run
mkdir /run/snaproot
printf %s "$1" > /run/snaproot/snaproot.toml
shift
exec "$@"
"""
    return replace(machine, prefix=("unshare", "-m", "sh", "-e", "-c", script, "sh", settings))


def programs() -> list[Path]:
    """Where Python, its packages and snaproot are, unless they are below /usr."""
    places = {Path(sys.base_prefix), Path(sys.prefix), REPOSITORY}
    return sorted(place for place in places if not place.is_relative_to("/usr"))


def environment() -> Mapping[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "COLUMNS": "100"}


@contextmanager
def unadopted(directory: Path, *, size: str = "2G") -> Iterator[Machine]:
    """Lend a disk with a tiny root in `@`."""
    with disk(directory, size=size) as top:
        run(["btrfs", "subvolume", "create", str(top / "@")])
        tinyroot.build(top / "@")
        yield Machine(top)


@contextmanager
def adopted(directory: Path, *, size: str = "2G") -> Iterator[Machine]:
    """Lend a disk whose tiny root snaproot has adopted."""
    with unadopted(directory, size=size) as machine:
        machine("init", "-y")
        yield machine
