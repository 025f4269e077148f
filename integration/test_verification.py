"""What `snaproot trust verify` costs: hashing as fast as openssl(1)'s, and little memory."""

from pathlib import Path

import pytest

from integration.stopwatch import Effort
from integration.verification import verification


@pytest.mark.slow
def test_a_gigabyte_is_hashed_as_fast_as_by_openssl_in_little_memory(tmp_path: Path) -> None:
    assert verification(Effort(tmp_path)).broken == ()
