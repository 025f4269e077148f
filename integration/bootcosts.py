"""The part of `make bench` about booting: the generator, an entry among many, the health checks."""

import tempfile
from itertools import count
from pathlib import Path

from integration.machine import REPOSITORY
from integration.results import Section, ratio, seconds
from integration.stopwatch import Effort, Work, in_turns
from snaproot.bootloader import Trial
from snaproot.run import run
from tests.bootloader.grubhome import GrubHome

_GENERATOR = REPOSITORY / "snaproot/boot/generator"
_FEW, _MANY = 3, 200


def boot_side(effort: Effort) -> Section:
    """Time what every boot pays, and what arming pays for the entries that are there already."""
    with tempfile.TemporaryDirectory(dir=effort.directory) as name:
        place = Path(name)
        nothing, generator = in_turns(
            2 * effort.rounds,
            lambda: run(["dash", "-c", ":"]),
            lambda: run(["dash", str(_GENERATOR), name, name, name]),
        )
        homes = [_filled(place / str(number), number) for number in (_FEW, _MANY)]
        few, many = in_turns(effort.rounds, *(_armed(home) for home in homes))
    rows = (
        ("a shell that does nothing", seconds(nothing), "1.00"),
        (
            "the generator, in a boot that is no trial",
            seconds(generator),
            ratio(generator, nothing),
        ),
        (f"arming beside {_FEW} boot entries", seconds(few), "1.00"),
        (f"arming beside {_MANY} boot entries", seconds(many), ratio(many, few)),
    )
    return Section(
        "Booting",
        ("", "time", "ratio"),
        rows,
        ("dash snaproot/boot/generator DIR DIR DIR",),
        "Arming writes an entry and the index, hashes kernels and initramfs, and syncs; these here "
        "are small.",
    )


def _filled(place: Path, entries: int) -> GrubHome:
    place.mkdir()
    home = GrubHome(place)
    home.lay_stub()
    home.establish("b000")
    home.started()
    for number in range(entries):
        home.loader().boot_once(f"b{number:03}")
    return home


def _armed(home: GrubHome) -> Work:
    numbers = count()

    def arm() -> None:
        id = f"c{next(numbers):03}"
        home.root(id)
        home.loader().arm(Trial("d1", id, "b000", 2))

    return arm
