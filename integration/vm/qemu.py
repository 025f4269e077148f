"""QEMU as a child that never outlives us, and the lines to what runs in it."""

import json
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from integration.vm.stream import Stream, Unheard
from snaproot.errors import SnaprootError
from snaproot.run import environment

FIRMWARE = Path("/usr/share/OVMF")
PORT = "testbed.agent"
ALIVE = ("setpriv", "--pdeathsig", "KILL")
_LINES = ("serial", "agent", "qmp")
_SO_SNDBUFFORCE = 32  # socket(7)


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a machine is made of."""

    memory: int = 1024  # MiB
    cpus: int = 1
    secure: bool = False
    watchdog: bool = False
    kernel: Path | None = None  # booted by the firmware itself, with `initrd` and `append`
    initrd: Path | None = None
    append: str = ""
    bios: bool = False  # SeaBIOS, which hands over a kernel sooner; it has no variables
    nvme: bool = False  # its disk: Debian's cloud kernel finds it without an initramfs
    disks: tuple[Path, ...] = ()  # more of them: /dev/disk/by-id/virtio-STEM

    def firmware(self) -> tuple[Path, Path]:
        """Return OVMF's code, and the variables that it comes with."""
        keys = ".ms" if self.secure else ""
        return FIRMWARE / f"OVMF_CODE_4M{keys}.fd", FIRMWARE / f"OVMF_VARS_4M{keys}.fd"


class Process:
    """A running QEMU."""

    def __init__(self, child: "subprocess.Popen[bytes]", lines: dict[str, Stream]) -> None:
        self._child = child
        self.serial, self.agent, self._qmp = (lines[name] for name in _LINES)

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    @property
    def pid(self) -> int:
        return self._child.pid

    def pull(self) -> None:
        """Cut the power."""
        self._child.kill()
        self._child.wait()

    def ended(self, seconds: float) -> None:
        """Wait until the machine has switched itself off. Raises Unheard."""
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            last = self.serial.text()[-2000:]
            raise Unheard(f"still on after {seconds:g} s; the last it said:\n{last}") from None

    def monitor(self, command: str, **arguments: object) -> None:
        """Have QEMU do something (its QMP), for example `system_reset`."""
        since = self._qmp.now
        said = {"execute": command, "arguments": arguments}
        self._qmp.say(json.dumps(said) + "\n")
        answer = self._qmp.wait(r'^\{"(return|error)".*$', 20, since)
        if answer[1] == "error":
            raise SnaprootError(f"QEMU, asked for {command}: {answer[0]}")


@contextmanager
def started(home: Path, disk: Path, variables: Path, hardware: Hardware) -> Iterator[Process]:
    """Switch a machine on; it is off when the block ends. `home` gets what it says, as files."""
    pairs = {name: _pair() for name in _LINES}
    far = {name: pair[1].fileno() for name, pair in pairs.items()}
    with (home / "qemu.log").open("ab") as errors:
        child = subprocess.Popen(
            [*ALIVE, *argv(disk, variables, hardware, far)],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            pass_fds=tuple(far.values()),
            start_new_session=True,
        )
    for _, theirs in pairs.values():
        theirs.close()
    lines = {name: Stream(pair[0], home / f"{name}.log") for name, pair in pairs.items()}
    try:
        machine = Process(child, lines)
        machine.monitor("qmp_capabilities")
        yield machine
    finally:
        child.kill()
        child.wait()
        for line in lines.values():
            line.close()


def _pair() -> tuple[socket.socket, socket.socket]:
    """Make a line on which nothing is lost while nobody has time to listen.

    QEMU's serial port writes byte by byte, each of which costs the socket hundreds of bytes of
    its room; what does not fit at once is dropped.
    """
    ours, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, 64 << 20)
    return ours, theirs


def argv(disk: Path, variables: Path, hardware: Hardware, far: dict[str, int]) -> list[str]:
    """Say what QEMU is to be. No flush reaches the host's disk: a killed process loses none."""
    return [
        *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"),
        *("-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max,la57=off"),
        *("-smp", str(hardware.cpus), "-m", str(hardware.memory), *_board(hardware)),
        *_firmware(variables, hardware),
        *_disk(disk, "disk", "nvme,serial=disk" if hardware.nvme else "virtio-blk-pci"),
        *(word for more in hardware.disks for word in _another(more)),
        *("-chardev", f"socket,id=serial,fd={far['serial']}", "-serial", "chardev:serial"),
        *("-chardev", f"socket,id=agent,fd={far['agent']}", "-device", "virtio-serial-pci"),
        *("-device", f"virtserialport,chardev=agent,name={PORT}", "-device", "virtio-rng-pci"),
        *("-chardev", f"socket,id=qmp,fd={far['qmp']}", "-mon", "chardev=qmp,mode=control"),
        *(("-device", "i6300esb") if hardware.watchdog else ()),
        *_kernel(hardware),
    ]


def _firmware(variables: Path, hardware: Hardware) -> Sequence[str]:
    if hardware.bios:
        return ()
    code, _ = hardware.firmware()
    return (
        *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}"),
        *("-drive", f"if=pflash,unit=1,format=raw,file={variables}"),
    )


def _another(disk: Path) -> Sequence[str]:
    return _disk(disk, f"more-{disk.stem}", f"virtio-blk-pci,serial={disk.stem}")


def _disk(disk: Path, name: str, device: str) -> Sequence[str]:
    node = json.dumps(_drive(disk, name))
    return ("-blockdev", node, "-device", f"{device},drive={name}")


def _drive(disk: Path, name: str) -> dict[str, object]:
    kind = "qcow2" if disk.suffix == ".qcow2" else "raw"
    file = {"driver": "file", "filename": str(disk)}
    cache = {"direct": False, "no-flush": True}
    return {
        **{"driver": kind, "node-name": name, "file": file, "cache": cache},
        **{"discard": "unmap", "detect-zeroes": "unmap"},
    }


def _board(hardware: Hardware) -> Sequence[str]:
    if not hardware.secure:
        return ("-machine", "q35,smm=off")
    guarded = "driver=cfi.pflash01,property=secure,value=on"
    return ("-machine", "q35,smm=on", "-global", guarded)


def _kernel(hardware: Hardware) -> Sequence[str]:
    if hardware.kernel is None:
        return ()
    kernel = ("-kernel", str(hardware.kernel), "-append", hardware.append)
    return (*kernel, "-initrd", str(hardware.initrd)) if hardware.initrd else kernel
