"""The table of what Btrfs and ZFS do alike: it says what ran, and of every test of the contract."""

import pytest

from integration import parity, results
from integration.parity import COLUMNS, Feature, cell
from integration.zfs.bench import Outcome
from tests.contract.filesystem import FilesystemContract

PASSED, FAILED, SKIPPED = (
    Outcome("", 1.25),
    Outcome("failure: no pool\n", 1.0),
    Outcome("skipped: ", 0),
)
NAME = "integration.test_filesystem_btrfs.TestBtrfs."


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([PASSED], "held, 1.25 s"),
        ([PASSED, PASSED], "held (2 cases), 2.50 s"),
        ([PASSED, FAILED], "**failed**"),
        ([PASSED, SKIPPED], "**failed**"),
        ([SKIPPED], "not run"),
        ([], "not run"),
    ],
)
def test_nothing_that_did_not_pass_is_held(runs: list[Outcome], said: str) -> None:
    assert cell(runs) == said


def test_every_test_of_the_contract_has_a_row_whether_it_ran_or_not() -> None:
    ended = {
        f"{NAME}test_the_default_moves": PASSED,
        f"{NAME}test_an_unknown_id_is_misuse[a]": FAILED,
    }
    found = {one.test: one for one in parity.features({"btrfs": ended})}
    assert list(found) == [name for _, name in parity.contract()]
    said = {
        name: [cell(found[name].runs[column]) for column in COLUMNS]
        for name in ("test_the_default_moves", "test_an_unknown_id_is_misuse", "test_targets_stack")
    }
    assert list(said.values()) == [
        ["held, 1.25 s", "not run"],
        ["**failed**", "not run"],
        ["not run", "not run"],
    ]
    assert not any(one.kept for one in found.values())


def test_no_test_of_the_contract_is_in_no_group() -> None:
    inherited = {name for name in dir(FilesystemContract) if name.startswith("test_")}
    assert {name for _, name in parity.contract()} == inherited
    assert all(group for group, _ in parity.contract())


def test_a_scenario_on_both_is_one_row() -> None:
    ended = {
        "integration.test_x.test_a_hang_reverts[btrfs]": PASSED,
        "integration.test_x.test_a_hang_reverts[zfs]": FAILED,
        "integration.test_x.test_a_cut[zfs-hard]": PASSED,
        "integration.test_x.test_else[other]": PASSED,
        "integration.test_x.test_plain": PASSED,
    }
    hang, cut = parity.scenarios(ended)
    assert (hang.title, hang.runs) == ("A hang reverts", {"btrfs": [PASSED], "zfs": [FAILED]})
    assert (cut.title, cut.runs) == ("A cut hard", {"zfs": [PASSED]})
    assert (hang.kept, cut.kept) == (False, True)


def test_a_part_of_the_page_is_written_and_the_others_stay() -> None:
    page = results.merged("", "make bench", "# Times\n\n<!-- a note -->\nx\n")
    both = results.merged(page, "make parity", "\n# Alike\n")
    assert both.startswith(page)
    again = results.merged(both, "make bench", "# New times\n")
    assert results.parts(again) == {"make bench": "# New times\n\n", "make parity": "# Alike\n"}
    assert results.merged(again, "make parity", "# Alike\n") == again


def test_the_page_is_dated_and_has_what_happened() -> None:
    held = Feature("Making", "test_it_is_made", {"btrfs": [PASSED], "zfs": [PASSED]})
    lacking = Feature("Removing", "test_it_goes", {"btrfs": [PASSED]})
    page = parity.render("2026-01-02 03:04 UTC", ["OpenZFS 9"], [held, lacking])
    assert "2026-01-02 03:04 UTC" in page
    assert "Held: 2 on Btrfs, 1 on ZFS, of 2." in page
    assert "| It is made | held, 1.25 s | held, 1.25 s |" in page
    assert "| It goes | held, 1.25 s | not run |" in page
    assert page.index("## Making") < page.index("## Removing")


def test_the_table_in_the_repository_names_the_tests_of_the_contract() -> None:
    part = results.parts(results.PATH.read_text(encoding="utf-8"))[parity.COMMAND]
    table = part.partition(f"\n## {parity.MACHINES}\n")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")]
    titles = [row[0].removeprefix("| ") for row in rows if row[1:] != ["---:", "---: |"]]
    assert [title for title in titles if title.strip()] == [
        one.title for one in parity.features({})
    ]


def test_every_part_is_a_commands_own() -> None:
    assert [*results.parts(results.PATH.read_text(encoding="utf-8"))] == [
        "make bench",
        "make parity",
    ]
