"""A promotion by health ends with retention on a booting machine, which then loses its original."""

import pytest

from integration.vm import trials
from integration.vm.trials import CHANGE, adopted, arguments, off, settled, status

pytestmark = pytest.mark.machine

SETTINGS = "[retention]\nproven = 1\nunproven = 0\ntotal = 2\n"


def test_a_promotion_ends_with_retention_and_the_original_may_go() -> None:
    with adopted() as machine:
        with off(machine) as disk:
            base = disk.record.base
            place = disk.layout.etc(base) / "snaproot"
            place.mkdir(exist_ok=True)
            (place / "snaproot.toml").write_text(SETTINGS)
            disk(*CHANGE)
            target = disk.target
        with machine.boot() as guest:
            guest.ready()
            assert arguments(guest.boots[-1])["snaproot.trial"].endswith(".1")
            found = settled(guest)
            assert found["base"] == found["default"] == found["booted"] == target
            guest.run(f"journalctl -b -u snaproot-promote | grep '{base} is removed: more than 2'")
            assert [one["id"] for one in found["environments"]] == ["original", target]  # type: ignore[attr-defined]
            told = guest.run("snaproot cleanup --original -y")
            assert "1 boot environment removed." in told.output
            trials.sound(guest)
            guest.start("systemctl reboot")
            guest.ready()
            assert "snaproot.trial" not in arguments(guest.boots[-1])
            assert status(guest)["booted"] == target
            guest.run("snaproot doctor")
            guest.off()
        with off(machine) as disk:
            assert set(disk.environments) == {target}
            assert {path.stem for path in (disk.home / "entries").iterdir()} == {target}
            assert not (disk.top / "@").exists()
            assert not [*disk.layout.trash.iterdir()]
