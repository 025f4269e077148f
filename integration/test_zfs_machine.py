"""What runs on a real pool in a machine, each test by its name, none left out."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from integration.parity import contract
from integration.zfs.bench import Outcome, bench

pytestmark = [pytest.mark.zfs, pytest.mark.machine, pytest.mark.xdist_group("zfs")]

CONTRACT = sorted(name for _, name in contract())


@pytest.fixture(scope="module")
def ended() -> Iterator[Mapping[str, Outcome]]:
    with bench() as made:
        yield made.pytest("integration/zfs")


@pytest.mark.parametrize("name", CONTRACT)
def test_the_contract_holds_on_a_pool(ended: Mapping[str, Outcome], name: str) -> None:
    of_it = f"integration.zfs.test_contract.TestZfs.{name}"
    runs = [outcome for test, outcome in ended.items() if test.partition("[")[0] == of_it]
    assert runs
    assert not [outcome.reason for outcome in runs if outcome.reason]


def test_all_that_is_for_a_pool_ran_and_passed(ended: Mapping[str, Outcome]) -> None:
    files = {path.stem for path in (Path(__file__).parent / "zfs").glob("test_*.py")}
    assert {name.split(".")[2] for name in ended} == files
    assert len(ended) >= len(CONTRACT)
    assert {name: found.reason for name, found in ended.items() if found.reason} == {}
    print(f"{len(ended)} tests on a pool, {sum(found.seconds for found in ended.values()):.0f} s")
