"""The Debian packages, on clean roots of their suites that reach no network."""

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from contrib.debian import build
from integration import cleanroot
from integration.cleanroot import Root, copied
from snaproot.run import run

pytestmark = pytest.mark.real

OWN = re.compile(
    r"etc/snaproot$|usr/bin/snaproot$|usr/lib/snaproot/|usr/share/doc/snaproot/"
    r"|usr/share/man/man8/snaproot\.8\.gz$|usr/lib/systemd/system(/snaproot[^/]*)?$"
    r"|usr/share/man/man5/snaproot-policy\.5\.gz$"
    r"|usr/lib/systemd/system/multi-user\.target\.wants(/snaproot[^/]*)?$"
    r"|usr/lib/systemd/system-generators(/snaproot[^/]*)?$"
    r"|usr/share/initramfs-tools/(hooks|scripts/local-bottom)/snaproot$"
    r"|usr/lib/dracut/modules\.d/91snaproot(/|$)"
    r"|usr/share/bash-completion/completions/snaproot$"
    r"|usr/share/zsh/vendor-completions/_snaproot$"
    r"|usr/share/fish/vendor_completions\.d/snaproot\.fish$"
)
PACKAGE_DATABASE = re.compile(r"var/lib/dpkg|var/log|var/cache/(apt|ldconfig)|var/lib/apt")
GENERATOR = "usr/lib/systemd/system-generators/snaproot-generator"
HOOKS = (
    "usr/share/initramfs-tools/hooks/snaproot",
    "usr/share/initramfs-tools/scripts/local-bottom/snaproot",
    "usr/lib/dracut/modules.d/91snaproot/module-setup.sh",
    "usr/lib/dracut/modules.d/91snaproot/snaproot-etc.sh",
)
CONFIGURED = "install ok installed"
TIME = 1_700_000_000


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("packages")
    for suite in build.SUITES.values():
        build.build(suite, output, TIME)
    return output


