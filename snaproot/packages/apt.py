"""apt and dpkg, as found inside a Debian or Ubuntu root.

The indexes and packages are fetched in a read-only sandbox of the parent, where no maintainer
script can run; the upgrade runs in the target, without network, from what was fetched.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from snaproot import shims
from snaproot.config import Conffiles
from snaproot.errors import CommandFailed, Refused, SnaprootError
from snaproot.hashing import file_sha256
from snaproot.inside import Inside
from snaproot.packages import Outcome, Plan, Progress, Report, aptoutput
from snaproot.packages.aptoutput import Archive
from snaproot.run import Completed
from snaproot.sandbox import Sandbox

LISTS = "/var/lib/apt/lists"
ARCHIVES = "/var/cache/apt/archives"
_STATUS = ("usr/lib/sysimage/dpkg/status", "var/lib/dpkg/status")

# On the command line they win over whatever a root's own apt.conf(5) says.
_STRICT = {
    "APT::Authentication::TrustCDROM": "false",
    "APT::Get::AllowUnauthenticated": "false",
    "Acquire::AllowDowngradeToInsecureRepositories": "false",
    "Acquire::AllowInsecureRepositories": "false",
    "Acquire::AllowWeakRepositories": "false",
}
_PLAIN = {
    **_STRICT,
    "APT::Get::Show-User-Simulation-Note": "false",
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
_READ_SOURCES = """\
eval "$(apt-config shell list Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d)"
for file in "$list" "$parts"/*.list "$parts"/*.sources; do
    if [ -f "$file" ]; then cat "$file"; echo; fi
done
"""


@dataclass(frozen=True, slots=True)
class Apt:
    """The apt backend. `conffiles`: who wins where both the admin and the package changed one."""

    conffiles: Conffiles = Conffiles.KEEP

    def caches(self) -> Mapping[str, str]:
        return {LISTS: "apt/lists", ARCHIVES: "apt/archives"}

    def refresh(self, sandbox: Sandbox, report: Report) -> None:
        _prepare(sandbox)
        _check_sources(sandbox)
        # Without "any", a wrong signature over a known index is a warning, and the status is 0.
        argv = _apt_get({**_SPEAKING, "APT::Update::Error-Mode": "any"}, "update")
        _follow(sandbox, argv, "refreshing the package indexes", report, network=True)

    def plan(self, sandbox: Sandbox) -> Plan:
        simulated = _ask(sandbox, "--simulate", "dist-upgrade")
        printed = _ask(sandbox, "--print-uris", "dist-upgrade")
        cache = sandbox.caches.get(ARCHIVES)
        missing = [
            archive
            for archive in aptoutput.archives(printed)
            if archive.fetched and not (cache and _has_size(cache / archive.name, archive))
        ]
        return Plan(
            changes=aptoutput.changes(simulated),
            download=sum(archive.size for archive in missing),
            disk=aptoutput.disk(printed),
        )

    def download(self, sandbox: Sandbox, report: Report) -> None:
        _prepare(sandbox)
        _forget(sandbox)
        argv = _apt_get(_SPEAKING, "--yes", "--download-only", "dist-upgrade")
        _follow(sandbox, argv, "downloading packages", report, network=True)

    def upgrade(self, sandbox: Sandbox, report: Report) -> Outcome:
        _check_sources(sandbox)
        _check_archives(sandbox)
        # Not --no-download, with which apt finds no package of a file: source; there is no network.
        options = {**_SPEAKING, "DPkg::Path": shims.PATH, "Acquire::Retries": "0"}
        forced = [f"-oDPkg::Options::={option}" for option in _DPKG[self.conffiles]]
        argv = _apt_get(options, *forced, "--yes", "dist-upgrade")
        extra = {**_QUIET, _UCF[self.conffiles]: "1"}
        done = _follow(sandbox, argv, "upgrading packages", report, extra=extra)
        return Outcome(aptoutput.hook_warnings(done.output), done.shimmed)

    def installed(self, root: Path) -> Mapping[str, str]:
        inside = Inside(root)
        for name in _STATUS:
            with suppress(OSError):
                status = inside.locate(name).read_text("utf-8", errors="replace")
                return aptoutput.installed(status)
        raise SnaprootError(f"{root} has no dpkg status file", hint=f"looked for {_STATUS[0]}")


def _apt_get(options: Mapping[str, str], *words: str) -> list[str]:
    return ["apt-get", *(f"-o{name}={value}" for name, value in options.items()), *words]


def _prepare(sandbox: Sandbox) -> None:
    """Make snaproot's cache directories; apt itself makes what it wants in them."""
    for ours in sandbox.caches.values():
        ours.mkdir(parents=True, exist_ok=True)


def _forget(sandbox: Sandbox) -> None:
    """Remove what upgrades before this one fetched, or the cache would grow for ever."""
    printed = _ask(sandbox, "--print-uris", "dist-upgrade")
    needed = {archive.name for archive in aptoutput.archives(printed)}
    cache = sandbox.caches.get(ARCHIVES)
    for path in cache.rglob("*.deb") if cache else ():
        if path.name not in needed:
            path.unlink()


def _ask(sandbox: Sandbox, *words: str) -> str:
    argv = _apt_get(_PLAIN, *words)
    done = sandbox.run(argv, check=False)
    _check(argv, done.status, done.output + done.errors)
    return done.output


def _follow(
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
    _check(argv, done.status, done.output)
    report(Progress(step, 1.0))
    return done


def _check(argv: Sequence[str], status: int, output: str) -> None:
    """Raise Refused for what is not trusted, whatever the status; CommandFailed for the rest."""
    untrusted = aptoutput.distrust(output)
    if untrusted:
        raise Refused(
            f"apt does not trust an archive: {untrusted}; nothing of it was used",
            hint="compare the key that Signed-By names with the one the archive is signed with",
        )
    if status != 0:
        said = f"{aptoutput.spoken(output)}\n{aptoutput.last_words(output)}"
        raise CommandFailed((argv[0], *argv[-1:]), status, said)


def _check_sources(sandbox: Sandbox) -> None:
    sources = sandbox.run(["sh", "-c", _READ_SOURCES]).output
    lax = aptoutput.lax_sources(sources)
    if lax:
        raise Refused(
            f"a package source has {', '.join(lax)}, which switches signature checks off; "
            "nothing was fetched",
            hint="take it out of /etc/apt/sources.list and sources.list.d, and use Signed-By",
        )


def _check_archives(sandbox: Sandbox) -> None:
    """Compare what is in the cache with the signed indexes: apt itself looks at sizes alone."""
    cache = sandbox.caches.get(ARCHIVES)
    printed = _ask(sandbox, "-oDir::Cache::archives=/tmp/none/", "--print-uris", "dist-upgrade")
    for archive in aptoutput.archives(printed):
        if cache and archive.fetched and not _has_digest(cache / archive.name, archive):
            raise Refused(
                f"{archive.name} in the cache is not what the signed index names; "
                "nothing of it was used",
                hint=f"remove {cache / archive.name} and try again",
            )


def _has_size(path: Path, archive: Archive) -> bool:
    return path.is_file() and path.stat().st_size == archive.size


def _has_digest(path: Path, archive: Archive) -> bool:
    if not archive.digest or not _has_size(path, archive):
        return False
    with path.open("rb") as file:
        return file_sha256(file) == archive.digest
