"""The probes on what they are about: real disks, networks, a real systemd; and the command."""

import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from integration import nets
from integration.disk import MARK, attached, disk, mounted
from integration.machine import adopted
from snaproot.health import Finding, Outcome, Result
from snaproot.health.baseline import Baseline, save
from snaproot.health.disk import counters, roomy, unharmed, writable
from snaproot.health.network import accepts, connected, resolves
from snaproot.run import run
from tests.health.asking import answer, first_on_path

pytestmark = pytest.mark.real


# -- disk ----------------------------------------------------------------------------------------


def test_a_sealed_root_on_a_healthy_disk_is_good(tmp_path: Path) -> None:
    with disk(tmp_path) as top:
        root, var = top / "root", top / "var"
        for place in (root, var):
            run(["btrfs", "subvolume", "create", str(place)])
        run(["btrfs", "property", "set", str(root), "ro", "true"])
        found = answer(lambda: writable(root, [var]))
        assert (found.result, found.reason) == (Result.GOOD, "the filesystem can be written")
        found = answer(lambda: writable(root, [root]))
        assert found.reason == f"{root} cannot be written: read-only file system"


def test_a_filesystem_that_is_read_only_is_bad(tmp_path: Path) -> None:
    with disk(tmp_path) as top:
        run(["mount", "-o", "remount,ro", str(top)])
        found = answer(lambda: writable(top, []))
        assert (found.result, found.reason) == (Result.BAD, f"the filesystem of {top} is read-only")


@contextmanager
def failing_disk(directory: Path) -> Iterator[Path]:
    """Lend a Btrfs whose disk is smaller than it says: writes beyond that fail."""
    home = Path(tempfile.mkdtemp(prefix=f"{MARK}{os.getpid()}-", dir=directory))
    run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(home)])
    try:
        with attached(home / f"{MARK}failing.img", "512M") as device:
            run(["mkfs.btrfs", "-q", "-f", "-m", "single", device])
            with mounted(device, home.parent / f"{home.name}-top") as top:
                yield top
    finally:
        run(["umount", str(home)])
        home.rmdir()


def test_a_filesystem_that_an_error_made_read_only_is_bad(tmp_path: Path) -> None:
    with failing_disk(tmp_path) as top:
        assert answer(lambda: writable(top, [top])).result is Result.GOOD
        run(["dd", "if=/dev/urandom", f"of={top}/big", "bs=1M", "count=64"], check=False)
        until = time.monotonic() + 60
        while answer(lambda: writable(top, [])).result is Result.GOOD and time.monotonic() < until:
            run(["dd", "if=/dev/urandom", f"of={top}/more", "bs=1M", "count=4"], check=False)
            run(["sync", "-f", str(top)], check=False)
        found = answer(lambda: writable(top, [top]))
        assert found.result is Result.BAD
        assert f"the filesystem of {top} is read-only" in found.reason
        assert f"{top} cannot be written: read-only file system" in found.reason


def test_new_errors_of_a_device_are_bad_and_old_ones_are_not(tmp_path: Path) -> None:
    home = Path(tempfile.mkdtemp(prefix=f"{MARK}{os.getpid()}-", dir=tmp_path))
    image, top = home / f"{MARK}rotten.img", home / "top"
    with attached(image, "256M") as device:
        run(["mkfs.btrfs", "-q", "-f", device])
        with mounted(device, top):
            (top / "file").write_bytes(b"snaproot " * 10_000)
        _rot(image, b"snaproot " * 100)
        with mounted(device, top):
            assert answer(lambda: unharmed(top, dict)).result is Result.GOOD
            assert run(["cat", str(top / "file")], check=False).status == 1
            found = answer(lambda: unharmed(top, dict))
            assert found.result is Result.BAD
            assert "corruption errors on device 1: " in found.reason
            known = counters(top)
            assert answer(lambda: unharmed(top, lambda: known)).result is Result.GOOD


