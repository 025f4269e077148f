"""The fake keeps the contract of the real filesystems."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from snaproot.environment import Standing
from snaproot.filesystem import Filesystem
from tests.contract.filesystem import BASE, Bench, FilesystemContract, described
from tests.fakes import Disk, FakeFilesystem


@dataclass
class FakeBench:
    disk: Disk

    def filesystem(self, booted: str | None = None) -> Filesystem:
        return FakeFilesystem(self.disk, booted)

    def write(self, id: str, path: str, content: str) -> None:
        FakeFilesystem(self.disk).write(id, path, content)

    def remove(self, id: str, path: str) -> None:
        part = _part(path)
        kept = {name: text for name, text in self._files(part, id).items() if name != path}
        self.disk.put((part, id), kept)

    def read(self, id: str, path: str) -> str | None:
        return self._files(_part(path), id).get(path)

    def shared(self) -> Mapping[str, str]:
        return self._files("var")

    def additions(self, id: str) -> Mapping[str, str]:
        return self._files("additions", id)

    def _files(self, *key: str) -> Mapping[str, str]:
        found = self.disk.get(key)
        return found if isinstance(found, dict) else {}


def _part(path: str) -> str:
    first = path.split("/")[1]
    return {"etc": "etc", "var": "areas"}.get(first, "root")


def _named(*paths: str) -> dict[str, str]:
    return {path: path for path in paths}


class TestFake(FilesystemContract):
    @pytest.fixture
    def bench(self) -> Bench:
        disk = Disk()
        disk.put(("where", BASE), "environments")
        disk.put(("root", BASE), _named("/usr/bin/tool", "/usr/lib/old"))
        disk.put(("etc", BASE), _named("/etc/host.conf"))
        disk.put(("sealed", BASE), True)
        disk.put(("meta", BASE), replace(described(BASE, ""), standing=Standing.PROVEN))
        disk.put(("var",), _named("/var/lib/state", "/var/lib/stale"))
        disk.put(("default",), BASE)
        disk.sync()
        return FakeBench(disk)
