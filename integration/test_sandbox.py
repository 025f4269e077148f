"""The sandbox on a real kernel: what has to work inside, and that nothing gets out."""

import os
import pty
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from integration import disk as loop
from integration import tinyroot
from snaproot import shims
from snaproot.errors import CommandFailed
from snaproot.filesystem import Workspace
from snaproot.run import run
from snaproot.sandbox import Sandbox

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sandbox") / "root"
    tinyroot.build(place)
    return place


def _writer(root: Path) -> Sandbox:
    return Sandbox(Workspace("b1", root, {}), writable=True)


def _reader(root: Path) -> Sandbox:
    return Sandbox(Workspace("b1", root, {}), writable=False)


ATTEMPTS = {
    "write to /proc/sys": "echo snaproot > /proc/sys/kernel/domainname",
    "remount /proc/sys": "mount -o remount,rw,bind /proc/sys",
    "see firmware": "ls /sys/firmware",
    "see cgroups": "ls /sys/fs/cgroup",
    "write to /sys": "echo 1 > /sys/module/kernel/parameters/panic",
    "make a directory in /sys": "mkdir /sys/x",
    "use a disk": "mknod /tmp/d b 7 0 && cat /tmp/d",
    "use a disk in the root": "mknod /d b 7 0",
    "use memory": "mknod /tmp/mem c 1 1",
    "read the kernel's memory": "head -c 1 /proc/kcore",
    "mount": "mount -t tmpfs none /mnt",
    "remount /": "mount -o remount,dev,suid,bind /",
    "remount a view": "mount -o remount,rw,bind /sys/class",
    "unmount": "umount /proc/sys",
    "get a user namespace": "busybox unshare -U true",
    "get a user namespace as root": "busybox unshare -U -r true",
    "get a mount namespace": "busybox unshare -m true",
    "join another namespace": "busybox nsenter -t 1 -m true",
    "change /dev/null": "chmod 600 /dev/null",
    "replace /dev/null": "chown 1000 /dev/null",
    "load a module": "busybox insmod /lib/modules/x.ko",
    "reboot": "busybox reboot -f",
    "set the clock": "busybox adjtimex -t 10001",
    "set the host's name": "hostname attacker",
    "set up the network": "busybox ip link set lo down",
    "raise its limits": "busybox nice -n -5 true",
    "swap": "busybox swapoff -a && busybox swapon /etc/passwd",
    "log to the kernel": "echo x > /proc/kmsg",
    "change its shims": "rm /run/snaproot/bin/reboot",
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS.keys())
def test_a_hostile_script_gets_nowhere(root: Path, attempt: str) -> None:
    done = _writer(root).run(["sh", "-c", f"{attempt} && echo GOT-IT"], check=False)
    assert "GOT-IT" not in done.output


def test_the_hosts_run_and_processes_are_not_there(root: Path) -> None:
    marks = [Path("/run/snaproot-test-mark"), Path("/tmp/snaproot-test-mark")]  # noqa: S108
    try:
        for mark in marks:
            mark.write_text("host")
        said = _writer(root).run(
            ["sh", "-c", "ls /run /tmp; ls -d /proc/[0-9]*; kill -9 -1 || true"]
        )
    finally:
        for mark in marks:
            mark.unlink(missing_ok=True)
    assert "mark" not in said.output
    assert len(said.output.split("/proc/")) <= 5


def test_the_network_is_there_only_when_asked_for(root: Path) -> None:
    with _served() as port:
        argv = ["sh", "-c", f"echo hello | busybox nc -w 5 127.0.0.1 {port}"]
        assert _reader(root).run(argv, check=False).output == ""
        assert _reader(root).run(argv, network=True).output == "served"


