"""The text of `environment.toml` in user properties of the root's own dataset. Pure.

A value holds 8191 bytes (ZAP_MAXVALUELEN), so a long text is cut into parts:

    org.snaproot:environment      `SLOT PARTS DIGEST`, or `staging` until there is a text
    org.snaproot:environment.a.0  the parts, without newlines and in plain ASCII

The parts are written to the slot that is not in use, and then the head: a cut in between leaves the
old text, and so does a full pool, on which OpenZFS would set some properties of a command and not
others (zfs_set_prop_nvlist of zfs_ioctl.c).
"""

from collections.abc import Mapping

from snaproot.hashing import sha256

ENVIRONMENT = "org.snaproot:environment"
ORIGINAL = "org.snaproot:original"
"""On `<pool>/snaproot`: the id of the original root, and its dataset without the pool."""
STAGING = "staging"
_DAMAGED = "org.snaproot:damaged"
_PART = 8000  # bytes
_LISTED = 16  # parts of a slot: what some 1,300 installed packages take
_OF_ANY_ROOT = ("canmount", "mountpoint")  # set as it is made, so that it is seen at all
_SLOTS = ("a", "b")


def listed() -> list[str]:
    """Name the properties that a list of roots is made from, unless a text is `longer`."""
    parts = [_part(slot, number) for slot in _SLOTS for number in range(_LISTED)]
    return [*_OF_ANY_ROOT, "readonly", ORIGINAL, ENVIRONMENT, *parts]


def longer(known: Mapping[str, str]) -> bool:
    """Tell whether a text has more parts than are listed."""
    _, _, count = known.get(ENVIRONMENT, "").partition(" ")
    parts = count.partition(" ")[0]
    return parts.isdecimal() and int(parts) > _LISTED


def parts_of(text: str, known: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Say what to set first, and what then; `known` is what the dataset has."""
    used = known.get(ENVIRONMENT, "")[:1]
    slot = _SLOTS[0] if used == _SLOTS[1] else _SLOTS[1]
    plain = text.encode("unicode_escape").decode("ascii")
    cut = [plain[at : at + _PART] for at in range(0, len(plain), _PART)]
    parts = {_part(slot, number): part for number, part in enumerate(cut)}
    return parts, {ENVIRONMENT: f"{slot} {len(cut)} {_digest(plain)}"}


def text_of(known: Mapping[str, str]) -> str:
    """Put the text together. Raises ValueError where it is not what was written."""
    words = known.get(ENVIRONMENT, "").split(" ")
    if len(words) != len(("slot", "parts", "digest")) or not words[1].isdecimal():
        raise ValueError("its properties do not say where they are")
    slot, count, digest = words
    plain = "".join(known.get(_part(slot, number), "") for number in range(int(count)))
    if _digest(plain) != digest:
        raise ValueError("its properties are not what was written")
    return plain.encode("ascii").decode("unicode_escape")


def set_aside(known: Mapping[str, str]) -> dict[str, str]:
    """Name what cannot be read anew, so that nothing replaces it."""
    number = 1
    while any(name.startswith(f"{_DAMAGED}-{number}") for name in known):
        number += 1
    ours = (name for name in known if name.startswith(ENVIRONMENT))
    return {name.replace(ENVIRONMENT, f"{_DAMAGED}-{number}"): known[name] for name in ours}


def _part(slot: str, number: int) -> str:
    return f"{ENVIRONMENT}.{slot}.{number}"


def _digest(plain: str) -> str:
    return sha256(plain.encode()).hexdigest()[:32]
