"""The filesystem's contract on a real pool. Runs in a bench."""

from collections.abc import Iterator

import pytest

from integration.zfs import bed
from integration.zfs.bed import ZfsBench
from tests.contract.filesystem import FilesystemContract


@pytest.fixture(scope="session")
def pool() -> Iterator[str]:
    with bed.pool() as made:
        yield made


@pytest.fixture
def bench(pool: str) -> Iterator[ZfsBench]:
    with bed.bed(pool) as made:
        yield made


class TestZfs(FilesystemContract):
    """Everything that the fake and Btrfs have to do, too."""
