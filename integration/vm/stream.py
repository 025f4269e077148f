"""What a machine says on a line, heard as it comes, and kept."""

import re
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

ESCAPES = re.compile(
    rb"\x1b(?:\[[0-9;?=]*[A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|[=>78cM])"
)
_TAIL = 3000


class Unheard(Exception):
    """What was waited for was not said in time; the message has what was."""


class Stream:
    """One end of a socket: a thread listens, so that the other side never has to wait."""

    def __init__(self, ours: socket.socket, log: Path) -> None:
        self._socket = ours
        self._heard = bytearray()
        self._news = threading.Condition()
        self.closed = False
        self._log = log.open("ab", buffering=0)
        threading.Thread(target=self._listen, daemon=True).start()

    def text(self, since: int = 0) -> str:
        """Return what was heard from a place on, without the terminal's escapes."""
        with self._news:
            heard = bytes(self._heard[since:])
        return ESCAPES.sub(b"", heard).decode(errors="replace").replace("\r", "")

    @property
    def now(self) -> int:
        """Return the place where listening is."""
        return len(self._heard)

    def say(self, text: str) -> None:
        """Send text as it is."""
        self._socket.sendall(text.encode())

    def wait(self, pattern: str, seconds: float, since: int = 0) -> re.Match[str]:
        """Wait until something was said since a place. Raises Unheard."""
        end, wanted = time.monotonic() + seconds, re.compile(pattern, re.MULTILINE)
        while True:
            seen, closed = self.now, self.closed
            if found := wanted.search(self.text(since)):
                return found
            if closed or time.monotonic() >= end:
                raise Unheard(self._reason(pattern, seconds, closed=closed))
            self._more(seen, end)

    def close(self) -> None:
        """Hang up; what was heard stays."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _more(self, seen: int, end: float) -> None:
        with self._news:
            if self.now == seen and not self.closed:
                self._news.wait(max(0.0, end - time.monotonic()))

    def _reason(self, pattern: str, seconds: float, *, closed: bool) -> str:
        how = "the line was closed first" if closed else f"not within {seconds:g} s"
        return f"{pattern!r} was not said, {how}; the last of what was:\n{self.text()[-_TAIL:]}"

    def _listen(self) -> None:
        with self._log as log, self._socket as line:
            while data := _received(line):
                self._keep(data, log)
        with self._news:
            self.closed = True
            self._news.notify_all()

    def _keep(self, data: bytes, log: BinaryIO) -> None:
        log.write(data)
        with self._news:
            self._heard += data
            self._news.notify_all()


def _received(line: socket.socket) -> bytes:
    try:
        return line.recv(1 << 16)
    except OSError:
        return b""
