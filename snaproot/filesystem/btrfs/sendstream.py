"""The stream of `btrfs send --no-data -p`: which paths it touches. Pure.

The format is that of fs/btrfs/send.h in the kernel's source: a header, then commands of typed
attributes. A path in a command is the receiver's path at that moment; directories may go through
temporary names (`oINODE-GENERATION-N`). So the commands are played on a tree of names, and what
is told in the end are paths of the older and of the newer snapshot only.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import BinaryIO

from snaproot.filesystem.comparison import Difference

_MAGIC = b"btrfs-stream\0"
_NEWEST = 3
_HEADER = struct.Struct("<IHI")  # length, command, checksum
_ATTRIBUTE = struct.Struct("<HH")  # type, length
_PATH, _PATH_TO, _DATA = 15, 16, 19


class Command(IntEnum):
    """The commands that name paths, with the kernel's numbers."""

    MKFILE = 3
    MKDIR = 4
    MKNOD = 5
    MKFIFO = 6
    MKSOCK = 7
    SYMLINK = 8
    RENAME = 9
    LINK = 10
    UNLINK = 11
    RMDIR = 12
    UTIMES = 20
    END = 21


_SUBJECT = (1, 2)  # subvol and snapshot: the path there names the stream itself
_MAKING = frozenset({*range(Command.MKFILE, Command.RENAME), Command.LINK})


def parse(stream: BinaryIO) -> Difference:
    """Read a stream to its end. Raises ValueError where it is cut short or of another kind."""
    version = _version(stream)
    tree = _Tree()
    for command, attributes in _commands(stream, version):
        tree.play(command, attributes)
    return tree.difference()


def _version(stream: BinaryIO) -> int:
    head = stream.read(len(_MAGIC) + 4)
    if len(head) != len(_MAGIC) + 4 or not head.startswith(_MAGIC):
        raise ValueError("this is no send stream")
    version = int.from_bytes(head[len(_MAGIC) :], "little")
    if not 1 <= version <= _NEWEST:
        raise ValueError(f"send streams of version {version} are not known")
    return version


def _commands(stream: BinaryIO, version: int) -> Iterator[tuple[int, dict[int, bytes]]]:
    while True:
        header = stream.read(_HEADER.size)
        if len(header) != _HEADER.size:
            raise ValueError("the send stream ends early")
        length, command, _ = _HEADER.unpack(header)
        payload = stream.read(length)
        if len(payload) != length:
            raise ValueError("the send stream ends early")
        if command == Command.END:
            return
        if command not in _SUBJECT:
            yield command, _attributes(payload, version)


def _attributes(payload: bytes, version: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at < len(payload):
        if version > 1 and payload[at : at + 2] == _DATA.to_bytes(2, "little"):
            break  # from version 2 on, data has no length and comes last
        if len(payload) - at < _ATTRIBUTE.size:
            raise ValueError("an attribute of the send stream is cut short")
        kind, length = _ATTRIBUTE.unpack_from(payload, at)
        at += _ATTRIBUTE.size
        if len(payload) - at < length:
            raise ValueError("an attribute of the send stream is cut short")
        found[kind] = payload[at : at + length]
        at += length
    return found


@dataclass(slots=True)
class _Node:
    """One name. `origin` is its path in the older snapshot, None for what is new."""

    origin: bytes | None = None
    touched: bool = False
    absent: bool = False
    children: dict[bytes, "_Node"] = field(default_factory=dict)


@dataclass(slots=True)
class _Tree:
    """The receiver's names, as far as the stream has spoken of them."""

    root: _Node = field(default_factory=lambda: _Node(origin=b""))
    gone: set[bytes] = field(default_factory=set)

    def play(self, command: int, attributes: dict[int, bytes]) -> None:
        """Apply one command."""
        needed = {_PATH, _PATH_TO} if command == Command.RENAME else {_PATH}
        if not needed <= attributes.keys():
            raise ValueError(f"command {command} of the send stream names no path")
        path = attributes[_PATH]
        if command in _MAKING:
            self._put(path, _Node(touched=True))
        elif command in {Command.UNLINK, Command.RMDIR}:
            self._forget(self._take(path))
        elif command == Command.RENAME:
            self._put(attributes[_PATH_TO], self._take(path))
        elif command != Command.UTIMES:
            self._at(path).touched = True

    def difference(self) -> Difference:
        """Name what the names and the touched nodes have come to."""
        touched: set[bytes] = set()
        moved: list[tuple[bytes, bytes]] = []
        pending: list[tuple[bytes, bytes | None, _Node]] = [(b"", b"", self.root)]
        while pending:
            path, expected, node = pending.pop()
            if node.touched:
                touched.add(path)
            if node.origin is not None and node.origin != expected:
                moved.append((node.origin, path))
            pending += (
                (_join(path, name), _below(node, name), child)
                for name, child in node.children.items()
                if not child.absent
            )
        return Difference(frozenset(touched), frozenset(self.gone), tuple(sorted(moved)))

    def _at(self, path: bytes) -> _Node:
        node = self.root
        for name in path.split(b"/") if path else ():
            if name not in node.children:
                node.children[name] = _Node(origin=_below(node, name))
            node = node.children[name]
        return node

    def _take(self, path: bytes) -> _Node:
        node = self._at(path)
        self._put(path, _Node(absent=True))
        return node

    def _put(self, path: bytes, node: _Node) -> None:
        directory, _, name = path.rpartition(b"/")
        self._at(directory).children[name] = node

    def _forget(self, node: _Node) -> None:
        if node.origin is not None:
            self.gone.add(node.origin)


def _join(directory: bytes, name: bytes) -> bytes:
    return directory + b"/" + name if directory else name


def _below(node: _Node, name: bytes) -> bytes | None:
    return None if node.origin is None else _join(node.origin, name)
