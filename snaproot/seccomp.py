"""The system calls that a sandbox does without, as a filter for seccomp(2). Pure.

User namespaces, in which root inside would have every capability again; and the ioctls that type
into the caller's terminal (TIOCSTI, CVE-2017-5226). The capabilities that are gone close the rest.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

_LOAD, _EQUAL, _NOT_LESS, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = _ERRNO | 1, _ERRNO | 38
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24  # struct seccomp_data, low words
_CLONE_NEWUSER, _TIOCSTI, _TIOCLINUX, _X32 = 0x10000000, 0x5412, 0x541C, 0x40000000


@dataclass(frozen=True, slots=True)
class _Abi:
    """One AUDIT_ARCH_ value (linux/audit.h) and its numbers of the calls that matter."""

    architecture: int
    clone: int
    unshare: int
    ioctl: int
    clone3: int = 435


_X86_64, _I386 = _Abi(0xC000003E, 56, 272, 16), _Abi(0x40000003, 120, 310, 54)
_AARCH64, _ARM = _Abi(0xC00000B7, 220, 97, 29), _Abi(0x40000028, 120, 337, 54)
_ABIS = {"x86_64": (_X86_64, _I386), "aarch64": (_AARCH64, _ARM)}


def program(machine: str) -> bytes:
    """Assemble the filter for what uname(2) calls `machine`; empty for one that we do not know."""
    abis = _ABIS.get(machine)
    if abis is None:
        return b""
    code = [step for abi in abis for step in _checks(abi)]
    return b"".join(struct.pack("=HBBI", *step) for step in (*code, (_RETURN, 0, 0, _KILL)))


def _checks(abi: _Abi) -> Sequence[tuple[int, int, int, int]]:
    """Check one ABI; each jump counts the steps to leave out where it is true, and where not.

    clone3(2) hides its flags from a filter; without it the C library uses clone(2).
    """
    return (
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 0, 15, abi.architecture),
        (_LOAD, 0, 0, _NUMBER),
        (_NOT_LESS, 11, 0, _X32),
        (_EQUAL, 4, 0, abi.unshare),
        (_EQUAL, 3, 0, abi.clone),
        (_EQUAL, 8, 0, abi.clone3),
        (_EQUAL, 3, 0, abi.ioctl),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _FIRST),
        (_ANY_BIT, 3, 5, _CLONE_NEWUSER),
        (_LOAD, 0, 0, _SECOND),
        (_EQUAL, 1, 0, _TIOCSTI),
        (_EQUAL, 0, 2, _TIOCLINUX),
        (_RETURN, 0, 0, _EPERM),
        (_RETURN, 0, 0, _ENOSYS),
        (_RETURN, 0, 0, _ALLOW),
    )
