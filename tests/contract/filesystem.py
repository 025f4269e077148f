"""The contract of `snaproot.filesystem.Filesystem`.

An implementation's tests subclass `FilesystemContract` and give it a fixture `bench`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

import pytest

from snaproot.environment import Environment, PackageChange, Standing
from snaproot.errors import Refused
from snaproot.filesystem import Change, Filesystem, PathChange

BASE = "b1"
NEW = "b2"
CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Bench(Protocol):
    """A filesystem with one boot environment, `BASE`: sealed, proven and the default.

    It holds `/usr/bin/tool`, `/usr/lib/old`, `/etc/host.conf`; the shared `/var` holds
    `/var/lib/state` and `/var/lib/stale`. The content of each is its own path.
    """

    def filesystem(self, booted: str | None = None) -> Filesystem: ...

    def write(self, id: str, path: str, content: str) -> None:
        """Write as a program would that runs inside: OSError where it must not."""

    def remove(self, id: str, path: str) -> None: ...

    def read(self, id: str, path: str) -> str | None:
        """Read a file of a root or its `/etc`; None if there is none."""

    def shared(self) -> Mapping[str, str]:
        """Read the shared `/var` itself, by absolute path."""

    def additions(self, id: str) -> Mapping[str, str]:
        """Read what was kept for the target's first boot, by absolute path."""


def described(id: str, parent: str = BASE) -> Environment:
    return Environment(
        id=id,
        parent=parent,
        origin="upgrade",
        command="snaproot upgrade",
        created=CREATED,
        kernel="6.1.0-test",
        packages=(PackageChange("tool", "1.0", "1.1"), PackageChange("new", "", "2~rc1-1")),
        state_changed=("/var/lib/state",),
    )


def staged(bench: Bench, id: str = NEW, parent: str = BASE) -> Environment:
    filesystem = bench.filesystem()
    workspace = filesystem.create(id, parent)
    bench.write(id, "/usr/bin/tool", f"tool of {id}")
    filesystem.collect(workspace)
    return filesystem.seal(described(id, parent))


def found(filesystem: Filesystem, id: str) -> Environment:
    return {environment.id: environment for environment in filesystem.environments()}[id]


class StagingContract:
    """Making a target."""

    def test_a_target_begins_as_its_parent_and_leaves_it_alone(self, bench: Bench) -> None:
        bench.filesystem().create(NEW, BASE)
        assert bench.read(NEW, "/usr/bin/tool") == "/usr/bin/tool"
        assert bench.read(NEW, "/etc/host.conf") == "/etc/host.conf"
        bench.write(NEW, "/usr/bin/tool", "changed")
        bench.write(NEW, "/etc/host.conf", "changed")
        assert bench.read(NEW, "/usr/bin/tool") == "changed"
        assert bench.read(BASE, "/usr/bin/tool") == "/usr/bin/tool"
        assert bench.read(BASE, "/etc/host.conf") == "/etc/host.conf"
        bench.filesystem().intact(BASE)

    def test_edits_of_the_parents_etc_reach_the_target(self, bench: Bench) -> None:
        bench.write(BASE, "/etc/host.conf", "edited")
        bench.filesystem().create(NEW, BASE)
        assert bench.read(NEW, "/etc/host.conf") == "edited"

    def test_a_target_is_complete_only_once_it_is_sealed(self, bench: Bench) -> None:
        filesystem = bench.filesystem()
        workspace = filesystem.create(NEW, BASE)
        assert not found(filesystem, NEW).complete
        with pytest.raises(Refused):
            filesystem.intact(NEW)
        filesystem.collect(workspace)
        assert not found(filesystem, NEW).complete
        sealed = filesystem.seal(described(NEW))
        assert found(filesystem, NEW) == sealed
        assert sealed.complete
        assert sealed.packages == described(NEW).packages
        filesystem.intact(NEW)

    def test_a_sealed_root_cannot_be_written_but_its_etc_can(self, bench: Bench) -> None:
        staged(bench)
        with pytest.raises(OSError, match="Read-only"):
            bench.write(NEW, "/usr/bin/tool", "changed")
        bench.write(NEW, "/etc/host.conf", "edited")
        bench.filesystem().intact(NEW)

    def test_targets_stack(self, bench: Bench) -> None:
        staged(bench)
        staged(bench, "b3", NEW)
        assert [e.id for e in bench.filesystem().environments()] == [BASE, NEW, "b3"]
        assert found(bench.filesystem(), "b3").parent == NEW

    def test_nothing_is_made_from_an_unsealed_parent(self, bench: Bench) -> None:
        bench.filesystem().create(NEW, BASE)
        with pytest.raises(Refused):
            bench.filesystem().create("b3", NEW)
        assert [e.id for e in bench.filesystem().environments()] == [BASE, NEW]

    def test_an_existing_one_is_not_made_again(self, bench: Bench) -> None:
        with pytest.raises(RuntimeError):
            bench.filesystem().create(BASE, BASE)

    def test_what_staging_does_in_var_stays_there(self, bench: Bench) -> None:
        filesystem = bench.filesystem()
        workspace = filesystem.create(NEW, BASE)
        before = dict(bench.shared())
        bench.write(NEW, "/var/lib/state", "changed")
        bench.write(NEW, "/var/lib/cluster", "initial")
        bench.remove(NEW, "/var/lib/stale")
        collected = filesystem.collect(workspace)
        assert collected.added == ("/var/lib/cluster",)
        assert collected.changed == ("/var/lib/state",)
        assert collected.removed == ("/var/lib/stale",)
        assert bench.additions(NEW) == {"/var/lib/cluster": "initial"}
        assert bench.shared() == before
        with pytest.raises(FileNotFoundError):
            bench.write(NEW, "/var/lib/late", "")

    def test_additions_are_where_staging_put_them(self, bench: Bench) -> None:
        staged(bench)
        assert bench.filesystem().additions(BASE) != bench.filesystem().additions(NEW)
        bench.filesystem().flush()


