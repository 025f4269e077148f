"""The package managers' own state: it goes where the files are that it describes. Pure.

Directories move to `/usr/lib/sysimage` and are linked from `/var`; single files follow by the
package manager's own setting, because a link to a file is replaced by the first rename over it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

PLACE = "/usr/lib/sysimage"
DPKG = "/var/lib/dpkg"

_DPKG = (
    "/var/cache/debconf",
    "/var/lib/aspell",
    "/var/lib/binfmts",
    "/var/lib/ca-certificates-java",
    "/var/lib/dictionaries-common",
    "/var/lib/dkms",
    DPKG,
    "/var/lib/emacsen-common",
    "/var/lib/gems",
    "/var/lib/ghostscript",
    "/var/lib/grub",
    "/var/lib/hunspell",
    "/var/lib/initramfs-tools",
    "/var/lib/ispell",
    "/var/lib/pam",
    "/var/lib/python",
    "/var/lib/selinux",
    "/var/lib/sgml-base",
    "/var/lib/systemd/deb-systemd-helper-enabled",
    "/var/lib/systemd/deb-systemd-helper-masked",
    "/var/lib/systemd/deb-systemd-user-helper-enabled",
    "/var/lib/systemd/deb-systemd-user-helper-masked",
    "/var/lib/tex-common",
    "/var/lib/texmf",
    "/var/lib/ucf",
    "/var/lib/update-notifier",
    "/var/lib/usbutils",
    "/var/lib/vim/addons",
    "/var/lib/xml-core",
)
_RPM = (
    "/var/adm/backup/rpmdb",
    "/var/adm/update-scripts",
    "/var/lib/alternatives",
    "/var/lib/authselect",
    "/var/lib/ca-certificates",
    "/var/lib/dkms",
    "/var/lib/dnf",
    "/var/lib/rpm",
    "/var/lib/selinux",
    "/var/lib/yum",
    "/var/lib/zypp",
)
_PACMAN = (
    "/var/lib/ca-certificates",
    "/var/lib/dkms",
    "/var/lib/pacman",
    "/var/lib/texmf",
)

_APT_CONF = f'Dir::State::extended_states "{PLACE}/apt/extended_states";\n'
_RPM_MACRO = f"%_dbpath {PLACE}/rpm\n"
_DB_PATH = re.compile(r"^[ \t]*#?[ \t]*DBPath[ \t]*=.*$", re.MULTILINE)
_OPTIONS = re.compile(r"^\[options\][ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class StateLink:
    """One directory of state: its place in `/var`, where it lives, whether there is one yet."""

    path: str
    home: str
    exists: bool


@dataclass(frozen=True, slots=True)
class Setting:
    """A file of `/etc` that tells a package manager where its state is."""

    path: str
    content: str


@dataclass(frozen=True, slots=True)
class SingleFile:
    """One file of state: it moves if a setting names its home, else staging carries it."""

    path: str
    home: str
    moves: bool


SINGLE_FILES = (
    SingleFile("/var/lib/apt/extended_states", f"{PLACE}/apt/extended_states", moves=True),
    SingleFile("/var/lib/shells.state", f"{PLACE}/shells.state", moves=False),
)

_MARKS = (
    (DPKG, _DPKG),
    ("/var/lib/rpm", _RPM),
    ("/usr/lib/sysimage/rpm", _RPM),
    ("/var/lib/pacman", _PACMAN),
)


def looked_at() -> tuple[str, ...]:
    """Name every place that `links` may ask for."""
    marks = (mark for mark, _ in _MARKS)
    return tuple(sorted({*_DPKG, *_RPM, *_PACMAN, *marks}))


def links(
    is_directory: Callable[[str], bool], is_link: Callable[[str], bool]
) -> tuple[StateLink, ...]:
    """Say which directories move; one that is a link already is somebody's own arrangement."""
    wanted = {path for mark, paths in _MARKS if is_directory(mark) for path in paths}
    return tuple(
        StateLink(path, home(path), is_directory(path))
        for path in sorted(wanted)
        if not is_link(path)
    )


def home(path: str) -> str:
    """Say where a directory of `/var` lives in the boot environment."""
    inner = path.removeprefix("/var/lib/").removeprefix("/var/cache/").removeprefix("/var/")
    return f"{PLACE}/{inner.replace('/', '-')}"


def settings(is_directory: Callable[[str], bool], pacman_conf: str) -> tuple[Setting, ...]:
    """Say which settings name the new places."""
    found = []
    if is_directory(DPKG):
        found.append(Setting("/etc/apt/apt.conf.d/50snaproot", _APT_CONF))
    if is_directory("/var/lib/rpm"):
        found.append(Setting("/etc/rpm/macros.snaproot", _RPM_MACRO))
    if is_directory("/var/lib/pacman") and pacman_conf:
        found.append(Setting("/etc/pacman.conf", with_db_path(pacman_conf)))
    return tuple(found)


def with_db_path(pacman_conf: str) -> str:
    """Set pacman's DBPath, in its line if there is one, else first in `[options]`."""
    setting = f"DBPath = {PLACE}/pacman/"
    if _DB_PATH.search(pacman_conf):
        return _DB_PATH.sub(setting, pacman_conf, count=1)
    return _OPTIONS.sub(f"[options]\n{setting}", pacman_conf, count=1)
