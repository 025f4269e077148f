from snaproot.environment import Installed, PackageChange
from snaproot.packages import aptoutput
from snaproot.packages.aptoutput import Archive

SIMULATED = """\
The following packages will be REMOVED:
  old
2 upgraded, 1 newly installed, 1 to remove and 0 not upgraded.
Remv old [0.9-1]
Inst zstd [1.5.7] (1.5.7+demo1 demo [amd64]) []
Inst tree (2.2.1-1+demo1 demo [amd64])
Inst libc6:i386 [2.41-1] (2.41-2 Debian:13.1/stable [i386]) [libc6:amd64 ]
Conf tree (2.2.1-1+demo1 demo [amd64])
Conf zstd (1.5.7+demo1 demo [amd64])
"""
PRINTED = """\
Need to get 157 kB/321 kB of archives.
After this operation, 31.9 MB of additional disk space will be used.
'file:/srv/archive/pool/mawk_1.3%2bdemo1.deb' mawk_1.3+demo1_amd64.deb 163602 SHA256:1f07
'http://archive.example/pool/b/base.deb' base-files_2%3a13_amd64.deb 157758 SHA256:2cb0
"""
FAILED = """\
pmstatus:mawk:10.0000:Preparing mawk
Setting up debianutils (5.23.2+demo1) ...
debianutils: a postinst that fails, on purpose
dpkg: error processing package debianutils (--configure):
 installed debianutils package post-installation script subprocess returned error exit status 1
Errors were encountered while processing:
 debianutils
E: Sub-process /usr/bin/dpkg returned an error code (1)
"""
HOOKS = """\
W: Not about hooks
update-initramfs: Generating /boot/initrd.img-6.12.117+deb13-amd64
cryptsetup: ERROR: Couldn't resolve device /dev/mapper/root
W: Possible missing firmware /lib/firmware/x.bin for module y
pmstatus:initramfs-tools:60.0:Running post-installation
W: Couldn't identify type of root file system 'UUID=5a' for fsck hook
W: mdadm: /etc/mdadm/mdadm.conf defines no arrays.
I: The initramfs will attempt to resume from /dev/vda2
E: /usr/share/initramfs-tools/hooks/zz failed with return 1.
Setting up tree (2.2.1-1) ...
W: said by somebody else
"""
DRACUT = """\
dracut: Generating /boot/initrd.img-7.2.12+deb14-cloud-amd64
libkmod: ERROR: kmod_module_new_from_loaded: could not open /proc/modules: No such file or directory
dracut-install: Could not get list of loaded modules. Switching to non-hostonly mode.
WARNING: cannot read detailed chunk info, per-device usage will not be shown, run as root
dracut[W]: Invalid persistent policy, your system does not have a /dev/disk/by-id directory.
dracut[E]: Module 'crypt' cannot be installed.
dracut-install: ERROR: installing 'cryptsetup'
Processing triggers for libc-bin (2.43-2) ...
dracut[E]: said by somebody else
"""
STATUS = """\
Package: dpkg
Status: install ok installed
Architecture: amd64
Version: 1.22.21
Description: the package manager
 Version: 0 is not this

Package: libc6
Status: install ok installed
Architecture: i386
Version: 2.41-12

Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.41-12

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: broken
Status: install ok half-configured
Architecture: all
Version: 1

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2026f-0
"""


def test_a_plan_has_what_comes_what_changes_and_what_goes() -> None:
    assert aptoutput.changes(SIMULATED) == (
        PackageChange("libc6:i386", "2.41-1", "2.41-2"),
        PackageChange("old", "0.9-1", ""),
        PackageChange("tree", "", "2.2.1-1+demo1"),
        PackageChange("zstd", "1.5.7", "1.5.7+demo1"),
    )


def test_archives_have_exact_sizes_and_digests() -> None:
    first, second = aptoutput.archives(PRINTED)
    assert not first.fetched
    uri = "http://archive.example/pool/b/base.deb"
    assert second == Archive(uri, "base-files_2%3a13_amd64.deb", 157758, "2cb0")
    assert second.fetched


def test_an_archive_without_a_digest_is_not_passed_over() -> None:
    for digest in ("", "MD5Sum:1f07"):
        (archive,) = aptoutput.archives(f"'http://x/a.deb' a_1_all.deb 12 {digest}\n")
        assert archive == Archive("http://x/a.deb", "a_1_all.deb", 12, "")


def test_disk_space_is_used_or_freed() -> None:
    freed = "After this operation, 1,234 kB disk space will be freed.\n"
    assert aptoutput.disk(PRINTED) == 31_900_000
    assert aptoutput.disk(freed) == -1_234_000
    assert aptoutput.disk("nothing of it\n") == 0


