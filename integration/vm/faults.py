"""What is done to a trial on a powered-off disk: nothing that proving or arming would let pass."""

import base64
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integration.vm.guest import Guest
from integration.vm.off import Off
from snaproot.bootloader.entry import COPIES, INITRAMFS, KERNEL

STOPS = Path(__file__).with_name("stops.py")
STOPPED = "testbed: stopped here"
WAITS = f"{{ echo '{STOPPED}' >/dev/console; sleep infinity; }}"
"""For a shell."""
TYPED = 600.0  # seconds that a command may take on a slow machine
NO_INITRAMFS = b"\0" * 4096
PYTHON = "usr/lib/snaproot/python/snaproot"


@contextmanager
def unsealed(disk: Off) -> Iterator[Path]:
    """Yield the trial's root for writing, and seal it again. On Btrfs alone."""
    from snaproot.filesystem.btrfs import binding

    root = disk.layout.root(disk.target)
    binding.set_read_only(root, read_only=False)
    yield root
    binding.set_read_only(root, read_only=True)


def written(disk: Off, path: str, content: bytes) -> None:
    """Replace a file of the trial's root, as a disk may."""
    with unsealed(disk):
        (disk.top / path.lstrip("/")).write_bytes(content)


def removed(disk: Off, pattern: str) -> None:
    """Remove files of the trial's root; there has to be one."""
    with unsealed(disk) as root:
        found = [*root.glob(pattern)]
        assert found
        for path in found:
            path.unlink()


def patched(disk: Off, module: str, old: str, new: str) -> None:
    """Change the snaproot of the trial; its bytecode would be believed unseen."""
    with unsealed(disk) as root:
        path = root / PYTHON / module
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} is not once in {module}"
        path.write_text(text.replace(old, new))
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()


def panics(disk: Off) -> None:
    """Let the trial's kernel have no initramfs that it could use: it panics at once."""
    boots = disk.entry(disk.target)
    if boots.readable:
        written(disk, boots.initramfs, NO_INITRAMFS)
    else:
        misled(disk)


def misled(disk: Off) -> None:
    """Lead the trial alone to copies of its own that are none: others may share the right ones."""
    kernel, _ = disk.loaded(disk.target)
    other = disk.home / COPIES / ("0" * 32)
    other.mkdir()
    shutil.copy(kernel, other / KERNEL)
    (other / INITRAMFS).write_bytes(NO_INITRAMFS)
    entry = disk.home / f"entries/{disk.target}.cfg"
    entry.write_text(entry.read_text().replace(kernel.parent.name, other.name))


def argued(disk: Off, old: str, new: str) -> None:
    """Change a kernel argument in the trial's boot entry."""
    entry = disk.home / f"entries/{disk.target}.cfg"
    text = entry.read_text()
    assert text.count(old) == 1, text
    entry.write_text(text.replace(old, new))


def configured(disk: Off, path: str, text: str, id: str = "") -> Path:
    """Write a file below the `/etc` of the trial, or of another; a script may be run."""
    place = disk.etc(id or disk.target) / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    place.chmod(0o755 if text.startswith("#!") else 0o644)
    return place


def asked(disk: Off, script: str) -> None:
    """Add a health check that the trial has to pass."""
    configured(disk, "snaproot/check/required.d/10-test.sh", f"#!/bin/sh\n{script}\n")


def red(disk: Off) -> None:
    """Let the trial be found bad."""
    asked(disk, "echo the test says no; exit 1")


def stops(disk: Off, verb: str, where: str, id: str = "") -> None:
    """Let a unit's verb stop for ever at a call, such as `before bootloader.grub Grub settle 1`.

    `FILESYSTEM` in it stands for the module and the class of the disk's own backend.
    """
    backend = type(disk.filesystem)
    module = backend.__module__.removeprefix("snaproot.")
    where = where.replace("FILESYSTEM", f"{module} {backend.__name__}")
    configured(disk, "testbed/stops.py", STOPS.read_text(), id)
    start = f"/usr/bin/python3 -IBS /etc/testbed/stops.py {verb} {where}"
    drop_in = f"[Service]\nExecStart=\nExecStart={start}\n"
    configured(disk, f"systemd/system/snaproot-{verb}.service.d/stops.conf", drop_in, id)


def typed(guest: Guest, where: str, *words: str) -> None:
    """Start a command in a system that runs, to stop for ever at a call; wait until it does."""
    script = base64.b64encode(STOPS.read_bytes()).decode()
    place, said = "/etc/testbed/stops.py", shlex.join(words)
    guest.run(f"mkdir -p /etc/testbed && echo {script} | base64 -d >{place}")
    since = guest.serial.now
    guest.start(f"exec >/dev/console 2>&1; exec python3 -IBS {place} snaproot {where} -y {said}")
    guest.serial.wait(STOPPED, TYPED, since)


def goes_on(disk: Off, verb: str, id: str) -> None:
    """Let it stop no more."""
    place = disk.etc(id) / f"systemd/system/snaproot-{verb}.service.d/stops.conf"
    place.unlink()
