"""The contract of `snaproot.bootloader.Bootloader`.

An implementation's tests subclass `BootloaderContract`, or `CountingContract` where the loader
counts, and give it a fixture `bench`.
"""

from collections.abc import Callable
from typing import Protocol

import pytest

from snaproot.bootloader import Bootloader, Shown, Trial
from snaproot.errors import Refused

BASE = "b1"
TARGET = "b2"
OTHER = "b3"
TRIAL = Trial("d1", TARGET, BASE, 2)
MENU = [Shown(BASE, "proven", kept=True), Shown(TARGET, "unproven"), Shown(OTHER, "bad")]


class Bench(Protocol):
    """A loader that boots `BASE`; `TARGET` and `OTHER` are complete and unknown to it."""

    def loader(self) -> Bootloader:
        """Open it anew, as another process would."""

    def garble(self) -> None:
        """Damage the loader's file."""

    def listed(self) -> list[str]:
        """Name what somebody in front of the loader could pick, in the order of its menu."""


class BootloaderContract:
    def test_it_boots_the_base(self, bench: Bench) -> None:
        view = bench.loader().view()
        assert (view.present, view.good, view.trial, view.tries) == (True, BASE, "", 0)

    def test_its_capability_says_what_its_view_shows(self, bench: Bench) -> None:
        capability = bench.loader().capability()
        assert capability.counts == bench.loader().view().counts
        assert capability.summary
        assert not capability.obstacle

    def test_arming_makes_the_target_the_next_boot(self, bench: Bench) -> None:
        for _ in range(2):
            bench.loader().arm(TRIAL)
            view = bench.loader().view()
            assert TARGET in {view.trial, view.good}
            assert view.good == (BASE if view.counts else TARGET)

    @pytest.mark.parametrize("good", [BASE, TARGET])
    def test_settling_makes_one_the_choice_and_forgets_the_trial(
        self, bench: Bench, good: str
    ) -> None:
        bench.loader().arm(TRIAL)
        for _ in range(2):
            bench.loader().settle(good)
            view = bench.loader().view()
            assert (view.good, view.trial, view.deployment, view.tries) == (good, "", "", 0)

    def test_spending_makes_good_the_next_boot(self, bench: Bench) -> None:
        bench.loader().arm(TRIAL)
        for _ in range(2):
            bench.loader().leave(0, BASE)
            view = bench.loader().view()
            assert (view.good, view.tries) == (BASE, 0)

    def test_what_is_not_needed_is_withdrawn_as_often_as_one_likes(self, bench: Bench) -> None:
        bench.loader().arm(TRIAL)
        bench.loader().settle(BASE)
        for _ in range(2):
            bench.loader().withdraw(TARGET)
            bench.loader().withdraw(OTHER)
        assert bench.loader().view().good == BASE
        bench.loader().arm(TRIAL)

    def test_showing_a_menu_changes_no_choice(self, bench: Bench) -> None:
        bench.loader().arm(TRIAL)
        before = bench.loader().view()
        for menu in (MENU, MENU, MENU[:1], []):
            bench.loader().show(menu)
            assert bench.loader().view() == before

    def test_a_choice_for_one_boot_is_made_or_refused(self, bench: Bench) -> None:
        before = bench.loader().view()
        if bench.loader().capability().one_shot:
            bench.loader().boot_once(TARGET)
            assert bench.loader().view().once == TARGET
        else:
            with pytest.raises(Refused):
                bench.loader().boot_once(TARGET)
            assert bench.loader().view() == before


class CountingContract(BootloaderContract):
    def test_what_was_never_armed_is_on_the_menu_the_newest_first(self, bench: Bench) -> None:
        for _ in range(2):
            bench.loader().show(MENU)
            assert bench.listed() == [OTHER, TARGET, BASE]
        bench.loader().show(MENU[:2])
        assert bench.listed() == [TARGET, BASE]
        bench.loader().boot_once(OTHER)

    def test_what_is_withdrawn_is_not_on_the_menu(self, bench: Bench) -> None:
        bench.loader().show(MENU)
        bench.loader().withdraw(OTHER)
        bench.loader().show(MENU[:2])
        assert bench.listed() == [TARGET, BASE]

    def test_arming_hands_over_the_whole_trial(self, bench: Bench) -> None:
        bench.loader().arm(TRIAL)
        view = bench.loader().view()
        assert (view.good, view.trial, view.deployment, view.tries) == (BASE, TARGET, "d1", 2)

    def test_arming_anew_replaces_what_was_armed(self, bench: Bench) -> None:
        bench.loader().arm(TRIAL)
        bench.loader().arm(Trial("d2", OTHER, BASE, 1))
        view = bench.loader().view()
        assert (view.trial, view.deployment, view.tries) == (OTHER, "d2", 1)

    def test_spending_keeps_the_deployment(self, bench: Bench) -> None:
        bench.loader().arm(TRIAL)
        bench.loader().leave(0, BASE)
        assert (bench.loader().view().deployment, bench.loader().view().tries) == ("d1", 0)

    def test_spending_takes_a_choice_for_one_boot_away(self, bench: Bench) -> None:
        bench.loader().arm(TRIAL)
        bench.loader().boot_once(OTHER)
        bench.loader().leave(0, BASE)
        assert not bench.loader().view().once

    def test_giving_back_keeps_all_else(self, bench: Bench) -> None:
        bench.loader().arm(TRIAL)
        bench.loader().boot_once(OTHER)
        bench.loader().leave(1, BASE)
        view = bench.loader().view()
        assert (view.trial, view.deployment, view.tries, view.once) == (TARGET, "d1", 1, OTHER)

    def test_one_shot_leaves_the_trial_alone(self, bench: Bench) -> None:
        bench.loader().arm(TRIAL)
        bench.loader().boot_once(OTHER)
        view = bench.loader().view()
        assert (view.once, view.trial, view.tries) == (OTHER, TARGET, 2)

    def test_settling_forgets_a_choice_for_one_boot(self, bench: Bench) -> None:
        bench.loader().boot_once(OTHER)
        bench.loader().settle(BASE)
        assert not bench.loader().view().once

    @pytest.mark.parametrize("mend", ["settle", "leave", "arm"])
    def test_a_garbled_file_is_told_and_mended(self, bench: Bench, mend: str) -> None:
        bench.garble()
        assert not bench.loader().view().present
        loader = bench.loader()
        calls: dict[str, Callable[[], None]] = {
            "settle": lambda: loader.settle(BASE),
            "leave": lambda: loader.leave(0, BASE),
            "arm": lambda: loader.arm(TRIAL),
        }
        calls[mend]()
        view = bench.loader().view()
        assert (view.present, view.good) == (True, BASE)

    def test_nothing_is_booted_once_by_a_garbled_file(self, bench: Bench) -> None:
        bench.garble()
        with pytest.raises(Refused):
            bench.loader().boot_once(OTHER)

    def test_what_it_would_boot_is_not_withdrawn(self, bench: Bench) -> None:
        bench.loader().arm(TRIAL)
        bench.loader().boot_once(OTHER)
        for id in (BASE, TARGET, OTHER):
            with pytest.raises(Refused):
                bench.loader().withdraw(id)
        bench.loader().leave(0, BASE)
        bench.loader().withdraw(TARGET)
