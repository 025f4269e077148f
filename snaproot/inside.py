"""Look into a root that is not ours without being led out of it by its links.

An absolute link in a target means the target's own root, not the running system's. As with
RESOLVE_IN_ROOT of openat2(2), which Python does not offer, and with the shared areas where the
booted root would see them.
"""

import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_MOST_LINKS = 40  # as the kernel, path_resolution(7)


@dataclass(frozen=True, slots=True)
class Inside:
    """A root, and the areas that are mounted in it: place (`/var`) → directory here.

    Nobody else may change the root meanwhile.
    """

    root: Path
    areas: Mapping[str, Path] = field(default_factory=dict)

    def locate(self, path: str, *, follow: bool = True) -> Path:
        """Say where the file that the root calls `path` is here; a last link is kept on request.

        Raises OSError as open(2) would: missing, not a directory, a loop of links.
        """
        return self._here(self._resolved(path, follow=follow))

    def holds(self, path: str) -> bool:
        """Tell whether there is a file or directory; no link that leads nowhere."""
        try:
            return self.locate(path).exists()
        except OSError:
            return False

    def _resolved(self, path: str, *, follow: bool) -> tuple[str, ...]:
        todo = [part for part in reversed(path.split("/")) if part not in {"", "."}]
        done: tuple[str, ...] = ()
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                done = done[:-1]
                continue
            target = self._link((*done, part))
            if target is None or not (todo or follow):
                done = (*done, part)
                continue
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            done = () if target.startswith("/") else done
            todo += [step for step in reversed(target.split("/")) if step not in {"", "."}]
        return done

    def _link(self, parts: tuple[str, ...]) -> str | None:
        """Read the link at a resolved place, None if it is none. Raises FileNotFoundError."""
        here = self._here(parts)
        is_link = stat.S_ISLNK(here.lstat().st_mode)
        return str(here.readlink()) if is_link else None

    def _here(self, parts: tuple[str, ...]) -> Path:
        """Find the directory that is mounted nearest above."""
        for length in range(len(parts), 0, -1):
            area = self.areas.get("/" + "/".join(parts[:length]))
            if area is not None:
                return area.joinpath(*parts[length:])
        return self.root.joinpath(*parts)
