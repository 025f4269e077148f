#!/bin/sh
# Mount the /etc of a boot environment on ZFS over its root, before that becomes the root.
#
# Runs in an initramfs: initramfs-tools starts it (scripts/local-bottom), dracut sources it
# (pre-pivot). What is mounted as the root says which dataset that is. zfs-initramfs mounts every
# child itself, zfs-dracut none with canmount=noauto, and neither makes one writable below a
# sealed root. On any other filesystem there is nothing to do.

# Mount it below the directory $1; 0 too where there is no such child. Run apart, as variables
# and options are dracut's own.
snaproot_mount_etc() (
    set -f
    root='' etc='' tab=$(printf '\t')
    while read -r source point kind options _; do
        case $point in
        "$1") root=$kind:$source ;;
        "$1/etc") etc=$options ;;
        esac
    done </proc/mounts
    case $root in zfs:*) ;; *) return 0 ;; esac
    # shellcheck disable=SC2059 # a space is \040 there, and no dataset has a % in its name
    root=$(printf "${root#zfs:}")
    children=$(zfs list -H -t filesystem -d 1 -o name,mountpoint,canmount "$root") || return 1
    case $children in
    *"$root/etc$tab/etc$tab"on* | *"$root/etc$tab/etc$tab"noauto*) ;;
    *) return 0 ;;
    esac
    case ,$etc, in
    ,,) mount.zfs -o zfsutil,rw "$root/etc" "$1/etc" ;;
    *,rw,*) ;;
    *) mount.zfs -o zfsutil,remount,rw "$root/etc" "$1/etc" ;;
    esac
)

case ${1-} in
prereqs) exit 0 ;;
esac

if [ -e /scripts/functions ]; then
    . /scripts/functions
    snaproot_give_up() { panic "$@"; }
else
    # die would power off under systemd, whatever rd.emergency says.
    snaproot_give_up() { emergency_shell "$@"; }
    rootmnt=$NEWROOT
fi

# Whoever gets a shell mounts it by hand and leaves that; a trial gets none, and is over.
until snaproot_mount_etc "$rootmnt"; do
    snaproot_give_up "snaproot: the /etc of this boot environment cannot be mounted on $rootmnt/etc"
done
