"""The apt backend in real Debian roots, with archives as they should and as they should not be."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from integration import archive as recipes
from integration import debian
from integration.archive import Archive
from snaproot.config import Conffiles
from snaproot.errors import CommandFailed, Refused
from snaproot.filesystem import Workspace
from snaproot.packages import Progress
from snaproot.packages.apt import Apt
from snaproot.run import run
from snaproot.sandbox import Sandbox

pytestmark = pytest.mark.real


@dataclass(frozen=True)
class Bench:
    """One Btrfs with a Debian root; each test works on snapshots, with an archive of its own."""

    suite: str
    top: Path
    home: Path

    @property
    def parent(self) -> Path:
        return self.home / "parent"

    @property
    def target(self) -> Path:
        return self.home / "target"

    @property
    def archive(self) -> Archive:
        return Archive(self.home / "srv/archive", self.home / "work/keys", debian.raw(self.suite))

    def sandbox(self, *, writable: bool) -> Sandbox:
        name = "target" if writable else "parent"
        place = Workspace(name, self.home / name, {"/srv": self.home / "srv"})
        caches = {inside: self.home / "cache" / ours for inside, ours in Apt().caches().items()}
        return Sandbox(place, writable, caches)

    def fetched(self) -> None:
        """Do what comes before a target exists."""
        Apt().refresh(self.sandbox(writable=False), _quiet)
        Apt().download(self.sandbox(writable=False), _quiet)

    def upgraded(self, conffiles: Conffiles = Conffiles.KEEP) -> None:
        self.fetched()
        Apt(conffiles).upgrade(self.sandbox(writable=True), _quiet)

    def cached(self) -> set[str]:
        return {path.name for path in (self.home / "cache/apt/archives").glob("*.deb")}

    def versions(self, root: Path) -> dict[str, str]:
        return {name: Apt().installed(root).get(name, "") for name in recipes.RAW}


def _quiet(_progress: Progress) -> None:
    """Report to nobody."""


@pytest.fixture(scope="module", params=debian.SUITES)
def debian_root(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    suite: str = request.param
    image = debian.base(suite) / "root.img"
    with debian.disk(suite, tmp_path_factory.mktemp(suite), image=image) as top:
        yield suite, top


@pytest.fixture
def bench(debian_root: tuple[str, Path]) -> Iterator[Bench]:
    suite, top = debian_root
    made = Bench(suite, top, top / "bench")
    (made.home / "srv").mkdir(parents=True)
    run(["btrfs", "-q", "subvolume", "snapshot", str(top / "@"), str(made.parent)])
    Archive.create(made.archive.directory, made.home / "work", made.archive.raw)
    made.archive.install(made.parent)
    _snapshot(made)
    yield made
    run(["btrfs", "-q", "subvolume", "delete", str(made.parent), str(made.target)])
    shutil.rmtree(made.home)


def _snapshot(bench: Bench) -> None:
    if bench.target.exists():
        run(["btrfs", "-q", "subvolume", "delete", str(bench.target)])
    run(["btrfs", "-q", "subvolume", "snapshot", str(bench.parent), str(bench.target)])


def _generation(subvolume: Path) -> str:
    run(["btrfs", "filesystem", "sync", str(subvolume)])
    shown = run(["btrfs", "subvolume", "show", str(subvolume)]).output
    return next(line for line in shown.splitlines() if "Generation" in line and "@" not in line)


def test_maintainer_scripts_have_an_output_of_their_own(bench: Bench) -> None:
    """What a script prints is shown, and a script that cannot print fails."""

    def says(tree: Path) -> None:
        script = tree / "DEBIAN/postinst"
        place = "/usr/lib/mawk-output"
        text = script.read_text() if script.exists() else "#!/bin/sh\nset -e\n"
        lines = f"echo said by a script\nto=$(readlink /proc/$$/fd/1)\necho $to >{place}\n"
        first, _, rest = text.partition("\n")
        script.write_text(f"{first}\nset -e\n{lines}{rest}")
        script.chmod(0o755)

    bench.archive.publish("mawk", recipe=says)
    bench.upgraded()
    assert (bench.target / "usr/lib/mawk-output").read_text().startswith("pipe:")


def test_an_upgrade_goes_into_the_target_alone(bench: Bench) -> None:
    bench.archive.publish(*recipes.GOOD)
    run(["btrfs", "property", "set", str(bench.parent), "ro", "true"])
    before, parent = bench.versions(bench.parent), _generation(bench.parent)
    steps: list[Progress] = []
    bench.fetched()
    plan = Apt().plan(bench.sandbox(writable=False))
    Apt().upgrade(bench.sandbox(writable=True), steps.append)

    assert {change.name for change in plan.changes} == set(recipes.GOOD)
    for change in plan.changes:
        assert (change.before, change.after) == (
            before[change.name],
            bench.versions(bench.target)[change.name],
        )
        assert change.after.endswith("+demo1")
    assert (bench.target / recipes.MARK).is_file()
    assert steps[-1].fraction == 1.0
    assert bench.versions(bench.parent) == before
    assert _generation(bench.parent) == parent


def test_nothing_to_do_is_an_empty_plan(bench: Bench) -> None:
    Apt().refresh(bench.sandbox(writable=False), _quiet)
    plan = Apt().plan(bench.sandbox(writable=False))
    assert (plan.changes, plan.download, plan.disk) == ((), 0, 0)


@pytest.mark.parametrize("conffiles", Conffiles)
def test_the_admins_conffile_wins_unless_told_otherwise(bench: Bench, conffiles: Conffiles) -> None:
    (bench.target / "etc/issue").write_text("mine\n")
    bench.archive.publish(recipes.CONFFILE)
    bench.upgraded(conffiles)
    kept = (bench.target / "etc/issue").read_text() == "mine\n"
    assert kept is (conffiles is Conffiles.KEEP)


def test_a_failing_script_is_named(bench: Bench) -> None:
    bench.archive.publish(recipes.FAILING)
    with pytest.raises(
        CommandFailed, match=r"^apt-get exited 100: debianutils: .*status 1$"
    ) as seen:
        bench.upgraded()
    assert "a postinst that fails, on purpose" in seen.value.output


def _unsigned(bench: Bench) -> None:
    bench.archive.unsign()


def _wrongly_signed(bench: Bench) -> None:
    bench.archive.sign_wrongly()


def _wrongly_signed_later(bench: Bench) -> None:
    Apt().refresh(bench.sandbox(writable=False), _quiet)
    bench.archive.publish(recipes.NEW)
    bench.archive.sign_wrongly()


def _tampered(bench: Bench) -> None:
    bench.archive.tamper(recipes.SCRIPT)


def _unsigned_and_allowed(bench: Bench) -> None:
    bench.archive.unsign()
    for root in (bench.parent, bench.target):
        (root / "etc/apt/apt.conf.d/99lax").write_text(
            'Acquire::AllowInsecureRepositories "true";\nAPT::Get::AllowUnauthenticated "true";\n'
            'Acquire::AllowDowngradeToInsecureRepositories "true";\n'
            'Acquire::AllowWeakRepositories "true";\nAPT::Update::Error-Mode "none";\n'
        )


def _trusted_by_source(bench: Bench) -> None:
    bench.archive.unsign()
    source = bench.parent / "etc/apt/sources.list.d/demo.sources"
    source.write_text(source.read_text().replace("Signed-By:", "Trusted: yes\nSigned-By:"))


def _trusted_by_line(bench: Bench) -> None:
    bench.archive.unsign()
    (bench.parent / "etc/apt/sources.list.d/demo.sources").unlink()
    (bench.parent / "etc/apt/elsewhere.list").write_text(
        "deb [arch=amd64 trusted=yes] file:/srv/archive demo main\n"
    )
    (bench.parent / "etc/apt/apt.conf.d/99else").write_text(
        'Dir::Etc::sourcelist "elsewhere.list";\n'
    )


# Each with the words of the wall that holds, and whether an index was good before.
WRONG: tuple[tuple[Callable[[Bench], None], str, bool], ...] = (
    (_unsigned, "does not trust", False),
    (_wrongly_signed, "does not trust", False),
    (_wrongly_signed_later, "does not trust", True),
    (_tampered, "does not trust", True),
    (_unsigned_and_allowed, "does not trust", False),
    (_trusted_by_source, "switches signature checks off", False),
    (_trusted_by_line, "switches signature checks off", False),
)


@pytest.mark.parametrize(
    ("wrong", "words", "indexed"), WRONG, ids=[case[0].__name__.strip("_") for case in WRONG]
)
def test_what_is_not_signed_is_not_applied(
    bench: Bench, wrong: Callable[[Bench], None], words: str, indexed: bool
) -> None:
    bench.archive.publish(recipes.SCRIPT)
    before = bench.versions(bench.target)
    wrong(bench)
    with pytest.raises(Refused, match=words):
        bench.upgraded()
    assert bench.versions(bench.target) == before
    assert any((bench.home / "cache/apt/lists").glob("*_Packages*")) is indexed


def test_what_was_fetched_is_applied_without_network_and_as_it_was(bench: Bench) -> None:
    bench.archive.publish(recipes.SCRIPT)
    with recipes.served(bench.archive.directory) as uri:
        bench.archive.install(bench.parent, uri=uri)
        _snapshot(bench)
        Apt().refresh(bench.sandbox(writable=False), _quiet)
        needed = Apt().plan(bench.sandbox(writable=False)).download
        Apt().download(bench.sandbox(writable=False), _quiet)
    package = next((bench.home / "cache/apt/archives").glob("*.deb"))
    assert package.stat().st_size == needed
    again = Apt().plan(bench.sandbox(writable=False))
    assert again.download == 0
    assert [one.digest for one in again.vouched] == [sha256(package.read_bytes()).hexdigest()]
    Apt().download(bench.sandbox(writable=False), _quiet)  # nobody serves it any more

    content = bytearray(package.read_bytes())
    content[-1] ^= 1
    package.write_bytes(content)
    with pytest.raises(Refused, match="in the cache is not what the signed index names"):
        Apt().upgrade(bench.sandbox(writable=True), _quiet)

    content[-1] ^= 1
    package.write_bytes(content)
    Apt().upgrade(bench.sandbox(writable=True), _quiet)
    assert bench.versions(bench.target)[recipes.SCRIPT].endswith("+demo1")


def test_what_an_earlier_upgrade_fetched_goes(bench: Bench) -> None:
    bench.archive.publish(recipes.SCRIPT, recipes.DEPENDENCY, recipes.NEW)
    with recipes.served(bench.archive.directory) as uri:
        bench.archive.install(bench.parent, uri=uri)
        _snapshot(bench)
        bench.fetched()
        first = bench.cached()
        bench.fetched()
        assert bench.cached() == first != set()
        bench.archive.publish(recipes.SCRIPT, revision=2)
        bench.fetched()
        assert len(bench.cached()) == len(first)
        assert len(bench.cached() - first) == 1
        Apt().upgrade(bench.sandbox(writable=True), _quiet)
        assert bench.versions(bench.target)[recipes.SCRIPT].endswith("+demo2")
