#!/bin/sh
# The first process of a bench: what a pool and pytest need, and nothing else of a system.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
HOME=/root
LANG=C.UTF-8
export PATH HOME LANG
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir -p /run/lock
hostname bench
modprobe -a virtio_blk loop zfs
# Without udev's word libzfs waits in vain for each disk that it has partitioned.
/usr/lib/systemd/systemd-udevd --daemon
udevadm trigger --action=add --subsystem-match=block --subsystem-match=virtio-ports
udevadm settle
mkdir -p /snaproot /mnt
checkout=/dev/disk/by-id/virtio-checkout
[ ! -e $checkout ] || tar -xf $checkout -C /snaproot
exec setsid /bin/sh /testbed/agent.sh
