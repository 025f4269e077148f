"""Which kernel would boot, in the ways that distributions lay them out."""

from itertools import pairwise
from pathlib import Path

import pytest

from integration.tinyroot import kernel
from snaproot.inside import Inside
from snaproot.kernels import Kernel, age, find


def put(root: Path, *names: str, content: bytes = b"x") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def modules(root: Path, *releases: str) -> None:
    (root / "usr/lib/modules").mkdir(parents=True, exist_ok=True)
    if not (root / "lib").is_symlink():
        (root / "lib").symlink_to("usr/lib")
    put(root, *(f"usr/lib/modules/{release}/modules.dep" for release in releases))


def test_debian_the_newest_first(tmp_path: Path) -> None:
    releases = ("6.1.0-9-amd64", "6.1.0-18-amd64")
    put(
        tmp_path,
        *(f"boot/vmlinuz-{r}" for r in releases),
        *(f"boot/initrd.img-{r}" for r in releases),
    )
    put(tmp_path, "boot/config-6.1.0-18-amd64", "boot/vmlinuz-6.1.0-20-amd64.dpkg-new")
    modules(tmp_path, *releases)
    assert find(Inside(tmp_path)) == [
        Kernel("6.1.0-18-amd64", "/boot/vmlinuz-6.1.0-18-amd64", "/boot/initrd.img-6.1.0-18-amd64"),
        Kernel("6.1.0-9-amd64", "/boot/vmlinuz-6.1.0-9-amd64", "/boot/initrd.img-6.1.0-9-amd64"),
    ]


def test_fedora_without_its_rescue_kernel(tmp_path: Path) -> None:
    release = "6.11.4-301.fc41.x86_64"
    put(tmp_path, f"boot/vmlinuz-{release}", f"boot/initramfs-{release}.img")
    put(tmp_path, "boot/vmlinuz-0-rescue-abc", "boot/initramfs-0-rescue-abc.img")
    put(tmp_path, f"boot/.vmlinuz-{release}.hmac")
    modules(tmp_path, release)
    assert find(Inside(tmp_path)) == [
        Kernel(release, f"/boot/vmlinuz-{release}", f"/boot/initramfs-{release}.img")
    ]


def test_suse_where_the_image_is_a_link(tmp_path: Path) -> None:
    release = "6.4.0-150600.21-default"
    modules(tmp_path, release)
    put(tmp_path, f"usr/lib/modules/{release}/vmlinuz", f"boot/initrd-{release}")
    (tmp_path / f"boot/vmlinuz-{release}").symlink_to(f"/usr/lib/modules/{release}/vmlinuz")
    assert find(Inside(tmp_path)) == [
        Kernel(release, f"/boot/vmlinuz-{release}", f"/boot/initrd-{release}")
    ]


def test_arch_where_the_package_tells_the_release(tmp_path: Path) -> None:
    put(tmp_path, "boot/vmlinuz-linux", "boot/initramfs-linux.img")
    put(tmp_path, "boot/initramfs-linux-fallback.img")
    modules(tmp_path, "6.6.1-lts", "6.11.5-arch1-1")
    put(tmp_path, "usr/lib/modules/6.6.1-lts/pkgbase", content=b"linux-lts\n")
    put(tmp_path, "usr/lib/modules/6.11.5-arch1-1/pkgbase", content=b"linux\n")
    assert find(Inside(tmp_path)) == [
        Kernel("6.11.5-arch1-1", "/boot/vmlinuz-linux", "/boot/initramfs-linux.img")
    ]


def test_the_image_itself_knows_its_release_best(tmp_path: Path) -> None:
    put(tmp_path, "boot/vmlinuz-linux", content=kernel("6.11.5-arch1-1"))
    put(tmp_path, "boot/initramfs-linux.img")
    modules(tmp_path, "6.11.5-arch1-1")
    assert find(Inside(tmp_path))[0].release == "6.11.5-arch1-1"
    put(tmp_path, "boot/vmlinuz-linux", content=kernel("6.12.1-arch1-1"))
    assert find(Inside(tmp_path))[0].fault == (
        "there are no modules /lib/modules/6.12.1-arch1-1 for the kernel /boot/vmlinuz-linux"
    )


@pytest.mark.parametrize("text", [b"", b"MZ", bytes(0x202) + b"HdrS" + b"\xff" * 20])
def test_a_damaged_image_is_no_surprise(tmp_path: Path, text: bytes) -> None:
    put(tmp_path, "boot/vmlinuz-6.1", content=text)
    assert find(Inside(tmp_path))[0].release == "6.1"


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        ("boot/vmlinuz-6.1", "the kernel /boot/vmlinuz-6.1 is empty or cannot be read"),
        ("boot/initrd.img-6.1", "the initramfs /boot/initrd.img-6.1 is empty or cannot be read"),
        ("usr/lib/modules/6.1/modules.dep", "/lib/modules/6.1/modules.dep is missing or empty"),
    ],
)
@pytest.mark.parametrize("content", [b"", bytes(9000)], ids=["empty", "holes"])
def test_a_file_that_a_cut_left_without_content_is_a_fault(
    tmp_path: Path, broken: str, fault: str, content: bytes
) -> None:
    put(tmp_path, "boot/vmlinuz-6.1", "boot/initrd.img-6.1")
    modules(tmp_path, "6.1")
    assert find(Inside(tmp_path))[0].fault == ""
    put(tmp_path, broken, content=content)
    assert find(Inside(tmp_path))[0].fault == fault


def test_a_missing_initramfs_and_missing_modules_are_faults(tmp_path: Path) -> None:
    put(tmp_path, "boot/vmlinuz-6.2", "boot/vmlinuz-6.1", "boot/initrd.img-6.1")
    assert [kernel.fault for kernel in find(Inside(tmp_path))] == [
        "there is no initramfs for the kernel /boot/vmlinuz-6.2",
        "there are no modules /lib/modules/6.1 for the kernel /boot/vmlinuz-6.1",
    ]


def test_a_link_out_of_the_root_finds_no_kernel_of_ours(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    put(tmp_path, "boot/vmlinuz-6.1")
    (tmp_path / "root/boot").symlink_to(tmp_path / "boot")
    assert find(Inside(tmp_path / "root")) == []


def test_releases_sort_by_age() -> None:
    ordered = [
        *("5.10.0-30-amd64", "6.1.0-9-amd64", "6.1.0-18-amd64", "6.1.100-1", "6.9.7-amd64"),
        *("6.10-rc2-amd64", "6.10-rc11-amd64", "6.10", "6.10-amd64", "6.10.1-arch1-1"),
        *("6.12.38+deb13-amd64", "7.0"),
    ]
    assert all(age(older) < age(newer) for older, newer in pairwise(ordered))
