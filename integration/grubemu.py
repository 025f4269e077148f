"""Boot the loader's home with real GRUBs over image files: bookworm's, trixie's, forky's.

Each is Debian's `grub-emu`, unpacked from its suite and run in a sandbox on a terminal of its own.
It reads partitions, FAT and Btrfs with GRUB's own code and writes the environment file as at boot.
What Linux is handed over to is a small program that notes it. GRUB 2.06's has no `linux` command,
so that there two functions stand for `linux` and `initrd`; newer ones look for both files in the
host's tree, which is why `files` shows the root's top level there.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from integration import debian
from integration import disk as loop
from snaproot.errors import SnaprootError
from snaproot.run import run

SUITES: Mapping[str, str] = {"2.06": "bookworm", "2.12": "trixie", "2.14": "forky"}
"""The version of GRUB, and the suite that has it."""

_FUNCTIONS = """\
function linux {
    set kernel="$1"
    shift
    set said="$*"
    save_env --file (hd9)/said kernel said
    if file --is-x86-linux "$kernel"; then true; else this_is_no_kernel; false; fi
}
function initrd {
    if ! test -s "$1"; then this_is_no_initramfs; false; else
        set initramfs="$1"
        save_env --file (hd9)/said initramfs
        exit
    fi
}
"""
_FIRMWARE = """\
set root={esp}
set cmdpath=({esp})/EFI/{vendor}
set prefix=({esp})/EFI/{vendor}
source ({esp})/EFI/{vendor}/grub.cfg
"""
_KEXEC = """\
#!/run/bin/busybox sh
for torn in $TORN; do
    case $2 in *"$torn") exit 1 ;; esac
done
for word in "$@"; do printf '%s\\0' "$word"; done >/run/emu/booted
kill $PPID
sleep 5
"""
_BLOCK = 8192
_SCREEN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()].|\r")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one start of the machine came to.

    `kernel` is empty where nothing was booted: the machine waits, or `restarted`. `chosen` are the
    titles of the entries that were tried, in order; `waited` says that a key was waited for.
    """

    kernel: str
    initramfs: str
    arguments: str
    chosen: tuple[str, ...]
    waited: bool
    restarted: bool
    screen: str


def tree(version: str) -> Path:
    """Return a directory with the GRUB of that version and the libraries it needs."""
    return debian.kept(f"grubemu-{SUITES[version]}-2", lambda home: _fetch(home, SUITES[version]))


def boot(
    version: str,
    disks: Sequence[Path],
    *,
    esp: str = "hd0",
    vendor: str = "debian",
    files: Path | None = None,
    read_only: Sequence[Path] = (),
    torn: Sequence[str] = (),
    seconds: float = 8,
) -> Outcome:
    """Start a machine with these disks (hd0, hd1, …) and nobody in front of it.

    `torn` are kernels that `boot` refuses, as the firmware does with a broken image; 2.06 looks at
    the kernel itself, and refuses one without a header.
    """
    with _workplace(version) as work:
        (work / "cfg/grub.cfg").write_text(_firmware(version, esp, vendor))
        (work / "device.map").write_text(_map([*disks]))
        argv = [
            *_sandbox(version, work, disks, read_only, files),
            *("--setenv", "TORN", " ".join(torn)),
            *(tree(version) / "command").read_text().split(),
        ]
        screen = _watched(work, argv, seconds)
        return _outcome(work, screen)


def fat(image: Path, directory: Path, *, size: str = "40M", kind: str = "") -> None:
    """Make a FAT image with what is in a directory; `kind` is 12, 16 or 32 bits."""
    image.unlink(missing_ok=True)
    run(["truncate", "-s", size, str(image)])
    run(["mkfs.vfat", *(["-F", kind] if kind else []), "-n", "ESP", str(image)])
    names = [str(path) for path in sorted(directory.iterdir())]
    if names:
        run(["mcopy", "-s", "-i", str(image), *names, "::"])


def read(image: Path, path: str, *, esp: str = "hd0") -> bytes:
    """Read a file of the ESP, in a FAT image or in a partition of a disk."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "copy"
        run(["mcopy", "-i", f"{image}@@{_offset(image, esp)}", f"::{path}", str(copy)])
        return copy.read_bytes()


def write(image: Path, path: str, content: bytes, *, esp: str = "hd0") -> None:
    """Replace a file of the ESP."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "copy"
        copy.write_bytes(content)
        run(["mcopy", "-o", "-i", f"{image}@@{_offset(image, esp)}", str(copy), f"::{path}"])


def delete(image: Path, path: str, *, esp: str = "hd0") -> None:
    """Delete a file of the ESP; gone already is fine."""
    run(["mdel", "-i", f"{image}@@{_offset(image, esp)}", f"::{path}"], check=False)


def check(version: str, text: str) -> str:
    """Return what that version's grub-script-check says of a text; nothing where it is sound."""
    with _workplace(version) as work:
        (work / "text").write_text(text)
        argv = [*_sandbox(version, work, (), (), None), "grub-script-check", "/run/emu/text"]
        done = run(argv, check=False)
        return done.errors or ("" if done.status == 0 else f"exited {done.status}")


