"""Enter a target: a bubblewrap container that cannot reach the machine it runs on (DESIGN.md §5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from snaproot.filesystem import Workspace
from snaproot.run import Completed, Line


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One root to run programs in. `caches` maps places inside to snaproot's own directories."""

    workspace: Workspace
    writable: bool
    caches: Mapping[str, Path] = field(default_factory=dict)

    def run(
        self,
        argv: Sequence[str],
        *,
        network: bool = False,
        extra: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> Completed:
        """Run a program inside to its end. Raises CommandFailed if `check`."""
        raise RuntimeError("being written")

    def stream(
        self,
        argv: Sequence[str],
        line: Line,
        *,
        network: bool = False,
        extra: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a program inside and hand over its lines as they come."""
        raise RuntimeError("being written")

    def interactive(self, argv: Sequence[str], *, network: bool = False) -> int:
        """Run a program inside on the caller's terminal, and return its status."""
        raise RuntimeError("being written")
