"""The disk runs full in the middle of staging: nothing but the target suffers, and it is gone."""

from pathlib import Path

import pytest

from integration.demo import digest
from integration.machine import adopted, configured
from snaproot.run import run

pytestmark = pytest.mark.real


def test_a_target_that_fills_the_disk_is_discarded(tmp_path: Path) -> None:
    with adopted(tmp_path, size="400M") as careful:
        machine = configured(careful, "[space]\nreserve_mib = 0\n")
        (base,) = machine.ids()
        root = machine.snaproot / "environments" / base / "root"
        before = digest(root)
        said = machine("run", "-y", "--", "sh", "-c", "cat /dev/zero > /usr/big", status=1)
        assert f"{base} is unchanged" in said.err
        assert machine.ids() == [base]
        assert digest(root) == before
        assert not list((machine.snaproot / "trash").iterdir())
        machine("run", "-y", "touch", "/usr/small")
        machine("promote")


def test_a_disk_too_full_to_begin_says_so(tmp_path: Path) -> None:
    with adopted(tmp_path, size="400M") as careful:
        machine = configured(careful, "[space]\nreserve_mib = 0\n")
        (base,) = machine.ids()
        assert run(["cp", "/dev/zero", str(machine.top / "ballast")], check=False).status == 1
        assert "have to stay free" in careful.refused("run", "true", status=3)
        machine("run", "-y", "--", "sh", "-c", "head -c 50000000 /dev/zero > /usr/big", status=1)
        assert machine.ids() == [base]
        (machine.top / "ballast").unlink()
        machine("recover", status=0)
        machine("run", "-y", "touch", "/usr/small")