@pytest.fixture(scope="module", params=build.SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def package(packages: Path, suite: str) -> Path:
    return next(packages.glob(f"snaproot_*~{suite}_amd64.deb"))


@pytest.fixture
def clean(suite: str, package: Path) -> Iterator[Root]:
    """Yield a minimal root, the packages that snaproot depends on downloaded but not installed."""
    with copied(cleanroot.clean(suite), suite, package) as root:
        yield root


@pytest.fixture
def ready(suite: str, package: Path) -> Iterator[Root]:
    """Yield a minimal root with the packages that snaproot depends on."""
    with copied(cleanroot.ready(suite), suite, package) as root:
        yield root


@pytest.fixture(scope="module")
def installed(suite: str, package: Path) -> Iterator[Root]:
    """Yield a root with snaproot installed; for tests that change nothing in it."""
    with copied(cleanroot.ready(suite), suite, package) as root:
        root.run("dpkg", "--force-unsafe-io", "--install", package.name)
        yield root


def state(root: Root) -> str:
    query = ("dpkg-query", "--show", "--showformat=${Version} ${Status}", "snaproot")
    return root.run(*query, check=False).output


def walk(root: Path) -> dict[str, tuple[object, ...]]:
    """Describe everything in a root but the package database: type, mode, owner, content."""
    found: dict[str, tuple[object, ...]] = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if not PACKAGE_DATABASE.match(name):
            found[name] = described(path)
    return found


def described(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    content: object = None
    if stat.S_ISREG(status.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    elif stat.S_ISLNK(status.st_mode):
        content = path.readlink()
    return status.st_mode, status.st_uid, status.st_gid, content


def older(package: Path, place: Path) -> Path:
    """Repack a package as version 0.0.1, with a module that the real one no longer has."""
    tree = place / "older"
    run(["dpkg-deb", "--raw-extract", str(package), str(tree)])
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*~", "Version: 0.0.1~", control.read_text()))
    (tree / build.PRIVATE / "snaproot/gone.py").write_text("")
    run(["dpkg-deb", "-Zzstd", "--root-owner-group", "--build", str(tree), str(place)])
    return next(place.glob("snaproot_0.0.1*.deb"))


def test_a_clean_root_needs_no_network(clean: Root) -> None:
    clean.run("apt-get", "install", "--yes", f"./{clean.package.name}")
    assert clean.run("snaproot", "--version").output.split()[-1] == build.version()
    assert clean.run("snaproot", "doctor", check=False).status == 3


def test_purge_leaves_nothing(ready: Root) -> None:
    before = walk(ready.path)
    ready.run("dpkg", "--force-unsafe-io", "--install", ready.package.name)
    (ready.path / "etc/snaproot/snaproot.toml").write_text("")
    ready.run("snaproot", "--version")
    ready.run("dpkg", "--purge", "snaproot")
    assert walk(ready.path) == before


def test_upgrade_leaves_nothing_of_the_older(ready: Root, tmp_path: Path) -> None:
    earlier = older(ready.package, tmp_path)
    (ready.path / "older.deb").write_bytes(earlier.read_bytes())
    ready.run("dpkg", "--force-unsafe-io", "--install", "/older.deb")
    assert state(ready) == f"0.0.1~{ready.suite} {CONFIGURED}"
    ready.run("dpkg", "--force-unsafe-io", "--install", ready.package.name)
    assert state(ready) == f"{build.version()}~{ready.suite} {CONFIGURED}"
    assert not [*(ready.path / build.PRIVATE).rglob("gone*")]
    assert ready.run("snaproot", "--version").output.split()[-1] == build.version()


def test_everything_is_where_a_package_may_put_it(installed: Root) -> None:
    listed = installed.run("dpkg-query", "--listfiles", "snaproot").output.splitlines()
    parents = {str(parent) for name in listed for parent in Path(name).parents}
    strange = [name for name in listed if name not in parents and not OWN.match(name[1:])]
    assert strange in ([], ["/."])


def test_owners_and_modes(package: Path) -> None:
    programs = {"usr/bin/snaproot", "usr/lib/snaproot/boot", GENERATOR, *HOOKS}
    for line in run(["dpkg-deb", "--contents", str(package)]).output.splitlines():
        mode, owner, _, _, _, name, *link = line.split()
        expected = "drwxr-xr-x" if name.endswith("/") else "-rw-r--r--"
        expected = "lrwxrwxrwx" if link else expected
        assert owner == "root/root", line
        runs = name.removeprefix("./") in programs
        assert mode == ("-rwxr-xr-x" if runs else expected), line


def test_bytecode_is_there_before_the_root_is_sealed(installed: Root) -> None:
    private = installed.path / build.PRIVATE
    tag = f"cpython-3{build.SUITES[installed.suite].minor}"
    sources = [*private.rglob("*.py")]
    compiled = [path for path in private.rglob("*.pyc") if tag in path.name]
    assert len(compiled) == len(sources)
    assert {path.read_bytes()[4] for path in compiled} == {1}, "PEP 552: hash-based, unchecked"


def plant_foreign_code(root: Root) -> None:
    library = f"lib/python{build.SUITES[root.suite].python}"
    local = f"usr/local/{library}/dist-packages"
    for place in ("foreign", local, f"root/.local/{library}/site-packages"):
        (root.path / place).mkdir(parents=True, exist_ok=True)
        for name in ("sitecustomize", "usercustomize", "typer", "snaproot", "tomllib"):
            (root.path / place / f"{name}.py").write_text("raise SystemExit('foreign code')")


def test_foreign_python_code_is_not_loaded(installed: Root) -> None:
    with copied(installed.path, installed.suite, installed.package) as root:
        plant_foreign_code(root)
        asked = root.run("snaproot", "--version", PYTHONPATH="/foreign", HOME="/root")
    assert asked.output.split()[-1] == build.version()


def test_every_library_loads_on_the_suites_python(installed: Root) -> None:
    installed.run(*loads_everything(installed.path, installed.suite))


def loads_everything(root: Path, suite: str) -> list[str]:
    """Return what loads every library in a root, from where its launcher looks for them."""
    names = "btrfsutil rich.console sigstore.sign sigstore.verify tomli_w typer snaproot.system"
    launcher = (root / "usr/bin/snaproot").read_text()
    paths = [line for line in launcher.splitlines() if line.startswith(("import", "sys.path"))]
    code = "\n".join([*paths, *(f"import {name}" for name in names.split())])
    return [f"python{build.KNOWN[suite].python}", "-IBS", "-c", code]


def test_bash_completes_a_command(installed: Root) -> None:
    script = f". /{build.COMPLETIONS['bash']}; COMP_WORDS=(snaproot up) COMP_CWORD=1"
    asked = f'{script}; _snaproot_completion snaproot; echo "${{COMPREPLY[@]}}"'
    assert "upgrade" in installed.run("bash", "-c", asked).output.split()


@pytest.mark.parametrize(
    ("shell", "first"), [("zsh", "#compdef snaproot"), ("fish", "complete --command snaproot")]
)
def test_other_shells_find_their_completion(installed: Root, shell: str, first: str) -> None:
    assert (installed.path / build.COMPLETIONS[shell]).read_text().startswith(first)


def test_dpkg_finds_its_own_checksums(installed: Root) -> None:
    assert installed.run("dpkg", "--verify", "snaproot").output == ""


def test_the_same_tree_makes_the_same_bytes(suite: str, tmp_path: Path) -> None:
    made = []
    for name, mask in (("first", 0o022), ("second", 0o077)):
        (tmp_path / name).mkdir()
        before = os.umask(mask)
        try:
            made.append(build.build(build.SUITES[suite], tmp_path / name, TIME).read_bytes())
        finally:
            os.umask(before)
    assert made[0] == made[1]