def _rot(image: Path, content: bytes) -> None:
    """Change a byte of what a file on an image holds."""
    with image.open("r+b") as file:
        place = image.read_bytes().index(content)
        file.seek(place + len(content) // 2)
        file.write(b"!")
        file.flush()
        os.fsync(file.fileno())


def test_counters_that_nobody_tells_are_unknown(tmp_path: Path) -> None:
    (tmp_path / "btrfs").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "btrfs").chmod(0o755)
    with disk(tmp_path) as top, first_on_path(tmp_path):
        assert answer(lambda: unharmed(top, dict)).result is Result.UNKNOWN


def test_a_full_disk_is_bad(tmp_path: Path) -> None:
    with disk(tmp_path, size="200M") as top:
        assert answer(lambda: roomy([top], 64)).result is Result.GOOD
        run(["dd", "if=/dev/zero", f"of={top}/big", "bs=1M"], check=False)
        run(["sync", "-f", str(top)])
        found = answer(lambda: roomy([top, Path("/")], 64))
        assert found.result is Result.BAD
        assert f"MiB are free on {top}, less than 64" in found.reason


# -- network -------------------------------------------------------------------------------------


def within(name: str, ask: Callable[[], Outcome], resolver: Path | None = None) -> Finding:
    """Ask a probe whose process is in a network namespace."""

    def entered() -> Outcome:
        nets.enter(name, resolver=resolver)
        return ask()

    return answer(entered)


def test_no_interface_no_address() -> None:
    with nets.namespace() as name:
        found = within(name, connected)
        assert (found.result, found.reason) == (Result.BAD, "no interface has an address")
        run(["ip", "-n", name, "link", "set", "lo", "up"])
        assert within(name, connected).reason == "no interface has an address"


def test_an_address_and_a_route() -> None:
    with nets.pair() as (ours, theirs):
        found = within(ours, connected)
        assert (found.result, found.evidence["addresses"]) == (Result.GOOD, ["up0 192.0.2.1"])
        assert found.evidence["default_routes"] == ["up0"]
        found = within(theirs, connected)
        assert (found.result, found.reason) == (Result.BAD, "there is no default route")
        run(["ip", "-n", theirs, "route", "add", "unreachable", "default"])
        run(["ip", "-n", theirs, "-6", "route", "add", "unreachable", "default"])
        assert within(theirs, connected).reason == "there is no default route"


def test_an_address_and_a_route_of_ipv6() -> None:
    with nets.pair() as (ours, _):
        run(["ip", "-n", ours, "address", "flush", "dev", "up0"])
        run(["ip", "-n", ours, "address", "add", "2001:db8::1/64", "dev", "up0", "nodad"])
        run(["ip", "-n", ours, "-6", "route", "add", "default", "via", "2001:db8::2"])
        found = within(ours, connected)
        assert found.result is Result.GOOD
        assert found.evidence["addresses"] == ["up0 2001:db8::1"]
        assert found.evidence["default_routes"] == ["up0 (IPv6)"]


def test_a_port_on_the_other_side(tmp_path: Path) -> None:
    with nets.pair() as (ours, theirs):
        nets.inside(theirs, lambda: _accept(tmp_path / "ready"))
        _wait_for(tmp_path / "ready")
        assert within(ours, lambda: accepts("192.0.2.2:80", 5)).result is Result.GOOD
        assert within(ours, lambda: accepts("192.0.2.2:81", 5)).result is Result.BAD
        found = within(ours, lambda: accepts("192.0.2.99:80", 0.5))
        assert (found.result, found.reason) == (Result.UNKNOWN, "192.0.2.99:80: timed out")
        run(["ip", "-n", ours, "route", "delete", "default"])
        found = within(ours, lambda: accepts("198.51.100.1:80", 5))
        assert (found.result, found.reason) == (
            Result.BAD,
            "198.51.100.1:80: network is unreachable",
        )


