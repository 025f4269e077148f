"""Identities as a policy names them: whole, or with stars that cannot reach somebody else's. Pure.

A star stands for any characters within one segment of a path: none of `/ @ ? # %`, no control
characters; nor for nothing where that would leave a segment empty. It stands nowhere in what says
whose the identity is: the scheme, the host and the owner (the first segment of the path) of a URI,
the domain of an e-mail address. There are no regular expressions: those that others offer are
unanchored and have let in `https://…/owner-evil`.
"""

import re
from collections.abc import Set
from dataclasses import dataclass

LONGEST = 1024
"""Characters of an identity in a policy, and of one that a glob can match."""

_UNSPANNED = frozenset("/@?#%\\")
_DOTS = frozenset({".", ".."})
_NO_SEGMENT = _DOTS | {""}
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_HOST = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]+)?")
_OWNER = re.compile(r"[A-Za-z0-9._~-]+")
_DOMAIN = re.compile(r"[A-Za-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One identity, or all those that a glob stands for. The text is of the right form."""

    text: str
    glob: bool = False

    @property
    def email(self) -> bool:
        """Tell whether it names a person's account rather than a workflow or a service."""
        return "://" not in self.text and "@" in self.text

    def matches(self, identity: str) -> bool:
        """Tell whether all of the identity is what the pattern says."""
        if not self.glob:
            return identity == self.text
        if len(identity) > LONGEST:
            return False
        wanted, given = self.text.split("/"), identity.split("/")
        return len(wanted) == len(given) and all(map(_same_segment, wanted, given))


def bad_identity(text: str) -> str:
    """Say what an identity should be, as the end of a sentence; empty if it is that."""
    if "*" in text:
        return "has no star; identity_glob may have one"
    return _unwritable(text)


def bad_glob(text: str) -> str:
    """Say what keeps a glob from being safe, as the end of a sentence; empty if it is safe."""
    if "*" not in text:
        return "has a star; what has none is an identity"
    if "**" in text:
        return "has no two stars together; a star does not go beyond a segment"
    if set(text) & set("?#\\"):
        return "has no ?, # or \\: what stands behind them says nothing of whose it is"
    unwritable = _unwritable(text)
    if unwritable:
        return unwritable
    if "://" in text:
        return _bad_uri(*text.split("://", 1))
    return _bad_email(text)


def _unwritable(text: str) -> str:
    if not text or len(text) > LONGEST:
        return f"has 1 to {LONGEST} characters"
    if " " in text or not text.isprintable():
        return "has no spaces and no control characters"
    return ""


def _bad_uri(scheme: str, rest: str) -> str:
    host, *path = rest.split("/")
    if "*" in scheme:
        return "has no star in its scheme: another scheme is another party"
    if "*" in host:
        return "has no star in its host: whoever has another host would match"
    if not _SCHEME.fullmatch(scheme) or not _HOST.fullmatch(host):
        return "begins like https://host/owner/"
    if "*" in "".join(path[:1]):
        return "has no star in its owner, the first part of the path: any other owner would match"
    if not path or not _OWNER.fullmatch(path[0]) or path[0] in _NO_SEGMENT:
        return "names an owner, the first part of the path, before its first star"
    if _DOTS & set(path):
        return "has no . and no .. in its path"
    return ""


def _bad_email(text: str) -> str:
    local, at, domain = text.partition("@")
    if not at:
        return "is a URI or an e-mail address: of another name nobody knows where its owner stands"
    if "*" in domain:
        return "has no star in its domain: whoever has another domain would match"
    if "/" in local or not _DOMAIN.fullmatch(domain):
        return "is an e-mail address with one @ and a domain, or a URI"
    return ""


def _same_segment(wanted: str, given: str) -> bool:
    if "*" not in wanted:
        return given == wanted
    return given not in _NO_SEGMENT and _spans(wanted, given)


def _spans(wanted: str, given: str) -> bool:
    """Walk both together, at all places of the glob that the text so far can have led to.

    Each character is looked at once, so that no text makes it slow.
    """
    places = _past_stars(wanted, {0})
    for character in given:
        places = _past_stars(wanted, _after(wanted, places, character))
    return len(wanted) in places


def _after(wanted: str, places: Set[int], character: str) -> set[int]:
    spanned = character.isprintable() and character not in _UNSPANNED
    there = [place for place in places if place < len(wanted)]
    stays = {place for place in there if wanted[place] == "*" and spanned}
    return stays | {place + 1 for place in there if wanted[place] == character != "*"}


def _past_stars(wanted: str, places: set[int]) -> set[int]:
    """Add the places behind stars: a star may stand for nothing. No two are neighbours."""
    return places | {place + 1 for place in places if wanted[place : place + 1] == "*"}
