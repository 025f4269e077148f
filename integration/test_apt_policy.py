"""What a policy makes of archives, of `run` and of `shell`, on a real Debian root with its own apt.

One filesystem serves all cases; each finds the archive, the sources and apt's lists as new, and
leaves nothing pending.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha1, sha256
from pathlib import Path

import pytest

from integration import archive as recipes
from integration import debian
from integration.archive import Archive
from integration.machine import REPOSITORY, Machine, configured
from snaproot.environment import Environment, Installed
from snaproot.filesystem.metadata import parse
from tests.trust.repository import Repository

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("apt-policy")]
slow = pytest.mark.slow

VERIFIED = 'archives = "verified"\nrun = "allow"\nshell = "allow"\n'
DAY = timedelta(days=1)
POLICED = """
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/snaproot/trust
printf %s "$1" > /run/snaproot/trust/policy.toml
shift
exec "$@"
"""
"""/run is its alone, in a mount namespace of its own; a policy there is one of the admin's."""


@dataclass(frozen=True)
class Bench:
    """An adopted Debian root, and the archive that it upgrades from."""

    machine: Machine
    served: Archive
    base: str

    @property
    def environments(self) -> Path:
        return self.machine.snaproot / "environments"

    @property
    def root(self) -> Path:
        return self.environments / self.base / "root"

    @property
    def cache(self) -> Path:
        return self.machine.snaproot / "cache/apt"

    @property
    def package(self) -> Path:
        return next((self.served.directory / "pool").glob(f"{recipes.SCRIPT}_*.deb"))

    def under(self, rules: str, *, above: str = "") -> Machine:
        """Return the machine with a policy; `rules` are those of [packages]."""
        text = f"schema = 1\nversion = 1\n{above}[packages]\n{rules}"
        prefix = ("unshare", "-m", "sh", "-e", "-c", POLICED, "sh", text)
        return replace(self.machine, prefix=prefix)

    def refused(self, machine: Machine, *words: str) -> tuple[str, str]:
        """Insist on a refusal that changes nothing, and return its reason and its message."""
        before = sorted(self.environments.iterdir())
        verb, *rest = words
        error = machine(verb, "--json", *rest, status=3).json["error"]
        assert isinstance(error, dict)
        assert error["hint"]
        assert "\n" not in error["message"]
        assert sorted(self.environments.iterdir()) == before
        return error["reason"], error["message"]

    def set_up(self, apt_conf: str) -> None:
        (self.root / "etc/apt/apt.conf.d/99test").write_text(apt_conf)

    def source(self, change: Callable[[str], str]) -> None:
        place = self.root / "etc/apt/sources.list.d/demo.sources"
        place.write_text(change(place.read_text()))

    def metadata(self, id: str) -> Environment:
        return parse((self.environments / id / "environment.toml").read_text(), id)


@pytest.fixture(scope="module", params=["trixie", pytest.param("bookworm", marks=slow)])
def adopted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    suite: str = request.param
    with debian.disk(suite, tmp_path_factory.mktemp("policy")) as top:
        work = tmp_path_factory.mktemp("archive")
        served = Archive.create(top / "@/srv/archive", work, debian.raw(suite))
        served.publish(recipes.SCRIPT)
        served.install(top / "@")
        machine = Machine(top)
        machine("init", "-y")
        served = replace(served, directory=machine.snaproot / "areas/srv/archive")
        shutil.copytree(served.directory / "pool", work / "pool")
        yield Bench(machine, served, *machine.ids())


@pytest.fixture
def bench(adopted: Bench) -> Bench:
    pool = adopted.served.directory / "pool"
    shutil.rmtree(pool)
    shutil.copytree(adopted.served.keys.parent / "pool", pool)
    adopted.served.sign()
    adopted.served.install(adopted.root)
    for name in ("apt.conf.d/99test", "preferences.d/test", "sources.list.d/test.list"):
        (adopted.root / "etc/apt" / name).unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        shutil.rmtree(adopted.cache)
    return adopted


# -- what no policy has to forbid


def unsigned(bench: Bench) -> None:
    bench.served.unsign()


def wrongly_signed(bench: Bench) -> None:
    bench.served.sign_wrongly()


def expired(bench: Bench) -> None:
    bench.served.sign(age=9 * DAY, lasting=7 * DAY)


