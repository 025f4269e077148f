"""The text of `environment.toml`. Pure; unknown keys are kept, and written back."""

import re
import tomllib
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from snaproot.environment import FORMAT, Digests, Environment, Installed, PackageChange, Standing

_KNOWN = {
    *("format", "parent", "origin", "command", "created", "kernel", "standing", "pinned"),
    *("sealed", "digests", "packages", "installed", "unverified", "state_changed"),
}
_ABSENT = "-"
_INSTALLED = re.compile(r"(\S+) (\S+) (?:-|([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]))")
"""A digest in base64 without padding: a third shorter than in hex, for ZFS keeps all of this in
properties. The last letter has four bits."""


def parse(text: str, id: str) -> Environment:
    """Read one environment. Raises ValueError, with the reason, on damage or a newer format."""
    data = tomllib.loads(text)
    _check_format(data)
    return Environment(
        id=id,
        parent=_text(data, "parent"),
        origin=_text(data, "origin"),
        command=_text(data, "command"),
        created=_time(data.get("created")),
        kernel=_text(data, "kernel"),
        standing=Standing(_text(data, "standing")),
        pinned=data.get("pinned") is True,
        sealed=data.get("sealed") is True,
        packages=tuple(_package(line) for line in _text(data, "packages").splitlines()),
        installed=_installed(_text(data, "installed")),
        unverified=_texts(data, "unverified"),
        digests=_digests(data.get("digests", {})),
        state_changed=_texts(data, "state_changed"),
        extra={key: value for key, value in data.items() if key not in _KNOWN},
    )


def render(environment: Environment) -> str:
    """Write one environment as TOML; a damaged one is misuse.

    Bytes that are no UTF-8 are written as escapes.
    """
    import tomli_w

    if environment.damage:
        raise RuntimeError(f"{environment.id} is damaged: {environment.damage}")
    plain = {
        "format": FORMAT,
        "parent": environment.parent,
        "origin": environment.origin,
        "command": _printable(environment.command),
        **({"created": environment.created} if environment.created else {}),
        "kernel": _printable(environment.kernel),
        "standing": str(environment.standing),
        "pinned": environment.pinned,
        "sealed": environment.sealed,
        "state_changed": [_printable(path) for path in environment.state_changed],
        **({"unverified": list(environment.unverified)} if environment.unverified else {}),
    }
    digests = environment.digests
    tables = {
        "digests": {
            "files": digests.files,
            "kernel": digests.kernel,
            "initramfs": digests.initramfs,
            "packages": digests.packages,
        }
    }
    packages = _literal("packages", [_line(change) for change in environment.packages])
    installed = _literal("installed", [_entry(one) for one in environment.installed])
    return packages + installed + tomli_w.dumps({**plain, **environment.extra, **tables})


def _check_format(data: Mapping[str, object]) -> None:
    number = data.get("format")
    if type(number) is not int:
        raise ValueError("it has no format number")
    if number > FORMAT:
        raise ValueError(f"it has format {number}, this snaproot reads {FORMAT}; use a newer one")


def _text(data: Mapping[str, object], key: str) -> str:
    value = data.get(key, "")
    if not isinstance(value, str):
        raise ValueError(f"{key} is no text")  # noqa: TRY004 - of the text, not of an argument
    return value


def _texts(data: Mapping[str, object], key: str) -> tuple[str, ...]:
    values = data.get(key, [])
    if not (isinstance(values, list) and all(isinstance(value, str) for value in values)):
        raise ValueError(f"{key} is no list of texts")
    return tuple(values)


def _time(value: object) -> datetime | None:
    """Take a time without a zone, as somebody may have written it by hand, for UTC."""
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _digests(table: object) -> Digests:
    if not isinstance(table, dict):
        raise ValueError("digests is no table")  # noqa: TRY004 - of the text, not of an argument
    return Digests(*(_text(table, name) for name in ("files", "kernel", "initramfs", "packages")))


def _literal(key: str, lines: Sequence[str]) -> str:
    """Write lines as one literal text: listing a thousand environments reads this much faster."""
    text = "".join(f"{line}\n" for line in lines)
    if "'''" in text:
        raise RuntimeError(f"{key} cannot be written: {text!r}")
    return f"{key} = '''\n{text}'''\n"


def _line(change: PackageChange) -> str:
    return f"{change.name} {change.before or _ABSENT} {change.after or _ABSENT}"


def _package(line: str) -> PackageChange:
    parts = line.split(" ")
    if len(parts) != len(("name", "before", "after")):
        raise ValueError(f"{line!r} is no package, version before and version after")
    name, before, after = ("" if part == _ABSENT else part for part in parts)
    return PackageChange(name, before, after)


def _entry(one: Installed) -> str:
    coded = b2a_base64(bytes.fromhex(one.digest), newline=False).decode().rstrip("=")
    return f"{one.name} {one.version} {coded or _ABSENT}"


def _installed(text: str) -> tuple[Installed, ...]:
    found = tuple(_brought(line) for line in text.splitlines())
    if len({one.name for one in found}) != len(found):
        raise ValueError("installed names a package twice")
    return found


def _brought(line: str) -> Installed:
    found = _INSTALLED.fullmatch(line)
    if not found:
        raise ValueError(f"{line!r} is no package, version and digest")
    name, version, coded = found.groups()
    return Installed(name, version, a2b_base64(f"{coded}=").hex() if coded else "")


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
