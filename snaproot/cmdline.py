"""What the boot loader told this boot on the kernel's command line. Pure.

A value that is not well formed counts as absent: then no trial is judged, and doing nothing
reverts.
"""

import re
from dataclasses import dataclass

from snaproot.environment import ID
from snaproot.state import TrialArgument

_WORD = re.compile(r'(?:[^\s"]|"[^"]*"?)+')
_COUNTED = re.compile(rf"({ID.pattern})\.([0-9]{{1,4}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What the loader said: the trial that this boot is, the one that it was instead of.

    `canary` is what the loader tried to write in its file. `reverts` is false where somebody wants
    no automatic reverting (`snaproot.norevert`).
    """

    trial: TrialArgument | None = None
    skipped: TrialArgument | None = None
    canary: str = ""
    reverts: bool = True


def parse(text: str) -> CommandLine:
    """Read /proc/cmdline; of an argument that is there twice the last one wins, as with systemd."""
    words = [word.replace('"', "") for word in _WORD.findall(text)]
    named = dict(_split(word) for word in words)
    return CommandLine(
        trial=_counted(named.get("snaproot.trial", "")),
        skipped=_counted(named.get("snaproot.skipped", "")),
        canary=named.get("snaproot.canary", ""),
        reverts="snaproot.norevert" not in named,
    )


def _split(word: str) -> tuple[str, str]:
    name, _, value = word.partition("=")
    return name, value


def _counted(value: str) -> TrialArgument | None:
    """Read `<deployment>.<attempts left>`."""
    match = _COUNTED.fullmatch(value)
    return None if match is None else TrialArgument(match[1], int(match[2]))