def from_the_future(bench: Bench) -> None:
    bench.served.sign(age=-2 * DAY)


def expired_and_not_asked(bench: Bench) -> None:
    expired(bench)
    bench.set_up(
        'Acquire::Check-Valid-Until "false";\nAcquire::Check-Date "false";\n'
        'Acquire::Min-ValidTime "99999999";\nBinary::apt-get::Acquire::Check-Date "false";\n'
    )


def expired_and_let_by_the_source(bench: Bench) -> None:
    expired(bench)
    bench.source(lambda text: f"{text}Check-Valid-Until: no\n")


def trusted_by_the_source(bench: Bench) -> None:
    bench.served.unsign()
    bench.source(lambda text: text.replace("Signed-By:", "Trusted: yes\nSigned-By:"))


def unsigned_and_not_asked(bench: Bench) -> None:
    bench.served.unsign()
    bench.set_up(
        'APT::Get::AllowUnauthenticated "true";\nAPT::Get::force-yes "true";\n'
        'Acquire::AllowInsecureRepositories "true";\nAcquire::AllowWeakRepositories "true";\n'
        'Acquire::AllowDowngradeToInsecureRepositories "true";\n'
        'Binary::apt-get::APT::Get::AllowUnauthenticated "true";\n'
    )


def longer_for_one_archive(bench: Bench) -> None:
    expired(bench)
    bench.set_up('Acquire::Min-ValidTime::Demo "99999999";\n')


def sources_elsewhere(bench: Bench) -> None:
    (bench.root / "etc/apt/elsewhere").write_text("deb [trusted=yes] file:/srv/archive demo main\n")
    bench.set_up('Binary::apt-get::Dir::Etc::sourcelist "elsewhere";\n')


def trusted_in_quotes(bench: Bench) -> None:
    """apt undoes percent signs and quotes in the options of a source."""
    bench.served.unsign()
    listed = bench.root / "etc/apt/sources.list.d/demo.sources"
    listed.write_text("")
    text = "deb [%74rusted=yes] file:/srv/archive demo main\n"
    (bench.root / "etc/apt/sources.list.d/test.list").write_text(text)


def told_otherwise(bench: Bench) -> None:
    """apt-config takes settings for itself, as every program of apt's does."""
    trusted_by_the_source(bench)
    bench.set_up(
        'Binary::apt-config::Dir::Etc::SourceParts "/nonexistent";\n'
        'Binary::apt-config::Dir::Etc::SourceList "/dev/null";\n'
    )


def a_package_beside_the_archives(bench: Bench) -> None:
    name = bench.package.name
    bench.set_up(f'APT::Sources::With {{ "/srv/archive/pool/{name}"; }};\n')


def older(bench: Bench) -> None:
    """Offer a version that is older than the one installed, and let a pin prefer it."""
    bench.served.publish(recipes.SCRIPT, recipe=lower)
    (bench.root / "etc/apt/preferences.d/test").write_text(
        "Package: *\nPin: release n=demo\nPin-Priority: 1001\n"
    )


def older_and_not_asked(bench: Bench) -> None:
    older(bench)
    bench.set_up('APT::Get::allow-downgrades "true";\nAPT::Get::force-yes "true";\n')


def lower(tree: Path) -> None:
    control = tree / "DEBIAN/control"
    text = re.sub(r"^Version: .*$", "Version: 0.9", control.read_text(), flags=re.MULTILINE)
    control.write_text(text)


Spoil = Callable[[Bench], None]
OFF = "archive.checks-off"
REFUSED: tuple[tuple[Spoil, str, str], ...] = (
    (unsigned, "archive.untrusted", "is not signed"),
    (wrongly_signed, "archive.untrusted", "does not trust an archive"),
    (expired, "archive.expired", r"is expired \(invalid since 2d"),
    (expired_and_not_asked, "archive.expired", "is expired"),
    (expired_and_let_by_the_source, OFF, "check-valid-until=no, which switches expiry checks off"),
    (longer_for_one_archive, OFF, 'Acquire::Min-ValidTime::Demo "99999999"'),
    (trusted_by_the_source, OFF, "trusted=yes, which switches signature checks off"),
    (unsigned_and_not_asked, "archive.untrusted", "is not signed"),
    (trusted_in_quotes, OFF, r"\[%74rusted=yes\], which switches signature checks off"),
    (told_otherwise, OFF, ""),
    (a_package_beside_the_archives, OFF, "APT::Sources::With:: "),
    (older, "package.downgrade", rf"older: {recipes.SCRIPT} 1\.3\S* → 0\.9; nothing was changed"),
)
REFUSED_TOO: tuple[tuple[Spoil, str, str], ...] = (
    (from_the_future, "archive.expired", "is not valid yet"),
    (sources_elsewhere, OFF, 'Binary::apt-get::Dir::Etc::sourcelist "elsewhere"'),
    (older_and_not_asked, "package.downgrade", "would make packages older"),
)