def test_progress_is_found_wherever_dpkg_left_the_cursor() -> None:
    assert aptoutput.progress("(Reading database ... 5%pmstatus:mawk:42.5000:Unpacking") == 0.425
    assert aptoutput.progress("dlstatus:1:100.0000:Retrieving file 1 of 1") == 1.0
    assert aptoutput.progress("Setting up mawk (1.3) ...") is None


def test_the_package_whose_script_failed_is_named() -> None:
    assert aptoutput.last_words(FAILED) == (
        "debianutils: installed debianutils package post-installation script subprocess "
        "returned error exit status 1"
    )
    unpack = "dpkg: error processing archive /tmp/x-VJ/08-shim_1.deb (--unpack):\n no space left\n"
    assert aptoutput.last_words(unpack) == "shim_1.deb: no space left"
    assert aptoutput.last_words("a\nE: Unmet dependencies.\nE: more\n") == "Unmet dependencies."
    assert aptoutput.last_words("") == ""


def test_distrust_in_the_words_of_both_suites() -> None:
    for line in (
        "W: GPG error: file:/srv demo InRelease: The following signatures couldn't be verified",
        "Err:1 file:/srv demo InRelease Sub-process /usr/bin/sqv returned an error code (1)",
        "E: The repository 'file:/srv demo Release' is not signed.",
        "E: The repository 'file:/srv demo Release' is no longer signed.",
        "E: The repository 'file:/srv demo Release' no longer has a Release file.",
        "E: The repository 'file:/srv demo Release' provides only weak security information.",
        "E: Failed to fetch file:/srv/mawk.deb  Hash Sum mismatch",
        "E: There were unauthenticated packages and -y was used without --allow-unauthenticated",
    ):
        assert aptoutput.distrust(f"Get:1 something\n{line}\nafter\n") == line
    assert aptoutput.distrust("E: Failed to fetch http://x  404  Not Found\n") == ""


def test_an_index_of_another_time_is_stale_and_not_distrusted() -> None:
    """Said by apt 2.6 and by apt 3.0."""
    for line in (
        "E: Release file for file:/srv/x/InRelease is expired (invalid since 1d 2h 3min 4s). "
        "Updates for this repository will not be applied.",
        "E: Release file for http://x/InRelease is not valid yet (invalid for another 59min 48s). "
        "Updates for this repository will not be applied.",
    ):
        assert aptoutput.stale(f"Get:1 something\n{line}\nafter\n") == line
        assert aptoutput.distrust(line) == ""
    assert aptoutput.stale("E: Failed to fetch http://x  404  Not Found\n") == ""


def test_apt_says_that_it_will_not_go_back() -> None:
    said = "E: Packages were downgraded and -y was used without --allow-downgrades.\n"
    assert aptoutput.downgrades(f"Reading package lists...\n{said}")
    assert not aptoutput.downgrades("1 downgraded, 0 newly installed\n")


def test_what_comes_is_named_as_it_will_be_listed() -> None:
    digest = "5a" * 32
    printed = (
        f"'http://x/b.deb' base-files_2%3a13_amd64.deb 1 SHA256:{digest}\n"
        f"'http://x/t.deb' tzdata_2026f-0_all.deb 1 SHA256:{digest}\n"
        f"'http://x/l.deb' libc6_2.41-12%2bb1_i386.deb 1 SHA256:{digest}\n"
        "'http://x/m.deb' mawk_1.3_amd64.deb 1 SHA512:77\n"
        "'http://x/odd.deb' odd.deb 1\n"
    )
    assert aptoutput.vouched(aptoutput.archives(printed), "amd64") == (
        Installed("base-files", "2:13", digest),
        Installed("tzdata", "2026f-0", digest),
        Installed("libc6:i386", "2.41-12+b1", digest),
        Installed("mawk", "1.3"),
    )


def test_only_hooks_that_may_cost_the_boot_are_warnings() -> None:
    assert aptoutput.hook_warnings(HOOKS) == (
        "cryptsetup: ERROR: Couldn't resolve device /dev/mapper/root",
        "E: /usr/share/initramfs-tools/hooks/zz failed with return 1.",
    )


def test_what_dracut_says_may_cost_the_boot_too() -> None:
    assert aptoutput.hook_warnings(DRACUT) == (
        "dracut[E]: Module 'crypt' cannot be installed.",
        "dracut-install: ERROR: installing 'cryptsetup'",
    )


def test_only_what_is_installed_is_listed() -> None:
    assert aptoutput.installed(STATUS) == {
        "dpkg": "1.22.21",
        "libc6": "2.41-12",
        "libc6:i386": "2.41-12",
        "tzdata": "2026f-0",
    }


def test_what_is_for_machines_is_not_shown() -> None:
    assert "pmstatus" not in aptoutput.spoken(FAILED)
    assert "on purpose" in aptoutput.spoken(FAILED)
