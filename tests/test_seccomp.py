"""The filter, run on a machine of our own: classic BPF has no side effects."""

import struct

import pytest

from snaproot import seccomp

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
X86_64, I386, AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7
NEWUSER, NEWNS, TIOCSTI, TCGETS = 0x10000000, 0x00020000, 0x5412, 0x5401


def _verdict(machine: str, architecture: int, number: int, *arguments: int) -> int:
    data = struct.pack("=IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    program = [*struct.iter_unpack("=HBBI", seccomp.program(machine))]
    at, register = 0, 0
    while True:
        code, jump, otherwise, value = program[at]
        at += 1
        match code:
            case 0x20:
                register = struct.unpack_from("=I", data, value)[0]
            case 0x06:
                return int(value)
            case 0x15:
                at += jump if register == value else otherwise
            case 0x35:
                at += jump if register >= value else otherwise
            case 0x45:
                at += jump if register & value else otherwise
            case _:
                raise AssertionError(code)


@pytest.mark.parametrize(
    ("machine", "architecture", "number", "arguments", "verdict"),
    [
        ("x86_64", X86_64, 0, (), ALLOW),
        ("x86_64", X86_64, 272, (NEWUSER,), EPERM),
        ("x86_64", X86_64, 272, (NEWUSER | NEWNS,), EPERM),
        ("x86_64", X86_64, 272, (NEWNS,), ALLOW),
        ("x86_64", X86_64, 56, (NEWUSER | 17,), EPERM),
        ("x86_64", X86_64, 56, (17,), ALLOW),
        ("x86_64", X86_64, 435, (), ENOSYS),
        ("x86_64", X86_64, 16, (0, TIOCSTI), EPERM),
        ("x86_64", X86_64, 16, (0, TIOCSTI | 1 << 32), EPERM),
        ("x86_64", X86_64, 16, (0, 0x541C), EPERM),
        ("x86_64", X86_64, 16, (0, TCGETS), ALLOW),
        ("x86_64", X86_64, 0x40000010, (0, TIOCSTI), ENOSYS),
        ("x86_64", I386, 310, (NEWUSER,), EPERM),
        ("x86_64", I386, 272, (NEWUSER,), ALLOW),
        ("x86_64", AARCH64, 0, (), KILL),
        ("aarch64", AARCH64, 97, (NEWUSER,), EPERM),
        ("aarch64", AARCH64, 29, (0, TIOCSTI), EPERM),
        ("aarch64", AARCH64, 56, (NEWUSER,), ALLOW),
    ],
)
def test_what_leads_out_is_refused(
    machine: str, architecture: int, number: int, arguments: tuple[int, ...], verdict: int
) -> None:
    assert _verdict(machine, architecture, number, *arguments) == verdict


def test_an_unknown_machine_has_no_filter() -> None:
    assert seccomp.program("m68k") == b""
