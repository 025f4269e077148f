"""Who signs: the names and claims that Fulcio writes into a certificate. Pure.

The extensions are those of Fulcio's docs/oid-info.md, below 1.3.6.1.4.1.57264.1.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cryptography import x509

from tests.trust.private import der

ISSUER = "https://token.example"
FULCIO = "1.3.6.1.4.1.57264.1"
_OLD_ISSUER, _USERNAME, _ISSUER = 1, 7, 8


@dataclass(frozen=True, slots=True)
class Identity:
    """Names, who vouches for them, and claims by the last number of their extension.

    `issuer_in` lists the extensions that name the issuer: .1 holds it raw, .8 as a UTF8String.
    `raw` adds extensions, by number, as they are: for what is not DER, or not the same twice.
    """

    names: tuple[x509.GeneralName, ...]
    issuer: str = ISSUER
    claims: Mapping[int, str] = field(default_factory=dict)
    issuer_in: tuple[int, ...] = (_OLD_ISSUER, _ISSUER)
    raw: Mapping[int, bytes] = field(default_factory=dict)

    def extensions(self) -> Iterator[x509.UnrecognizedExtension]:
        """Yield what stands in the certificate beside the names."""
        values = {number: der.text(value) for number, value in self.claims.items()}
        if _OLD_ISSUER in self.issuer_in:
            values[_OLD_ISSUER] = self.issuer.encode()
        if _ISSUER in self.issuer_in:
            values[_ISSUER] = der.text(self.issuer)
        for number, value in sorted((values | dict(self.raw)).items()):
            yield x509.UnrecognizedExtension(x509.ObjectIdentifier(f"{FULCIO}.{number}"), value)


def email(address: str) -> x509.GeneralName:
    return x509.RFC822Name(address)


def uri(address: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(address)


def username(name: str) -> x509.GeneralName:
    """Make the otherName that Fulcio has for a user of an issuer without e-mail: `user!domain`."""
    return x509.OtherName(x509.ObjectIdentifier(f"{FULCIO}.{_USERNAME}"), der.text(name))


PERSON = "release@example.org"
USER = "release!example.org"
WORKFLOW = "https://ci.example/org/image/.ci/build.yml@refs/tags/v1"
CLAIMS = {
    9: WORKFLOW,
    10: "9" * 40,
    11: "hosted",
    12: "https://ci.example/org/image",
    13: "a" * 40,
    14: "refs/tags/v1",
    15: "1001",
    16: "https://ci.example/org",
    17: "2002",
    18: WORKFLOW,
    19: "b" * 40,
    20: "push",
    21: "https://ci.example/org/image/runs/3003/attempts/1",
    22: "public",
}


def person(issuer: str = ISSUER) -> Identity:
    return Identity((email(PERSON),), issuer)


def user() -> Identity:
    return Identity((username(USER),))


def workflow(claims: Mapping[int, str] = CLAIMS) -> Identity:
    """Make a build of a repository; others claim, say, `CLAIMS | {14: "refs/heads/main"}`."""
    return Identity((uri(WORKFLOW),), claims=claims)
