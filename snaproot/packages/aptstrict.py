"""How apt is kept strict, whatever a root's own files say. Pure.

On the command line a setting wins over apt.conf(5), but for a list or for one archive alone it can
only add to what is there; and what a source says wins over both (sources.list(5)). So what can be
set is set, and the rest is looked for. An index that has expired is never permitted: no word of a
policy means that.
"""

import re
from collections.abc import Iterator, Mapping

from snaproot.trust.policy import Leave, Packages

UNSIGNED = "trusted", "allow-insecure", "allow-weak", "allow-downgrade-to-insecure"
_UNDATED = "check-valid-until", "check-date"
_STRETCHED = "valid-until-min", "date-max-future"
_YES = frozenset({"yes", "true", "with", "on", "enable", "1"})
_NO = frozenset({"no", "false", "without", "off", "disable", "0"})
_OPTION = re.compile(
    rf"\b({'|'.join((*UNSIGNED, *_UNDATED, *_STRETCHED))})[ \t]*[-+:=]+[ \t]*(\S+)", re.IGNORECASE
)
_QUOTED = re.compile(r"\[[^]\n]*[%\"][^]\n]*(?:\]|$)", re.MULTILINE)
"""Options that apt would unquote, `%74rusted=yes` or `"trusted"=yes`; nobody writes them so."""
_COMMENT = re.compile(r"^[ \t]*#.*\n|(\[[^]\n]*\])|#.*", re.MULTILINE)
"""A comment; inside [] a # is none."""
_FOLD = re.compile(r"\n[ \t]+")

_ENABLED = re.compile(r"^enabled[ \t]*:[ \t]*(.*(?:\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE)
_NOT_PLAIN = re.compile(r"#|^[ \t\r\f\v]+$|^[ \t]*deb\b", re.MULTILINE)
"""Comments, lines that only look empty, and the other format: what is one stanza is open then."""

_SETTING = re.compile(r'^(\S+) "(.*)";$', re.MULTILINE)
_OF_APT_GET = "binary::apt-get::"
"""What apt-get takes for its own: it reads this in place of the same name without it."""
_NEVER = (
    "binary::apt-config::",  # what shows us settings must have those that count
    *("acquire::gpgv::options", "acquire::max-futuretime::", "acquire::min-validtime::"),
    *("apt::key::gpgvcommand", "apt::sources::with", "dir::bin::apt-key"),
    *("dir::bin::methods::gpgv", "dir::bin::methods::sqv", f"{_OF_APT_GET}dir::"),
)
"""What begins like this changes who verifies, what expires or which sources there are."""
_WEAK_HASH = re.compile(r"apt::hashes::.*::weak")
_ARCHITECTURE = re.compile(r'^APT::Architecture "([^"]+)";$', re.MULTILINE)


def options(rules: Packages) -> Mapping[str, str]:
    """Say what apt is told on its command line, with what the policy permits in as many words.

    An archive that was signed once has to stay so, even where one without a signature may be used.
    """
    unsigned, older = _said(rules.unauthenticated), _said(rules.downgrade)
    return {
        "APT::Authentication::TrustCDROM": "false",
        "APT::Get::AllowUnauthenticated": unsigned,
        "APT::Get::allow-downgrades": older,
        "APT::Get::force-yes": "false",
        "Acquire::AllowDowngradeToInsecureRepositories": "false",
        "Acquire::AllowInsecureRepositories": unsigned,
        "Acquire::AllowUnsizedPackages": "false",
        "Acquire::AllowWeakRepositories": "false",
        "Acquire::Check-Date": "true",
        "Acquire::Check-Valid-Until": "true",
        "Acquire::Max-FutureTime": "10",  # seconds
        "Acquire::Min-ValidTime": "0",
        "Dir::Bin::methods": "/usr/lib/apt/methods",  # what verifies is among them
    }


def lenient(rules: Packages) -> bool:
    """Tell whether the policy lets anything be used without a valid signature."""
    return Leave.ALLOW in {rules.unauthenticated, rules.trusted_yes}


def lax_sources(sources: str, rules: Packages) -> tuple[str, ...]:
    """Find what sources.list(5) switches off and the policy does not permit, in either format."""
    text = plain(_in_use(sources))
    found = ((name.lower(), value.rstrip("]")) for name, value in _OPTION.findall(text))
    lax = [f"{name}={value}" for name, value in found if _is_lax(name, value, rules)]
    return tuple(dict.fromkeys([*lax, *_QUOTED.findall(text)]))


def lax_settings(dumped: str) -> tuple[str, ...]:
    """Find what `apt-config dump` has that the command line cannot take back."""
    found = (f'{name} "{value}"' for name, value in _settings(dumped) if _loosens(name, value))
    return tuple(dict.fromkeys(found))


def architecture(dumped: str) -> str:
    """Read the architecture whose packages go by their mere names; empty if nothing says it."""
    found = _ARCHITECTURE.search(dumped)
    return found.group(1) if found else ""


def plain(sources: str) -> str:
    """Drop comments, and put what is folded on one line."""
    return _FOLD.sub(" ", _COMMENT.sub(r"\1", sources))


def _in_use(sources: str) -> str:
    """Leave out the stanzas that are switched off, where nobody could read them otherwise."""
    return "\n\n".join(one for one in sources.split("\n\n") if not _is_off(one))


def _is_off(stanza: str) -> bool:
    said = [value.rstrip(" \t").lower() for value in _ENABLED.findall(stanza)]
    return len(said) == 1 and said[0] in _NO and not _NOT_PLAIN.search(stanza)


def _said(leave: Leave) -> str:
    return "true" if leave is Leave.ALLOW else "false"


def _is_lax(name: str, value: str, rules: Packages) -> bool:
    said = value.lower()
    if name in _UNDATED:
        return said not in _YES
    if name in _STRETCHED:
        return said != "0"
    permitted = {"trusted": rules.trusted_yes, "allow-downgrade-to-insecure": Leave.REFUSE}
    return said not in _NO and permitted.get(name, rules.unauthenticated) is Leave.REFUSE


def _settings(dumped: str) -> Iterator[tuple[str, str]]:
    return ((found[1], found[2]) for found in _SETTING.finditer(dumped) if found[2])


def _loosens(name: str, value: str) -> bool:
    plainly = name.lower()
    if plainly.startswith(_NEVER):
        return True
    plainly = plainly.removeprefix(_OF_APT_GET)
    weakens = _WEAK_HASH.fullmatch(plainly) and value.lower() not in _NO
    return plainly.startswith(_NEVER) or bool(weakens)
