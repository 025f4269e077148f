"""`make bench`: how long things take, beside the nearest thing that is not snaproot.

Every row of a table is measured in the same run, its columns in turns, so that a busy machine
slows all of them. `--quick` does it with small roots and few rounds, and writes nothing.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from integration import archive, debian, results
from integration.beside import listing, startup
from integration.bigroot import adopted, snaproot
from integration.bootcosts import boot_side
from integration.results import Section, ratio, seconds
from integration.stopwatch import GB, Effort, silent, timed
from integration.verification import verification
from snaproot.run import run
from snaproot.staging import Staging
from snaproot.state import Judge, Kind, Result, Verdict
from snaproot.system import opened

MOST = 1.1


def deployments(effort: Effort) -> Section:
    """Stage, seal and arm an empty change, and roll back, on a small and on a large root."""
    with ExitStack() as stack:
        tops = [
            stack.enter_context(adopted(effort.directory, size=size))
            for size in (effort.small, effort.large)
        ]
        rounds = [
            (*_by_command(top), *_in_process(top))
            for _ in range(2 * effort.rounds + 1)
            for top in tops
        ][2:]
    names = ("stage, seal, arm: `snaproot run true`", "`snaproot rollback`", *_IN_PROCESS)
    rows = [
        (name, seconds(small), seconds(large), ratio(large, small))
        for name, small, large in zip(
            names, zip(*rounds[::2], strict=True), zip(*rounds[1::2], strict=True), strict=True
        )
    ]
    sizes = [f"{size / GB:.2g} GB" for size in (effort.small, effort.large)]
    worse = [row[0] for row in rows[:2] if float(row[-1]) > MOST]
    return Section(
        "An empty change, and its rollback",
        ("", *sizes, "ratio"),
        tuple(rows),
        ("snaproot --sysroot TOP --yes run true", "snaproot --sysroot TOP --yes rollback"),
        f"Proof and sealing cost what changed, not what is there: at most {MOST} times as much.",
        tuple(f"{name} costs what is there" for name in worse),
    )


_IN_PROCESS = ("the same in one process: stage, seal, arm", "the same in one process: rollback")


def _by_command(top: Path) -> tuple[float, float]:
    staged = timed(lambda: snaproot(top, "run", "true"))
    snaproot(top, "promote")
    back = timed(lambda: snaproot(top, "rollback"))
    snaproot(top, "promote")
    return staged, back


GOOD = Verdict(Result.GOOD, Judge.HAND)


def _in_process(top: Path) -> tuple[float, float]:
    with opened(top, notice=silent) as system:
        transaction, base = system.transaction, system.records.load().base
        build = Staging(system).command(["true"], network=False, line=silent)
        staged = timed(lambda: transaction.stage(Kind.RUN, build, arm=True))
        transaction.promote(GOOD)
        back = timed(lambda: transaction.choose(Kind.ROLLBACK, base))
        transaction.promote(GOOD)
    return staged, back


def upgrade(effort: Effort) -> Section:
    """Compare an upgrade with the same apt in a plain chroot, on the same Debian root."""
    suite = debian.SUITES[-1]
    with ExitStack() as stack:
        top = stack.enter_context(debian.disk(suite, effort.directory))
        made = archive.Archive.create(top / "@/srv/archive", top.parent, debian.raw(suite))
        made.publish(*archive.GOOD)
        made.install(top / "@")
        run(["btrfs", "-q", "subvolume", "snapshot", str(top / "@"), str(top / "plain")])
        run([*_inside(top / "plain"), "apt-get", "-q", "update"])
        snaproot(top, "init")
        rounds = [(_upgraded(top), _plain(top)) for _ in range(effort.rounds // 2 + 1)][1:]
    ours, theirs = zip(*rounds, strict=True)
    return Section(
        f"`snaproot upgrade` beside the same apt in a plain chroot, Debian {suite}",
        ("", "time", "ratio"),
        (
            ("apt in a chroot", seconds(theirs), "1.00"),
            ("`snaproot upgrade`", seconds(ours), ratio(ours, theirs)),
        ),
        (
            "snaproot --sysroot TOP --yes upgrade",
            "chroot COPY apt-get update",
            "chroot COPY apt-get --yes dist-upgrade",
            "btrfs filesystem sync COPY",
        ),
        f"{len(archive.GOOD) - 1} packages are upgraded and one is new. Beside apt, snaproot makes "
        "the copies, proves, hashes what changed, seals, syncs and arms.",
    )


def _upgraded(top: Path) -> float:
    took = timed(lambda: snaproot(top, "upgrade"))
    snaproot(top, "abandon")
    return took


def _plain(top: Path) -> float:
    """Do what the apt backend does, in a copy that nobody proves, seals or keeps."""
    copy = top / "copy"
    run(["btrfs", "-q", "subvolume", "snapshot", str(top / "plain"), str(copy)])
    took = timed(lambda: _apt(copy))
    run(["btrfs", "-q", "subvolume", "delete", str(copy)])
    return took


def _apt(copy: Path) -> None:
    run([*_inside(copy), "apt-get", "-q", "update"])
    run([*_inside(copy), *_UPGRADE])
    run(["btrfs", "filesystem", "sync", str(copy)])


_UPGRADE = (
    *("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "--yes"),
    *("-oDPkg::Options::=--force-confdef", "-oDPkg::Options::=--force-confold", "dist-upgrade"),
)


def _inside(root: Path) -> list[str]:
    """Enter a root and do nothing else, as chroot(1) with /proc and /dev would."""
    return [
        "bwrap",
        "--die-with-parent",
        "--bind",
        str(root),
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
    ]


SECTIONS: dict[str, Callable[[Effort], Section]] = {
    section.__name__: section
    for section in (deployments, upgrade, listing, startup, boot_side, verification)
}


def main(words: Sequence[str]) -> int:
    """Measure, print as it goes, and write the page. Returns 1 if a promise is not kept."""
    parser = argparse.ArgumentParser(prog="python -m integration.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small roots, few rounds, no page")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="measure only this")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()))
    given = parser.parse_args(words)
    quick = Effort(given.directory, 3, GB // 50, GB // 5, (10, 30))
    effort = quick if given.quick else Effort(given.directory)
    measured = [_shown(SECTIONS[name](effort)) for name in given.only or SECTIONS]
    if not (given.quick or given.only):
        text = results.render(results.now(), results.machine(), measured)
        print(f"written to {results.write('make bench', text)}")
    return 1 if any(section.broken for section in measured) else 0


def _shown(section: Section) -> Section:
    print("\n".join(results.lines(section)), flush=True)
    return section


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
