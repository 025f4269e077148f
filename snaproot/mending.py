"""What a typed `recover` does beyond finishing: a damaged record, damaged metadata.

Nothing is lost: what cannot be read is kept beside the place of what is written anew.
"""

from dataclasses import replace

from snaproot.environment import Environment, Standing
from snaproot.errors import NeedsRecovery, NewerFormat, Refused, SnaprootError
from snaproot.recovery import Decision, check_base
from snaproot.state import Record
from snaproot.steps import Notice
from snaproot.system import System


def mend(system: System, notice: Notice) -> list[Decision]:
    """Rebuild what cannot be read, then finish what was interrupted.

    Raises NeedsRecovery where no proven boot environment can be found, NewerFormat for a record
    that only a newer snaproot may touch.
    """
    try:
        record = system.records.load()
        check_base(record, system.filesystem.environments())
    except NewerFormat:
        raise
    except NeedsRecovery as error:
        record = _rebuild_record(system, error, notice)
    unfinished = record.work.target if record.work else None  # recovery discards it
    for environment in system.filesystem.environments():
        if environment.damage and environment.id != unfinished:
            _salvage(system, environment, record.base, notice)
    return system.transaction.recover()


def _rebuild_record(system: System, damage: SnaprootError, notice: Notice) -> Record:
    notice(str(damage))
    _believe_default(system, notice)
    aside = system.records.set_aside()
    if aside:
        notice(f"what was there is kept as {aside.name}")
    record = system.transaction.rebuild()
    notice(f"made a new record from what the filesystem shows: the base is {record.base}")
    return record


def _believe_default(system: System, notice: Notice) -> None:
    """Read the default's metadata anew if it is damaged too: else nothing could be the base."""
    default = system.filesystem.default()
    for environment in system.filesystem.environments():
        if environment.id == default and environment.damage:
            _salvage(system, environment, environment.id, notice)


def _salvage(system: System, damaged: Environment, base: str, notice: Notice) -> None:
    notice(f"{damaged.id}: {damaged.damage}")
    try:
        salvaged = system.filesystem.salvage(damaged.id)
    except Refused as error:
        notice(str(error))
        return
    if damaged.id == base:
        salvaged = replace(salvaged, standing=Standing.PROVEN)
        system.filesystem.describe(salvaged)
    notice(f"{damaged.id}: its metadata is written anew, as {salvaged.standing}; the old is kept")
