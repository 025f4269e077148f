"""[health]: which probes there are, how patient they are, what they ask. Pure."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from snaproot.health import Severity

_UNIT = re.compile(r"[\w:.\\@-]+\.(service|socket|target|mount|timer|path|device|swap|scope|slice)")
_HOST = re.compile(r"[A-Za-z0-9_:]([A-Za-z0-9_.:%-]*[A-Za-z0-9_:])?")
_PORTS = range(1, 1 << 16)


@dataclass(frozen=True, slots=True)
class Terms:
    """What every table has: whether it decides, and how patient its probes are, in seconds."""

    enabled: bool = True
    severity: Severity = Severity.REQUIRED
    timeout_seconds: int = 30
    retries: int = 2
    delay_seconds: int = 5


@dataclass(frozen=True, slots=True)
class Services(Terms):
    """[health.services]; longer than the 90 s that systemd gives a unit to start."""

    timeout_seconds: int = 120
    required_units: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Disk(Terms):
    """[health.disk]: so much must be free on `/` and on each of `paths`."""

    retries: int = 1
    free_mib: int = 64
    paths: tuple[str, ...] = ("/var",)


@dataclass(frozen=True, slots=True)
class Network(Terms):
    """[health.network]; only told unless it is made required: a provider's outage is no update's.

    `names` are resolved, `tcp` (host:port) connected to, `http` (URLs) fetched.
    """

    severity: Severity = Severity.WANTED
    timeout_seconds: int = 10
    retries: int = 5
    names: tuple[str, ...] = ()
    tcp: tuple[str, ...] = ()
    http: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scripts(Terms):
    """[health.scripts]; how much each one decides is said by its directory.

    `severity` is that of the required ones: `wanted` makes all scripts be only told.
    """

    timeout_seconds: int = 60
    retries: int = 1


@dataclass(frozen=True, slots=True)
class Health:
    """[health]."""

    deadline_seconds: int = 540
    parallel: int = 4
    services: Services = field(default_factory=Services)
    disk: Disk = field(default_factory=Disk)
    network: Network = field(default_factory=Network)
    scripts: Scripts = field(default_factory=Scripts)


def bad_unit(text: str) -> str:
    """Say what is wrong with the name of a unit; empty if nothing is."""
    if _UNIT.fullmatch(text):
        return ""
    return "is the whole name of a unit, like ssh.service"


def bad_path(text: str) -> str:
    """Say what is wrong with a path."""
    return "" if text.startswith("/") and "\0" not in text else "is an absolute path"


def bad_name(text: str) -> str:
    """Say what is wrong with a host name or an address."""
    return "" if _HOST.fullmatch(text) else "is a host name, like deb.debian.org"


def bad_endpoint(text: str) -> str:
    """Say what is wrong with host:port."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if ":" in host and not bracketed:
        return "is host:port with an IPv6 address in brackets, like [::1]:22"
    known = colon and _is_port(port) and not bad_name(host[1:-1] if bracketed else host)
    return "" if known else "is host:port, like db.example.org:5432"


def bad_url(text: str) -> str:
    """Say what is wrong with the URL of a web page."""
    wanted = "is an http or https URL, like https://example.org/healthz"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return wanted
    strange = not text.isascii() or any(letter.isspace() for letter in text)
    named = bool(parts.hostname) and (port is None or port in _PORTS)
    return "" if parts.scheme in {"http", "https"} and named and not strange else wanted


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text[:6]) in _PORTS
