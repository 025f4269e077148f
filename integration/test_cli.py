"""Every verb for real, on a loop Btrfs with an adopted tiny root."""

import json
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from integration.machine import Machine, adopted, configured, unadopted
from snaproot import durable
from snaproot.drafts import staging
from snaproot.record import Records
from snaproot.run import run
from snaproot.state import Kind

pytestmark = pytest.mark.real


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with adopted(tmp_path) as lent:
        yield lent


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with b1 (base) and an armed target on it, for tests that change nothing."""
    with adopted(tmp_path_factory.mktemp("shared")) as lent:
        lent("run", "touch", "/usr/lib/marker")
        yield lent


def pending(machine: Machine) -> dict[str, object] | None:
    found = machine.status()["pending"]
    assert found is None or isinstance(found, dict)
    return found


def test_a_life_from_adoption_to_rollback(tmp_path: Path) -> None:
    with unadopted(tmp_path) as machine:
        plan = machine("init", "-n", "--json").json
        assert plan["adopted"] is False
        assert not machine.snaproot.exists()
        machine("init", "-y")
        machine("init", "-y", status=77)
        (first,) = machine.ids()

        ran = machine("run", "sh", "-c", "echo heard; touch /usr/lib/marker")
        assert ran.out.startswith("heard\n")
        first, second = machine.ids()
        assert f"{second} is the next boot, as a trial" in ran.out
        assert "not reverted by itself" in ran.out  # honest about a loader that cannot count
        assert (machine.snaproot / f"environments/{second}/root/usr/lib/marker").exists()

        machine("promote")
        assert machine.status()["base"] == second
        back = machine("rollback", "-y")
        assert f"{first} becomes the next boot, as a trial" in back.out
        assert "newest proven one before" in back.out
        machine("promote")
        assert machine.status()["base"] == machine.status()["default"] == first


def test_rollback_of_what_is_pending_is_abandoning_and_says_so(machine: Machine) -> None:
    machine("run", "touch", "/usr/lib/marker")
    (first, _) = machine.ids()
    assert "abandoning" in machine("rollback", "-y").out
    assert machine.ids() == [first]
    assert pending(machine) is None


def test_reject_gives_the_target_up_and_keeps_the_reason_to_itself(machine: Machine) -> None:
    machine("run", "touch", "/usr/lib/marker")
    (first, _) = machine.ids()
    machine("reject", "-y", "--reason", "mail does not arrive")
    assert machine.ids() == [first]
    assert "no trial is pending" in machine.refused("reject", "-y", status=3)


def test_what_is_staged_waits_until_it_is_activated(machine: Machine) -> None:
    staged = machine("run", "--stage-only", "touch", "/usr/lib/marker")
    (first, second) = machine.ids()
    assert f"The next boot is still {first}" in staged.out
    assert machine.status()["default"] == first
    assert pending(machine) is not None
    machine("activate", second, "-y")
    assert machine.status()["default"] == second
    machine("abandon", "-y")
    machine("abandon", "-y", status=77)


def test_a_dry_run_changes_nothing(machine: Machine) -> None:
    machine("run", "touch", "/usr/lib/marker")
    before = machine.status()
    for verb in ("rollback", "abandon", "reject", "cleanup"):
        machine(verb, "-n", status=77 if verb == "cleanup" else 0)
    assert machine.status() == before


def test_the_devices_of_another_system_are_believed(machine: Machine) -> None:
    (first,) = machine.ids()
    table = machine.snaproot / f"environments/{first}/root/etc/fstab"
    with table.open("ab") as file:
        file.write(b'# \xff\nUUID="0000-0000" /mnt ext4\n/dev/no-such /mnt/disk ext4\n')
    machine("run", "true")


def test_a_failing_command_leaves_nothing_and_tells_its_status(machine: Machine) -> None:
    (first,) = machine.ids()
    failed = machine("run", "--json", "sh", "-c", "touch /usr/lib/marker; exit 7", status=1)
    error = failed.json["error"]
    assert isinstance(error, dict)
    assert (error["exit_code"], error["status"]) == (1, 7)
    assert f"{first} is unchanged" in error["message"]
    assert machine.ids() == [first]


def test_a_staged_target_that_somebody_deleted_is_named_and_can_be_abandoned(
    machine: Machine,
) -> None:
    machine("run", "--stage-only", "touch", "/usr/lib/marker")
    (first, gone) = machine.ids()
    (machine.snaproot / f"environments/{gone}").rename(machine.snaproot / "gone")
    for words in (("run", "true"), ("upgrade", "-y"), ("shell",)):
        assert f"{gone} is pending" in machine.refused(*words, status=3)
    machine("abandon", "-y")
    assert machine.ids() == [first]
    machine("run", "true")


def test_a_command_that_is_not_in_the_target_is_named(machine: Machine) -> None:
    failed = machine("run", "--json", "no-such-command", status=1)
    error = failed.json["error"]
    assert isinstance(error, dict)
    assert error["status"] == 127
    assert "no-such-command exited 127: there is no such command" in error["message"]


def test_a_shell_keeps_what_was_done_and_exit_1_discards_it(machine: Machine) -> None:
    machine("shell", stdin="touch /usr/lib/marker\n")
    (_, second) = machine.ids()
    assert (machine.snaproot / f"environments/{second}/root/usr/lib/marker").exists()
    machine("shell", stdin="touch /usr/lib/other\nexit 1\n", status=1)
    assert len(machine.ids()) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_killed_run_discards_its_target(machine: Machine, number: signal.Signals) -> None:
    (first,) = machine.ids()
    child = machine.begun("run", "sh", "-c", "echo begun; sleep 600")
    child.send_signal(number)
    _, said = child.communicate(timeout=30)
    assert child.returncode == 1
    assert said.startswith(f"snaproot: stopped by {number.name}")
    assert machine.ids() == [first]
    assert machine.status()["interrupted"] is None


def test_what_a_kill_left_is_seen_and_recovered(machine: Machine) -> None:
    (first,) = machine.ids()
    child = machine.begun("run", "sh", "-c", "echo begun; sleep 600")
    assert "run sh" in str(machine.status()["at_work"])
    child.kill()
    child.communicate()
    wait_until_free(machine)
    assert "interrupted" in machine("status", status=4).out
    assert "interrupted" in machine("recover").out
    assert machine.ids() == [first]
    machine("status")


def test_recover_discards_what_was_cut_before_it_had_a_root(machine: Machine) -> None:
    (first,) = machine.ids()
    records = Records(machine.snaproot / "record")
    record = records.load()
    work = staging(Kind.RUN, record, [first], datetime.now(UTC))
    records.save(record.working(work))
    (machine.snaproot / "environments" / work.target).mkdir()
    said = machine("recover").out
    assert f"staging of {work.target} was interrupted" in said
    assert "left as it is" not in said
    assert machine.ids() == [first]


def wait_until_free(machine: Machine) -> None:
    """Wait until the killed run's children are gone, and with them the lock."""
    deadline = time.monotonic() + 20
    while machine("status", "--json", status=lock_free(machine)).json["at_work"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def lock_free(machine: Machine) -> int:
    return 0 if durable.holder(machine.snaproot / "record/lock") else 4


def test_what_is_not_applied_to_shared_areas_is_told(machine: Machine) -> None:
    letter = machine.snaproot / "areas/home/user/letter"
    message = machine("run", "sh", "-c", "echo gone > /home/user/letter")
    assert "not applied: /home/user/letter." in message.out
    assert letter.read_text() == "Dear all\n"
    quiet = machine("run", "--json", "touch", "/usr/lib/marker").json
    assert quiet["not_applied"] == []


# -- looking


def test_list_names_roles_lineage_and_space(shared: Machine) -> None:
    first, second = shared.ids()
    listed = shared("list", "--space", "--json").json["environments"]
    assert isinstance(listed, list)
    shapes = {one["id"]: one for one in listed}
    assert shapes[first]["roles"] == ["base"]
    assert shapes[second]["roles"] == ["default", "armed"]
    assert shapes[second]["parent"] == first
    assert shapes[second]["command"] == "touch /usr/lib/marker"
    assert shapes[second]["exclusive_bytes"] >= 0
    assert f"  └ {second}" in shared("list", "--tree").out
    assert shared("ls").out == shared("list").out


def test_the_original_is_the_oldest_and_was_made_by_nobody_here(shared: Machine) -> None:
    line = shared("list").out.splitlines()[1]
    assert line.startswith("original")
    assert "adopt" not in line


def test_what_may_change_at_any_time_is_not_compared(shared: Machine) -> None:
    assert "not sealed" in shared.refused("diff", "original", shared.ids()[0], status=3)


def test_who_has_to_wait_is_told_for_whom(shared: Machine) -> None:
    with durable.locked(shared.snaproot / "record/lock", "snaproot upgrade"):
        said = shared("diff", *shared.ids(), "--wait", "1.5", status=1).err
    waiting, failed, _ = said.splitlines()
    assert "snaproot upgrade (process" in waiting
    assert waiting.endswith("waiting for it, up to 1.5 seconds")
    assert failed.endswith("is at work; nothing was changed")


def test_diff_names_packages_and_paths_both_ways(shared: Machine) -> None:
    first, second = shared.ids()
    assert "+ /usr/lib/marker" in shared("diff", first, second).out
    back = shared("diff", f"{second}..{first}", "--json").json
    assert back["files"] == [{"path": "/usr/lib/marker", "change": "removed"}]
    assert back["packages"] == []


def test_doctor_is_plain_about_the_loader_and_finds_nothing(shared: Machine) -> None:
    said = shared("doctor").out
    assert "cannot count" in said
    assert "chooses the base by hand" in said
    assert "Nothing is wrong." in said


def test_doctor_on_what_is_not_adopted_says_so(tmp_path: Path) -> None:
    with unadopted(tmp_path) as machine:
        said = machine("doctor").out
        assert "is not adopted\n" in said
        assert f"hint: to see what adopting it would do: snaproot --sysroot {machine.top}" in said


def test_verify_finds_a_changed_byte(machine: Machine) -> None:
    (first,) = machine.ids()
    machine("verify", first)
    root = machine.snaproot / f"environments/{first}/root"
    run(["btrfs", "property", "set", "-ts", str(root), "ro", "false"])
    (root / "usr/lib/sneaked").write_text("in")
    run(["btrfs", "property", "set", "-ts", str(root), "ro", "true"])
    assert "added /usr/lib/sneaked" in machine("verify", status=3).out
    assert f"{first} was changed after it was sealed" in machine("doctor", status=3).out


def test_pins_keep_from_cleanup_and_say_when_there_is_nothing_to_do(machine: Machine) -> None:
    (first,) = machine.ids()
    machine("pin", first)
    machine("pin", first, status=77)
    assert "pinned" in machine("list").out
    machine("unpin", first)
    machine("unpin", first, status=77)


def test_cleanup_removes_what_retention_no_longer_keeps(machine: Machine) -> None:
    machine = configured(machine, "[retention]\nunproven = 0\n")
    for number in range(3):
        machine("run", "touch", f"/usr/lib/marker{number}")
    stacked = machine.ids()
    machine("cleanup", status=2)
    plan = machine("cleanup", "-n", "--json").json
    assert machine.ids() == stacked
    gone = machine("cleanup", "-y", "--json").json["removed"]
    assert plan["removable"]
    assert gone == [one["id"] for one in plan["removable"]]  # type: ignore[attr-defined]
    assert machine.ids() == [id for id in stacked if id not in gone]


# -- bad input


@pytest.mark.parametrize(
    "words",
    [("activate", "bzzz"), ("diff", "bzzz"), ("pin", "bzzz"), ("verify", "bzzz")],
)
def test_an_unknown_id(shared: Machine, words: tuple[str, ...]) -> None:
    assert "no boot environment 'bzzz'" in shared.refused(*words, status=2)


def test_an_ambiguous_prefix_names_the_candidates(shared: Machine) -> None:
    first, second = shared.ids()
    assert f"{first} or {second}" in shared.refused("pin", first[:1], status=2)


def test_a_question_with_nobody_there(shared: Machine) -> None:
    assert "nobody is here to answer" in shared.refused("rollback", status=2)


def test_a_one_shot_choice_is_refused_by_a_loader_that_has_none(shared: Machine) -> None:
    first, _ = shared.ids()
    assert "cannot count" in shared.refused("activate", "--once", first, "-y", status=3)


def test_staging_under_an_armed_one_is_refused(shared: Machine) -> None:
    said = shared.refused("run", "--stage-only", "touch", "/usr/lib/other", status=3)
    assert "is armed" in said


def test_the_original_is_never_tried(machine: Machine) -> None:
    assert "before the adoption" in machine.refused("activate", "original", "-y", status=3)


def test_not_root(shared: Machine) -> None:
    # CAP_DAC_READ_SEARCH: the interpreter may lie below a home directory that nobody may enter.
    read = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    nobody = Machine(shared.top, ("setpriv", "--reuid=nobody", "--clear-groups", *read))
    assert "only root" in nobody.refused("list", status=1)
    assert "only root" in nobody.refused("doctor", status=1)
    said = nobody.refused("run", "true", status=1)
    assert "nothing was changed" in said


def test_a_disk_that_is_read_only(machine: Machine) -> None:
    run(["mount", "-o", "remount,ro", str(machine.top)])
    machine("status")
    machine("list")
    machine("diff", *machine.ids() * 2, status=1)
    assert "read-only" in machine.refused("run", "true", status=1)
    assert "read-only" in machine.refused("pin", *machine.ids(), status=1)


def test_a_damaged_record_is_explained_and_rebuilt(machine: Machine) -> None:
    (first,) = machine.ids()
    record = machine.snaproot / "record/record.json"
    record.write_text("{torn")
    said = machine.refused("run", "true", status=4)
    assert "record.json cannot be read" in said
    machine("list")
    assert "cannot be read" in machine("status", status=4).out
    assert "BAD" in machine("doctor", status=3).out
    recovered = machine("recover").out
    assert f"the base is {first}" in recovered
    assert record.with_name("record.json.damaged-1").read_text() == "{torn"
    assert machine.status()["base"] == first
    assert "nothing was interrupted" in machine("recover").out


def test_damaged_metadata_is_explained_and_written_anew(machine: Machine) -> None:
    (first,) = machine.ids()
    metadata = machine.snaproot / f"environments/{first}/environment.toml"
    metadata.write_text("format = [torn")
    assert "damaged" in machine("list").out
    machine("doctor", status=3)
    machine.refused("run", "true", status=3)
    said = machine("recover").out
    assert "written anew, as proven" in said
    assert metadata.with_name("environment.toml.damaged-1").read_text() == "format = [torn"
    machine("verify", first)
    machine("run", "touch", "/usr/lib/marker")


def test_a_base_that_somebody_deleted_is_found_anew(machine: Machine) -> None:
    (first,) = machine.ids()
    records = Records(machine.snaproot / "record")
    records.save(replace(records.load(), base="b999999"))
    assert "does not exist" in machine.refused("run", "true", status=4)
    assert "b999999 does not exist" in machine("recover").out
    assert machine.status()["base"] == first


def test_both_damaged_at_once_are_recovered(machine: Machine) -> None:
    (first,) = machine.ids()
    (machine.snaproot / f"environments/{first}/environment.toml").write_bytes(b"\xff\xfe")
    (machine.snaproot / "record/record.json").unlink()
    machine("recover")
    assert machine.status()["base"] == first
    machine("run", "touch", "/usr/lib/marker")


def test_a_record_of_a_newer_snaproot_is_left_alone(machine: Machine) -> None:
    record = machine.snaproot / "record/record.json"
    newer = json.dumps({**json.loads(record.read_text()), "format": 99})
    record.write_text(newer)
    for words in (("status",), ("run", "true"), ("recover",)):
        assert "has format 99" in machine.refused(*words, status=4)
    assert record.read_text() == newer


def test_a_typo_in_the_configuration_is_named_with_its_line(shared: Machine) -> None:
    machine = configured(shared, "[trial]\ntrys = 3\n")
    said = machine.refused("status", status=2)
    assert "/run/snaproot/snaproot.toml:2: " in said
    assert "trys" in said


def test_not_adopted(tmp_path: Path) -> None:
    with unadopted(tmp_path) as machine:
        for words in (("status",), ("run", "true"), ("recover",)):
            assert "is not adopted" in machine.refused(*words, status=3)


@pytest.mark.parametrize("place", ["/proc", "/nonexistent"])
def test_a_sysroot_that_is_no_btrfs(place: str) -> None:
    Machine(Path(place)).refused("status", status=3)


def test_a_sysroot_below_the_top_level(shared: Machine) -> None:
    said = Machine(shared.top / "@").refused("status", status=3)
    assert "not the top level" in said


def test_two_at_once_one_waits_and_names_the_other(machine: Machine) -> None:
    child = machine.begun("run", "sh", "-c", "echo begun; sleep 600")
    assert "snaproot run sh" in machine.refused("--wait", "0.2", "run", "true", status=1)
    machine("list")
    child.terminate()
    child.communicate()


def test_without_the_zfs_module_it_is_told_what_comes_before_a_pool(tmp_path: Path) -> None:
    script = 'mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3; exec "$@"'
    machine = Machine(tmp_path, prefix=("unshare", "-m", "sh", "-e", "-c", script, "sh"))
    for words in (("list",), ("run", "true"), ("init", "-n"), ("recover",)):
        line, hint = machine(*words, status=3).err.splitlines()
        assert line.endswith("neither on Btrfs nor on ZFS; nothing was changed")
        assert hint.endswith(
            "zpool import -N -R DIR POOL, once the ZFS module is loaded (modprobe zfs)"
        )
