"""A small signed apt archive: a suite's own packages, rebuilt with higher versions.

`Archive.create(...)`, `.publish(...)`, `.install(root)`; and the ways in which it can be wrong.
"""

import re
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from integration.repack import repacked
from snaproot.run import Completed, run

SUITE = "demo"
SCRIPT, CONFFILE, DEPENDENCY, NEW, FAILING = "mawk", "base-files", "zstd", "tree", "debianutils"
GOOD = (SCRIPT, CONFFILE, DEPENDENCY, NEW)
RAW = (*GOOD, FAILING)
WORDS = "The archive of snaproot's demonstration was here."
KEY = "archive.asc"
"""The public key, beside the secret one."""

Recipe = Callable[[Path], None]
"""Changes an unpacked package."""

MARK = "var/lib/mawk-demo/upgraded-from"
_PLACE = f"dists/{SUITE}"


@dataclass(frozen=True, slots=True)
class Archive:
    """What apt is served from `directory`. `keys` is thrown away with whatever holds it."""

    directory: Path
    keys: Path
    raw: Path

    @classmethod
    def create(cls, directory: Path, work: Path, raw: Path) -> "Archive":
        """Make an empty archive with a new key; `work` holds what is not served."""
        made = cls(directory, work / "keys", raw)
        made.keys.mkdir(mode=0o700, parents=True)
        (directory / _PLACE).mkdir(parents=True)
        made._new_key("archive")
        made._sign("archive")
        return made

    @property
    def key(self) -> bytes:
        """Return the public key, as Signed-By takes it."""
        return (self.keys / KEY).read_bytes()

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of that key."""
        listed = self._gpg("--list-keys", "--with-colons", "archive").output.splitlines()
        return next(line.split(":")[9] for line in listed if line.startswith("fpr:"))

    def publish(self, *names: str, revision: int = 1, recipe: Recipe | None = None) -> None:
        """Rebuild packages with a higher version, add them, and sign the index anew.

        `recipe` changes the unpacked package in place of what is usual for that one.
        """
        for name in names:
            self._rebuild(name, revision, recipe or RECIPES[name])
        self._sign("archive")

    def repack(self, root: Path, *sources: str, revision: int = 1) -> list[str]:
        """Add all installed packages of some source packages, with higher versions."""
        pool, work = self.directory / "pool", self.keys.parent / "trees"
        pool.mkdir(exist_ok=True)
        work.mkdir()
        names = repacked(root, sources, pool, work, f"+demo{revision}")
        self._sign("archive")
        return names

    def withdraw(self, *names: str) -> None:
        """Take packages out again, and sign the index anew."""
        for name in names:
            for package in (self.directory / "pool").glob(f"{name}_*.deb"):
                package.unlink()
        self._sign("archive")

    def install(self, root: Path, *, uri: str = "file:/srv/archive") -> None:
        """Make this the one archive of a root: its key, its source, and no other source."""
        etc = root / "etc/apt"
        for other in (etc / "sources.list", *(etc / "sources.list.d").glob("*")):
            other.unlink(missing_ok=True)
        (etc / "keyrings").mkdir(exist_ok=True)
        (etc / "keyrings/demo.asc").write_bytes(self.key)
        (etc / "sources.list.d/demo.sources").write_text(
            f"Types: deb\nURIs: {uri}\nSuites: {SUITE}\nComponents: main\n"
            "Signed-By: /etc/apt/keyrings/demo.asc\n",
            encoding="utf-8",
        )

    def unsign(self) -> None:
        """Leave the index without any signature."""
        (self.directory / _PLACE / "InRelease").unlink()

    def sign_wrongly(self) -> None:
        """Sign the index with a key that nobody was told of."""
        self._new_key("stranger")
        self._sign("stranger")

    def sign(self, *, age: timedelta = timedelta(), lasting: timedelta | None = None) -> None:
        """Sign the index anew, as if made a while ago, and valid from then on for a while."""
        self._sign("archive", age=age, lasting=lasting)

    def detach(self) -> None:
        """Have the signature in a file of its own, as old archives do."""
        place = self.directory / _PLACE
        (place / "InRelease").unlink()
        said = [
            "--local-user",
            "archive",
            "--armor",
            "--output",
            str(place / "Release.gpg"),
            "--detach-sign",
        ]
        self._gpg(*said, str(place / "Release"))

    def indexed(self, keep: Path) -> None:
        """Keep a copy of the index as it is, with its signature."""
        shutil.copytree(self.directory / _PLACE, keep)

    def replay(self, kept: Path) -> None:
        """Serve an index again that was kept."""
        shutil.rmtree(self.directory / _PLACE)
        shutil.copytree(kept, self.directory / _PLACE)

    def tamper(self, name: str) -> None:
        """Change one byte of a package after the index was signed; its size stays."""
        package = next((self.directory / "pool").glob(f"{name}_*.deb"))
        content = bytearray(package.read_bytes())
        content[-1] ^= 1
        package.write_bytes(content)

    def _rebuild(self, name: str, revision: int, recipe: Recipe) -> None:
        tree, pool = self.keys.parent / "tree", self.directory / "pool"
        pool.mkdir(exist_ok=True)
        original = next(self.raw.glob(f"{name}_*.deb"))
        run(["rm", "-rf", "--", str(tree)])
        run(["dpkg-deb", "--raw-extract", str(original), str(tree)])
        version = _raise_version(tree / "DEBIAN/control", revision)
        recipe(tree)
        package = pool / f"{name}_{version.replace(':', '%3a')}.deb"
        run(["dpkg-deb", "-Zgzip", "-z1", "--build", str(tree), str(package)])

    def _sign(
        self, name: str, *, age: timedelta = timedelta(), lasting: timedelta | None = None
    ) -> None:
        """Index the pool and sign the result, as one InRelease."""
        index = self.directory / _PLACE / f"main/binary-{_architecture()}"
        index.mkdir(parents=True, exist_ok=True)
        (self.directory / "pool").mkdir(exist_ok=True)
        (index / "Packages").write_text(self._indexed("packages", "pool"), encoding="utf-8")
        place = self.directory / _PLACE
        for stale in ("Release", "Release.gpg", "InRelease"):
            (place / stale).unlink(missing_ok=True)
        release = _dated(self._indexed("release", _PLACE), datetime.now(UTC) - age, lasting)
        (place / "Release").write_text(release, encoding="utf-8")
        said = [
            "--local-user",
            name,
            "--digest-algo",
            "SHA512",
            "--output",
            str(place / "InRelease"),
        ]
        self._gpg(*said, "--clear-sign", str(place / "Release"))

    def _indexed(self, *words: str) -> str:
        facts = {"Suite": SUITE, "Codename": SUITE, "Components": "main", "Origin": "snaproot demo"}
        facts["Architectures"] = _architecture()
        options = [f"-oAPT::FTPArchive::Release::{key}={value}" for key, value in facts.items()]
        return run(["env", f"--chdir={self.directory}", "apt-ftparchive", *options, *words]).output

    def _new_key(self, name: str) -> None:
        made = ["--passphrase", "", "--quick-generate-key", name, "ed25519", "sign", "never"]
        self._gpg(*made)
        exported = self._gpg("--armor", "--export", name).output
        (self.keys / f"{name}.asc").write_text(exported, encoding="ascii")

    def _gpg(self, *words: str) -> Completed:
        """Run gpg with its agent dying with it, and where the agent's socket has a short name.

        A socket's path has at most 107 bytes (unix(7)).
        """
        alone = ["bwrap", "--die-with-parent", "--unshare-pid", "--dev-bind", "/", "/"]
        place = ["--proc", "/proc", "--tmpfs", "/run", "--bind", str(self.keys), "/run/keys"]
        quiet = ["--batch", "--quiet", "--homedir", "/run/keys", "--pinentry-mode", "loopback"]
        return run([*alone, *place, "gpg", *quiet, *words])


def _dated(release: str, made: datetime, lasting: timedelta | None) -> str:
    until = f"Valid-Until: {_time(made + lasting)}\n" if lasting is not None else ""
    dated = f"Date: {_time(made)}\n{until}"
    return re.sub(r"^Date: .*\n", dated, release, count=1, flags=re.MULTILINE)


def _time(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


class _Files(SimpleHTTPRequestHandler):
    def send_head(self) -> BytesIO | BinaryIO | None:
        """Send it again: of two changes within a second, a date would tell of one."""
        del self.headers["If-Modified-Since"]
        return super().send_head()

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """Serve a directory over HTTP, and yield its URI."""
    handler = partial(_Files, directory=str(directory))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def _architecture() -> str:
    return run(["dpkg", "--print-architecture"]).output.strip()


def _raise_version(control: Path, revision: int) -> str:
    text = control.read_text(encoding="utf-8")
    raised = re.sub(r"^(Version: .*)$", rf"\1+demo{revision}", text, flags=re.MULTILINE)
    control.write_text(raised, encoding="utf-8")
    return next(found[1] for found in re.finditer(r"^Version: (.*)$", raised, re.MULTILINE))


def _with_script(tree: Path) -> None:
    """Let a maintainer script leave something in `/var` and in `/usr`."""
    place = f"/{Path(MARK).parent}"
    _append(tree / "DEBIAN/postinst", f'mkdir -p {place}\necho "$2" > /{MARK}\n')


def _with_conffile(tree: Path) -> None:
    issue = tree / "etc/issue"
    issue.write_text(f"{issue.read_text(encoding='utf-8')}{WORDS}\n", encoding="utf-8")


def _with_dependency(tree: Path) -> None:
    control = tree / "DEBIAN/control"
    text = control.read_text(encoding="utf-8")
    changed = re.sub(r"^Depends: ", f"Depends: {NEW}, ", text, flags=re.MULTILINE)
    control.write_text(changed, encoding="utf-8")


def _with_failure(tree: Path) -> None:
    script = tree / "DEBIAN/postinst"
    script.write_text(
        "#!/bin/sh\necho 'debianutils: a postinst that fails, on purpose' >&2\nexit 1\n",
        encoding="utf-8",
    )
    script.chmod(0o755)


def _append(script: Path, lines: str) -> None:
    """Put lines before the first command of a maintainer script, whatever it ends with."""
    first, _, rest = script.read_text(encoding="utf-8").partition("\n")
    script.write_text(f"{first}\n{lines}{rest}", encoding="utf-8")


def _unchanged(_tree: Path) -> None:
    """Take the package as it is, but for the version."""


RECIPES: dict[str, Callable[[Path], None]] = {
    SCRIPT: _with_script,
    CONFFILE: _with_conffile,
    DEPENDENCY: _with_dependency,
    NEW: _unchanged,
    FAILING: _with_failure,
}


def versions(raw: Path, names: Sequence[str] = RAW) -> dict[str, str]:
    """Return the versions of the packages before they are rebuilt."""
    fields = {name: next(raw.glob(f"{name}_*.deb")) for name in names}
    return {
        name: run(["dpkg-deb", "--field", str(path), "Version"]).output.strip()
        for name, path in fields.items()
    }
