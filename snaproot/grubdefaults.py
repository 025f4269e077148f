"""The kernel arguments that an admin has set for GRUB: /etc/default/grub and its drop-ins. Pure.

These files are shell, and only `grub-mkconfig` may run them. Assignments are read, with the
variables that they name put in; anything cleverer is left out, as `grub-mkconfig` is never run.
"""

import re
import shlex
from collections.abc import Iterable, Mapping

FILES = "/etc/default/grub"
DROP_INS = "/etc/default/grub.d"
_ASSIGNMENT = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
_OURS = (
    *("root", "rootflags", "snaproot.canary", "snaproot.revert", "snaproot.skipped"),
    "snaproot.trial",
)


def assigned(texts: Iterable[str]) -> Mapping[str, str]:
    """Read the variables that some files set, one after another."""
    values: dict[str, str] = {}
    for text in texts:
        for line in re.sub(r"\\\n", "", text).splitlines():
            match = _ASSIGNMENT.match(line)
            if match:
                values[match[1]] = _value(match[2], values)
    return values


def arguments(texts: Iterable[str]) -> tuple[str, ...]:
    """List the kernel arguments for a normal boot, in GRUB's order, without those of the root."""
    values = assigned(texts)
    words = " ".join(
        values.get(name, "") for name in ("GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT")
    )
    found = _split(words)
    return tuple(word for word in found if word.partition("=")[0] not in _OURS)


def rootflags(texts: Iterable[str]) -> tuple[str, ...]:
    """List the options that an admin gives the root, but for the subvolume."""
    values = assigned(texts)
    words = _split(
        f"{values.get('GRUB_CMDLINE_LINUX', '')} {values.get('GRUB_CMDLINE_LINUX_DEFAULT', '')}"
    )
    given = (w.partition("=")[2].split(",") for w in words if w.startswith("rootflags="))
    options = [option for group in given for option in group]
    return tuple(o for o in options if o and o.partition("=")[0] not in {"subvol", "subvolid"})


def _value(raw: str, values: Mapping[str, str]) -> str:
    """Take the quotes off one value; in single quotes nothing is put in (sh(1)).

    What a command would have to say is left out, whole.
    """
    if raw.startswith("'"):
        return raw[1:].partition("'")[0]
    if "$(" in raw or "`" in raw:
        return ""
    filled = _VARIABLE.sub(lambda match: values.get(match[1] or match[2], ""), raw)
    try:
        words = shlex.split(filled, comments=True)
    except ValueError:
        return ""
    return words[0] if words else ""


def _split(text: str) -> list[str]:
    """Split a command line as the kernel does: quotes belong to a word, and stay in it."""
    return re.findall(r'(?:[^\s"]|"[^"]*"?)+', text)
