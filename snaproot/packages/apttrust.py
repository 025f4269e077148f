"""What a root's apt is held to before anything of an archive is used: its settings, its archives.

Both are looked at in the root that apt then works in; nothing is changed.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from snaproot.inside import Inside
from snaproot.packages import aptarchives, aptlists, aptstrict
from snaproot.packages.aptarchives import Listed, Signed
from snaproot.packages.aptlists import LISTS
from snaproot.sandbox import Sandbox
from snaproot.trust.facts import Distrusted
from snaproot.trust.policy import Archives, Packages
from snaproot.wording import some

_READ = """\
ln -s "$(command -v apt-config)" /tmp/apt-get
/tmp/apt-get dump
echo
eval "$(/tmp/apt-get shell list Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d)"
for file in "$list" "$parts"/*.list "$parts"/*.sources; do
    if [ -f "$file" ]; then cat "$file"; echo; echo; fi
done
"""
"""By the name of apt-get, which is what apt-config takes its own settings by."""
_VERIFY = """\
release=$1 signature=$2; shift 2
for part; do printf %s "$part"; done | base64 -d >/tmp/keys.gpg
if [ -e /usr/bin/sqv ]; then
    policy=/usr/share/apt/default-sequoia.config
    if [ -e "$policy" ]; then export SEQUOIA_CRYPTO_POLICY="$policy"; fi
    set -- sqv --keyring /tmp/keys.gpg
    detached=--signature-file clear=--cleartext
else
    set -- gpgv --status-fd 1 --keyring /tmp/keys.gpg
    detached= clear=
fi
if [ "$release" = "$signature" ]; then
    "$@" $clear --output /tmp/text "$release"
else
    "$@" $detached "$signature" "$release"
    cp "$release" /tmp/text
fi
echo --
cat /tmp/text
"""
_TRUSTED, _PARTS = "/etc/apt/trusted.gpg", "/etc/apt/trusted.gpg.d"


@dataclass(frozen=True, slots=True)
class Configuration:
    """What apt-config(8) dumps of a root, and the text of all its sources."""

    dumped: str
    sources: str

    @property
    def architecture(self) -> str:
        return aptstrict.architecture(self.dumped)


def read(sandbox: Sandbox) -> Configuration:
    """Read how a root's apt is set up. Raises CommandFailed."""
    dumped, _, sources = sandbox.run(["sh", "-c", _READ]).output.partition("\n\n")
    return Configuration(f"{dumped}\n", sources)


def check_configuration(found: Configuration, rules: Packages) -> None:
    """Raise Distrusted for what switches a check off that the policy does not let go."""
    lax = aptstrict.lax_sources(found.sources, rules)
    if lax:
        signatures = any(one.startswith((*aptstrict.UNSIGNED, "[")) for one in lax)
        raise Distrusted(
            "archive.checks-off",
            f"a package source has {', '.join(lax)}, which switches "
            f"{'signature' if signatures else 'expiry'} checks off; nothing was fetched",
            hint="take it out of /etc/apt/sources.list and sources.list.d, and use Signed-By",
        )
    lax = aptstrict.lax_settings(found.dumped)
    if lax:
        raise Distrusted(
            "archive.checks-off",
            f"apt is set up with {some(lax)}, which loosens its checks; nothing was fetched",
            hint="take it out of /etc/apt/apt.conf and apt.conf.d",
        )


def check_archives(sandbox: Sandbox, found: Configuration, rules: Packages) -> None:
    """Raise Distrusted where apt has an index of an archive that the policy does not let in.

    Whatever options a source had: an archive without a signature is not verified.
    """
    for archive in aptarchives.listed(aptlists.names(sandbox)):
        if not (archive.signature or aptstrict.lenient(rules)):
            raise Distrusted(
                "archive.untrusted",
                f"{archive.name} is not signed; nothing of it was used",
                hint="an archive has an InRelease, or a Release.gpg beside its Release",
            )
    if rules.archives is not Archives.PINNED:
        return
    keys = aptarchives.chunks(_keys(sandbox, found.sources))
    for archive in aptarchives.listed(aptlists.names(sandbox)):
        signed = _signed(sandbox, archive, keys)
        why = aptarchives.unpinned(signed, rules.pinned.values())
        if why:
            raise Distrusted(
                "archive.unpinned",
                f"the policy pins archives, and {archive.name} is none of them: {why}; "
                "nothing of it was used",
                hint="take it out of the package sources, or pin it in the policy: "
                "[packages.archive.NAME] with origin, suite and signed_by",
            )


def _signed(sandbox: Sandbox, archive: Listed, keys: Sequence[str]) -> Signed:
    if not archive.signature:
        return Signed(archive.name)
    files = [f"{LISTS}/{name}" for name in (archive.release, archive.signature)]
    done = sandbox.run(["sh", "-c", _VERIFY, "sh", *files, *keys], check=False)
    said, _, text = f"\n{done.output}".partition("\n--\n")
    return aptarchives.signed(archive.name, said, text)


def _keys(sandbox: Sandbox, sources: str) -> bytes:
    """Gather all keys that could vouch for an archive in this root."""
    keyrings = b"".join(aptarchives.binary(one) for one in _keyrings(sandbox, sources))
    return keyrings + aptarchives.inline_keys(sources)


def _keyrings(sandbox: Sandbox, sources: str) -> Iterator[bytes]:
    inside = Inside(sandbox.workspace.root, sandbox.workspace.areas)
    for name in (_TRUSTED, *_parts(inside), *aptarchives.keyrings(sources)):
        with suppress(OSError):
            yield inside.locate(name).read_bytes()


def _parts(inside: Inside) -> list[str]:
    try:
        return sorted(f"{_PARTS}/{path.name}" for path in inside.locate(_PARTS).iterdir())
    except OSError:
        return []