def test_names_by_a_name_server(tmp_path: Path) -> None:
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver 192.0.2.2\noptions timeout:1 attempts:1\n")
    with nets.pair() as (ours, theirs):
        nets.inside(theirs, lambda: _serve_names(tmp_path / "ready"))
        _wait_for(tmp_path / "ready")
        found = within(ours, lambda: resolves("good.test"), resolver)
        assert (found.result, found.evidence) == (Result.GOOD, {"addresses": ["192.0.2.7"]})
        found = within(ours, lambda: resolves("bad.test"), resolver)
        assert found.result is Result.BAD
        found = within(ours, lambda: resolves("silent.test"), resolver)
        assert found.result is Result.UNKNOWN


def _wait_for(path: Path) -> None:
    until = time.monotonic() + 10
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.02)


def _accept(ready: Path) -> None:
    server = socket.create_server(("192.0.2.2", 80))
    ready.touch()
    while True:
        server.accept()[0].close()


def _serve_names(ready: Path) -> None:
    """Answer A for good.test, NXDOMAIN for bad.test, nothing for silent.test (RFC 1035)."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("192.0.2.2", 53))
    ready.touch()
    while True:
        asked, peer = server.recvfrom(512)
        end = asked.index(b"\0", 12) + 5
        question, kind = asked[12:end], asked[end - 4 : end - 2]
        good = question.startswith(b"\x04good")
        if question.startswith(b"\x06silent"):
            continue
        answers = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\7" if good and kind == b"\0\1" else b""
        flags = b"\x81\x80" if good else b"\x81\x83"
        counts = b"\0\1" + (b"\0\1" if answers else b"\0\0") + b"\0\0\0\0"
        server.sendto(asked[:2] + flags + counts + question + answers, peer)


# -- services ------------------------------------------------------------------------------------


def test_services_under_a_real_systemd() -> None:
    apart = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"]
    said = json.loads(run([*apart, sys.executable, "-m", "integration.managed"]).output)
    assert said == {
        "nothing failed": ["good", "no unit failed"],
        "not started": ["bad", "good.service is inactive (dead)"],
        "unknown unit": ["bad", "missing.service is not-found"],
        "started": ["good", "good.service is up"],
        "starts slowly": ["good", "slow.service is up"],
        "starts for ever": ["unknown", "endless.service is activating (start) after 1 s"],
        "is told": ["good", "no unit failed; still starting: endless.service"],
        "flaps": ["bad", "flapping.service is activating (auto-restart)"],
        "fails while asked": ["bad", "doomed.service failed"],
        "had failed before": ["good", "no unit failed that had not before"],
        "another fails": ["bad", "broken.service failed"],
        "failed": ["bad", "broken.service is failed (failed, exit-code)"],
        "starting": [],
    }


# -- the command ---------------------------------------------------------------------------------


def test_the_command_takes_little_more_than_its_slowest_probe() -> None:
    begun = time.monotonic()
    done = run(
        [sys.executable, "-m", "snaproot", "health", "check", "--once", "--json"], check=False
    )
    taken = time.monotonic() - begun
    shape = json.loads(done.output)
    slowest = max(one["milliseconds"] for one in shape["findings"]) / 1000
    assert taken < 2 + slowest
    assert done.status == {"good": 0, "bad": 3, "unknown": 3}[shape["result"]]
    assert {"services.failed", "disk.writable", "own.record"} <= {
        one["probe"] for one in shape["findings"]
    }


def test_the_baseline_of_an_adopted_system(tmp_path: Path) -> None:
    with adopted(tmp_path) as machine:
        said = machine("health", "baseline").out
        assert said.startswith("No baseline has been recorded: every failed unit counts as new.")
        known = Baseline(("web.service",), {"1": {"write_io_errs": 2}}, "2026-01-02T03:04:05+00:00")
        save(machine.snaproot / "record", known)
        shape = json.loads(machine("health", "baseline", "--json").out)
        assert shape["baseline"] == known.shape()
        assert shape["recorded_now"] is False
        assert "device 1       write_io 2" in machine("health", "baseline").out
