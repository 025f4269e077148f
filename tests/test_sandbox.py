from pathlib import Path

from snaproot.devices import Devices
from snaproot.filesystem import Workspace
from snaproot.sandbox import CAPABILITIES, Machine, Sandbox, arguments

PLACES = {"/var/lib/x": Path("/top/areas/x"), "/var": Path("/top/areas/var")}
CACHES = {"/var/cache/apt/archives": Path("/top/cache/archives")}


def _argv(*, writable: bool, network: bool = False, terminal: bool = False) -> list[str]:
    sandbox = Sandbox(Workspace("b1", Path("/top/b1"), PLACES), writable, CACHES)
    return arguments(sandbox, Machine(), network=network, terminal=terminal)


def _binds(argv: list[str]) -> list[tuple[str, str, str]]:
    return [
        (argv[at].removesuffix("-try"), argv[at + 1], argv[at + 2])
        for at in range(len(argv))
        if argv[at] in ("--bind", "--ro-bind", "--ro-bind-try", "--dev-bind")
    ]


def test_a_reader_can_write_to_the_caches_alone() -> None:
    written = [bind for bind in _binds(_argv(writable=False, network=True)) if bind[0] == "--bind"]
    assert written == [("--bind", "/top/cache/archives", "/var/cache/apt/archives")]


def test_a_writer_reads_the_caches_and_gets_none_with_network() -> None:
    assert ("--ro-bind", "/top/cache/archives", "/var/cache/apt/archives") in _binds(
        _argv(writable=True)
    )
    assert "/top/cache/archives" not in _argv(writable=True, network=True)


def test_outer_places_are_bound_before_those_inside_them() -> None:
    places = [place for _, _, place in _binds(_argv(writable=True))][:4]
    assert places == ["/", "/var", "/var/lib/x", "/var/cache/apt/archives"]


def test_nothing_of_the_machine_is_writable() -> None:
    for writable in (True, False):
        ours = [b for b in _binds(_argv(writable=writable)) if not b[1].startswith("/top/")]
        assert {kind for kind, _, _ in ours} == {"--ro-bind"}
        assert not [place for _, place, _ in ours if place.startswith(("/dev", "/run", "/boot"))]


def test_each_namespace_is_left_but_for_what_was_asked() -> None:
    plain = _argv(writable=True)
    for word in ("--unshare-pid", "--unshare-ipc", "--unshare-net", "--new-session"):
        assert word in plain
    assert "--die-with-parent" in plain
    assert "--unshare-net" not in _argv(writable=True, network=True)
    assert "--new-session" not in _argv(writable=True, terminal=True)


def test_no_capability_that_leads_out_is_kept() -> None:
    argv = _argv(writable=True)
    assert argv[argv.index("--cap-drop") + 1] == "ALL"
    kept = {argv[at + 1] for at, word in enumerate(argv) if word == "--cap-add"}
    assert kept == set(CAPABILITIES)
    out = (
        "SYS_ADMIN",
        "MKNOD",
        "DAC_READ_SEARCH",
        "SYS_MODULE",
        "SYS_RAWIO",
        "SYS_PTRACE",
        "NET_ADMIN",
    )
    assert not kept & {f"CAP_{name}" for name in out}


def test_devices_are_shown_with_their_names_and_no_access() -> None:
    sandbox = Sandbox(Workspace("b1", Path("/top/b1"), {}), writable=True)
    devices = Devices((Path("/dev/dm-0"),), (("/dev/mapper/root", "/dev/dm-0"),))
    machine = Machine(devices=devices)
    argv = arguments(sandbox, machine, network=False)
    assert ("--ro-bind", "/dev/dm-0", "/dev/dm-0") in _binds(argv)
    at = argv.index("/dev/mapper/root")
    assert argv[at - 2 : at] == ["--symlink", "/dev/dm-0"]