class LookingContract:
    """Looking at what there is."""

    def test_one_is_read_as_all_are(self, bench: Bench) -> None:
        staged(bench)
        for id in (BASE, NEW):
            assert bench.filesystem().environment(id) == found(bench.filesystem(), id)
        with pytest.raises(RuntimeError):
            bench.filesystem().environment("b9")

    def test_metadata_is_replaced(self, bench: Bench) -> None:
        sealed = staged(bench)
        bench.filesystem().describe(replace(sealed, standing=Standing.PROVEN, pinned=True))
        again = found(bench.filesystem(), NEW)
        assert (again.standing, again.pinned, again.sealed) == (Standing.PROVEN, True, True)
        bench.filesystem().describe(replace(again, pinned=False))
        assert not found(bench.filesystem(), NEW).pinned
        bench.filesystem().intact(NEW)

    def test_changes_names_what_differs(self, bench: Bench) -> None:
        filesystem = bench.filesystem()
        workspace = filesystem.create(NEW, BASE)
        bench.write(NEW, "/usr/bin/tool", "changed")
        bench.write(NEW, "/usr/bin/added", "new")
        bench.remove(NEW, "/usr/lib/old")
        bench.write(NEW, "/etc/host.conf", "changed")
        filesystem.collect(workspace)
        filesystem.seal(described(NEW))
        assert list(filesystem.changes(BASE, NEW)) == [
            PathChange("/etc/host.conf", Change.CHANGED),
            PathChange("/usr/bin/added", Change.ADDED),
            PathChange("/usr/bin/tool", Change.CHANGED),
            PathChange("/usr/lib/old", Change.REMOVED),
        ]
        assert PathChange("/usr/lib/old", Change.ADDED) in filesystem.changes(NEW, BASE)
        assert not filesystem.changes(BASE, BASE)

    def test_verify_finds_a_sealed_root_as_it_was(self, bench: Bench) -> None:
        staged(bench)
        fractions: list[float] = []
        assert not bench.filesystem().verify(NEW, fractions.append)
        assert fractions[-1] == 1.0

    def test_edits_made_after_the_copy_are_told(self, bench: Bench) -> None:
        staged(bench)
        assert bench.filesystem().edits(NEW) == []
        bench.write(NEW, "/etc/host.conf", "the target's own")
        assert bench.filesystem().edits(NEW) == []
        bench.write(BASE, "/etc/host.conf", "edited")
        bench.write(BASE, "/etc/new.conf", "added")
        assert bench.filesystem().edits(NEW) == [
            PathChange("/etc/host.conf", Change.CHANGED),
            PathChange("/etc/new.conf", Change.ADDED),
        ]
        bench.remove(BASE, "/etc/host.conf")
        assert PathChange("/etc/host.conf", Change.REMOVED) in bench.filesystem().edits(NEW)

    def test_without_its_parent_nobody_can_tell_edits(self, bench: Bench) -> None:
        staged(bench)
        filesystem = bench.filesystem()
        filesystem.set_default(NEW)
        filesystem.discard(BASE)
        assert filesystem.edits(NEW) == []

    def test_space_tells_of_each(self, bench: Bench) -> None:
        staged(bench)
        space = bench.filesystem().space([BASE, NEW])
        assert 0 < space.free <= space.total
        assert set(space.exclusive) == {BASE, NEW}

    @pytest.mark.parametrize("call", ["place", "intact", "set_default", "describe", "create"])
    def test_an_unknown_id_is_misuse(self, bench: Bench, call: str) -> None:
        filesystem = bench.filesystem()
        calls: Mapping[str, Callable[[], object]] = {
            "place": lambda: filesystem.place("nobody"),
            "intact": lambda: filesystem.intact("nobody"),
            "set_default": lambda: filesystem.set_default("nobody"),
            "describe": lambda: filesystem.describe(described("nobody")),
            "create": lambda: filesystem.create(NEW, "nobody"),
        }
        with pytest.raises(RuntimeError):
            calls[call]()
        assert [e.id for e in filesystem.environments()] == [BASE]


