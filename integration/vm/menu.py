"""Somebody in front of GRUB's menu, on the serial line: keys, and the line that is highlighted."""

import hashlib
import time

from integration.vm.guest import BOOT, Guest
from integration.vm.stream import Unheard
from snaproot.bootloader import settings

ALL = "All boot environments"
USER, SECRET = "admin", "secret"
_DOWN, _ENTER = "\x1b[B", "\r"
HIGHLIGHTED = r"\*([^*]{40})"
_TYPING = 0.2  # seconds between two keys
_MOST = 80  # keys to one line
_SLOW = 20.0  # seconds that a key may take on an emulated machine
_PATIENCE = 6.0  # seconds after which a person presses it again
_TWICE = 3  # times that they do
_WAITS = """\
terminal_input console
terminal_output console
set timeout_style=menu
set timeout=20
"""
"""The firmware's own console: it is the serial line, and takes keys away from who reads that."""


def turned_on(*, guarded: bool = False) -> str:
    """Write settings.cfg as `init` takes it over from a menu on the serial line that waits."""
    return settings.render(_WAITS + (guard() if guarded else ""))


def guard() -> str:
    """Ask for a user and a password, as update-grub writes it."""
    salt, rounds = b"snaproot", 1000
    key = hashlib.pbkdf2_hmac("sha512", SECRET.encode(), salt, rounds).hex().upper()
    hashed = f"grub.pbkdf2.sha512.{rounds}.{salt.hex().upper()}.{key}"
    return f'set superusers="{USER}"\npassword_pbkdf2 {USER} {hashed}\n'


class Menu:
    """The menu of a machine that was just switched on, or that restarts."""

    def __init__(self, guest: Guest) -> None:
        self._serial = guest.serial
        self._since = self._serial.now

    def opened(self) -> None:
        """Wait until it is there, and stop its clock."""
        self._serial.wait(ALL, BOOT, self._since)
        self._press(_DOWN, HIGHLIGHTED)

    def choose(self, title: str, then: str) -> None:
        """Go down to the line that begins so, and take it; `then` is what is shown next."""
        for _ in range(_MOST):
            highlighted = self._serial.wait(HIGHLIGHTED, _SLOW, self._since)[1]
            if highlighted.startswith(title):
                self._press(_ENTER, then)
                return
            self._press(_DOWN, HIGHLIGHTED)
        raise Unheard(f"{title!r} was not highlighted: {self.screen}")

    def asked(self, user: str = USER, password: str = SECRET) -> None:
        """Wait until a user and a password are asked for, and type them."""
        for question, answer in (("Enter username", user), ("Enter password", password)):
            self._serial.wait(question, _SLOW, self._since)
            for key in f"{answer}{_ENTER}":
                self._serial.say(key)
                time.sleep(_TYPING)

    def wait(self, pattern: str) -> None:
        """Wait until something was shown since the last key."""
        self._serial.wait(pattern, _SLOW, self._since)

    @property
    def screen(self) -> str:
        """Return what was shown since the last key."""
        return self._serial.text(self._since)

    def _press(self, key: str, shown: str) -> None:
        """Press a key until something new is shown."""
        self._since = self._serial.now
        for left in reversed(range(_TWICE)):
            self._serial.say(key)
            try:
                self._serial.wait(shown, _PATIENCE, self._since)
            except Unheard:
                if not left:
                    raise
            else:
                return
