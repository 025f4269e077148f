"""Leaving a ZFS root that runs: a boot is a namespace of its own. Runs in a bench."""

import pytest

from integration.zfs.test_adoption import POOL, ROOT
from integration.zfs.test_adoption_running import Hardware, said
from integration.zfs.test_adoption_running import hardware as stock  # noqa: F401 - a fixture
from integration.zfs.test_leaving import ASIDE
from integration.zfs.test_leaving import stock as stubbed
from snaproot import fstab


@pytest.fixture
def led(stock: Hardware) -> Hardware:  # noqa: F811 - the fixture
    """Lend a stock machine whose stub leads to its own pool."""
    (stock.esp / "EFI/debian/grub.cfg").write_text(stubbed(stock.disk))
    return stock


def stub(machine: Hardware) -> str:
    return (machine.esp / "EFI/debian/grub.cfg").read_text()


def test_an_adoption_that_is_still_a_trial_is_taken_back(led: Hardware) -> None:
    """init, and another mind: the original runs, and goes on without a reboot."""
    before, datasets = stub(led), led.disk.datasets()
    said(led.boot(ROOT, "snaproot init -y"))
    assert "is pending" in said(led.boot(ROOT, "snaproot deinit -y"), status=3).err
    done = said(led.boot(ROOT, "snaproot abandon -y", "snaproot deinit -y", "ls /var/lib/dpkg"))
    assert "nothing of snaproot's is left" in done.out
    assert (stub(led), led.disk.bootfs) == (before, ROOT)
    assert led.disk.datasets() == datasets
    assert led.disk.snapshots() == set()
    assert not (led.esp / "EFI/snaproot").exists()
    assert "org.snaproot" not in led.disk.zfs("get", "-H", "-r", "all", POOL)


def test_a_root_that_was_adopted_while_it_ran_leaves_with_all_that_it_got(led: Hardware) -> None:
    """Areas are renamed while they are mounted, and what is written then is in them."""
    before = stub(led)
    said(led.boot(ROOT, "snaproot init -y"))
    place, line = f"{POOL}/ROOT/{led.target}", led.trial
    led.tried()
    said(led.boot(place, "echo trial >/var/lib/trial", "snaproot promote", line=line))
    said(led.boot(place, "echo area >/var/lib/area", "snaproot deinit -y", line=line))
    assert (stub(led), led.disk.bootfs) == (before, ROOT)
    assert "still runs from it" in said(led.boot(place, "snaproot deinit -y"), status=77).err
    told = "cat /var/lib/trial /var/lib/area"
    done = said(led.boot(ROOT, told, "snaproot deinit -y", "echo on >/var/lib/area", told))
    assert done.out.startswith("trial\narea\n")
    assert done.out.endswith("trial\non\n")
    assert said(led.boot(ROOT, told)).out == "trial\non\n"
    assert f"{POOL}/snaproot" not in led.disk.datasets()
    with led.disk.mounted(ROOT) as root:
        table = fstab.parse((root / "etc/fstab").read_text())
    assert {one.spec: one.options for one in table}[f"{POOL}/var"] == ("defaults",)
    led.disk.zfs("destroy", ASIDE)
