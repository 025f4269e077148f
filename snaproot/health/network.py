"""Is there a network, and do the endpoints that matter answer.

A refusal is bad; no answer in time is unknown: nobody said no.
"""

import errno
import fcntl
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from snaproot.health import Outcome, Result

_SIOCGIFADDR = 0x8915  # netdevice(7)
_RTF_REJECT = 0x0200  # include/uapi/linux/route.h
_LOOPBACK = "lo"
_GLOBAL = "00"  # the scope in /proc/net/if_inet6
_SILENT = (socket.EAI_AGAIN, socket.EAI_SYSTEM, socket.EAI_MEMORY)
_UNHEARD = (errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def connected() -> Outcome:
    """Tell whether an interface has an address, and whether there is a default route."""
    addresses, routes = sorted(_addresses()), sorted(_default_routes())
    evidence: dict[str, object] = {"addresses": addresses, "default_routes": routes}
    if not addresses:
        return Outcome(Result.BAD, "no interface has an address", evidence)
    if not routes:
        return Outcome(Result.BAD, "there is no default route", evidence)
    return Outcome(Result.GOOD, f"there is a default route, by {', '.join(routes)}", evidence)


def resolves(name: str) -> Outcome:
    """Tell whether a name can be resolved."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        silent = isinstance(error, socket.gaierror) and error.errno in _SILENT
        result = Result.UNKNOWN if silent else Result.BAD
        return Outcome(result, f"{name} cannot be resolved: {_reason(error)}")
    addresses = sorted({str(one[4][0]) for one in found})
    return Outcome(Result.GOOD, f"{name} is {addresses[0]}", {"addresses": addresses})


def accepts(endpoint: str, seconds: float) -> Outcome:
    """Tell whether something accepts TCP connections at host:port."""
    host, _, port = endpoint.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=seconds):
            return Outcome(Result.GOOD, f"{endpoint} accepts connections")
    except OSError as error:
        return _failure(endpoint, error)


def fetches(url: str, seconds: float) -> Outcome:
    """Tell whether a web page can be had: a status below 400, redirections followed.

    No proxy is asked, whatever the environment says.
    """
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import ProxyHandler, build_opener

    try:
        with build_opener(ProxyHandler({})).open(url, timeout=seconds) as answer:
            return Outcome(Result.GOOD, f"{url}: {answer.status}", {"status": answer.status})
    except HTTPError as error:
        return Outcome(Result.BAD, f"{url}: {error.code} {error.reason}", {"status": error.code})
    except URLError as error:
        inner = error.reason
        return _failure(url, inner if isinstance(inner, OSError) else error)
    except (OSError, HTTPException) as error:
        return _failure(url, error)


def _failure(what: str, error: Exception) -> Outcome:
    """Tell a refusal from silence."""
    silent = isinstance(error, TimeoutError) or (
        isinstance(error, OSError) and error.errno in {*_UNHEARD, *_SILENT}
    )
    return Outcome(Result.UNKNOWN if silent else Result.BAD, f"{what}: {_reason(error)}")


def _reason(error: Exception) -> str:
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(said).splitlines()[0].lower()


def _addresses() -> Iterator[str]:
    """Name interfaces with an address that others can reach: `eth0 192.0.2.1`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            with suppress(OSError):  # it has none
                if name != _LOOPBACK:
                    answer = fcntl.ioctl(asked.fileno(), _SIOCGIFADDR, request)
                    yield f"{name} {socket.inet_ntoa(answer[20:24])}"
    for line in _lines("/proc/net/if_inet6"):
        address, _, _, scope, _, name = line.split()
        if scope == _GLOBAL and name != _LOOPBACK:
            yield f"{name} {socket.inet_ntop(socket.AF_INET6, bytes.fromhex(address))}"


def _default_routes() -> Iterator[str]:
    """Name the interfaces that a default route goes by."""
    for line in _lines("/proc/net/route")[1:]:
        name, destination, _, flags, *_, mask = line.split()[:8]
        if (int(destination, 16), int(mask, 16)) == (0, 0) and not int(flags, 16) & _RTF_REJECT:
            yield name
    for line in _lines("/proc/net/ipv6_route"):
        fields = line.split()
        everything = set(fields[0]) == {"0"} and fields[1] == "00"
        if everything and not int(fields[8], 16) & _RTF_REJECT and fields[9] != _LOOPBACK:
            yield f"{fields[9]} (IPv6)"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except FileNotFoundError:  # a kernel without that protocol
        return []
