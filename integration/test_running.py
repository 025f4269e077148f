"""The same code on a running system: its root is /, its areas are mounted, nothing is named.

A boot is a mount namespace whose root is what was the default subvolume, and a boot id of its own.
The machine's own programs lie over /usr, for Python is not in a tiny root.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from integration import tinyroot
from integration.disk import disk
from integration.machine import Machine, programs
from snaproot.filesystem.btrfs import binding
from snaproot.mountinfo import mount_of
from snaproot.run import run

pytestmark = pytest.mark.real

_BOOT = """
set -eu
device=$1 subvolume=$2 id=$3 root=$4; shift 4
mount --make-rprivate /
mount -t btrfs -o "$subvolume" "$device" "$root"
for area in var home root srv usr-local; do
    mount -t btrfs -o "subvol=@snaproot/areas/$area" "$device" "$root/$(echo $area | tr - /)"
done
for shared in /usr /proc /sys /dev {shared}; do mount --rbind "$shared" "$root$shared"; done
mount -t tmpfs -o mode=755 none "$root/run"
printf '%s\\n' "$id" > "$root/run/boot_id"
mount --bind "$root/run/boot_id" "$root/proc/sys/kernel/random/boot_id"
cd "$root"
pivot_root . mnt
umount --lazy /mnt
exec "$@"
"""


@dataclass(frozen=True)
class Hardware:
    """A disk with an adopted system; `boot` is pressing the button."""

    device: str
    work: Path
    offline: Machine

    def boot(self, id: str, chosen: str = "") -> Machine:
        """Boot what is the default subvolume now, or what somebody chose by hand."""
        chosen = chosen or f"subvolid={binding.default_id(self.offline.top)}"
        shared = " ".join(map(str, programs()))
        script = _BOOT.replace("{shared}", shared)
        words = ("sh", "-c", script, "sh", self.device, chosen, id, str(self.work))
        return replace(self.offline, prefix=("unshare", "--mount", *words), options=("--wait", "5"))

    def by_hand(self, id: str, environment: str) -> Machine:
        return self.boot(id, f"subvol=@snaproot/environments/{environment}/root")


@pytest.fixture
def hardware(tmp_path: Path) -> Iterator[Hardware]:
    with disk(tmp_path, size="2G") as top:
        run(["btrfs", "subvolume", "create", str(top / "@")])
        root = top / "@"
        device = mount_of(top).source
        uuid = run(["blkid", "-s", "UUID", "-o", "value", device]).output.strip()
        tinyroot.build(root, spec=f"UUID={uuid}")
        (root / "lib64").symlink_to("usr/lib64")
        for place in programs():
            (root / place.relative_to("/")).mkdir(parents=True, exist_ok=True)
        machine = Machine(top)
        machine("init", "-y")
        work = tmp_path / "root"
        work.mkdir()
        yield Hardware(device, work, machine)


def test_a_trial_is_judged_where_it_runs(hardware: Hardware) -> None:
    machine = hardware.boot("boot-1")
    seen = machine.status()
    (first,) = machine.ids()
    assert seen["booted"] == seen["default"] == seen["base"] == first

    said = machine("run", "touch", "/usr/lib/marker").out
    _, second = machine.ids()
    assert f"{first} is still running, unchanged" in said
    assert "After that boot judge it" in said
    assert "has not been tried yet" in machine.refused("promote", status=3)
    assert "abandoning" in machine("rollback", "-n").out

    machine = hardware.boot("boot-2")
    assert machine.status()["booted"] == second
    assert "not judged yet" in machine("run", "true", status=3).err
    assert "rejecting" in machine("rollback", "-n").out
    machine("promote")
    seen = machine.status()
    assert seen["base"] == seen["default"] == seen["booted"] == second


def test_no_rollback_brings_an_old_policy_with_it(hardware: Hardware) -> None:
    """What is believed lies in /etc, and that goes back."""
    machine = hardware.boot("boot-1")
    (first,) = machine.ids()
    policy(hardware, first, 4)
    machine("run", "touch", "/usr/lib/marker")
    second = machine.ids()[-1]
    machine = hardware.boot("boot-2")
    machine("promote")
    policy(hardware, second, 5)
    machine("run", "touch", "/usr/lib/another")
    machine("rollback", first, "-y")
    machine = hardware.boot("boot-3")
    machine("promote")
    assert "has version 4, and 5 was here before" in machine.refused("run", "true", status=3)
    assert "policy has version 4" in machine("doctor", status=3).out
    policy(hardware, first, None)
    assert "version 5 of it was in force" in machine.refused("run", "true", status=1)
    policy(hardware, first, 6)
    machine("run", "true")
    machine("rollback", "-y")


def policy(hardware: Hardware, id: str, version: int | None) -> None:
    """Put the admin's policy in the /etc of a boot environment, or take it away."""
    etc = hardware.offline.snaproot / f"environments/{id}/root/etc"
    place = etc / "snaproot/trust/policy.toml"
    place.parent.mkdir(parents=True, exist_ok=True)
    text = f'schema = 1\nversion = {version}\n[packages]\nrun = "allow"\n'
    place.unlink() if version is None else place.write_text(text)


