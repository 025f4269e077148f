"""apt and dpkg, as found inside a Debian or Ubuntu root.

The indexes and packages are fetched in a read-only sandbox of the parent, where no maintainer
script can run; the upgrade runs in the target, without network, from what was fetched.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from snaproot import shims
from snaproot.config import Conffiles
from snaproot.environment import PackageChange
from snaproot.errors import CommandFailed, SnaprootError
from snaproot.hashing import file_sha256
from snaproot.inside import Inside
from snaproot.packages import (
    Outcome,
    Plan,
    Progress,
    Report,
    aptlists,
    aptoutput,
    aptstrict,
    apttrust,
)
from snaproot.packages.aptlists import LISTS
from snaproot.packages.aptoutput import Archive
from snaproot.run import Completed
from snaproot.sandbox import Sandbox
from snaproot.trust.facts import Distrusted
from snaproot.trust.policy import Archives, Leave, Packages
from snaproot.wording import some

VERIFIED = Packages(archives=Archives.VERIFIED)
"""What holds where nobody said anything: what apt itself verifies."""
ARCHIVES = "/var/cache/apt/archives"
_STATUS = ("usr/lib/sysimage/dpkg/status", "var/lib/dpkg/status")

_PLAIN = {
    "APT::Get::List-Cleanup": "true",  # what is in the lists is of the root's sources
    "APT::Get::Show-User-Simulation-Note": "false",
    "APT::List-Cleanup": "true",
    "Acquire::ForceHash": "SHA256",  # what --print-uris prints, else it is MD5
    "Dir::Cache::archives": f"{ARCHIVES}/",
    "Dir::Cache::pkgcache": "",
    "Dir::Cache::srcpkgcache": "",
    "Dir::State::lists": f"{LISTS}/",
    "Dpkg::Use-Pty": "false",
    "quiet": "1",
}
_SPEAKING = {**_PLAIN, "APT::Status-Fd": "3"}
_WITH_STATUS = ("sh", "-c", 'exec "$@" 3>&1', "sh")
"""apt closes the descriptor of its status to dpkg: with 1 no maintainer script could print."""
_QUIET = {
    "APT_LISTCHANGES_FRONTEND": "none",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBIAN_PRIORITY": "critical",
    "NEEDRESTART_SUSPEND": "1",
}
_DPKG = {
    Conffiles.KEEP: ("--force-confdef", "--force-confold"),
    Conffiles.NEW: ("--force-confnew",),
}
_UCF = {Conffiles.KEEP: "UCF_FORCE_CONFFOLD", Conffiles.NEW: "UCF_FORCE_CONFFNEW"}
_NO_CACHE = "-oDir::Cache::archives=/tmp/none/"
"""apt does not print what is in its cache already; all that will be installed is wanted."""
_OLDER = """\
while [ $# -gt 0 ]; do
    if ! dpkg --compare-versions "$3" ge "$2"; then echo "$1 $2 → $3"; fi
    shift 3
done
"""


@dataclass(frozen=True, slots=True)
class Apt:
    """The apt backend. `conffiles`: who wins where both the admin and the package changed one.

    `rules` are those of the policy, which apt's own checks are held to.
    """

    conffiles: Conffiles = Conffiles.KEEP
    rules: Packages = VERIFIED

    def caches(self) -> Mapping[str, str]:
        return {LISTS: "apt/lists", ARCHIVES: "apt/archives"}

    def refresh(self, sandbox: Sandbox, report: Report) -> None:
        _prepare(sandbox)
        found = apttrust.read(sandbox)
        apttrust.check_configuration(found, self.rules)
        # Without "any", a wrong signature over a known index is a warning, and the status is 0.
        argv = self._apt_get({**_SPEAKING, "APT::Update::Error-Mode": "any"}, "update")
        self._follow(sandbox, argv, "refreshing the package indexes", report, network=True)
        aptlists.keep(sandbox)
        apttrust.check_archives(sandbox, found, self.rules)

    def plan(self, sandbox: Sandbox) -> Plan:
        simulated = self._ask(sandbox, "--simulate", "dist-upgrade")
        printed = self._ask(sandbox, _NO_CACHE, "--print-uris", "dist-upgrade")
        changes, archives = aptoutput.changes(simulated), aptoutput.archives(printed)
        self._refuse_older(sandbox, changes)
        cache = sandbox.caches.get(ARCHIVES)
        missing = [
            archive
            for archive in archives
            if archive.fetched and not (cache and _has_size(cache / archive.name, archive))
        ]
        return Plan(
            changes=changes,
            download=sum(archive.size for archive in missing),
            disk=aptoutput.disk(printed),
            vouched=aptoutput.vouched(archives),
        )

    def download(self, sandbox: Sandbox, report: Report) -> None:
        _prepare(sandbox)
        self._forget(sandbox)
        argv = self._apt_get(_SPEAKING, "--yes", "--download-only", "dist-upgrade")
        self._follow(sandbox, argv, "downloading packages", report, network=True)

    def upgrade(self, sandbox: Sandbox, report: Report) -> Outcome:
        found = apttrust.read(sandbox)
        apttrust.check_configuration(found, self.rules)
        apttrust.check_archives(sandbox, found, self.rules)
        archives = self._checked_archives(sandbox)
        # Not --no-download, with which apt finds no package of a file: source; there is no network.
        options = {**_SPEAKING, "DPkg::Path": shims.PATH, "Acquire::Retries": "0"}
        forced = [f"-oDPkg::Options::={option}" for option in _DPKG[self.conffiles]]
        argv = self._apt_get(options, *forced, "--yes", "dist-upgrade")
        extra = {**_QUIET, _UCF[self.conffiles]: "1"}
        done = self._follow(sandbox, argv, "upgrading packages", report, extra=extra)
        return Outcome(
            warnings=aptoutput.hook_warnings(done.output),
            shimmed=done.shimmed,
            vouched=aptoutput.vouched(archives, found.architecture),
        )

    def installed(self, root: Path) -> Mapping[str, str]:
        inside = Inside(root)
        for name in _STATUS:
            with suppress(OSError):
                status = inside.locate(name).read_text("utf-8", errors="replace")
                return aptoutput.installed(status)
        raise SnaprootError(f"{root} has no dpkg status file", hint=f"looked for {_STATUS[0]}")

    def _apt_get(self, options: Mapping[str, str], *words: str) -> list[str]:
        """Put options where they win over whatever a root's own apt.conf(5) says."""
        strict = {**options, **aptstrict.options(self.rules)}
        return ["apt-get", *(f"-o{name}={value}" for name, value in strict.items()), *words]

    def _ask(self, sandbox: Sandbox, *words: str) -> str:
        argv = self._apt_get(_PLAIN, *words)
        done = sandbox.run(argv, check=False)
        self._check(argv, done.status, done.output + done.errors)
        return done.output

    def _follow(
        self,
        sandbox: Sandbox,
        argv: Sequence[str],
        step: str,
        report: Report,
        *,
        network: bool = False,
        extra: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run apt-get and report how far it is."""
        report(Progress(step))

        def line(text: str) -> None:
            fraction = aptoutput.progress(text)
            if fraction is not None:
                report(Progress(step, fraction))

        done = sandbox.stream([*_WITH_STATUS, *argv], line, network=network, extra=extra)
        self._check(argv, done.status, done.output, trusting=not network)
        report(Progress(step, 1.0))
        return done

    def _check(
        self, argv: Sequence[str], status: int, output: str, *, trusting: bool = False
    ) -> None:
        """Raise Distrusted for what is not trusted, CommandFailed for the rest.

        Where all has to be signed, the status does not matter: apt calls much a mere warning. When
        it applies what was verified already, maintainer scripts speak as well, of modules that are
        not signed for one: what they say is no matter of archives (`trusting`).
        """
        if status != 0 or not (trusting or aptstrict.lenient(self.rules)):
            for refused in _distrusted(output):
                raise refused
        if status != 0:
            said = f"{aptoutput.spoken(output)}\n{aptoutput.last_words(output)}"
            raise CommandFailed((argv[0], *argv[-1:]), status, said)

    def _refuse_older(self, sandbox: Sandbox, changes: Sequence[PackageChange]) -> None:
        """Raise Distrusted where a package would become older: it has holes that were mended."""
        both = [one for one in changes if one.before and one.after]
        if self.rules.downgrade is Leave.ALLOW or not both:
            return
        words = [word for one in both for word in (one.name, one.before, one.after)]
        older = sandbox.run(["sh", "-c", _OLDER, "sh", *words]).output.splitlines()
        if older:
            raise _downgrade(f"the upgrade would make packages older: {some(older)}")

    def _forget(self, sandbox: Sandbox) -> None:
        """Remove what upgrades before this one fetched, or the cache would grow for ever."""
        printed = self._ask(sandbox, _NO_CACHE, "--print-uris", "dist-upgrade")
        needed = {archive.name for archive in aptoutput.archives(printed)}
        cache = sandbox.caches.get(ARCHIVES)
        for path in cache.rglob("*.deb") if cache else ():
            if path.name not in needed:
                path.unlink()

    def _checked_archives(self, sandbox: Sandbox) -> Sequence[Archive]:
        """Compare what is in the cache with the signed indexes: apt itself looks at sizes alone."""
        cache = sandbox.caches.get(ARCHIVES)
        archives = aptoutput.archives(self._ask(sandbox, _NO_CACHE, "--print-uris", "dist-upgrade"))
        for archive in archives:
            if cache and archive.fetched and not _has_digest(cache / archive.name, archive):
                raise Distrusted(
                    "package.digest",
                    f"{archive.name} in the cache is not what the signed index names; "
                    "nothing of it was used",
                    hint=f"remove {cache / archive.name} and try again",
                )
        return archives


def _prepare(sandbox: Sandbox) -> None:
    """Make snaproot's cache directories; apt itself makes what it wants in them."""
    for ours in sandbox.caches.values():
        ours.mkdir(parents=True, exist_ok=True)


def _distrusted(output: str) -> Iterator[Distrusted]:
    """Say what apt itself has refused, or had better."""
    if stale := aptoutput.stale(output):
        yield Distrusted(
            "archive.expired",
            f"an archive's index is not of this time: {stale}; nothing of it was used",
            hint="its mirror is not kept up to date any more, or this machine's clock is wrong",
        )
    if untrusted := aptoutput.distrust(output):
        yield Distrusted(
            "archive.untrusted",
            f"apt does not trust an archive: {untrusted}; nothing of it was used",
            hint="compare the key that Signed-By names with the one the archive is signed with",
        )
    if aptoutput.downgrades(output):
        yield _downgrade("the upgrade would make packages older")


def _downgrade(what: str) -> Distrusted:
    return Distrusted(
        "package.downgrade",
        f"{what}; nothing was changed",
        hint="a pin above 1000 in /etc/apt/preferences.d asks for that: take it out, or let the "
        'policy say packages.downgrade = "allow"',
    )


def _has_size(path: Path, archive: Archive) -> bool:
    return path.is_file() and path.stat().st_size == archive.size


def _has_digest(path: Path, archive: Archive) -> bool:
    if not archive.digest or not _has_size(path, archive):
        return False
    with path.open("rb") as file:
        return file_sha256(file) == archive.digest
