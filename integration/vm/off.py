"""The disk of an adopted machine that is off: what is on it, and what must always hold there.

Nothing here needs more than the disk. One with ZFS on it is looked at in a machine with ZFS.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from integration.machine import Machine as Commands
from snaproot import system
from snaproot.bootloader import entry, envblock
from snaproot.bootloader.entry import ORIGINAL
from snaproot.bootloader.envblock import Env
from snaproot.environment import Environment, Standing
from snaproot.filesystem import Filesystem
from snaproot.filesystem.layout import Layout
from snaproot.record import Records
from snaproot.state import Phase, Record


@dataclass(slots=True)
class Off:
    """What `--sysroot` names, its ESP, and this checkout's snaproot on them."""

    sysroot: Path
    esp: Path
    settings: str = ""
    _held: ExitStack = field(default_factory=ExitStack)
    _top: Path | None = None

    def __call__(self, *words: str, status: int = 0) -> Mapping[str, object]:
        """Run snaproot as one does on a disk that is attached elsewhere; insist on its exit code.

        Returns what it printed as JSON. What was mounted here to look at is not meanwhile.
        """
        self.close()
        options = ("--sysroot", str(self.sysroot), "--esp", str(self.esp), "--json", "-y")
        machine = Commands(self.sysroot, _configured(self.settings), options)
        return machine(*words, status=status).json

    def close(self) -> None:
        """Let go of all that was looked at; paths from before lead nowhere then."""
        self._top = None
        self._held.close()

    @property
    def top(self) -> Path:
        if self._top is None:
            self._top = self._held.enter_context(system.top_level(self.sysroot))
        return self._top

    @property
    def layout(self) -> Layout:
        return Layout(self.top)

    @property
    def filesystem(self) -> Filesystem:
        return system.backend(self.layout, running=False)

    @property
    def record(self) -> Record:
        return Records(self.layout.record).load()

    @property
    def home(self) -> Path:
        return self.esp / "EFI/snaproot"

    @property
    def env(self) -> Env | None:
        path = self.home / "env"
        return envblock.parse(path.read_bytes()) if path.exists() else None

    @property
    def environments(self) -> Mapping[str, Environment]:
        return {one.id: one for one in self.filesystem.environments()}

    @property
    def default(self) -> str | None:
        return self.filesystem.default()

    @property
    def target(self) -> str:
        pending = self.record.pending
        assert pending is not None
        return pending.target

    def root(self, id: str) -> Path:
        return self.filesystem.place(id).root

    def etc(self, id: str) -> Path:
        return self.root(id) / "etc"

    def area(self, mount: str) -> Path:
        """Name the shared area that is mounted there."""
        return self.filesystem.place(self.record.base).areas[mount]

    def entry(self, id: str) -> entry.Entry:
        found = entry.parse((self.home / f"entries/{id}.cfg").read_text())
        assert found is not None, f"the entry of {id} is garbled"
        return found

    def loaded(self, id: str) -> tuple[Path, Path]:
        """Name the kernel and the initramfs that the loader loads."""
        boots = self.entry(id)
        place = self.top if boots.readable else self.esp
        return place / boots.kernel.lstrip("/"), place / boots.initramfs.lstrip("/")


def _configured(settings: str) -> tuple[str, ...]:
    """Give a run of snaproot settings: /run is its alone, in a mount namespace of its own."""
    if not settings:
        return ()
    script = (
        'mount -t tmpfs -o mode=755 none /run && mkdir /run/snaproot && printf %s "$1" '
        '>/run/snaproot/snaproot.toml && shift && exec "$@"'
    )
    return ("unshare", "-m", "sh", "-e", "-c", script, "sh", settings)


def always(disk: Off, spoilt: str = "") -> None:
    """Assert what must hold at every instant (I1, I2), on a disk as it was found.

    `spoilt` is a trial that the scenario has made one that the loader cannot load.
    """
    record, known = disk.record, disk.environments
    pending = record.pending
    promoting = {pending.target} if pending and pending.phase is Phase.PROMOTING else set()
    believed = {Standing.PROVEN, Standing.ORIGINAL}
    proven = {id for id, one in known.items() if one.standing in believed} | promoting
    assert known[record.base].complete
    assert record.base in proven
    assert disk.default in proven
    env = disk.env
    if env is None:
        return
    assert env.good in proven
    for id in {env.good, env.trial if env.tries else env.good} - {spoilt, ORIGINAL}:
        assert known[id].complete
        assert known[id].sealed
        assert all(path.stat().st_size for path in disk.loaded(id))
