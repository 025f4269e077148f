# Runs in a machine with ZFS: makes Debian's own pool on an empty disk, and fills it from an archive.
set -ex
disk=$(readlink -f /dev/disk/by-id/virtio-target)
zpool create -o ashift=12 -o autotrim=on -o cachefile=none -o compatibility=grub2 \
    -O acltype=posixacl -O compression=lz4 -O relatime=on -O xattr=sa -O dnodesize=legacy \
    -O canmount=off -O mountpoint=none -R /mnt rpool "${disk}2"
zfs create -o canmount=off rpool/ROOT
zfs create -o canmount=noauto -o mountpoint=/ rpool/ROOT/debian
zfs mount rpool/ROOT/debian
zfs create -o mountpoint=/home rpool/home
zpool set bootfs=rpool/ROOT/debian rpool
zfs set sync=disabled rpool
tar -xf /dev/disk/by-id/virtio-root --xattrs --xattrs-include='*' --numeric-owner -C /mnt
zfs inherit sync rpool

mount "${disk}1" /mnt/boot/efi
for place in proc sys dev run; do
    mount --rbind /$place /mnt/$place
done
mount -t efivarfs efivarfs /mnt/sys/firmware/efi/efivars
chroot /mnt grub-install --force-extra-removable
chroot /mnt update-grub
umount -R /mnt/boot/efi /mnt/proc /mnt/sys /mnt/dev /mnt/run
zpool export rpool
