"""The verifier's configuration on an adopted system, and what comes of a revocation."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from integration.machine import Machine, adopted, unadopted
from snaproot.filesystem import metadata
from snaproot.trust import audit, rests
from snaproot.trust.rests import Rests
from tests.trust.private import ARTIFACT, ISSUER
from tests.trust.repository import Repository
from tests.trust.test_judging import POLICY, SIGNERS, World

pytestmark = pytest.mark.real

NOW = datetime.now(UTC).replace(microsecond=0)
PACKAGES = '[packages]\narchives = "verified"\nrun = "allow"\n'
ENDS = f"expires = {NOW + timedelta(days=90):%Y-%m-%dT%H:%M:%SZ}\n"
Entry = Mapping[str, str]


@dataclass
class Bench:
    """An adopted system, what signs for it, and who delivers to it."""

    machine: Machine
    repository: Repository
    world: World

    @property
    def source(self) -> str:
        return str(self.repository.path)

    def publish(self, version: int, *entries: Entry, policy: int = 4) -> None:
        """Deliver a policy, the trusted root, and this version of the list of revocations."""
        times = {"issued": NOW - timedelta(days=1), "expires": NOW + timedelta(days=60)}
        listed = {
            "schema": 1,
            "version": version,
            **{name: f"{time:%Y-%m-%dT%H:%M:%SZ}" for name, time in times.items()},
            "entries": list(entries),
        }
        text = ENDS + POLICY.replace("version = 4", f"version = {policy}") + PACKAGES
        self.repository.publish(
            {
                "policy.toml": text.encode(),
                "trusted_root.json": json.dumps(self.world.it.trusted_root()).encode(),
                "revocations.json": json.dumps(listed).encode(),
            }
        )

    def update(self, *words: str, status: int = 0) -> str:
        return self.machine("trust", "update", self.source, *words, status=status).err

    def begin(self) -> None:
        """Pin the first root, as somebody does who has its file from a person they trust."""
        self.publish(1)
        self.update("--root", str(self.repository.root_file(1)))

    def reason(self, *words: str, status: int = 3) -> str:
        error = self.machine(*words, "--json", status=status).json["error"]
        assert isinstance(error, dict)
        return str(error["reason"])

    def installed(self, world: World, *signers: str) -> tuple[str, Rests]:
        """Make a boot environment that is proven, and rests on what these signed."""
        found = world.judge(*signers).rests
        assert found is not None
        self.machine("run", "touch", "/usr/lib/marker")
        self.machine("promote")
        id = self.machine.ids()[-1]
        path = self.machine.snaproot / f"environments/{id}/environment.toml"
        known = metadata.parse(path.read_text(), id)
        kept = [*audit.rested(known), found]
        extra = {audit.KEY: [rests.as_dict(one) for one in kept]}
        path.write_text(metadata.render(replace(known, extra=extra)))
        return id, found

    def affected(self, status: int = 3) -> dict[str, list[str]]:
        found = self.machine("trust", "audit", "--json", status=status).json["affected"]
        assert isinstance(found, list)
        return {one["id"]: [hit["reason"] for hit in one["revoked"]] for one in found}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with adopted(tmp_path) as machine:
        yield Bench(machine, Repository(tmp_path / "tuf", NOW), World())


def test_the_drill_names_exactly_what_rests_on_what_was_revoked(bench: Bench) -> None:
    """An artifact, the key of a log, and a signer; each is in all that were made from it later."""
    bench.begin()
    assert bench.affected(status=0) == {}
    elsewhere, later = World(), World(it=bench.world.it, artifact=b"a later image")
    one, _ = bench.installed(bench.world, *SIGNERS[:2])
    two, logged = bench.installed(elsewhere, *SIGNERS[1:])
    three, newest = bench.installed(later, *SIGNERS[1:])

    digest: Entry = {"kind": "digest", "value": f"sha256:{newest.digest}"}
    bench.publish(2, digest)
    bench.update()
    assert bench.affected() == {three: ["revoked.digest"]}
    assert f"trust: {three} is not to be trusted" in bench.machine("doctor", status=3).out

    key: Entry = {"kind": "log-key", "value": f"sha256:{logged.signatures[0].keys.log_key}"}
    bench.publish(3, digest, key)
    bench.update()
    assert bench.affected() == {
        two: ["revoked.log-key"],
        three: ["revoked.log-key", "revoked.digest"],
    }
    assert two in bench.machine.refused("rollback", two, status=3)
    assert two in bench.machine.refused("activate", "--once", two, status=3)
    back = bench.machine("rollback", "-n").out
    assert f"{one} becomes the next boot" in back
    assert f"{two} is passed over" in back

    signer: Entry = {"kind": "identity", "value": SIGNERS[0], "issuer": ISSUER}
    bench.publish(4, digest, key, signer)
    bench.update()
    assert {*bench.affected()} == {one, two, three}
    assert one in bench.machine.refused("rollback", one, status=3)


def test_what_a_revoked_policy_let_in_is_named(bench: Bench) -> None:
    bench.begin()
    bench.machine("run", "touch", "/usr/lib/marker")
    bench.machine("promote")
    shown = bench.machine("trust", "show", "--json").json["policy"]
    assert isinstance(shown, dict)
    bench.publish(2, {"kind": "policy", "value": f"sha256:{shown['sha256']}"}, policy=5)
    bench.update()
    first = bench.machine.ids()[-1]
    assert bench.affected() == {first: ["revoked.policy"]}
    bench.machine("run", "touch", "/usr/lib/another")
    second = bench.machine.ids()[-1]
    assert bench.affected() == {one: ["revoked.policy"] for one in (first, second)}


def test_neither_list_nor_policy_goes_back(bench: Bench) -> None:
    bench.publish(3, {"kind": "digest", "value": f"sha256:{'a' * 64}"})
    bench.update("--root", str(bench.repository.root_file(1)))
    bench.publish(2)
    assert bench.reason("trust", "update", bench.source) == "revocations.rollback"
    bench.publish(4)
    assert bench.reason("trust", "update", bench.source) == "revocations.vanished"
    bench.publish(5, {"kind": "digest", "value": f"sha256:{'a' * 64}"}, policy=3)
    assert bench.reason("trust", "update", bench.source) == "delivery.rollback"
    shown = bench.machine("trust", "show", "--json").json["revocations"]
    assert isinstance(shown, dict)
    assert shown["version"] == 3


def test_a_root_is_rotated_and_no_other_is_believed(bench: Bench, tmp_path: Path) -> None:
    assert bench.reason("trust", "update", bench.source, status=1) == "delivery.unpinned"
    bench.begin()
    for _ in range(2):
        bench.repository.rotate("root")
    bench.publish(2)
    bench.update()
    bench.update(status=77)
    other = Repository(tmp_path / "other", NOW)
    stranger = Bench(bench.machine, other, bench.world)
    stranger.publish(9)
    assert stranger.reason("trust", "update", stranger.source) == "delivery.threshold"
    root = str(other.root_file(1))
    assert bench.reason("trust", "update", bench.source, "--root", root) == "delivery.root"


def test_what_accepts_an_artifact_and_what_refuses_it_is_explained(
    bench: Bench, tmp_path: Path
) -> None:
    bench.begin()
    image = tmp_path / "image"
    image.write_bytes(ARTIFACT)
    for given in bench.world.by(*SIGNERS[:2]):
        (tmp_path / f"image.{given.name}".replace(".json", ".sigstore.json")).write_bytes(
            given.content
        )
    said = bench.machine("trust", "explain", str(image)).out
    assert "accepted, by one, two" in said
    assert "policy." not in said
    one = str(tmp_path / f"image.{SIGNERS[0]}.sigstore.json")
    said = bench.machine("trust", "explain", str(image), "--bundle", one, status=3).out
    assert "(policy.group)" in said
    assert "two is two@example.org" in said
    remarks = bench.machine("trust", "lint", "--json").json["remarks"]
    assert isinstance(remarks, list)
    assert "lint.no-maximum-age" in [one["code"] for one in remarks]
    assert "lint.no-revocations" not in [one["code"] for one in remarks]


def test_a_list_that_cannot_be_read_does_not_bar_the_way_back(bench: Bench) -> None:
    bench.begin()
    one, _ = bench.installed(bench.world, *SIGNERS[:2])
    (bench.machine.snaproot / "record/trust/configuration.json").write_text("{}")
    said = bench.machine("rollback", "-n")
    assert "nobody can tell what has been revoked" in said.err
    assert one in bench.machine.status().values()
    assert bench.reason("trust", "audit", status=1) == "store.damaged"


def test_what_is_in_force_is_written_down(bench: Bench) -> None:
    bench.begin()
    bench.publish(2, policy=5)
    bench.update()
    kept = json.loads((bench.machine.snaproot / "record/trust/history.json").read_text())
    assert [(one["version"], one["revocations"]) for one in kept["changes"]] == [(4, 1), (5, 2)]


def test_what_is_shipped_is_written_down_as_well_before_it_is_used(bench: Bench) -> None:
    path = bench.machine.snaproot / "record/trust/history.json"
    assert not path.exists()
    bench.machine("run", "touch", "/usr/lib/marker")
    (only,) = json.loads(path.read_text())["changes"]
    assert only["origin"] == "shipped with snaproot"


def test_a_root_is_pinned_by_init_and_nothing_is_trusted_until_it_has_vouched(
    tmp_path: Path,
) -> None:
    """The shipped policy is for those who never had one: not for who lost theirs."""
    with unadopted(tmp_path) as machine:
        bench = Bench(machine, Repository(tmp_path / "tuf", NOW), World())
        bench.publish(1)
        root, none = bench.repository.root_file(1), tmp_path / "none.json"
        none.write_text("{}")
        assert bench.reason("init", "-y", "--trust-root", str(none)) == "delivery.root"
        assert not machine.snaproot.exists()
        machine("init", "-y")  # as a cut before the pin leaves it
        machine("init", "-y", "--trust-root", str(root))
        machine("init", "-y", status=77)
        assert bench.reason("trust", "show", status=1) == "store.empty"
        bench.update()
        assert machine("trust", "show", "--json").json["origin"] == "delivered"
