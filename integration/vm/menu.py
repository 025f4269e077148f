"""Somebody in front of GRUB's menu, on the serial line: keys, and the line that is highlighted."""

import hashlib

from integration.vm.guest import BOOT, Guest
from integration.vm.stream import Unheard
from snaproot.bootloader import settings

ALL = "All boot environments"
USER, SECRET = "admin", "secret"
_DOWN, _ENTER = "\x1b[B", "\r"
_HIGHLIGHTED = r"\*([^*]{40})"
_MOST = 80  # keys to one line
_SLOW = 20.0  # seconds that a key may take on an emulated machine
_SERIAL = """\
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
set timeout_style=menu
set timeout=20
"""


def turned_on(*, guarded: bool = False) -> str:
    """Write settings.cfg as `init` takes it over from a menu on the serial line that waits."""
    return settings.render(_SERIAL + (guard() if guarded else ""))


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
        self._press(_DOWN)

    def choose(self, title: str) -> None:
        """Go down to the line that begins so, and take it."""
        highlighted = ""
        for _ in range(_MOST):
            highlighted = self._serial.wait(_HIGHLIGHTED, _SLOW, self._since)[1]
            if highlighted.startswith(title):
                self._press(_ENTER)
                return
            self._press(_DOWN)
        raise Unheard(f"{title!r} was not highlighted, the last was {highlighted!r}")

    def asked(self, user: str = USER, password: str = SECRET) -> None:
        """Wait until a user and a password are asked for, and type them."""
        for question, answer in (("Enter username", user), ("Enter password", password)):
            self._serial.wait(question, _SLOW, self._since)
            for key in answer:
                self._serial.say(key)
            self._press(_ENTER)

    def wait(self, pattern: str) -> None:
        """Wait until something was shown since the last key."""
        self._serial.wait(pattern, _SLOW, self._since)

    @property
    def screen(self) -> str:
        """Return what was shown since the last key."""
        return self._serial.text(self._since)

    def _press(self, key: str) -> None:
        self._since = self._serial.now
        self._serial.say(key)