def _fetch(home: Path, suite: str) -> None:
    """Unpack grub-emu and what it needs; nothing is configured, nothing of it is run."""
    settings = home / "apt.conf"
    settings.write_text(debian.options(), encoding="utf-8")
    argv = [
        *("mmdebstrap", "--quiet", "--mode=root", "--variant=extract", f"--aptopt={settings}"),
        *("--include=base-files,grub-emu,grub-common", "--skip=check/empty", suite),
        *(str(home / "tree"), *debian.sources(suite)),
    ]
    done = run(argv, extra=os.environ, check=False)
    if done.status != 0:
        raise SnaprootError(f"mmdebstrap {suite}: {done.errors.strip()}")
    for part in ("bin", "lib", "share/terminfo"):
        _keep(home / "tree/usr" / part, home / "usr" / part)
    for part in ("bin", "lib"):  # bookworm's packages still have files there
        _keep(home / "tree" / part, home / "usr" / part)
    _keep(home / "tree/lib64", home / "usr/lib64")
    _keep(home / "tree/usr/lib64", home / "usr/lib64")
    command = "grub-emu -d /run/emu/cfg -m /run/emu/device.map"
    if b"--kexec" in (home / "usr/bin/grub-emu").read_bytes():
        command += " --kexec"
    else:
        _take_notes(home)
    (home / "command").write_text(command)
    shutil.rmtree(home / "tree")


def _take_notes(home: Path) -> None:
    """Make the disk on which a GRUB without `linux` notes what it was told."""
    head = b"# GRUB Environment Block\n"
    (home / "notes").mkdir()
    (home / "notes/said").write_bytes(head.ljust(_BLOCK, b"#"))
    fat(home / "notes.img", home / "notes", size="512K")


def _keep(source: Path, place: Path) -> None:
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, place, symlinks=True, dirs_exist_ok=True)


@contextmanager
def _workplace(version: str) -> Iterator[Path]:
    """Make a directory for one run."""
    with tempfile.TemporaryDirectory(prefix=f"{loop.MARK}{os.getpid()}-") as name:
        work = Path(name)
        (work / "cfg").mkdir()
        (work / "kexec").write_text(_KEXEC)
        (work / "kexec").chmod(0o755)
        if (tree(version) / "notes.img").exists():
            shutil.copyfile(tree(version) / "notes.img", work / "notes.img")
        yield work


def _firmware(version: str, esp: str, vendor: str) -> str:
    functions = _FUNCTIONS if version == "2.06" else ""
    return functions + _FIRMWARE.format(esp=esp, vendor=vendor)


def _map(disks: list[Path]) -> str:
    lines = [f"(hd{number}) /run/disk{number}" for number in range(len(disks))]
    return "\n".join([*lines, "(hd9) /run/emu/notes.img", ""])


def _sandbox(
    version: str,
    work: Path,
    disks: Sequence[Path],
    read_only: Sequence[Path],
    files: Path | None,
) -> Iterator[str]:
    yield from ("bwrap", "--unshare-all", "--cap-drop", "ALL", "--die-with-parent")
    yield from ("--ro-bind", str(tree(version) / "usr"), "/usr", "--symlink", "usr/bin", "/bin")
    yield from ("--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64")
    yield from ("--dev", "/dev", "--proc", "/proc", "--bind", str(work), "/run/emu")
    busybox = shutil.which("busybox") or "/bin/busybox"
    yield from ("--ro-bind", busybox, "/run/bin/busybox")
    for name in ("kexec", "systemctl"):
        yield from ("--ro-bind", str(work / "kexec"), f"/run/bin/{name}")
    for number, disk in enumerate(disks):
        how = "--ro-bind" if disk in read_only else "--bind"
        yield from (how, str(disk), f"/run/disk{number}")
    for path in sorted(files.iterdir()) if files else ():
        yield from ("--ro-bind", str(path), f"/{path.name}")
    yield from ("--clearenv", "--setenv", "PATH", "/run/bin:/usr/bin", "--setenv", "TERM", "vt100")


def _watched(work: Path, argv: list[str], seconds: float) -> str:
    """Run it on a terminal of its own, and return what was on the screen."""
    words = " ".join(f"'{word}'" for word in argv)
    # The end of its input would reach GRUB as a key; a pipe that is open at both ends has none.
    shell = 'mkfifo $0 && exec timeout -s KILL $1 script -qefc "$2" /dev/null <>$0'
    done = run(["sh", "-c", shell, str(work / "keys"), str(seconds), words], check=False)
    return _SCREEN.sub("", done.output)


def _outcome(work: Path, screen: str) -> Outcome:
    kernel, initramfs, arguments = _handed_over(work)
    return Outcome(
        kernel=kernel,
        initramfs=initramfs,
        arguments=arguments,
        chosen=tuple(re.findall(r"(?:Booting|Falling back to) `([^']*)'", screen)),
        waited="Press any key to continue" in screen,
        restarted="the machine restarts" in screen and not kernel,
        screen=screen,
    )


def _handed_over(work: Path) -> tuple[str, str, str]:
    if (work / "booted").exists():
        return _by_kexec((work / "booted").read_text().split("\0"))
    if (work / "notes.img").exists():
        lines = read(work / "notes.img", "/said").decode().rstrip("#").splitlines()
        pairs = (line.replace("\\\\", "\\").split("=", 1) for line in lines[1:])
        noted: dict[str, str] = dict(pairs)
        if "initramfs" in noted:
            return noted["kernel"], noted["initramfs"], noted["said"]
    return "", "", ""


def _by_kexec(words: list[str]) -> tuple[str, str, str]:
    """Read `-la KERNEL --initrd=… --command-line=…`."""
    named = dict(word.split("=", 1) for word in words if word.startswith("--"))
    return words[1], named.get("--initrd", ""), named.get("--command-line", "")


def _offset(image: Path, esp: str) -> int:
    """Find where a partition begins, in bytes."""
    number = re.fullmatch(r"hd\d+,gpt(\d+)", esp)
    if number is None:
        return 0
    table = json.loads(run(["sfdisk", "--json", str(image)]).output)["partitiontable"]
    return int(table["partitions"][int(number[1]) - 1]["start"]) * int(table["sectorsize"])
