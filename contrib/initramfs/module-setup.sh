#!/bin/bash
# The dracut module that mounts a boot environment's /etc: it comes with zfs-dracut's, in whose
# initramfs ZFS can be mounted at all. Its number is higher, so that it is asked later.

check() {
    dracut_module_included zfs
}

depends() {
    echo zfs
}

# Before all that reads /etc there: mount-usr.sh and the SELinux policy are 50.
install() {
    inst_hook pre-pivot 00 "${moddir:?}/snaproot-etc.sh"
}
