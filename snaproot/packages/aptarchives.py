"""Which archives apt has indexes of, and which of them the policy pins. Pure.

apt has verified an archive by any key that the root lets vouch for it, and does not say by which.
So what it keeps of an archive, the signed release file, is verified again, by the program that apt
itself uses (sqv, or gpgv before Debian 13), and that names the key. A fingerprint is made from the
key, so it does not matter which of the root's keyrings has it. To give apt other sources, each with
`Signed-By: FINGERPRINT`, would need them written anew, in both formats with all their options, and
keys outside trusted.gpg.d are not found that way.

The names in apt's lists are URIs: `_` stands for `/`, and what is `_` itself is quoted.
"""

import base64
import binascii
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from snaproot.packages.aptstrict import plain
from snaproot.trust.policy import Archive
from snaproot.wording import some

_INDEX = re.compile(r".*_Packages(?:\.[a-z0-9]+)?")
_RELEASE = re.compile(r"(.*_)(?:InRelease|Release)")
_SIGNED_BY = re.compile(r"\bsigned-by[ \t]*[-+:=]+[ \t]*([^]\n]*)", re.IGNORECASE)
_ARMOR = re.compile(
    r"-----BEGIN PGP PUBLIC KEY BLOCK-----(.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL
)
_FINGERPRINT = re.compile(r"[0-9A-F]{40}|[0-9A-F]{64}")
_PUBLIC_KEYS = (b"\x98", b"\x99", b"\xc6")
"""How a keyring begins: a public key packet (RFC 4880, 4.2), and no keybox of GnuPG's."""
_STATUS = "[GNUPG:] "
_STRONG = frozenset({"8", "9", "10", "11"})
"""The hashes that apt trusts a signature with, as RFC 4880, 9.4 numbers them: SHA-2."""
_VALIDSIG = 11  # words; the last is the fingerprint of the primary key (doc/DETAILS of GnuPG)


@dataclass(frozen=True, slots=True)
class Listed:
    """An archive in apt's lists: its release file there, and what has its signature.

    Both are the same file for an InRelease; empty is what there is not.
    """

    name: str
    release: str = ""
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Signed:
    """What the release file of an archive says, and whose primary keys have signed that."""

    name: str
    keys: tuple[str, ...] = ()
    origin: str = ""
    suite: str = ""
    codename: str = ""


def listed(names: Collection[str]) -> list[Listed]:
    """Name the archives that packages could come from, by the files in apt's lists."""
    owners = {_owner(name, names) for name in names if _INDEX.fullmatch(name)}
    return [_listed(place, names) for place in sorted(owners)]


def member(index: str, names: Collection[str]) -> tuple[Listed, str]:
    """Say which archive a file in apt's lists is of, and how the release file calls it."""
    place = _owner(index, names)
    return _listed(place, names), _plain_name(index.removeprefix(place))


def _owner(index: str, names: Iterable[str]) -> str:
    """Find the archive of an index; one without any release file stands for itself."""
    places = (found[1] for name in names if (found := _RELEASE.fullmatch(name)))
    return max((one for one in places if index.startswith(one)), key=len, default=index)


def _plain_name(quoted: str) -> str:
    return unquote(quoted.replace("_", "/")).strip("/")


def _listed(place: str, files: Collection[str]) -> Listed:
    name = _plain_name(place)
    if f"{place}InRelease" in files:
        return Listed(name, f"{place}InRelease", f"{place}InRelease")
    if f"{place}Release.gpg" in files:
        return Listed(name, f"{place}Release", f"{place}Release.gpg")
    return Listed(name, f"{place}Release") if f"{place}Release" in files else Listed(name)


def digests(release: str) -> Mapping[str, str]:
    """Read what a release file has below SHA256: the digest of each index, in hex, by its name."""
    _, _, below = f"\n{release}".partition("\nSHA256:")
    lines = itertools.takewhile(lambda line: line.startswith(" "), below.split("\n")[1:])
    named = (words for line in lines if len(words := line.split()) == len(("hex", "size", "name")))
    return {name.removeprefix("./"): digest for digest, _, name in named}


def keyrings(sources: str) -> tuple[str, ...]:
    """Name the files that sources.list(5) has keys in."""
    words = " ".join(_SIGNED_BY.findall(plain(sources))).replace(",", " ").split()
    return tuple(dict.fromkeys(word for word in words if word.startswith("/")))


def inline_keys(sources: str) -> bytes:
    """Return the keys that stand in sources.list(5) itself, in binary."""
    lines = (line.strip() for line in sources.splitlines())
    return b"".join(_unarmored("\n".join("" if line == "." else line for line in lines)))


def binary(keyring: bytes) -> bytes:
    """Return a keyring in binary, whatever form it has; nothing of one that apt would not read."""
    if keyring[:1] in _PUBLIC_KEYS:
        return keyring
    return b"".join(_unarmored(keyring.decode("ascii", "replace")))


def _unarmored(text: str) -> Iterator[bytes]:
    """Read each key in ASCII armor (RFC 4880, 6.2): headers, an empty line, base64, a checksum."""
    for found in _ARMOR.finditer(text):
        _, _, body = found[1].replace("\r", "").partition("\n\n")
        lines = [line.strip() for line in body.split("\n") if not line.startswith("=")]
        try:
            yield base64.b64decode("".join(lines), validate=True)
        except binascii.Error:
            continue


def signed(name: str, said: str, text: str) -> Signed:
    """Read what sqv or gpgv said of a release file, and the text that they vouch for."""
    fields = _fields(text)
    return Signed(
        name,
        tuple(dict.fromkeys(_signers(said))),
        *(fields.get(key, "") for key in ("Origin", "Suite", "Codename")),
    )


def _signers(said: str) -> Iterator[str]:
    """Give those with a good signature: neither expired nor revoked, over a strong hash.

    sqv names nobody else; gpgv has the same in its status lines, one signature after the other.
    """
    good = False
    for line in said.splitlines():
        words = line.removeprefix(_STATUS).split()
        if _FINGERPRINT.fullmatch(line):
            yield line
        elif line.startswith(_STATUS) and words:
            good = words[0] == "GOODSIG" or (good and words[0] != "NEWSIG")
            if good and words[0] == "VALIDSIG" and len(words) == _VALIDSIG and words[8] in _STRONG:
                yield words[-1]


def _fields(text: str) -> Mapping[str, str]:
    """Read the fields of a release file that stand on one line (deb822)."""
    pairs = (line.partition(":") for line in text.splitlines() if not line.startswith((" ", "\t")))
    return {key: value.strip() for key, colon, value in pairs if colon}


def unpinned(found: Signed, pinned: Iterable[Archive]) -> str:
    """Say why the policy does not pin this archive; empty if it does."""
    if not found.keys:
        return "no key of this root's vouches for it"
    named = [one for one in pinned if _is_of(found, one)]
    if any(set(found.keys) & set(one.signed_by) for one in named):
        return ""
    if named:
        return f"it is signed by {some(found.keys)}, and {named[0].name} is by other keys"
    return f'its origin is "{found.origin}", its suite "{found.suite}" ({found.codename or "-"})'


def _is_of(found: Signed, pinned: Archive) -> bool:
    return found.origin == pinned.origin and pinned.suite in {found.suite, found.codename}


def chunks(keys: bytes, size: int = 60_000) -> Sequence[str]:
    """Cut keys in base64 into arguments, none of which is too long for execve(2)."""
    text = base64.b64encode(keys).decode()
    return [text[at : at + size] for at in range(0, len(text), size)]
