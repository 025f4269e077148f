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

SIGNED = "grub-efi-amd64-signed"

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
_TERMINAL = """\
mkfifo $0
seconds=$1 words=$2; shift 2
for typed in "$@"; do sleep 0.4; printf %s "$typed"; done 1<>$0 &
# The end of its input would reach GRUB as a key; a pipe that is open at both ends has none.
exec timeout -s KILL $seconds script -qefc "$words" /dev/null <>$0
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

    def told(self, name: str) -> str:
        """Return the value of `snaproot.<name>=` on the command line; empty without one."""
        found = re.findall(rf"(?:^| )snaproot\.{name}=(\S+)", self.arguments)
        return found[-1] if found else ""


def tree(version: str) -> Path:
    """Return a directory with the GRUB of that version and the libraries it needs."""
    return debian.kept(f"grubemu-{SUITES[version]}-5", lambda home: _fetch(home, SUITES[version]))


def boot(
    version: str,
    disks: Sequence[Path],
    *,
    esp: str = "hd0",
    vendor: str = "debian",
    files: Path | None = None,
    read_only: Sequence[Path] = (),
    torn: Sequence[str] = (),
    keys: Sequence[str] = (),
    seconds: float = 8,
) -> Outcome:
    """Start a machine with these disks (hd0, hd1, …) and nobody in front of it but for `keys`.

    Those are typed one after the other, with 0.4 seconds before each.

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
        screen = _watched(work, argv, keys, seconds)
        return _outcome(work, screen)


def fat(image: Path, directory: Path, *, size: str = "40M", kind: str = "") -> None:
    """Make a FAT image with what is in a directory; `kind` is 12, 16 or 32 bits."""
    image.unlink(missing_ok=True)
    run(["truncate", "-s", size, str(image)])
    run(["mkfs.vfat", *(["-F", kind] if kind else []), "-n", "ESP", str(image)])
    names = [str(path) for path in sorted(directory.iterdir())]
    if names:
        run(["mcopy", "-s", "-i", str(image), *names, "::"])


def partitioned(disk: Path, *images: Path) -> None:
    """Make a GPT disk of images, the first of them as the ESP."""
    disk.unlink(missing_ok=True)
    sizes = [image.stat().st_size >> 20 for image in images]
    starts = [1 + sum(sizes[:number]) for number in range(len(sizes))]
    run(["truncate", "-s", f"{2 + sum(sizes)}M", str(disk)])
    lines = [f"start={at}MiB, size={size}MiB" for at, size in zip(starts, sizes, strict=True)]
    table = "\n".join(["label: gpt", f"{lines[0]}, type=uefi", *lines[1:]])
    run(["sh", "-c", 'printf "%s\n" "$0" | sfdisk -q "$1"', table, str(disk)])
    for image, at in zip(images, starts, strict=True):
        how = ["bs=1M", f"seek={at}", "conv=notrunc,sparse", "status=none"]
        run(["dd", f"if={image}", f"of={disk}", *how])


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


def unpack(suite: str, place: Path, *packages: str) -> None:
    """Unpack packages of a suite and what they need; nothing is configured, nothing is run."""
    settings = place.parent / "apt.conf"
    settings.write_text(debian.options(), encoding="utf-8")
    argv = [
        *("mmdebstrap", "--quiet", "--mode=root", "--variant=extract", f"--aptopt={settings}"),
        *(f"--include={','.join(('base-files', *packages))}", "--skip=check/empty", suite),
        *(str(place), *debian.sources(suite)),
    ]
    done = run(argv, extra=os.environ, check=False)
    if done.status != 0:
        raise SnaprootError(f"mmdebstrap {suite}: {done.errors.strip()}")
    settings.unlink()


def _fetch(home: Path, suite: str) -> None:
    """Keep grub-emu, grub-script-check, their libraries, and the signed image."""
    unpack(suite, home / "tree", "grub-emu", "grub-common", SIGNED)
    for name in ("grub-emu", "grub-script-check"):
        _keep(home / "tree/usr/bin" / name, home / "usr/bin" / name)
    for place in ("lib", "lib64", "usr/lib", "usr/lib64"):
        if not (home / "tree" / place).is_symlink():
            _keep_libraries(home / "tree" / place, home / "usr" / Path(place).name)
    for place in ("usr/lib/terminfo", "lib/terminfo", "usr/share/terminfo"):
        _keep(home / "tree" / place / "v/vt100", home / "usr/share/terminfo/v/vt100")
    _keep(home / "tree/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", home / "signed.efi")
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


def _keep_libraries(source: Path, place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    for path in source.glob("*-linux-gnu") if source.name == "lib" else source.glob("ld-*"):
        run(["cp", "-a", "--no-clobber", str(path), str(place)])
    for big in (*place.glob("*/libLLVM*"), *place.glob("*/libgallium*")):
        big.unlink()  # only for pictures


def _keep(source: Path, place: Path) -> None:
    if source.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)
        place.chmod(0o755)


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


def _watched(work: Path, argv: list[str], keys: Sequence[str], seconds: float) -> str:
    """Run it on a terminal of its own, and return what was on the screen."""
    words = " ".join(f"'{word}'" for word in argv)
    begun = [str(work / "keys"), str(seconds), words, *keys]
    done = run(["sh", "-c", _TERMINAL, *begun], check=False)
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