@pytest.mark.parametrize(
    ("spoil", "reason", "words"),
    [
        *(pytest.param(*case, id=case[0].__name__) for case in REFUSED),
        *(pytest.param(*case, id=case[0].__name__, marks=slow) for case in REFUSED_TOO),
    ],
)
def test_an_archive_that_is_not_as_it_must_be_is_refused(
    bench: Bench, spoil: Spoil, reason: str, words: str
) -> None:
    spoil(bench)
    found, message = bench.refused(bench.machine, "upgrade", "-y")
    assert found == reason
    assert re.search(words, message), message


def test_an_index_of_before_does_not_come_back(bench: Bench) -> None:
    bench.served.sign(age=DAY)
    bench.served.indexed(old := bench.served.keys.parent / "old")
    bench.served.publish(recipes.SCRIPT, revision=2)
    for _ in ("published", "and taken back"):
        (change,) = planned(bench)
        assert str(change["after"]).endswith("+demo2")
        bench.served.replay(old)
    shutil.rmtree(old)


def test_an_index_that_changed_after_it_was_verified_is_not_used(bench: Bench) -> None:
    before = planned(bench)
    (index,) = (bench.served.directory / "dists").glob("*/main/*/Packages")
    index.write_text(index.read_text().replace("+demo1", "+sneaked1"))
    assert planned(bench) == before


def planned(bench: Bench) -> list[dict[str, object]]:
    plan = bench.machine("upgrade", "-n", "--json").json["plan"]
    assert isinstance(plan, dict)
    return list(plan["packages"])


# -- what a policy may let


LET: tuple[tuple[Spoil, str], ...] = (
    (unsigned, "unauthenticated"),
    (trusted_by_the_source, "trusted_yes"),
    (older, "downgrade"),
)
LEAVES = [leaf for _, leaf in LET]


@pytest.mark.parametrize(
    ("spoil", "leaf"),
    [pytest.param(*case, id=case[1], marks=() if case[0] is unsigned else slow) for case in LET],
)
def test_what_the_policy_lets_in_as_many_words_is_applied(
    bench: Bench, spoil: Spoil, leaf: str
) -> None:
    spoil(bench)
    bench.under(f'{VERIFIED}{leaf} = "allow"\n')("upgrade", "-y")
    changes = bench.metadata(max(bench.machine.ids())).packages
    assert [change.name for change in changes] == [recipes.SCRIPT]
    bench.machine("abandon", "-y")


@slow
@pytest.mark.parametrize(("spoil", "leaf"), LET, ids=LEAVES)
def test_and_no_other_words_let_it(bench: Bench, spoil: Spoil, leaf: str) -> None:
    spoil(bench)
    others = "".join(f'{other} = "allow"\n' for other in LEAVES if other != leaf)
    bench.refused(bench.under(VERIFIED + others), "upgrade", "-y")


@slow
def test_an_archive_that_was_signed_once_has_to_stay_so(bench: Bench) -> None:
    planned(bench)
    bench.served.unsign()
    every = "".join(f'{leaf} = "allow"\n' for leaf in LEAVES)
    for machine in (bench.machine, bench.under(VERIFIED + every)):
        reason, message = bench.refused(machine, "upgrade", "-y")
        assert reason == "archive.untrusted"
        assert "is no longer signed" in message


def test_a_source_that_is_switched_off_is_no_matter(bench: Bench) -> None:
    bench.source(lambda text: f"{text}\n{text}Trusted: yes\nEnabled: no\n")
    assert recipes.SCRIPT in bench.machine("upgrade", "-n").out


