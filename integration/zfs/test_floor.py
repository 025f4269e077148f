"""The rollback floor on a real pool: what upgrading it does to older roots. Runs in a bench."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from integration.zfs import bed
from integration.zfs.bed import ZfsBench
from snaproot import durable, verdicts, zpool
from snaproot.boot import service
from snaproot.boot.login import lines
from snaproot.bootloader.pointer import PointerLoader
from snaproot.cmdline import CommandLine
from snaproot.config import Config
from snaproot.doctor import examine
from snaproot.environment import Standing
from snaproot.errors import ExitCode
from snaproot.filesystem.zfs import floor
from snaproot.finding import Level
from snaproot.judging import STAYS
from snaproot.overview import look
from snaproot.quarantine import Quarantined
from snaproot.record import Records
from snaproot.run import run
from snaproot.state import Judge, Phase, Record, Result, Verdict
from snaproot.system import System
from tests.contract.filesystem import BASE, NEW, found, staged
from tests.deployments import deployment

FILE, POOL = "/tmp/floor.img", "floor"  # noqa: S108
WHEN = datetime(2026, 2, 2, tzinfo=UTC)
LATER = "large_blocks"
"""A feature of which it can be seen when it comes into use."""


@pytest.fixture
def old() -> Iterator[ZfsBench]:
    """Lend a pool that was made for an older OpenZFS, with two proven roots."""
    run(["truncate", "-s", "512M", FILE])
    own = ("-d", "-o", "cachefile=none", "-O", "canmount=off", "-O", "mountpoint=none")
    run(["zpool", "create", "-f", *own, POOL, FILE])
    for name in ("extensible_dataset", "enabled_txg", "hole_birth", "bookmarks", "async_destroy"):
        run(["zpool", "set", f"feature@{name}=enabled", POOL])
    try:
        with bed.bed(POOL) as made:
            filesystem = made.filesystem()
            filesystem.describe(replace(staged(made), standing=Standing.PROVEN))
            yield made
    finally:
        run(["zpool", "destroy", "-f", POOL])
        Path(FILE).unlink()


def forget(bench: ZfsBench, id: str, name: str) -> None:
    """Let a root have run with a module that did not know a feature."""
    path = bench.layout.record / floor.NAME
    known = floor.load(bench.view)
    knows = {**known.knows, id: tuple(one for one in known.knows[id] if one != name)}
    durable.write(path, floor.render(replace(known, knows=knows)), mode=0o600)


def use(name: str) -> None:
    """Let the pool use a feature, not only have it enabled."""
    run(["zfs", "create", "-o", "mountpoint=/tmp/big", "-o", "recordsize=1M", f"{POOL}/big"])
    Path("/tmp/big/file").write_bytes(b"x" * (2 << 20))  # noqa: S108
    run(["zpool", "sync", POOL])
    assert zpool.properties(POOL)[f"feature@{name}"] == "active"


def test_the_module_says_what_it_knows_in_the_words_of_zpool(old: ZfsBench) -> None:
    told = {name for name in zpool.properties(old.pool) if name.startswith("feature@")}
    assert {f"feature@{name}" for name in floor.module_knows()} == told


def test_an_upgrade_in_a_trial_is_a_floor_for_what_ran_before(old: ZfsBench) -> None:
    old.filesystem(booted=BASE).note_boot(WHEN)
    forget(old, BASE, LATER)
    assert not found(old.filesystem(), BASE).beneath
    run(["zpool", "set", f"feature@{LATER}=enabled", POOL])
    assert not found(old.filesystem(), BASE).beneath
    try:
        use(LATER)
        old.filesystem(booted=NEW).note_boot(WHEN)
        there = old.filesystem().environments()
        assert [one.bootable for one in there] == [False, True]
        assert found(old.filesystem(), BASE).beneath == (
            f"its ZFS does not know {LATER}, in use in the pool since 2026-02-02 in {NEW}"
        )
        assert old.filesystem().environment(BASE) == found(old.filesystem(), BASE)
        assert not old.filesystem().verify(BASE, lambda _: None)
        assert old.filesystem().changes(BASE, NEW)
    finally:
        run(["zfs", "destroy", "-r", f"{POOL}/big"])


def trial(bench: ZfsBench, told: list[str]) -> System:
    """Play the boot of an armed target, by a loader that only follows `bootfs`."""
    filesystem, layout = bench.filesystem(booted=NEW), bench.layout
    layout.log.mkdir(exist_ok=True)
    armed = replace(deployment(Phase.ARMED, target=NEW, trial_boots=("b",)), parent=BASE, base=BASE)
    Records(layout.record).save(Record(base=BASE, pending=armed))
    filesystem.set_default(NEW)
    return System(
        config=Config(),
        top=layout.top,
        filesystem=filesystem,
        bootloader=PointerLoader(filesystem),
        records=Records(layout.record),
        quarantine=Quarantined(layout.record),
        cache=layout.cache,
        log=layout.log / verdicts.NAME,
        boot=CommandLine(),
        boot_id="b",
        notice=told.append,
        announce=told.append,
    )


def test_a_bad_verdict_ends_in_no_root_that_cannot_be_mounted(old: ZfsBench) -> None:
    """A trial has upgraded the pool; nobody is present."""
    told: list[str] = []
    old.filesystem(booted=BASE).note_boot(WHEN)
    forget(old, BASE, LATER)
    system = trial(old, told)
    run(["zpool", "set", f"feature@{LATER}=enabled", POOL])
    try:
        assert system.transaction.has_fallback()
        use(LATER)
        red = Verdict(Result.BAD, Judge.HEALTH, "mail does not arrive")
        assert service.carry_out(system, red, told.append) == ExitCode.DONE
        assert "not reverted, as the base could not be booted" in told[-1]
        assert STAYS.is_dir()
        STAYS.rmdir()
        pending = system.records.load().pending
        assert pending is not None
        assert (pending.phase, system.filesystem.default()) == (Phase.ARMED, NEW)
        last = verdicts.last(system.log)
        assert last is not None
        assert (last.result, last.reason) == ("bad", "mail does not arrive")
        found = {(one.level, one.subject) for one in examine(system)}
        assert (Level.BAD, "rollback floor") in found
        assert f"{BASE} cannot be returned to" in [*lines(look(system))][-1]
    finally:
        run(["zfs", "destroy", "-r", f"{POOL}/big"])


def test_noting_it_again_writes_nothing_and_what_is_gone_is_forgotten(old: ZfsBench) -> None:
    path = old.layout.record / floor.NAME
    old.filesystem(booted=NEW).note_boot(WHEN)
    before = path.stat()
    old.filesystem(booted=NEW).note_boot(WHEN)
    assert path.stat() == before
    old.filesystem().note_boot(WHEN)  # nothing of ours runs
    assert path.stat() == before
    old.filesystem(booted=BASE).note_boot(WHEN)
    assert set(floor.load(old.view).knows) == {BASE, NEW}
    old.view.release(NEW)
    old.filesystem().discard(NEW)
    old.filesystem(booted=BASE).note_boot(WHEN)
    assert set(floor.load(old.view).knows) == {BASE}


def test_a_damaged_floor_hides_no_root(old: ZfsBench) -> None:
    (old.layout.record / floor.NAME).write_text("{")
    assert [one.bootable for one in old.filesystem().environments()] == [True, True]
