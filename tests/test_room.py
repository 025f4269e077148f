"""What is said of room: figures, and what could go."""

from pathlib import Path

from snaproot.room import Going, Place, by_hand, hint, said

MIB = 1 << 20
ROOTS = Place("the root's filesystem", Path("/mnt"), 4 << 30, 300 * MIB, 712 * MIB)
ESP = Place("the ESP", Path("/esp"), 200 * MIB, 64 << 10, 128 << 10)
OLD = Going("b1", "more than 10 boot environments", 40 * MIB, 4096)
OLDER = Going("b2", "more than 10 boot environments", 2 * MIB, 4096)
KEPT = Going("b3", "", 7 * MIB, 8192, "snaproot cleanup b3")
ORIGINAL = Going("original", "", 900 * MIB, 4096, "snaproot cleanup --original")


def test_what_is_needed_stands_beside_what_is_there() -> None:
    assert said(ROOTS, 512 * MIB) == (
        "712.0 MiB are needed on the root's filesystem (512.0 MiB of them kept free), "
        "300.0 MiB of 4.0 GiB are free"
    )
    assert said(ROOTS, 712 * MIB) == (
        "712.0 MiB have to stay free on the root's filesystem, 300.0 MiB of 4.0 GiB are free"
    )
    assert said(ESP, 0) == "128.0 KiB are needed on the ESP, 64.0 KiB of 200.0 MiB are free"


def test_exactly_enough_is_enough() -> None:
    assert not Place("the ESP", Path("/esp"), 5, 4, 4).is_short
    assert Place("the ESP", Path("/esp"), 5, 3, 4).is_short


def test_what_the_rules_remove_comes_first_then_what_a_hand_does() -> None:
    assert hint([OLD, OLDER, KEPT, ORIGINAL], roots=True) == (
        "snaproot cleanup removes b1, b2 (42.0 MiB); by hand: snaproot cleanup b3 (7.0 MiB), "
        "snaproot cleanup --original (900.0 MiB); delete something large, or set a smaller [space] "
        "reserve_mib"
    )
    assert hint([], roots=True).startswith("delete something large")


def test_on_the_esp_only_entries_go() -> None:
    assert hint([OLD, KEPT], roots=False) == (
        "snaproot cleanup removes b1 (4.0 KiB); by hand: snaproot cleanup b3 (8.0 KiB); "
        "delete what others have left there, such as old firmware updates"
    )


def test_nothing_by_hand_is_no_hint() -> None:
    assert not by_hand([OLD])
