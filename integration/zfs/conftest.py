"""Pools for what is in here, and which tests are for which machine.

All but a bench's own kernel has no module for them.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.zfs import bed
from integration.zfs.bed import ZfsBench

collect_ignore_glob = [] if Path("/dev/zfs").exists() else ["test_*.py"]


@pytest.fixture(scope="module")
def pool() -> Iterator[str]:
    with bed.pool() as made:
        yield made


@pytest.fixture
def bench(pool: str) -> Iterator[ZfsBench]:
    with bed.bed(pool) as made:
        yield made
