"""Commands that would touch the machine, kept from it and written down. Pure.

They are found by PATH, and by DPkg::Path where apt overwrites PATH. They are manners, not a wall:
a script that names the real command by its path meets a sandbox without devices and capabilities.
"""

from collections.abc import Sequence

DIRECTORY = "/run/snaproot/bin"
SCRIPT_PLACE = "/run/snaproot/shim"
APT_PLACE = "/run/snaproot/apt.conf"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PATH = f"{DIRECTORY}:{SYSTEM_PATH}"

NAMES = (
    *("bootctl", "deb-systemd-invoke", "efibootmgr", "flash-kernel", "grub-install"),
    *("grub-mkconfig", "grub-reboot", "grub-set-default", "grub2-install", "grub2-mkconfig"),
    *("halt", "insmod", "invoke-rc.d", "kernel-install", "kexec", "modprobe", "mokutil"),
    *("poweroff", "reboot", "rmmod", "service", "shutdown", "sysctl", "systemctl", "telinit"),
    *("u-boot-update", "udevadm", "update-grub", "update-grub2", "zipl"),
)

# A question is passed on to the real command, or answered with "no"; everything else is written
# down and called done, as a package manager's scripts expect on a machine that is not running.
_SCRIPT = """\
#!/bin/sh
name=${{0##*/}}
real() {{
    for place in {path}; do
        if [ -x "$place/$name" ]; then exec "$place/$name" "$@"; fi
    done
    exit 127
}}
case "$*" in --version|-V|--help) real "$@" ;; esac
case "$name" in
modprobe)
    for word; do
        case "$word" in
        -[DnRc]|--show-depends|--dry-run|--show|--resolve-alias|--showconfig|--dump-modversions|\\
        --show-modversions) real "$@" ;;
        esac
    done ;;
udevadm) case "${{1-}}" in hwdb|info|test-builtin|verify) real "$@" ;; esac ;;
sysctl) case "${{1-}}" in -n|-a|-N|-b) real "$@" ;; esac ;;
systemctl)
    before=
    for word; do
        # These have the next word for themselves, as dracut writes --root.
        case "$before" in --root|--preset-mode) before=; continue ;; esac
        before=$word
        case "$word" in
        -*) ;;
        add-*|cat|disable|edit|enable|get-default|is-enabled|link|list-unit-files|mask|preset|\\
        preset-all|reenable|revert|set-default|unmask) SYSTEMD_OFFLINE=1 real "$@" ;;
        is-active|is-failed|status) exit 3 ;;
        is-system-running) echo offline; exit 1 ;;
        *) break ;;
        esac
    done ;;
bootctl)
    for word; do
        case "$word" in is-installed|-[pxR]|--print-*) exit 1 ;; esac
    done ;;
mokutil)
    case "${{1-}}" in
    -[idDPcrC]|--import*|--delete*|--reset*|--enable*|--disable*|--revoke*|--password|--set-*) ;;
    *) echo 'EFI variables are not supported on this system' >&2; exit 1 ;;
    esac ;;
esac
printf '%s\\n' "$name${{1+ $*}}" 2>/dev/null >>{log}
exit 0
"""


def script(log: str) -> str:
    """Render the one script that all shims are links to; it appends what it kept to `log`."""
    return _SCRIPT.format(path=SYSTEM_PATH.replace(":", " "), log=log)


def apt_configuration() -> str:
    """Render what APT_CONFIG names, for whoever runs apt inside by hand (apt.conf(5))."""
    return f'DPkg::Path "{PATH}";\n'


def called(log: bytes) -> tuple[str, ...]:
    """Read the log: each different call once, in the order of the first."""
    lines = log.decode(errors="replace").splitlines()
    return tuple(dict.fromkeys(_printable(lines)))


def _printable(lines: Sequence[str]) -> list[str]:
    """Keep what can be shown: the log is written by whoever runs inside."""
    return ["".join(c for c in line if c.isprintable())[:200] for line in lines if line.strip()]
