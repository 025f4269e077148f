# Runs in a copy of a Debian root: builds the modules of ZFS for its kernel, and fetches packages.
# /out gets debs/ (the modules as a package of their own, too), tests/, versions and stages.
# Words: the packages for ZFS, and those for tests, each list as one.
set -e
kernel=$(ls /lib/modules)
get="apt-get -q -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io"

stage() {
    echo "zfs: $1, $(cut -d ' ' -f 1 /proc/uptime)" >>/out/stages
}

# As dkms leaves them: what depends on zfs-dkms shall find its modules, and be content.
build_package() {
    mkdir -p "$1/DEBIAN"
    cat >"$1/DEBIAN/control" <<CONTROL
Package: zfs-modules-$kernel
Version: $version
Architecture: $(dpkg --print-architecture)
Maintainer: nobody <nobody@example.org>
Provides: zfs-modules
Description: what zfs-dkms builds for one kernel
CONTROL
    printf '#!/bin/sh\nexec depmod %s\n' "$kernel" >"$1/DEBIAN/postinst"
    chmod 755 "$1/DEBIAN/postinst"
    dpkg-deb --build --root-owner-group -Znone "$1" "$package" >/dev/null
}

stage fetching
sed -i 's/ main$/ main contrib/' /etc/apt/sources.list
apt-get -q update
mkdir /out/debs /out/tests /tmp/zfs
cd /tmp/zfs
apt-get -q download zfs-dkms
dpkg-deb -x zfs-dkms_*.deb .
version=$(dpkg-deb -f zfs-dkms_*.deb Version)
package=/out/debs/zfs-modules-${kernel}_${version}_$(dpkg --print-architecture).deb
printf '%s %s\n' "$kernel" "$version" >/out/versions
# Still without modules: apt only has to know what it may leave out.
build_package /tmp/zfs/empty
# shellcheck disable=SC2086  # one word per package
$get install --download-only -o Dir::Cache::archives=/out/debs "$package" $1
# shellcheck disable=SC2086
$get install --download-only -o Dir::Cache::archives=/out/tests $2
rm -rf /out/*/partial /out/*/lock "$package"
$get install "linux-headers-$kernel" gcc libc6-dev make || {
    echo "the archive has no headers of $kernel any more: remove base-* from the cache" >&2
    exit 1
}

# What configure asks is whether 250 small modules compile, and which symbols they lack. Linking
# them takes as long again and tells no more; so do the types that BPF and debuggers want.
stage configuring
cd usr/src/zfs-*
objects=/lib/modules/$kernel/build
final=/lib/modules/$kernel/source/scripts/Makefile.modfinal
export KCFLAGS=-g0
rm "$objects/vmlinux"
cp "$final" /tmp/zfs/modfinal
# shellcheck disable=SC2016  # make's variables
sed -i 's/^%\.ko: .*/%.ko: %.o FORCE/; s/\$(call if_changed_except,ld_ko_o,vmlinux)/cp $< $@/' "$final"
./configure --quiet --disable-dependency-tracking --prefix=/usr --with-config=kernel \
    --with-linux="/lib/modules/$kernel/source" --with-linux-obj="$objects"
cp /tmp/zfs/modfinal "$final"
cp zfs_config.h /out/

stage compiling
make --quiet -j"$(nproc)" -C module
stage packing
place=/tmp/zfs/full/lib/modules/$kernel/updates/dkms
mkdir -p "$place"
for name in spl zfs; do
    strip --strip-debug "module/$name.ko"
    cp "module/$name.ko" "$place/"
done
build_package /tmp/zfs/full
stage done
