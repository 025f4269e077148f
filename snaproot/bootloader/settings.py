"""What the home's menu takes over from the machine's own: console, waiting, password. Pure.

Never less protected than before: where the old menu has a password that cannot be taken over,
that is refused. Keyboard layouts cannot be: signed images have no module for them.
"""

import re
import shlex

from snaproot.errors import Refused

_DEFAULT_TIMEOUT = 5
_WITHOUT_END = 10
"""In place of a menu that waits for ever: a machine with nobody present has to come back."""

_TERMINALS = {"console", "serial", "ofconsole", "vga_text"}
_WORD = r"[\w.,:/=-]+"
_SERIAL = re.compile(rf"serial((?:\s+{_WORD})*)\s*")
_TERMINAL = re.compile(rf"terminal_(input|output)((?:\s+(?:--append\s+)?{_WORD})+)\s*")
_TIMEOUT = re.compile(r"set\s+timeout=[\"']?(-?\d{1,4})[\"']?\s*")
_STYLE = re.compile(r"set\s+timeout_style=[\"']?(menu|hidden|countdown)[\"']?\s*")
_USERS = re.compile(r"set\s+superusers=(\"[\w ,;|&.@-]*\"|'[\w ,;|&.@-]*'|[\w,.@-]*)\s*")
_HASHED = re.compile(r"password_pbkdf2\s+([\w.@-]+)\s+(grub\.pbkdf2\.sha512\.[0-9A-Fa-f.]+)\s*")
_PLAIN = re.compile(r"password(?:\s+--)?\s+([\w.@-]+)\s+([\w.,:@%+=/-]+)\s*")
_GUARD = re.compile(r"(?:(?:set\s+)?superusers|password(?:_pbkdf2)?)\b")


def render(grub_cfg: str, default_grub: str = "") -> str:
    """Write settings.cfg from the texts of the machine's grub.cfg and /etc/default/grub.

    Raises Refused where the menu is protected in a way that cannot be read.
    """
    lines = [line.strip() for line in grub_cfg.splitlines()]
    found = [*_waiting(lines, _assigned(default_grub)), *_console(lines), *_password(lines)]
    return "".join(f"{line}\n" for line in ["# Taken over by snaproot from the old menu.", *found])


def _waiting(lines: list[str], assigned: dict[str, str]) -> list[str]:
    said = [m[1] for line in lines if (m := _TIMEOUT.fullmatch(line))]
    wanted = assigned.get("GRUB_TIMEOUT", "")
    if not re.fullmatch(r"-?\d{1,4}", wanted):
        wanted = said[-1] if said else str(_DEFAULT_TIMEOUT)
    seconds = int(wanted) if int(wanted) >= 0 else _WITHOUT_END
    styles = [m[1] for line in lines if (m := _STYLE.fullmatch(line))]
    return [f"set timeout={seconds}", *(f"set timeout_style={style}" for style in styles[-1:])]


def _console(lines: list[str]) -> list[str]:
    """Take serial lines and terminals; a graphical one needs fonts, and falls back to text."""
    found: list[str] = []
    for line in lines:
        terminal = _TERMINAL.fullmatch(line)
        if terminal:
            names = [name for name in terminal[2].split() if name.split("_")[0] in _TERMINALS]
            found += [f"terminal_{terminal[1]} {' '.join(names)}"] if names else []
        elif _SERIAL.fullmatch(line):
            found.append(line)
    return list(dict.fromkeys(found))


def _password(lines: list[str]) -> list[str]:
    found: list[str] = []
    for line in lines:
        if not _GUARD.match(line):
            continue
        if not any(form.fullmatch(line) for form in (_USERS, _HASHED, _PLAIN)):
            raise Refused(
                f"the menu's password cannot be taken over: {line.split()[0]} is used in a way "
                "that snaproot does not read; nothing was changed",
                hint="write plain `set superusers=` and `password_pbkdf2` lines, run update-grub",
            )
        found.append(line)
    return [*found, "export superusers"] if found else []


def _assigned(text: str) -> dict[str, str]:
    """Read the plain assignments of a shell file."""
    pairs = (line.strip().partition("=") for line in text.splitlines())
    return {name: _word(value) for name, _, value in pairs if re.fullmatch(r"[A-Z_]+", name)}


def _word(value: str) -> str:
    try:
        words = shlex.split(value, comments=True)
    except ValueError:
        return ""
    return words[0] if words else ""