def test_a_rejected_trial_goes_after_the_reboot(hardware: Hardware) -> None:
    machine = hardware.boot("boot-1")
    machine("run", "touch", "/usr/lib/marker")
    first, second = machine.ids()

    machine = hardware.boot("boot-2")
    machine("recover")
    assert "is running" in machine.refused("abandon", "-n", status=3)
    rejected = machine("reject", "-y").out
    assert f"Reboot now: {first} is the next boot, {second} is deleted after it" in rejected
    assert machine.ids() == [first, second]
    said = machine("status", status=4).out
    assert "settle it with: reboot" in said
    assert "snaproot promote" not in said
    assert "adopted already" in machine.refused("init", status=77)
    said = machine("run", "true", status=4).err
    assert "a reboot has to come first" in said
    assert said.count("was given up") == 1
    decisions = machine("recover", "--json", status=4).json["decisions"]
    assert isinstance(decisions, list)
    assert decisions[-1]["reboot"] is True

    machine = hardware.boot("boot-3")
    machine("recover")
    assert machine.ids() == [first]
    seen = machine.status()
    assert seen["booted"] == seen["default"] == seen["base"] == first


def test_a_second_boot_without_a_verdict_reverts(hardware: Hardware) -> None:
    hardware.boot("boot-1")("run", "touch", "/usr/lib/marker")
    first, _ = hardware.offline.ids()
    hardware.boot("boot-2")("recover")
    hardware.boot("boot-2")("recover")
    machine = hardware.boot("boot-3")
    assert "a second time" in machine("status", status=4).out
    assert "a reboot has to come first" in machine("recover", status=4).err
    hardware.boot("boot-4")("recover")
    assert hardware.offline.ids() == [first]


def test_what_was_booted_by_hand_and_works_becomes_the_default(hardware: Hardware) -> None:
    hardware.boot("boot-1")("run", "touch", "/usr/lib/marker")
    hardware.boot("boot-2")("recover")
    hardware.boot("boot-2")("promote")
    first, second = hardware.offline.ids()
    machine = hardware.by_hand("boot-3", first)
    seen = machine.status()
    assert (seen["booted"], seen["default"]) == (first, second)
    assert "without a reboot" in machine("rollback", "-y").out
    assert machine.status()["base"] == first


def test_what_was_booted_by_hand_wins_over_what_waits(hardware: Hardware) -> None:
    """Rollback abandons what is armed, and judges what runs where it runs."""
    hardware.boot("boot-1")("run", "touch", "/usr/lib/marker")
    hardware.boot("boot-2")("recover")
    hardware.boot("boot-2")("promote")
    hardware.boot("boot-2")("run", "touch", "/usr/lib/another")
    first, second, third = hardware.offline.ids()
    assert "to stay here" not in hardware.by_hand("boot-3", second)("status").out
    machine = hardware.by_hand("boot-3", first)
    assert "chosen by hand, to stay here: snaproot rollback" in machine("status").out
    said = machine("rollback", "-y").out
    assert f"{third} is given up and deleted" in said
    assert f"{first} becomes the base and the default, without a reboot" in said
    seen = machine.status()
    assert seen["booted"] == seen["base"] == seen["default"] == first
    assert machine.ids() == [first, second]


def test_what_runs_is_never_removed(hardware: Hardware) -> None:
    machine = hardware.boot("boot-1")
    machine("run", "touch", "/usr/lib/marker")
    first, second = machine.ids()
    machine("abandon", "-y")
    assert machine.ids() == [first]
    assert second not in machine("list").out


def test_anybody_may_ask_what_runs(hardware: Hardware) -> None:
    machine = hardware.boot("boot-1")
    read = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    nobody = replace(
        machine, prefix=(*machine.prefix, "setpriv", "--reuid=65534", "--clear-groups", *read)
    )
    (first,) = hardware.offline.ids()
    said = nobody("status")
    assert said.out.strip().endswith(first)
    assert "sudo snaproot status" in said.err
    assert "only root" in nobody.refused("list", status=1)


def test_health_is_asked_of_the_root_that_runs(hardware: Hardware) -> None:
    machine = hardware.boot("boot-1")
    (booted,) = machine.ids()
    shape = json.loads(machine("health", "check", "--once", "--json", status=3).out)
    found = {one["probe"]: one for one in shape["findings"]}
    good = ("disk.writable", "disk.space", "disk.errors", "own.record")
    assert {found[name]["result"] for name in good} == {"good"}
    assert found["own.record"]["severity"] == "required"
    assert str(machine.snaproot).rpartition("/")[2] in str(found["disk.writable"]["evidence"])
    # No systemd runs here: nobody can say what has failed, and no baseline is made of that.
    assert shape["result"] == found["services.failed"]["result"] == "unknown"
    machine("health", "baseline", "--record", "-y", status=1)
    assert "No baseline" in machine("health", "baseline").out

    record = machine.snaproot / "record/record.json"
    record.write_text("torn")
    shape = json.loads(machine("health", "check", "--once", "--json", status=3).out)
    (own,) = (one for one in shape["findings"] if one["probe"] == "own.record")
    assert own["result"] == "bad"
    assert own["reason"].startswith("/run/snaproot/top/@snaproot/record/record.json cannot be read")
    assert booted in machine.ids()
