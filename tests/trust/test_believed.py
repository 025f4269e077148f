"""Whose policy holds: one that was delivered, else the admin's, else the vendor's, else ours."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path, PurePath

import pytest

from snaproot.errors import ConfigError
from snaproot.trust import believed, policyfile, standing
from snaproot.trust.believed import Believed
from snaproot.trust.facts import Distrusted, Unverifiable
from snaproot.trust.revocationlist import parse
from snaproot.trust.store import Configuration, Store, delivered
from tests.trust.test_store import PIN, configuration

NOW = datetime(2026, 12, 2, tzinfo=UTC)
ROOT = b'{"a": "root"}'
OTHER = "schema = 1\nversion = 2\n"


def listed(version: int, *digests: str) -> bytes:
    times = {"issued": "2026-11-01T00:00:00Z", "expires": "2027-11-01T00:00:00Z"}
    entries = [{"kind": "digest", "value": f"sha256:{one * 64}"} for one in digests]
    return json.dumps({"schema": 1, "version": version, **times, "entries": entries}).encode()


def pinned(root: bytes = ROOT, text: str = OTHER) -> str:
    digest = sha256(root).hexdigest()
    return f'{text}[trusted_root]\nfile = "trusted_root.json"\nsha256 = "{digest}"\n'


def put(directory: Path, **files: str) -> Path:
    directory.mkdir(mode=0o755)
    for name, text in files.items():
        (directory / name.replace("__", ".")).write_text(text)
    return directory


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = Store(tmp_path / "store", within=tmp_path)
    found.prepare()
    return found


@pytest.fixture
def load(tmp_path: Path) -> Mapping[str, Path]:
    return {name: tmp_path / name for name in ("etc", "vendor")}


def test_without_any_policy_ours_holds() -> None:
    found = believed.load(None, ())
    assert "shipped" in found.origin
    assert not found.policy.require


def loaded(places: Mapping[str, Path], store: Store | None = None) -> Believed:
    within = next(iter(places.values())).parent
    return believed.load(store, tuple(places.values()), within=within)


def test_the_admins_comes_before_the_vendors(load: Mapping[str, Path]) -> None:
    put(load["vendor"], policy__toml="schema = 1\nversion = 7\n")
    assert loaded(load).policy.version == 7
    put(load["etc"], policy__toml=OTHER)
    found = loaded(load)
    assert (found.policy.version, found.origin) == (2, str(load["etc"] / "policy.toml"))


def test_a_policy_that_cannot_be_meant_is_nobody_elses_turn(load: Mapping[str, Path]) -> None:
    put(load["vendor"], policy__toml="schema = 1\nversion = 7\n")
    put(load["etc"], policy__toml="schema = 1\nversoin = 2\n")
    with pytest.raises(ConfigError, match=r"policy\.toml:2: unknown key versoin"):
        loaded(load)


def test_a_policy_that_others_can_write_is_nobody_elses_turn(load: Mapping[str, Path]) -> None:
    put(load["vendor"], policy__toml=OTHER)
    put(load["etc"], policy__toml=OTHER).joinpath("policy.toml").chmod(0o666)
    with pytest.raises(Distrusted) as told:
        loaded(load)
    assert told.value.reason == "file.mode"


def test_the_trusted_root_is_the_one_that_the_policy_names(load: Mapping[str, Path]) -> None:
    place = put(load["etc"], policy__toml=pinned(), trusted_root__json=ROOT.decode())
    assert loaded(load).trusted_root == ROOT
    (place / "trusted_root.json").write_text("{}")
    with pytest.raises(Distrusted) as told:
        loaded(load)
    assert told.value.reason == "policy.trusted-root"


@pytest.mark.parametrize("file", ["trusted_root.json", "revocations.json"])
def test_a_file_that_the_policy_names_has_to_be_there(file: str, load: Mapping[str, Path]) -> None:
    text = f'{pinned()}[revocations]\nfile = "revocations.json"\n'
    place = put(load["etc"], policy__toml=text, trusted_root__json=ROOT.decode())
    (place / "revocations.json").write_bytes(listed(3))
    assert loaded(load).revocations is not None
    (place / file).unlink()
    with pytest.raises(Unverifiable) as told:
        loaded(load)
    assert told.value.reason == "file.missing"


def test_the_admins_policy_does_not_go_back_with_a_root(
    load: Mapping[str, Path], store: Store
) -> None:
    put(load["vendor"], policy__toml="schema = 1\nversion = 7\n")
    vendors = loaded(load, store)
    assert vendors.seen == {}, "the vendor's is part of the root"
    place = put(load["etc"], policy__toml=OTHER)
    admins = loaded(load, store)
    standing.check(admins, NOW)
    store.raise_floors(admins.seen)
    older = OTHER.replace("2", "1")
    (place / "policy.toml").write_text(older)
    with pytest.raises(Distrusted) as told:
        standing.check(loaded(load, store), NOW)
    assert told.value.reason == "policy.rollback"
    (place / "policy.toml").unlink()
    with pytest.raises(Unverifiable, match="version 2 of it was in force") as gone:
        loaded(load, store)
    assert gone.value.reason == "policy.missing"


def test_another_systems_floors_are_not_held_against_ones_own_policy(
    load: Mapping[str, Path], store: Store
) -> None:
    """With --sysroot: neither raised nor asked."""
    put(load["etc"], policy__toml=OTHER)
    store.raise_floors({f"policy {load['etc']}/policy.toml": 9})
    within = load["etc"].parent
    found = believed.load(store, tuple(load.values()), within=within, running=False)
    standing.check(found, NOW)
    assert found.seen == {}
    (load["etc"] / "policy.toml").unlink()
    found = believed.load(store, tuple(load.values()), within=within, running=False)
    assert "shipped" in found.origin


def test_an_older_list_beside_a_policy_is_refused(load: Mapping[str, Path], store: Store) -> None:
    text = f'{OTHER}[revocations]\nfile = "revocations.json"\n'
    place = put(load["etc"], policy__toml=text, revocations__json=listed(3).decode())
    store.raise_floors(loaded(load, store).seen)
    standing.check(loaded(load, store), NOW)
    (place / "revocations.json").write_bytes(listed(2))
    with pytest.raises(Distrusted) as told:
        standing.check(loaded(load, store), NOW)
    assert told.value.reason == "revocations.rollback"


def test_whoever_has_to_mend_it_is_named(load: Mapping[str, Path]) -> None:
    over = 'expires = 2026-12-01T00:00:00Z\n[revocations]\nfile = "revocations.json"\n'
    place = put(load["etc"], policy__toml=OTHER + over, revocations__json="{}")
    with pytest.raises(Unverifiable, match=f"{place}/policy.toml.* cannot be meant"):
        loaded(load)
    (place / "revocations.json").write_bytes(listed(3))
    with pytest.raises(Distrusted, match="expired") as told:
        standing.check(loaded(load), NOW)
    assert told.value.hint.endswith(f"{place}/policy.toml")


def delivery(store: Store, **files: bytes) -> None:
    named = {name.replace("__", "."): delivered(one) for name, one in files.items()}
    store.save_pin(PIN)
    now = configuration().updated
    store.save_configuration(Configuration(named, {"policy": 3}, now, now))


EXPIRING = OTHER + "expires = 2030-01-01T00:00:00Z\n"


def test_what_was_delivered_comes_before_all_else(load: Mapping[str, Path], store: Store) -> None:
    put(load["etc"], policy__toml="schema = 1\nversion = 9\n")
    delivery(store, policy__toml=EXPIRING.encode(), revocations__json=listed(4, "a"))
    found = loaded(load, store)
    assert (found.origin, found.policy.version) == ("delivered", 2)
    assert found.revocations is not None
    assert found.revocations.version == 4


def test_a_damaged_delivery_is_nobody_elses_turn(load: Mapping[str, Path], store: Store) -> None:
    put(load["etc"], policy__toml=OTHER)
    delivery(store, policy__toml=EXPIRING.encode())
    (store.directory / "configuration.json").unlink()
    with pytest.raises(Unverifiable) as told:
        loaded(load, store)
    assert told.value.reason == "store.empty"


def test_a_delivery_is_looked_at_before_it_is_taken() -> None:
    policy = policyfile.parse(EXPIRING.encode(), PurePath("policy.toml"))
    before = Believed("delivered", policy, None, parse(listed(4, "a", "b")))
    check = believed.validator(before, NOW)
    good = {"policy.toml": EXPIRING.encode(), "revocations.json": listed(5, "a", "b", "c")}
    assert check(good) == {"policy": 2, "revocations": 5}
    for bad, reason in (
        (listed(3, "a", "b"), "revocations.rollback"),
        (listed(5, "a"), "revocations.vanished"),
        (listed(4, "a", "b", "c"), "revocations.rollback"),
    ):
        with pytest.raises(Distrusted) as told:
            check({**good, "revocations.json": bad})
        assert told.value.reason == reason
    with pytest.raises(ConfigError, match="expires is missing"):
        check({**good, "policy.toml": OTHER.encode()})
    over = EXPIRING.replace("2030", "2026").encode()
    with pytest.raises(Distrusted, match="the policy expired"):
        check({**good, "policy.toml": over})
    with pytest.raises(Unverifiable, match="is no trusted root"):
        check({**good, "trusted_root.json": b'{"mediaType": "none"}'})
