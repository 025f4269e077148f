"""Pools for what is in here, and which tests are for which machine.

All but a bench's own kernel has no module for them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from integration.zfs.bed import ZfsBench

collect_ignore_glob = [] if Path("/dev/zfs").exists() else ["test_*.py"]


@pytest.fixture(scope="module")
def pool() -> Iterator[str]:
    from integration.zfs import bed  # its library is a bench's alone

    with bed.pool() as made:
        yield made


@pytest.fixture
def bench(pool: str) -> "Iterator[ZfsBench]":
    from integration.zfs import bed

    with bed.bed(pool) as made:
        yield made
