"""The filesystem's contract on real Btrfs, and what only Btrfs can get wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.bed import BtrfsBench, bed
from tests.contract.filesystem import FilesystemContract

pytestmark = pytest.mark.real


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[BtrfsBench]:
    with bed(tmp_path) as made:
        yield made


class TestBtrfs(FilesystemContract):
    """Everything that the fake has to do, too."""