class BootingContract:
    """What is booted."""

    def test_booted_is_told(self, bench: Bench) -> None:
        staged(bench)
        assert bench.filesystem().booted() is None
        assert bench.filesystem(booted=NEW).booted() == NEW

    def test_each_has_an_address_of_its_own(self, bench: Bench) -> None:
        staged(bench)
        addresses = [bench.filesystem().address(id) for id in (BASE, NEW)]
        assert len({one.prefix for one in addresses}) == 2
        assert len({one.filesystem for one in addresses}) == 1
        assert all(one.arguments[0].startswith("root=") for one in addresses)

    def test_the_default_moves(self, bench: Bench) -> None:
        staged(bench)
        assert bench.filesystem().default() == BASE
        bench.filesystem().set_default(NEW)
        assert bench.filesystem().default() == NEW
        bench.filesystem().set_default(NEW)
        bench.filesystem().set_default(BASE)
        assert bench.filesystem().default() == BASE

    def test_the_default_never_moves_to_what_is_not_complete(self, bench: Bench) -> None:
        bench.filesystem().create(NEW, BASE)
        with pytest.raises(Refused):
            bench.filesystem().set_default(NEW)
        assert bench.filesystem().default() == BASE


class RemovingContract:
    """Removing."""

    def test_a_discarded_one_is_gone_and_gone_already_is_fine(self, bench: Bench) -> None:
        staged(bench)
        for _ in range(2):
            bench.filesystem().discard(NEW)
            assert [e.id for e in bench.filesystem().environments()] == [BASE]
        bench.filesystem().empty_trash()
        bench.filesystem().intact(BASE)
        staged(bench)
        assert found(bench.filesystem(), NEW).complete

    def test_an_unfinished_one_is_discarded(self, bench: Bench) -> None:
        bench.filesystem().create(NEW, BASE)
        bench.write(NEW, "/var/lib/cluster", "initial")
        before = dict(bench.shared())
        bench.filesystem().discard(NEW)
        assert [e.id for e in bench.filesystem().environments()] == [BASE]
        assert bench.shared() == before

    def test_the_parent_goes_without_its_child(self, bench: Bench) -> None:
        staged(bench)
        bench.filesystem().set_default(NEW)
        bench.filesystem().discard(BASE)
        bench.filesystem().intact(NEW)
        assert bench.read(NEW, "/usr/lib/old") == "/usr/lib/old"
        assert not bench.filesystem().verify(NEW, lambda _: None)

    def test_the_default_and_the_booted_one_are_not_discarded(self, bench: Bench) -> None:
        staged(bench)
        with pytest.raises(Refused):
            bench.filesystem().discard(BASE)
        with pytest.raises(Refused):
            bench.filesystem(booted=NEW).discard(NEW)
        for id in (BASE, NEW):
            bench.filesystem().intact(id)

    def test_what_would_not_be_discarded_is_told_before(self, bench: Bench) -> None:
        staged(bench)
        for id, booted in ((BASE, None), (NEW, NEW)):
            with pytest.raises(Refused):
                bench.filesystem(booted=booted).discardable(id)
        for id in (NEW, "nobody"):
            bench.filesystem().discardable(id)
        assert [e.id for e in bench.filesystem().environments()] == [BASE, NEW]

    def test_the_trash_is_emptied(self, bench: Bench) -> None:
        bench.filesystem().empty_trash()
        staged(bench)
        bench.filesystem().empty_trash()
        assert [e.id for e in bench.filesystem().environments()] == [BASE, NEW]


class FilesystemContract(StagingContract, LookingContract, BootingContract, RemovingContract):
    """All of it."""
