"""Let the distribution's own tool write the menu of a root that is in its place, and is not booted.

It asks the kernel where `/` is: so it runs in that root, mounted as it will be.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from snaproot import durable
from snaproot.errors import SnaprootError
from snaproot.leaving.ground import Ground
from snaproot.run import run

_PLACE = Path("/run/snaproot/leaving")
_SHOWN = ("dev", "proc", "sys", "run")


def regenerate(ground: Ground, place: str, directory: str) -> bool:
    """Write the whole menu, if it boots this root; else the one that is there stays, and boots.

    The caller's mounts are its own already.
    """
    try:
        with _mounted(ground, place) as root:
            tool = f"{Path(directory).name}-mkconfig"
            done = run(["chroot", str(root), tool], check=False)
    except SnaprootError:
        return False
    if done.status != 0 or not _boots(done.output, ground.prefix(place), ground.mounting(place)):
        return False
    mode = 0o600 if "password" in done.output else 0o444
    menu = ground.place(place) / directory.lstrip("/") / "grub.cfg"
    durable.write(menu, done.output.encode(), mode=mode)
    return True


def _boots(menu: str, prefix: str, mounting: str) -> bool:
    """Tell whether every kernel that is loaded is this root's, with this root."""
    found = [line.split() for line in menu.splitlines() if line.split()[:1] == ["linux"]]
    return bool(found) and all(
        words[1].startswith(f"{prefix}/boot/") and mounting in (*words, *_options(words))
        for words in found
    )


def _options(words: list[str]) -> list[str]:
    """Give the root's options; of two, initramfs-tools takes the last alone."""
    given = [w.removeprefix("rootflags=") for w in words if w.startswith("rootflags=")]
    return given[-1].split(",") if given else []


@contextmanager
def _mounted(ground: Ground, place: str) -> Iterator[Path]:
    """Mount a root with what its programs ask of the kernel."""
    _PLACE.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as held:
        ground.attach(place, _PLACE)
        held.callback(_unmounted)
        for name in _SHOWN:
            if os.path.ismount(f"/{name}"):
                (_PLACE / name).mkdir(exist_ok=True)
                run(["mount", "--rbind", f"/{name}", str(_PLACE / name)])
        yield _PLACE


def _unmounted() -> None:
    run(["umount", "--recursive", str(_PLACE)], check=False)
