"""What TUF refuses is refused, what it accepted is never undercut, and files change together."""

import os
import re
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from snaproot.errors import ConfigError, ExitCode
from snaproot.trust import clock
from snaproot.trust.delivery import Delivery, pin, update
from snaproot.trust.facts import Distrusted, Unverifiable
from snaproot.trust.fetching import Directory, Mirror
from snaproot.trust.store import Configuration, Store
from tests.trust.repository import LASTS, Files, Repository, mirrored, signers

NOW = clock.RELEASED + timedelta(days=100)
DAY = timedelta(days=1)


def files(policy: int, revocations: int | None = 1) -> Files:
    """Files whose check tells these versions."""
    listed = {} if revocations is None else {"revocations.json": b"%d" % revocations}
    return {"policy.toml": b"%d" % policy, "trusted_root.json": b"{}", **listed}


def check(found: Mapping[str, bytes]) -> dict[str, int]:
    names = {"policy": "policy.toml", "revocations": "revocations.json"}
    return {name: int(found[file]) for name, file in names.items() if file in found}


@dataclass
class World:
    """A repository, a client that pinned its root, and copies of how the repository was."""

    top: Path
    repository: Repository
    store: Store
    pinned: bytes
    now: datetime = NOW
    copies: list[Path] = field(default_factory=list)

    def copy(self) -> Path:
        """Keep the repository as it is now."""
        place = self.top / f"copy-{len(self.copies)}"
        shutil.copytree(self.repository.path, place)
        self.copies.append(place)
        return place

    def update(
        self,
        source: Directory | Mirror | Path | None = None,
        check: Callable[[Mapping[str, bytes]], Mapping[str, int]] = check,
        root: bytes | None = None,
    ) -> Delivery:
        where = Directory(source) if isinstance(source, Path) else source
        where = where or Directory(self.repository.path)
        return update(where, self.store, check, root=root, now=self.now)

    def configuration(self) -> Configuration | None:
        return self.store.configuration()

    def policy(self) -> str:
        found = self.store.configuration()
        return "" if found is None else found.policy.text


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Memory, where there is some: all is synced, and done over and over."""
    memory = Path("/dev/shm")  # noqa: S108 - a directory of our own in it
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as directory:
        yield Path(directory)


@pytest.fixture
def fresh(place: Path) -> World:
    """Version 1 is published, nothing is pinned."""
    repository = Repository(place / "repository", NOW)
    repository.publish(files(1))
    store = Store(place / "trust", owner=os.getuid(), within=place)
    return World(place, repository, store, repository.root)


@pytest.fixture
def world(fresh: World) -> World:
    """Version 1 is delivered."""
    fresh.update(root=fresh.pinned)
    return fresh


def refused(world: World, *args: Any, **more: Any) -> Distrusted | Unverifiable:  # noqa: ANN401
    """Have an update refused, with what was in place still in place."""
    before = configuration_or_reason(world.store)
    with pytest.raises((Distrusted, Unverifiable)) as caught:
        world.update(*args, **more)
    assert configuration_or_reason(world.store) == before
    error = caught.value
    assert isinstance(error, Distrusted | Unverifiable)
    assert "\n" not in str(error)
    assert error.exit_code is (
        ExitCode.REFUSED if isinstance(error, Distrusted) else ExitCode.FAILED
    )
    return error


def configuration_or_reason(store: Store) -> Configuration | str | None:
    try:
        return store.configuration()
    except (Distrusted, Unverifiable) as error:
        return error.reason


# -- what is delivered ---------------------------------------------------------------------------


def test_the_first_root_is_pinned_and_all_files_come(fresh: World) -> None:
    first = fresh.update(root=fresh.pinned)
    assert first.before is None
    assert first.changed == ("policy.toml", "trusted_root.json", "revocations.json")
    assert fresh.configuration() == first.after
    assert first.after.policy.text == "1"
    assert first.after.revocations is not None
    assert first.after.revocations.content == b"1"
    roles = dict.fromkeys(("root", "timestamp", "snapshot", "targets"), 1)
    assert first.after.versions == {**roles, "policy": 1, "revocations": 1}
    assert (first.after.updated, first.after.expires) == (NOW, NOW + LASTS)
    assert first.notes == ()
    assert not fresh.store.incoming.exists()


def test_twice_is_once(world: World) -> None:
    again = world.update(root=world.pinned)
    assert again.changed == ()
    assert again.before == again.after


def test_what_changed_is_told(world: World) -> None:
    world.repository.publish({**files(2), "revocations.json": b"2"})
    assert world.update().changed == ("policy.toml", "revocations.json")
    world.repository.publish({**files(2), "revocations.json": b"3"})
    assert world.update().changed == ("revocations.json",)


def test_a_mirror_delivers_what_a_directory_does(world: World) -> None:
    world.repository.rotate("timestamp", "root")
    world.repository.publish(files(2))
    with mirrored(world.repository.path) as url:
        assert world.update(Mirror(url)).after.policy.text == "2"
        assert world.update().changed == ()


def test_without_a_root_nothing_is_verified(fresh: World) -> None:
    error = refused(fresh)
    assert error.reason == "delivery.unpinned"
    assert "trust update --root" in error.hint


# -- rotation ------------------------------------------------------------------------------------


def rotate_twice(world: World) -> None:
    world.repository.rotate("root", "timestamp")
    world.repository.rotate("root", "snapshot", "targets")
    world.repository.publish(files(2))


def test_an_old_pin_follows_the_rotation(world: World) -> None:
    rotate_twice(world)
    assert world.update().after.versions["root"] == 3
    found = world.store.pin()
    assert found is not None
    assert found.root == world.repository.root
    assert [*found.accepted] == [1, 2, 3]


def test_a_first_root_that_is_old_does_so_too(fresh: World) -> None:
    rotate_twice(fresh)
    assert fresh.update(root=fresh.pinned).after.versions["root"] == 3


def test_any_root_on_the_way_may_be_given_again(world: World) -> None:
    rotate_twice(world)
    for version in (2, 1, 3):
        root = world.repository.root_file(version).read_bytes()
        assert world.update(root=root).after.policy.text == "2"
        pin(world.store, root)


def test_roots_that_were_reached_need_not_be_kept(world: World) -> None:
    """Neither by the source, nor by python-tuf."""
    rotate_twice(world)
    world.update()
    for version in (1, 2):
        world.repository.root_file(version).unlink()
    shutil.rmtree(world.store.metadata)
    assert world.update().after.versions["root"] == 3


def test_a_root_that_rotation_does_not_reach_is_refused(world: World, tmp_path: Path) -> None:
    other = Repository(tmp_path / "other", NOW)
    other.publish(files(7))
    assert refused(world, other.path, root=other.root).reason == "delivery.root"
    other.rotate()
    error = refused(world, root=other.root)
    assert error.reason == "delivery.root"
    assert world.store.afresh in error.hint
    with pytest.raises(Distrusted, match="not reached"):
        pin(world.store, other.root)


def test_another_root_is_begun_with_as_the_hint_says(world: World, tmp_path: Path) -> None:
    world.repository.publish(files(9))
    world.update()
    other = Repository(tmp_path / "other", NOW)
    other.publish(files(2))
    for name in re.findall(r"\w+\.json", world.store.afresh):
        (world.store.directory / name).unlink()
    assert world.update(other.path, root=other.root).after.policy.text == "2"


def test_a_root_that_the_old_one_did_not_sign_is_refused(world: World) -> None:
    world.repository.rotate("root", by=signers(2))
    world.repository.publish(files(2))
    assert refused(world).reason == "delivery.threshold"


def test_a_root_is_signed_by_as_many_as_it_takes(world: World) -> None:
    world.repository.rotate("root", by=world.repository.keys["root"][:1])
    world.repository.publish(files(2))
    assert refused(world).reason == "delivery.threshold"


def test_a_root_under_the_number_of_another_is_refused(world: World) -> None:
    copy = world.repository.root_file(2)
    copy.write_bytes(world.repository.root)
    assert refused(world).reason == "delivery.mixed"


def test_a_key_that_was_replaced_stays_so_whatever_else_fails(world: World) -> None:
    old = world.copy()
    world.repository.rotate("timestamp")
    (world.repository.path / "metadata/timestamp.json").write_bytes(b"garbage")
    assert refused(world).reason == "delivery.malformed"
    shutil.rmtree(world.store.metadata)
    assert refused(world, old).reason == "delivery.threshold"


def test_what_is_no_root_is_not_pinned(fresh: World) -> None:
    broken = fresh.pinned.replace(b'"version":1', b'"version":2')
    for root in (b"", b"{}", b"[" * 100_000, broken, b" " * 600_000 + fresh.pinned):
        assert refused(fresh, root=root).reason == "delivery.root"
        with pytest.raises(Distrusted):
            pin(fresh.store, root)
    assert fresh.store.pin() is None


def test_a_wrong_file_for_the_first_root_can_be_put_right(fresh: World, tmp_path: Path) -> None:
    """It is pinned once something was verified under it."""
    other = Repository(tmp_path / "other", NOW)
    assert refused(fresh, root=other.root).reason == "delivery.root"
    assert fresh.configuration() is None
    assert fresh.update(root=fresh.pinned).after.policy.text == "1"


def test_a_root_can_be_pinned_before_there_is_a_repository(fresh: World) -> None:
    for _ in range(2):
        pin(fresh.store, fresh.pinned)
    assert configuration_or_reason(fresh.store) == "store.empty"
    assert fresh.update().after.policy.text == "1"


@pytest.mark.parametrize(
    ("was", "becomes"), [('\\"version\\":1', '\\"version\\":2'), ('"1": ', '"2": '), ("{", "[")]
)
def test_a_damaged_pin_verifies_nothing(world: World, was: str, becomes: str) -> None:
    path = world.store.directory / "pin.json"
    assert was in path.read_text()
    path.write_text(path.read_text().replace(was, becomes))
    assert refused(world).reason == "store.damaged"


# -- what TUF refuses ----------------------------------------------------------------------------

Attack = Callable[[World], Path | None]


def older(world: World) -> Path:
    return world.copies[0]


def older_timestamp(world: World) -> None:
    put(world, "timestamp.json", world.copies[0] / "metadata/timestamp.json")


def older_targets_in_a_new_snapshot(world: World) -> None:
    world.repository.publish_snapshot(targets=1)


def older_snapshot_as_the_newest(world: World) -> None:
    """The signed timestamp names one, and the other is what is there under its name."""
    world.repository.publish(files(3))
    put(world, "3.snapshot.json", metadata(world) / "2.snapshot.json")


def older_targets_as_the_newest(world: World) -> None:
    world.repository.publish(files(3))
    put(world, "3.targets.json", metadata(world) / "2.targets.json")


def unhashed(attack: Attack) -> Attack:
    """Let versions alone hold the metadata together."""

    def without(world: World) -> Path | None:
        world.repository.hashed = False
        return attack(world)

    return without


def another_role(world: World) -> None:
    put(world, "timestamp.json", metadata(world) / "2.snapshot.json")


def frozen(world: World) -> None:
    world.now += LASTS + DAY


def expires(role: str) -> Attack:
    def expire(world: World) -> None:
        world.repository.lasts[role] = DAY
        if role == "root":
            world.repository.rotate()
        world.repository.publish(files(3))
        world.now += 2 * DAY

    return expire


def signed_by_nobody_known(role: str) -> Attack:
    def sign(world: World) -> None:
        world.repository.keys[role] = signers()
        world.repository.publish(files(3))

    return sign


def too_few(world: World) -> None:
    world.repository.rotate(by=world.repository.keys["root"][:0])
    world.repository.root_file(2).write_bytes(
        world.repository.root.replace(b'"sig":"', b'"sig":"00', 1)
    )


def tampered(world: World) -> None:
    world.repository.publish({**files(3), "policy.toml": b"4"}, told=files(3))


def longer(world: World) -> None:
    world.repository.publish({**files(3), "policy.toml": b"3" + b" " * 100_000}, told=files(3))


def huge(world: World) -> None:
    world.repository.publish({**files(3), "policy.toml": b" " * (1 << 20) + b"3"})


def no_text(world: World) -> None:
    world.repository.publish({**files(3), "revocations.json": b"\xff"})


def no_policy(world: World) -> None:
    world.repository.publish({"trusted_root.json": b"{}"})


def older_policy(world: World) -> None:
    world.repository.publish(files(1))


def older_revocations(world: World) -> None:
    world.repository.publish(files(3, revocations=0))


def no_revocations(world: World) -> None:
    world.repository.publish(files(3, revocations=None))


def spoilt(content: bytes) -> Attack:
    def spoil(world: World) -> None:
        (metadata(world) / "timestamp.json").write_bytes(content)

    return spoil


def without(pattern: str) -> Attack:
    def remove(world: World) -> None:
        world.repository.publish(files(3))
        for path in world.repository.path.glob(pattern):
            path.unlink()

    return remove


def not_mounted(world: World) -> Path:
    return world.top / "media"


def a_link_out(world: World) -> None:
    shutil.move(metadata(world) / "timestamp.json", world.top / "timestamp.json")
    (metadata(world) / "timestamp.json").symlink_to(world.top / "timestamp.json")


def metadata(world: World) -> Path:
    return world.repository.path / "metadata"


def put(world: World, name: str, content: Path) -> None:
    (metadata(world) / name).write_bytes(content.read_bytes())


@pytest.mark.parametrize(
    ("attack", "reason", "named"),
    [
        pytest.param(attack, f"{where}.{what}", named, id=f"{what}: {name}")
        for name, attack, where, what, named in [
            ("old copy", older, "delivery", "rollback", "timestamp.json"),
            ("old timestamp", older_timestamp, "delivery", "rollback", "timestamp.json"),
            (
                "old targets",
                older_targets_in_a_new_snapshot,
                "delivery",
                "rollback",
                "3.snapshot.json",
            ),
            ("old policy", older_policy, "delivery", "rollback", "policy has version 1"),
            ("old revocations", older_revocations, "delivery", "rollback", "revocations"),
            ("no revocations", no_revocations, "delivery", "rollback", "revocations"),
            ("old snapshot", older_snapshot_as_the_newest, "delivery", "mixed", "3.snapshot.json"),
            (
                "old snapshot unhashed",
                unhashed(older_snapshot_as_the_newest),
                "delivery",
                "mixed",
                "3.snapshot.json",
            ),
            ("old targets", older_targets_as_the_newest, "delivery", "mixed", "3.targets.json"),
            (
                "old targets unhashed",
                unhashed(older_targets_as_the_newest),
                "delivery",
                "mixed",
                "3.targets.json",
            ),
            ("role", another_role, "delivery", "mixed", "timestamp.json"),
            ("frozen", frozen, "delivery", "expired", "metadata/root.json"),
            ("timestamp", expires("timestamp"), "delivery", "expired", "metadata/timestamp.json"),
            ("snapshot", expires("snapshot"), "delivery", "expired", "metadata/snapshot.json"),
            ("targets", expires("targets"), "delivery", "expired", "3.targets.json"),
            ("root", expires("root"), "delivery", "expired", "metadata/root.json"),
            (
                "timestamp",
                signed_by_nobody_known("timestamp"),
                "delivery",
                "threshold",
                "timestamp.json",
            ),
            (
                "snapshot",
                signed_by_nobody_known("snapshot"),
                "delivery",
                "threshold",
                "3.snapshot.json",
            ),
            (
                "targets",
                signed_by_nobody_known("targets"),
                "delivery",
                "threshold",
                "3.targets.json",
            ),
            ("root", too_few, "delivery", "threshold", "2.root.json"),
            ("tampered", tampered, "delivery", "target", "policy.toml"),
            ("longer", longer, "delivery", "target", "policy.toml"),
            ("huge", huge, "delivery", "target", "policy.toml has more than"),
            ("no text", no_text, "delivery", "target", "revocations.json is not UTF-8"),
            ("none", no_policy, "delivery", "target", "policy.toml is not in"),
            ("garbage", spoilt(b"<html>"), "delivery", "malformed", "timestamp.json"),
            ("deep", spoilt(b"[" * 10_000), "delivery", "malformed", "timestamp.json"),
            ("endless", spoilt(b" " * 20_000), "delivery", "malformed", "timestamp.json"),
            ("timestamp", without("metadata/timestamp.json"), "delivery", "missing", "timestamp"),
            ("targets", without("metadata/3.targets.json"), "delivery", "missing", "3.targets"),
            ("policy", without("targets/*.policy.toml"), "delivery", "missing", "policy.toml"),
            ("no medium", not_mounted, "delivery", "unreachable", "no such file or directory"),
            ("link", a_link_out, "delivery", "unreachable", "leads out of the directory"),
        ]
    ],
)
def test_what_is_not_to_be_believed_is_refused_for_its_reason(
    world: World, attack: Attack, reason: str, named: str
) -> None:
    world.copy()
    world.repository.publish(files(2))
    world.update()
    error = refused(world, attack(world))
    assert error.reason == reason
    assert named in str(error)
    assert "still holds" in str(error)


def test_a_server_that_is_away_is_no_answer(world: World) -> None:
    with mirrored(world.repository.path) as url:
        pass
    error = refused(world, Mirror(url))
    assert (error.reason, type(error)) == ("delivery.unreachable", Unverifiable)
    assert "connection refused" in str(error)


@pytest.mark.parametrize("name", ["timestamp.json", "root_history"])
def test_a_state_that_cannot_be_kept_is_told(world: World, name: str) -> None:
    world.repository.publish(files(2))
    place = world.store.metadata / name
    if place.is_file():
        place.unlink()
        place.mkdir()
    else:
        shutil.rmtree(place)
        place.touch()
    error = refused(world)
    assert (error.reason, type(error)) == ("store.unwritable", Unverifiable)
    assert str(world.store.directory) in str(error)


# -- what its caller and the clock refuse --------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        Distrusted("policy.expired", "no"),
        Unverifiable("policy.odd", "no"),
        ConfigError(Path("policy.toml"), 3, "no"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_its_check_refuses_changes_nothing(
    world: World, error: Distrusted | Unverifiable | ConfigError
) -> None:
    def refuse(_: Mapping[str, bytes]) -> Mapping[str, int]:
        raise error

    world.repository.publish(files(2))
    found = refused(world, check=refuse)
    assert found.reason == getattr(error, "reason", "delivery.target")
    assert world.update().after.policy.text == "2"


def test_a_clock_that_went_back_is_recognised(world: World) -> None:
    """By it nothing would ever expire."""
    world.now -= 2 * DAY
    error = refused(world)
    assert (error.reason, type(error)) == ("clock.early", Unverifiable)
    world.now += 1.5 * DAY
    world.update()


# -- what was seen is never undercut -------------------------------------------------------------


def test_a_lost_state_is_no_fresh_start(world: World) -> None:
    old = world.copy()
    world.repository.publish(files(1))
    world.update()
    for lose in (shutil.rmtree, empty):
        lose(world.store.metadata)
        error = refused(world, old)
        assert error.reason == "delivery.rollback"
        assert "timestamp has version 1, but 2 was seen before" in str(error)
    shutil.rmtree(world.store.metadata)
    again = world.update()
    assert again.changed == ()
    assert len(again.notes) == 1
    assert "had been emptied" in again.notes[0]
    assert world.update().notes == ()


def empty(directory: Path) -> None:
    """Leave each file with no content, as a power cut can leave what was not synced."""
    for path in directory.rglob("*"):
        if path.is_file():
            path.write_bytes(b"")


def test_without_floors_beside_a_pin_nothing_is_delivered(world: World) -> None:
    (world.store.directory / "floors.json").unlink()
    assert refused(world).reason == "store.damaged"


def test_what_was_damaged_is_delivered_again_and_told(world: World) -> None:
    (world.store.directory / "configuration.json").write_bytes(b"{")
    again = world.update()
    assert again.before is None
    assert "is damaged" in again.notes[0]
    assert world.policy() == "1"


def test_a_stolen_key_does_not_lock_out_for_ever(world: World) -> None:
    """A root that replaces the key lets its role begin anew; the policy does not."""
    world.repository.versions |= dict.fromkeys(("timestamp", "snapshot"), 1_000_000)
    world.repository.publish(files(2))
    world.update()
    world.repository.versions |= dict.fromkeys(("timestamp", "snapshot"), 1)
    world.repository.publish(files(3))
    assert refused(world).reason == "delivery.rollback"
    world.repository.rotate("timestamp", "snapshot")
    world.repository.publish(files(1))
    assert "policy has version 1" in str(refused(world))
    world.repository.publish(files(3))
    assert world.update().after.policy.text == "3"


def test_a_floor_that_a_cut_kept_from_being_raised_holds(world: World) -> None:
    found = world.configuration()
    assert found is not None
    world.store.save_configuration(replace(found, versions={**found.versions, "policy": 3}))
    world.repository.publish(files(2))
    assert "policy has version 2, but 3" in str(refused(world))


# -- power cuts, and no network ------------------------------------------------------------------


WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = {"os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.symlink", "os.link"}


class PowerCut(BaseException):
    """Nothing on the way handles it, nor can it change the disk any more."""


@dataclass
class Power:
    """An audit hook; when so many changes of the disk were made, none is any more."""

    left: int | None = None

    def __call__(self, event: str, args: Any) -> None:  # noqa: ANN401
        if self.left is None or not (event in CHANGES or _opens_to_write(event, args)):
            return
        if self.left == 0:
            self.left = None
            if event == "open" and args[2] & os.O_TRUNC and Path(str(args[0])).is_file():
                os.truncate(args[0], 0)  # the worst moment is just after it
            self.left = 0
            raise PowerCut
        self.left -= 1


def _opens_to_write(event: str, args: Any) -> bool:  # noqa: ANN401
    return event == "open" and bool(args[2] & WRITING)


def in_a_child(work: Callable[[], object], hook: Callable[[str, Any], None]) -> str:
    """Run this in a process of its own, as a hook stays; give what it raised."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            sys.addaudithook(hook)
            work()
        except BaseException:  # noqa: BLE001 - the parent tells it
            os.write(writer, traceback.format_exc()[-4000:].encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        raised = said.read()
    os.waitpid(child, 0)
    return raised


def cuts(world: World, power: Power, **options: Any) -> Iterator[World]:  # noqa: ANN401
    """Cut an update before each change of the disk, each time from the same store."""
    kept = world.top / "kept"
    if world.store.directory.exists():
        shutil.copytree(world.store.directory, kept, symlinks=True)
    for number in range(200):
        shutil.rmtree(world.store.directory, ignore_errors=True)
        if kept.exists():
            shutil.copytree(kept, world.store.directory, symlinks=True)
        power.left = number
        try:
            world.update(**options)
        except PowerCut:
            power.left = None
            yield world
        else:
            power.left = None
            assert number > 15
            return
    raise AssertionError("it never ended")


@pytest.mark.parametrize("lose", [lambda _: None, empty], ids=["killed", "unsynced"])
def test_a_cut_leaves_the_old_set_or_the_new_one(
    world: World, lose: Callable[[Path], None]
) -> None:
    old = world.copy()
    world.repository.rotate("root", "timestamp")
    world.repository.publish(files(2, revocations=2))
    power = Power()

    def cut_everywhere() -> None:
        seen = set()
        for cut in cuts(world, power):
            lose(cut.store.metadata)
            found = cut.configuration()
            assert found is not None
            assert found.revocations is not None
            assert found.policy.text == found.revocations.text
            seen.add(found.policy.text)
            if found.policy.text == "2":
                assert refused(cut, old).reason in {"delivery.rollback", "delivery.threshold"}
            assert cut.update().after.versions == SECOND
            assert {path.name for path in cut.store.directory.iterdir()} == KEPT
        assert seen == {"1", "2"}

    assert in_a_child(cut_everywhere, power) == ""


KEPT = {"configuration.json", "floors.json", "metadata", "pin.json"}
SECOND = dict.fromkeys(("root", "timestamp", "snapshot", "targets", "policy", "revocations"), 2)


def test_a_first_update_that_is_cut_can_be_done_again(fresh: World) -> None:
    power = Power()

    def cut_everywhere() -> None:
        seen = set()
        for cut in cuts(fresh, power, root=fresh.pinned):
            found = configuration_or_reason(cut.store)
            seen.add(found.policy.text if isinstance(found, Configuration) else found)
            assert cut.update(root=fresh.pinned).after.policy.text == "1"
        assert seen == {None, "store.empty", "1"}

    assert in_a_child(cut_everywhere, power) == ""


def test_a_directory_needs_no_socket(world: World) -> None:
    """Apart from python-tuf's HTTP library, which asks at its import whether there is IPv6."""

    def refuse(event: str, _: object) -> None:
        if event.startswith(("socket.", "urllib.", "http.")):
            raise PermissionError(event)

    world.repository.publish(files(2))
    assert in_a_child(world.update, refuse) == ""
    assert world.policy() == "2"
    with mirrored(world.repository.path) as url:
        assert "delivery.unreachable" in in_a_child(lambda: reason(world, Mirror(url)), refuse)


def reason(world: World, source: Mirror) -> None:
    raise AssertionError(refused(world, source).reason)
