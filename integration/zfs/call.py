"""Have a machine with ZFS call a function on the disk of one that is off, and return the result.

What goes there and comes back is pickled: functions by their names, so they are a module's own.
"""

import base64
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from integration.vm import disks, zfs
from integration.vm.off import Off, always
from integration.zfs.bench import CHECKOUT, Bench

T = TypeVar("T")
_SECTOR = 512
_LATEST = 2400  # seconds: sixty boot environments are made in one call, in emulation


def done(disk: Path, do: Callable[..., T], words: tuple[object, ...], held: tuple[str, str]) -> T:
    """Call `do(Off, *words)` there, once what must always hold was asserted.

    `held`: settings for snaproot, and a trial that is spoilt. Raises AssertionError where anything
    fails, with what was said.
    """
    with disks.home() as home:
        given = home / "given.img"
        content = pickle.dumps((do, words, held))
        given.write_bytes(content + bytes(-len(content) % _SECTOR))
        with zfs.opened(disk, given) as bench:
            found: T = pickle.loads(_called(bench, given.stem))  # noqa: S301 - ours
            return found


def _called(bench: Bench, disk: str) -> bytes:
    command = f"python3 -m integration.zfs.call /dev/disk/by-id/virtio-{disk}"
    ended = bench.guest.run(f"cd {CHECKOUT} && {command}", status=None, seconds=_LATEST)
    if ended.status:
        raise AssertionError(f"on the disk, from outside:\n{ended.output}")
    return base64.b64decode(ended.output.splitlines()[-1])


def main(given: str) -> None:
    """Do in the machine what was asked; the result is the last line."""
    with Path(given).open("rb") as file:
        do, words, (settings, spoilt) = pickle.load(file)  # noqa: S301 - ours
    disk = Off(Path(zfs.ROOT), Path(zfs.ESP), settings)
    try:
        always(disk, spoilt)
        found = do(disk, *words)
    finally:
        disk.close()
    print(base64.b64encode(pickle.dumps(found)).decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
