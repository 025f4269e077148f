#!/bin/sh
# Make a bare Debian machine ready: say at once what is missing, install what is not there, and
# keep a virtual environment in .venv. A second run finds everything done.
#
# What pip and apt are told by the machine (PIP_*, proxies, certificates) reaches them untouched.
set -eu

cd "$(dirname "$0")/.."
cache=${SNAPROOT_CACHE:-${HOME:-/root}/.cache/snaproot}
need_mb=6000
packages="apt-utils bubblewrap btrfs-progs busybox-static debian-archive-keyring dosfstools dpkg-dev
    e2fsprogs fdisk fuse3 gcc git gnupg groff-base grub-common grub-emu libbtrfsutil-dev
    mmdebstrap mtools ovmf python3-venv qemu-system-common qemu-system-x86 qemu-utils snapper
    uidmap zstd"

die() {
    printf 'snaproot: %s\n' "$1" >&2
    exit 1
}

# --- what no package can bring ---

check_machine() {
    [ "$(id -u)" = 0 ] || die "this needs root (loop devices, mounts, chroots): run it as root"
    command -v apt-get >/dev/null || die "this needs apt-get: run it on Debian 12 or newer"
    has btrfs || modprobe btrfs 2>/dev/null || true
    has btrfs || die "this kernel has no Btrfs: boot one with CONFIG_BTRFS_FS"
    [ -c /dev/loop-control ] || modprobe loop 2>/dev/null || true
    [ -c /dev/loop-control ] || die "there are no loop devices (/dev/loop-control): load loop"
    check_loop
    check_space "$cache"
    check_space "${TMPDIR:-/tmp}"
    ! command -v python3 >/dev/null || check_python
}

has() {
    awk '{ print $NF }' /proc/filesystems | grep -qx "$1"
}

# A container may show the control node and refuse the device.
check_loop() {
    probe=$(mktemp "${TMPDIR:-/tmp}/snaproot-test-probe.XXXXXX")
    truncate -s 1M "$probe"
    if device=$(losetup --find --show "$probe" 2>/dev/null); then
        losetup --detach "$device"
        rm -f "$probe"
    else
        rm -f "$probe"
        die "no loop device can be set up: allow them, or run this outside the container"
    fi
}

check_space() {
    mkdir -p "$1"
    free=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge "$need_mb" ] ||
        die "$1 has $free MB free, $need_mb are needed: make room, or set SNAPROOT_CACHE and TMPDIR"
}

check_python() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "$(command -v python3) is older than 3.11: put a newer python3 in front of PATH"
}

# --- Debian's packages ---

missing_packages() {
    # The keyring is there on every Debian, but an old one lacks the keys of trixie.
    [ -e /usr/share/keyrings/debian-archive-trixie-automatic.gpg ] || echo debian-archive-keyring
    # shellcheck disable=SC2016,SC2086  # the fields are dpkg-query's; one word per package
    there=$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' $packages "$@" \
        2>/dev/null | sed -n 's/^installed //p')
    for name in $packages "$@"; do
        printf '%s\n' "$there" | grep -qxF "$name" || echo "$name"
    done
}

# Only Debian's own python3 takes its headers from a package.
wanted_python() {
    command -v python3 >/dev/null || { echo python3 python3-dev && return; }
    case $(python3 -c 'import sys; print(sys.base_prefix)') in
    /usr) echo python3-dev ;;
    esac
}

install_packages() {
    # shellcheck disable=SC2046  # one word per package
    set -- $(missing_packages $(wanted_python) | sort -u)
    [ $# = 0 ] || fetch_packages "$@"
    check_python
}

# apt-get update ends with 0 where nothing could be fetched: what it fetched is counted instead.
fetch_packages() {
    echo "installing $# packages: $*"
    log=$(mktemp)
    apt-get update -o DPkg::Lock::Timeout=300 >"$log" 2>&1 </dev/null || network "$log"
    grep -qE '^(Get|Hit):' "$log" || network "$log"
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Options::=--force-confold "$@" \
        >"$log" 2>&1 </dev/null || { tail -n 20 "$log" >&2 && die "apt-get install failed"; }
    rm -f "$log"
}

network() {
    reason=$(grep -m1 -E '^(E|W|Err)' "$1" || tail -n 1 "$1")
    rm -f "$1"
    die "apt-get update fetched nothing (no network, or no sources under /etc/apt): $reason"
}

# --- the virtual environment ---

# Releases of btrfsutil since 6.14 need a symbol that libbtrfsutil has since 1.3.
constraint() {
    header=/usr/include/btrfsutil.h
    major=$(awk '$2 == "BTRFS_UTIL_VERSION_MAJOR" { print $3 }' $header)
    minor=$(awk '$2 == "BTRFS_UTIL_VERSION_MINOR" { print $3 }' $header)
    if [ "$major" -eq 1 ] && [ "$minor" -lt 3 ]; then echo 'btrfsutil<6.14'; fi
}

environment() {
    stamp=$({ cat pyproject.toml "$0" && constraint &&
        python3 -c 'import sys; print(sys.base_prefix, sys.version)'; } | sha256sum | cut -c1-16)
    [ ! -e ".venv/stamp-$stamp" ] || return 0
    echo "making .venv with $(python3 --version)"
    rm -rf .venv
    log=$(mktemp)
    constraint >"$log.constraints"
    { python3 -m venv .venv &&
        .venv/bin/python -m pip install --quiet --constraint "$log.constraints" --editable '.[dev]'
    } >"$log" 2>&1 </dev/null || {
        tail -n 20 "$log" >&2
        die "pip could not fill .venv: see above; it needs a network and a package index"
    }
    .venv/bin/python -c 'import btrfsutil' || die "the btrfsutil in .venv does not load"
    rm -f "$log" "$log.constraints"
    : >".venv/stamp-$stamp"
}

check_machine
# Two makes at once: the second waits, and finds everything done.
exec 9>"$cache/prepare.lock"
flock 9
install_packages
environment
