"""The part of `make bench` that compares commands with the commands they stand beside."""

import sys
from pathlib import Path

from integration.bigroot import adopted, command
from integration.disk import disk
from integration.results import Section, ratio, seconds
from integration.stopwatch import Effort, in_turns, silent
from snaproot.environment import Environment
from snaproot.run import run
from snaproot.system import System, opened

LATE = ("sigstore", "rich", "btrfsutil")


def listing(effort: Effort) -> Section:
    """List many boot environments, beside the tools that list subvolumes and snapshots."""
    with adopted(effort.directory) as top, disk(effort.directory) as beside:
        _prepare_snapper(beside)
        rows = [_listed(top, beside, count, effort.rounds) for count in effort.counts]
    return Section(
        "Listing boot environments",
        ("how many", "`snaproot list`", "`btrfs subvolume list`", "`snapper list`", "to snapper"),
        tuple(rows),
        (
            "snaproot --sysroot TOP --json list",
            "btrfs subvolume list TOP",
            "snapper --no-dbus --root OTHER --jsonout list",
        ),
        "btrfs names every subvolume, several per boot environment, and nothing else of them. "
        "snapper has as many snapshots on a Btrfs of its own.",
    )


def _listed(top: Path, beside: Path, count: int, rounds: int) -> tuple[str, ...]:
    with opened(top, notice=silent) as system:
        _fill_up(system, count)
    _fill_snapper(beside, count)
    ours, plain, snapper = in_turns(
        rounds,
        lambda: run(command(top, "--json", "list")),
        lambda: run(["btrfs", "subvolume", "list", str(top)]),
        lambda: run([*_snapper(beside), "--jsonout", "list"]),
    )
    times = (seconds(ours), seconds(plain), seconds(snapper))
    return (f"{count:,}", *times, ratio(ours, snapper))


def _fill_up(system: System, count: int) -> None:
    """Make boot environments until there are as many."""
    filesystem, base = system.filesystem, system.records.load().base
    for number in range(len(filesystem.environments()), count):
        new = f"b{number:06}x"
        filesystem.collect(filesystem.create(new, base))
        filesystem.seal(Environment(id=new, parent=base, origin="run", command="true"))


def _prepare_snapper(top: Path) -> None:
    for name in ("etc/snapper/configs", "etc/default"):
        (top / name).mkdir(parents=True)
    (top / "etc/default/snapper").write_text('SNAPPER_CONFIGS="root"\n', encoding="ascii")
    config = 'SUBVOLUME="/"\nFSTYPE="btrfs"\n'
    (top / "etc/snapper/configs/root").write_text(config, encoding="ascii")
    run(["btrfs", "-q", "subvolume", "create", str(top / ".snapshots")])


def _fill_snapper(top: Path, count: int) -> None:
    for _ in range(len([*(top / ".snapshots").iterdir()]), count):
        run([*_snapper(top), "create"])


def _snapper(top: Path) -> list[str]:
    return ["snapper", "--no-dbus", "--root", str(top)]


def startup(effort: Effort) -> Section:
    """Start the command beside the interpreter, and beside the one library it cannot do without."""
    with adopted(effort.directory) as top:
        python = [sys.executable, "-c"]
        argvs = (
            [*python, "pass"],
            [*python, "import typer"],
            command(top, "--help"),
            command(top, "status"),
        )
        bare, *others = in_turns(2 * effort.rounds, *(lambda a=argv: run(a) for argv in argvs))
    names = ("`python -c pass`", "`python -c 'import typer'`", "`--help`", "`status`")
    rows = [
        (name, seconds(times), ratio(times, bare))
        for name, times in zip(names, (bare, *others), strict=True)
    ]
    late = imported_by_help()
    return Section(
        "Start-up",
        ("", "time", "ratio"),
        tuple(rows),
        ("snaproot --help", "snaproot --sysroot TOP status"),
        f"`--help` has to import none of {', '.join(LATE)}.",
        tuple(f"`--help` imports {name}" for name in late),
    )


def imported_by_help() -> list[str]:
    """Name the heavy packages that `snaproot --help` imports: there should be none."""
    script = (
        "import sys\n"
        "from snaproot.cli.boundary import guarded\n"
        "sys.stdout = sys.stderr\n"
        "try: guarded(['--help'])\n"
        "finally: print(*{name.partition('.')[0] for name in sys.modules}, file=sys.__stdout__)\n"
    )
    loaded = run([sys.executable, "-c", script]).output.split()
    return [name for name in LATE if name in loaded]