def test_an_abstract_socket_of_the_host_is_out_of_reach(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0snaproot-test-{os.getpid()}")
        server.listen()
        said = _writer(root).run(["cat", "/proc/net/unix"])
    assert "snaproot-test" not in said.output


def test_a_read_only_root_stays_as_it_is(root: Path, tmp_path: Path) -> None:
    area, cache = tmp_path / "var", tmp_path / "cache"
    (area / "cache/x").mkdir(parents=True)
    cache.mkdir()
    places = Workspace("b1", root, {"/var": area})
    sandbox = Sandbox(places, writable=False, caches={"/var/cache/x": cache})
    sandbox.run(["sh", "-c", "echo kept > /var/cache/x/file; echo > /tmp/t; echo > /run/r"])
    for place in ("/file", "/etc/file", "/var/file", "/boot/file"):
        assert sandbox.run(["touch", place], check=False).status != 0
    assert (cache / "file").read_text() == "kept\n"


def test_a_cache_has_a_place_where_the_root_has_none(root: Path, tmp_path: Path) -> None:
    area, cache = tmp_path / "var", tmp_path / "cache"
    (area / "cache").mkdir(parents=True)
    (area / "kept").touch()
    cache.mkdir()
    places = Workspace("b1", root, {"/var": area})
    sandbox = Sandbox(places, writable=False, caches={"/var/cache/x/y": cache})
    sandbox.run(["sh", "-c", "test -f /var/kept && echo kept > /var/cache/x/y/file"])
    assert (cache / "file").read_text() == "kept\n"
    assert not any((area / "cache").iterdir())


def test_a_writable_root_cannot_change_the_caches(root: Path, tmp_path: Path) -> None:
    area, cache = tmp_path / "var", tmp_path / "cache"
    (area / "cache/x").mkdir(parents=True)
    cache.mkdir()
    (cache / "verified").write_text("as it was")
    sandbox = Sandbox(Workspace("b1", root, {"/var": area}), True, {"/var/cache/x": cache})
    script = "cat /var/cache/x/verified; echo poison > /var/cache/x/verified; echo > /var/log"
    assert sandbox.run(["sh", "-c", script], check=False).output == "as it was"
    assert (cache / "verified").read_text() == "as it was"
    assert (area / "log").exists()
    sandbox.run(["touch", "/var/cache/x/downloaded"], network=True)
    assert not (cache / "downloaded").exists()


def test_the_roots_own_disk_is_named_and_shut(tmp_path: Path) -> None:
    with loop.disk(tmp_path) as top:
        tinyroot.build(top / "@")
        device = run(["findmnt", "-no", "SOURCE", str(top)]).output.strip()
        mode = Path(device).stat().st_mode
        inside = _writer(top / "@")
        known = inside.run(["sh", "-c", f"test -b {device} && cat /run/blkid/blkid.tab"]).output
        assert f'TYPE="btrfs" USAGE="filesystem">{device}<' in known
        for attempt in (f"head -c 1 {device}", f"echo > {device}", f"chmod 666 {device}"):
            assert inside.run(["sh", "-c", attempt], check=False).status != 0
        assert Path(device).stat().st_mode == mode
        assert _reader(top / "@").run(["ls", "/dev"]).output.count("loop") == 0


def test_what_dpkg_unpacks_comes_out_right(tmp_path: Path) -> None:
    tinyroot.build(tmp_path / "root")
    script = (
        "set -e; cd /usr/bin; echo x > su; chown 0:1000 su; chmod 6755 su; echo y > ping;"
        "ln su su2; mv su2 su3; mkdir /var/spool/x; chown 1000 /var/spool/x; mkfifo /var/spool/f"
    )
    _writer(tmp_path / "root").run(
        ["busybox", "sh", "-c", script.replace("mkfifo", "busybox mkfifo")]
    )
    made = (tmp_path / "root/usr/bin/su").stat()
    assert stat.S_IMODE(made.st_mode) == 0o6755
    assert (made.st_gid, made.st_nlink) == (1000, 2)


def test_what_would_touch_the_machine_is_written_down(root: Path) -> None:
    script = "grub-install /dev/sda; update-grub; update-grub; systemctl daemon-reload; true"
    done = _writer(root).run(["sh", "-c", script])
    assert done.shimmed == ("grub-install /dev/sda", "update-grub", "systemctl daemon-reload")
    said = _writer(root).run(
        ["sh", "-c", "bootctl is-installed || systemctl is-active x || echo no"]
    )
    assert (said.output, said.shimmed) == ("no\n", ())


def test_questions_go_to_the_real_command(tmp_path: Path) -> None:
    tinyroot.build(tmp_path / "root")
    for name in ("modprobe", "systemctl", "udevadm"):
        real = tmp_path / "root/usr/sbin" / name
        real.write_text('#!/bin/sh\necho "real ${0##*/} $*"\n')
        real.chmod(0o755)
    for asked in (
        *("modprobe --show-depends btrfs", "systemctl --root=/ enable x", "udevadm info /"),
        "systemctl -q --root /var/tmp/x add-wants initrd.target x",  # dracut's way
    ):
        done = _writer(tmp_path / "root").run(asked.split())
        assert (done.output, done.shimmed) == (f"real {asked}\n", ())
    done = _writer(tmp_path / "root").run(["modprobe", "-a", "btrfs"])
    assert (done.output, done.shimmed) == ("", ("modprobe -a btrfs",))


def test_it_says_what_it_is(root: Path) -> None:
    said = _reader(root).run(["sh", "-c", "tr '\\0' '\\n' < /proc/1/environ; env"]).output
    assert said.count("container=snaproot") == 2
    assert f"DRACUT_INSTALL_PATH={shims.SYSTEM_PATH}\n" in said


def test_a_failure_names_the_program_not_the_sandbox(root: Path) -> None:
    with pytest.raises(CommandFailed, match=r"^sh exited 3: said why$"):
        _reader(root).run(["sh", "-c", "echo said why >&2; exit 3"])


def test_lines_come_as_they_are_said(root: Path) -> None:
    lines: list[str] = []
    done = _reader(root).stream(
        ["sh", "-c", "echo one; echo two >&2; kexec -l x; exit 7"], lines.append
    )
    assert (lines, done.status, done.shimmed) == (["one", "two"], 7, ("kexec -l x",))


def test_a_kill_leaves_no_process_behind(root: Path) -> None:
    mark = f"86399.{os.getpid()}"
    child = os.fork()
    if child == 0:
        _writer(root).run(["sh", "-c", f"sleep {mark} & (sleep {mark} &) ; wait"], check=False)
        os._exit(0)
    assert _within(5, lambda: len(_running(mark)) >= 2)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert _within(5, lambda: not _running(mark))


def test_an_interrupted_stream_leaves_no_process_behind(root: Path) -> None:
    mark = f"86398.{os.getpid()}"

    def interrupt(_line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _writer(root).stream(["sh", "-c", f"echo go; sleep {mark}"], interrupt)
    assert _within(5, lambda: not _running(mark))


def test_a_shell_has_the_callers_terminal_and_cannot_type_into_it(root: Path) -> None:
    child, terminal = pty.fork()
    if child == 0:
        script = "test -t 0 && echo a-terminal; cat /proc/self/status | grep Seccomp:"
        status = _writer(root).interactive(["sh", "-i", "-c", script])
        os._exit(status if os.tcgetpgrp(0) == os.getpgrp() else 99)
    said = _read_all(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert "a-terminal" in said
    assert "Seccomp:\t2" in said


def _read_all(terminal: int) -> str:
    said = b""
    while True:
        try:
            more = os.read(terminal, 4096)
        except OSError:  # EIO: the other end is closed
            return said.decode()
        said += more


def _running(mark: str) -> list[str]:
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"sleep\0{mark}\0" in line.read_text():
                found.append(line.parent.name)
        except OSError:  # gone meanwhile
            continue
    return found


def _within(seconds: float, true: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def _served() -> Iterator[int]:
    """Answer one call after another on a port of the host."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_answer, args=(server,), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def _answer(server: socket.socket) -> None:
    with suppress(OSError):  # closed at the end of the test
        while True:
            with server.accept()[0] as caller:
                caller.sendall(b"served")