# -- pinned archives


def pinned(bench: Bench, **changed: str) -> Machine:
    facts = {"origin": "snaproot demo", "suite": "demo", "signed_by": bench.served.fingerprint}
    facts |= changed
    rules = f"{VERIFIED.replace('verified', 'pinned')}[packages.archive.demo]\n"
    rules += f'origin = "{facts["origin"]}"\nsuite = "{facts["suite"]}"\n'
    return bench.under(f'{rules}signed_by = ["{facts["signed_by"]}"]\n')


def test_what_came_from_a_pinned_archive_is_recorded(bench: Bench) -> None:
    pinned(bench)("upgrade", "-y")
    first = max(bench.machine.ids())
    (brought,) = bench.metadata(first).installed
    digest = sha256(bench.package.read_bytes()).hexdigest()
    assert brought == Installed(recipes.SCRIPT, brought.version, digest)
    assert brought.version.endswith("+demo1")

    bench.under(VERIFIED.replace('shell = "allow"', 'shell = "limit"'))("shell", stdin="exit\n")
    second = max(bench.machine.ids())
    assert bench.metadata(second).installed == (brought,)
    assert marked(bench) == {second: [second]}
    lines = bench.machine("list").out.splitlines()
    assert [line.split()[0] for line in lines if line.endswith("unverified change")] == [second]
    bench.machine("abandon", "-y")


@slow
def test_what_nobody_verified_stays_unverified(bench: Bench) -> None:
    bench.machine("run", "true")
    first = max(bench.machine.ids())
    bench.machine("upgrade", "-y")
    second = max(bench.machine.ids())
    bench.served.publish(recipes.SCRIPT, revision=2)
    bench.machine("upgrade", "-y")
    third = max(bench.machine.ids())
    assert marked(bench) == {first: [first], second: [first], third: [first]}
    (old,), (new,) = bench.metadata(second).installed, bench.metadata(third).installed
    assert (old.version[-6:], new.version[-6:]) == ("+demo1", "+demo2")
    bench.machine("promote")
    bench.machine("cleanup", first, "-y")
    assert marked(bench) == {second: [first], third: [first]}
    bench.machine("rollback", bench.base, "-y")
    bench.machine("promote")


def marked(bench: Bench) -> dict[str, object]:
    listed = bench.machine("list", "--json").json["environments"]
    assert isinstance(listed, list)
    return {one["id"]: one["unverified"] for one in listed if one["unverified"]}


@slow
def test_an_archive_that_signs_beside_its_index_can_be_pinned(bench: Bench) -> None:
    bench.served.detach()
    assert recipes.SCRIPT in pinned(bench)("upgrade", "-n").out


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({"signed_by": "A" * 40}, "and demo is by other keys", id="key"),
        pytest.param({"origin": "Somebody"}, 'its origin is "snaproot demo"', id="origin"),
        pytest.param({"suite": "stable"}, 'its suite "demo"', id="suite", marks=slow),
    ],
)
def test_an_archive_that_is_not_pinned_is_named(
    bench: Bench, changed: dict[str, str], words: str
) -> None:
    reason, message = bench.refused(pinned(bench, **changed), "upgrade", "-y")
    assert reason == "archive.unpinned"
    assert message.startswith("the policy pins archives, and srv/archive/dists/demo is none of")
    assert words in message


def test_the_manuals_example_pins_debians_own_keys(bench: Bench) -> None:
    """Those of primary keys: a signature names its subkey, and apt the key that it belongs to."""
    page = (REPOSITORY / "contrib/man/snaproot-policy.5").read_text()
    keyring = bench.root / "usr/share/keyrings/debian-archive-keyring.gpg"
    bodies = public_keys(keyring.read_bytes())
    primaries = {sha1(body, usedforsecurity=False).hexdigest().upper() for body in bodies}
    named = set(re.findall(r'"([0-9A-F]{40})"', page))
    assert len(named) == 4
    assert named <= primaries


