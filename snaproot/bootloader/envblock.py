"""GRUB's environment block, and what snaproot keeps in its own. Pure.

1,024 bytes: a first line, `name=value` lines, `#` to the end. All of ours are within the first
sector, which a disk writes as a whole. GRUB changes lines in place and takes the room from the
`#`s; a block in which it could not is as good as none.
"""

import re
from dataclasses import dataclass

from snaproot.environment import ID

SIZE = 1024
SECTOR = 512
MOST_TRIES = 9
"""GRUB counts down by a chain of comparisons."""

_HEAD = b"# GRUB Environment Block\n"
_FILL = b"#"
_NAMES = ("good", "trial", "deployment", "tries", "once", "canary")
_TRIES = re.compile(r"[0-9]")
_CANARY = re.compile(r"[01]?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Env:
    """What the loader reads. `canary` is GRUB's own; empty until GRUB has written once."""

    good: str
    trial: str = ""
    deployment: str = ""
    tries: int = 0
    once: str = ""
    canary: str = ""


def render(env: Env) -> bytes:
    """Write the block. Raises RuntimeError for what GRUB would not take."""
    values = {name: str(getattr(env, name)) for name in _NAMES}
    if not _is_sound(values):
        raise RuntimeError(f"not for the loader's file: {env}")
    lines = (f"{name}={escaped(value)}\n" for name, value in values.items() if value)
    block = _HEAD + "".join(lines).encode()
    if len(block) > SECTOR:
        raise RuntimeError("the loader's variables do not fit into one sector")
    return block.ljust(SIZE, _FILL)


def parse(block: bytes) -> Env | None:
    """Read the block; None where it is garbled, of another size, or somebody else's.

    A variable that is not ours is passed over, and gone with the next `render`.
    """
    values = variables(block)
    if values is None:
        return None
    ours = {name: values.get(name, "") for name in _NAMES} | {"tries": values.get("tries") or "0"}
    return _env(ours) if _is_sound(ours) else None


def variables(block: bytes) -> dict[str, str] | None:
    """Read all variables; None where GRUB could not read or write them."""
    if len(block) != SIZE or not block.startswith(_HEAD):
        return None
    body = block[len(_HEAD) :].rstrip(_FILL)
    if body and not body.endswith(b"\n"):
        return None
    try:
        lines = _lines(body.decode("ascii"))
    except UnicodeDecodeError:
        return None
    pairs = [line.partition("=") for line in lines if not line.startswith("#")]
    names = [name for name, _, _ in pairs]
    # Of a name that is there twice GRUB reads the last and changes the first.
    if len(set(names)) < len(names) or not all(name and equals for name, equals, _ in pairs):
        return None
    return {name: value for name, _, value in pairs}


def escaped(value: str) -> str:
    """Write a value as GRUB does: a backslash before a backslash and before a line's end."""
    return value.replace("\\", "\\\\").replace("\n", "\\\n")


def _lines(text: str) -> list[str]:
    """Split into lines, the escapes undone."""
    lines = re.findall(r"((?:[^\\\n]|\\(?:.|\n))*)\n", text)
    return [re.sub(r"\\(.|\n)", r"\1", line, flags=re.DOTALL) for line in lines]


def _env(values: dict[str, str]) -> Env:
    return Env(
        good=values["good"],
        trial=values["trial"],
        deployment=values["deployment"],
        tries=int(values["tries"]),
        once=values["once"],
        canary=values["canary"],
    )


def _is_sound(values: dict[str, str]) -> bool:
    return (
        ID.fullmatch(values["good"]) is not None
        and all(not values[n] or ID.fullmatch(values[n]) for n in ("trial", "deployment", "once"))
        and _TRIES.fullmatch(values["tries"]) is not None
        and _CANARY.fullmatch(values["canary"]) is not None
    )
