"""Every boot loader keeps the contract, the fake too."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from snaproot.bootloader import Bootloader, entry
from snaproot.bootloader.pointer import PointerLoader
from snaproot.environment import Environment
from tests.bootloader.grubhome import GrubHome
from tests.bootloader.zfshome import ZfsHome
from tests.contract.bootloader import (
    BASE,
    OTHER,
    TARGET,
    Bench,
    BootloaderContract,
    CountingContract,
)
from tests.fakes import CountingLoader, Disk, Env, FakeFilesystem


@dataclass
class FakeBench:
    disk: Disk

    def loader(self) -> Bootloader:
        return CountingLoader(self.disk)

    def garble(self) -> None:
        self.disk.put(("env",), "garbled")
        self.disk.sync()

    def listed(self) -> list[str]:
        ids = self.disk.get(("index",))
        return list(ids) if isinstance(ids, tuple) else []


@dataclass
class PointerBench:
    disk: Disk

    def loader(self) -> Bootloader:
        return PointerLoader(FakeFilesystem(self.disk))

    def garble(self) -> None:
        raise RuntimeError("it has no file")

    def listed(self) -> list[str]:
        raise RuntimeError("it has no menu")


@dataclass
class GrubBench:
    home: GrubHome

    def loader(self) -> Bootloader:
        return self.home.loader()

    def garble(self) -> None:
        (self.home.home / "env").write_bytes(bytes(1024))

    def listed(self) -> list[str]:
        return list(entry.listed((self.home.home / "index.cfg").read_text()))


class TestFake(CountingContract):
    @pytest.fixture
    def bench(self) -> Bench:
        disk = Disk()
        disk.put(("env",), Env(BASE))
        disk.put(("entry", BASE), "complete")
        disk.sync()
        return FakeBench(disk)


class TestPointer(BootloaderContract):
    @pytest.fixture
    def bench(self) -> Bench:
        disk = Disk()
        for id in (BASE, TARGET, OTHER):
            disk.put(("where", id), "environments")
            disk.put(("sealed", id), True)
            disk.put(("meta", id), Environment(id=id))
        disk.put(("default",), BASE)
        disk.sync()
        return PointerBench(disk)


@dataclass
class ZfsBootMenuBench:
    home: ZfsHome

    def loader(self) -> Bootloader:
        return self.home.loader()

    def garble(self) -> None:
        raise RuntimeError("it has no file")

    def listed(self) -> list[str]:
        raise RuntimeError("its menu is its own")


class TestZfsBootMenu(BootloaderContract):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Bench:
        home = ZfsHome(tmp_path)
        home.lay()
        return ZfsBootMenuBench(home)


class TestGrub(CountingContract):
    readable = True

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Bench:
        home = GrubHome(tmp_path, readable=self.readable)
        home.lay_stub()
        home.establish(BASE)
        home.started()
        return GrubBench(home)


class TestGrubWithCopies(TestGrub):
    readable = False
