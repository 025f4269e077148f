"""Scripts that others wrote: greenboot's and health-checker's conventions, unchanged.

greenboot runs every `*.sh` of a directory with bash, executable or not, and other executables as
they are; health-checker runs every program of a directory with the word `check`. Status 0 is good.
"""

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from snaproot.errors import SnaprootError, TimedOut
from snaproot.health import Finding, Outcome, Probe, Result, Severity
from snaproot.health.runner import check
from snaproot.run import bounded

OWN = (Path("/usr/lib/snaproot"), Path("/run/snaproot"), Path("/etc/snaproot"))
GREENBOOT = (Path("/usr/lib/greenboot"), Path("/etc/greenboot"))
HEALTH_CHECKER = (Path("/usr/libexec/health-checker"), Path("/usr/local/libexec/health-checker"))
_LEFTOVERS = ("~", ".bak", ".orig", ".rpmsave", ".rpmnew", ".rpmorig")
_DISABLED = re.compile(r"^\s*DISABLED_HEALTHCHECKS=\((.*?)\)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Script:
    """One script, how it is called, and what its directory says it decides."""

    path: Path
    argv: tuple[str, ...]
    severity: Severity


@dataclass(frozen=True, slots=True)
class Directories:
    """Where scripts are looked for; of `own`, the same name in a later one shadows."""

    own: Sequence[Path] = OWN
    greenboot: Sequence[Path] = GREENBOOT
    health_checker: Sequence[Path] = HEALTH_CHECKER


def checks(directories: Directories) -> list[Script]:
    """Find the scripts that check, in the order of their names within each place."""
    found: list[Script] = []
    off = _disabled(directories.greenboot)
    for severity in Severity:
        place = f"check/{severity}.d"
        ours = _shadowed([top / place for top in directories.own])
        theirs = (path for top in directories.greenboot for path in _files(top / place))
        paths = [*ours, *(path for path in theirs if path.name not in off)]
        found += [Script(path, _called(path), severity) for path in paths if _runs(path)]
    for top in directories.health_checker:
        paths = [path for path in _files(top) if os.access(path, os.X_OK)]
        found += [Script(path, (str(path), "check"), Severity.REQUIRED) for path in paths]
    return found


def run_after(
    result: Result, seconds: float, directories: Directories | None = None
) -> Sequence[Finding]:
    """Run what was put into `green.d` (good) or `red.d`, one by one, for `seconds` all in all.

    What is still running then is killed, what has not begun is not begun. Changes no verdict.
    """
    where, place = directories or Directories(), "green.d" if result is Result.GOOD else "red.d"
    ours = _shadowed([top / place for top in where.own])
    theirs = (path for top in where.greenboot for path in _files(top / place))
    paths = [path for path in (*ours, *theirs) if _runs(path)]
    probes = [
        Probe(str(p), lambda p=p: ask(_called(p), seconds), Severity.WANTED, seconds)  # type: ignore[misc]
        for p in paths
    ]
    return check(probes, seconds, parallel=1).findings


def ask(argv: Sequence[str], seconds: float) -> Outcome:
    """Run one script: status 0 is good, another one bad, anything else no answer."""
    try:
        done = bounded(argv, seconds)
    except TimedOut as error:
        said = f"no answer in {seconds:g} s{_last(error.output)}"
        return Outcome(Result.UNKNOWN, said, {"output": error.output})
    except SnaprootError as error:
        return Outcome(Result.UNKNOWN, str(error))
    evidence: dict[str, object] = {"output": done.output, "status": done.status}
    if done.status == 0:
        return Outcome(Result.GOOD, "exited 0", evidence)
    if done.status < 0:
        return Outcome(Result.UNKNOWN, f"was killed by signal {-done.status}", evidence)
    return Outcome(Result.BAD, f"exited {done.status}{_last(done.output)}", evidence)


def _called(path: Path) -> tuple[str, ...]:
    bash = path.suffix == ".sh" and (shutil.which("bash") or not os.access(path, os.X_OK))
    return ("bash", str(path)) if bash else (str(path),)


def _runs(path: Path) -> bool:
    return path.suffix == ".sh" or os.access(path, os.X_OK)


def _shadowed(places: Iterable[Path]) -> list[Path]:
    """Lay directories over each other; a link to /dev/null masks."""
    found = {path.name: path for place in places for path in _entries(place)}
    return [found[name] for name in sorted(found) if found[name].is_file()]


def _files(place: Path) -> list[Path]:
    return [path for path in _entries(place) if path.is_file()]


def _entries(place: Path) -> list[Path]:
    """List what can be meant, sorted; raises SnaprootError for a directory that cannot be read."""
    try:
        names = sorted(os.listdir(place))  # noqa: PTH208 - names are wanted, not paths
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SnaprootError(f"cannot read {place}: {reason}") from error
    return [place / name for name in names if not _left_over(name)]


def _left_over(name: str) -> bool:
    return name.startswith(".") or name.endswith(_LEFTOVERS) or ".dpkg-" in name


def _disabled(tops: Iterable[Path]) -> frozenset[str]:
    """Read DISABLED_HEALTHCHECKS, a bash array, from greenboot's own configuration."""
    return frozenset(name for top in tops for name in _switched_off(top / "greenboot.conf"))


def _switched_off(path: Path) -> Iterator[str]:
    with suppress(OSError):
        for listed in _DISABLED.findall(path.read_text(errors="replace")):
            yield from (word.strip("\"'") for word in listed.split())


def _last(output: str) -> str:
    lines = output.strip().splitlines()[-1:]
    return f": {lines[0].strip()}" if lines and lines[0].strip() else ""