def public_keys(keyring: bytes) -> Iterator[bytes]:
    """Give what the fingerprint of each primary key is over (RFC 4880, 4.2 and 12.2)."""
    while keyring:
        tag, old = keyring[0], not keyring[0] & 0x40
        kind = (tag & 0x3C) >> 2 if old else tag & 0x3F
        if old:
            head = 1 + (1 << (tag & 3))
            size = int.from_bytes(keyring[1:head])
        else:
            head, size = _new_length(keyring)
        if kind == _PUBLIC_KEY:
            yield b"\x99" + size.to_bytes(2) + keyring[head : head + size]
        keyring = keyring[head + size :]


def _new_length(packet: bytes) -> tuple[int, int]:
    if packet[1] < _TWO_BYTES:
        return 2, packet[1]
    if packet[1] < _FOUR_BYTES:
        return 3, (packet[1] - _TWO_BYTES << 8) + packet[2] + _TWO_BYTES
    return 6, int.from_bytes(packet[2:6])


_PUBLIC_KEY, _TWO_BYTES, _FOUR_BYTES = 6, 192, 255


# -- what is revoked before it is upgraded to

ENDS = timedelta(days=60)
DELIVERED = """\
schema = 1
version = 1
expires = {ends}
[revocations]
file = "revocations.json"
[packages]
archives = "verified"
"""


class Vouching:
    """Delivers a policy, and what it revokes, to one machine that is set up to ask for it."""

    def __init__(self, machine: Machine, path: Path) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.repository = Repository(path, self.now)
        self.machine = configured(machine, f'[trust]\nsource = "{path}"\n')

    def publish(self, version: int, *digests: str) -> None:
        times = {"issued": self.now - DAY, "expires": self.now + ENDS}
        said = {name: f"{time:%Y-%m-%dT%H:%M:%SZ}" for name, time in times.items()}
        entries = [{"kind": "digest", "value": f"sha256:{one}"} for one in digests]
        listed = {"schema": 1, "version": version, **said, "entries": entries}
        files = {
            "policy.toml": DELIVERED.format(ends=said["expires"]).encode(),
            "revocations.json": json.dumps(listed).encode(),
        }
        self.repository.publish(files)

    def version(self) -> object:
        listed = self.machine("trust", "show", "--json").json["revocations"]
        assert isinstance(listed, dict)
        return listed["version"]


@pytest.fixture
def vouching(bench: Bench, tmp_path: Path) -> Iterator[Vouching]:
    made = Vouching(bench.machine, tmp_path / "tuf")
    made.publish(1)
    made.machine("trust", "update", "--root", str(made.repository.root_file(1)))
    yield made
    shutil.rmtree(bench.machine.snaproot / "record/trust")


def test_an_upgrade_asks_first_what_has_been_revoked(bench: Bench, vouching: Vouching) -> None:
    vouching.publish(2, sha256(bench.package.read_bytes()).hexdigest())
    vouching.machine("upgrade", "-n")
    assert vouching.version() == 1, "a dry run changed whom to believe"
    reason, message = bench.refused(vouching.machine, "upgrade", "-y")
    assert reason == "revoked.digest"
    assert message.startswith(f"{recipes.SCRIPT} ")
    assert "version 2 of the list" in message


def test_whoever_cannot_be_asked_is_named_and_what_was_delivered_holds(
    bench: Bench, vouching: Vouching
) -> None:
    shutil.rmtree(vouching.repository.path)
    said = vouching.machine("upgrade", "-y").err
    assert f"the policy could not be renewed: {vouching.repository.path}" in said
    bench.machine("abandon", "-y")


# -- what a policy may forbid


@pytest.mark.parametrize(
    ("rules", "words", "reason"),
    [
        ('archives = "refuse"\n', ("upgrade", "-y"), "packages.archives"),
        ('run = "refuse"\n', ("run", "true"), "packages.run"),
        ('run = "limit"\n', ("run", "--network", "true"), "packages.run"),
        ("", ("shell",), "packages.shell"),
    ],
)
def test_a_policy_can_forbid_all_of_it(
    bench: Bench, rules: str, words: tuple[str, ...], reason: str
) -> None:
    found, message = bench.refused(bench.under(rules), *words)
    assert found == reason
    assert message.endswith("; nothing was changed")


def test_an_expired_policy_permits_nothing(bench: Bench) -> None:
    machine = bench.under(VERIFIED, above="expires = 2026-11-02T00:00:00Z\n")
    for words in (("upgrade", "-y"), ("run", "true")):
        assert bench.refused(machine, *words)[0] == "policy.expired"
