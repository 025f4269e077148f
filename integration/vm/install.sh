# Runs in a machine with ZFS: installs a package in the root of a pool that is on another disk.
set -ex
# Without -N, /home would be mounted first and lie below the root.
zpool import -N -d "$(readlink -f /dev/disk/by-id/virtio-target)2" -o cachefile=none -R /mnt rpool
zfs mount rpool/ROOT/debian
for place in proc sys dev; do
    mount --rbind /$place /mnt/$place
done
mkdir -p /mnt/run/package
tar -xf /dev/disk/by-id/virtio-package -C /mnt/run/package
chroot /mnt sh -c 'dpkg --force-unsafe-io --install /run/package/*.deb'
rm -rf /mnt/run/package
umount -R /mnt/proc /mnt/sys /mnt/dev
zpool export rpool
