"""What anybody may know."""

from snaproot.unprivileged import running

OURS = (
    "22 1 0:20 /@snaproot/environments/b4k7q2x/root / rw,relatime shared:1 - btrfs /dev/vda1 rw\n"
    "30 22 0:20 /@snaproot/areas/var /var rw,relatime shared:2 - btrfs /dev/vda1 rw\n"
)


def test_the_running_one_is_read_from_the_mount_at_the_root() -> None:
    assert running(OURS) == "b4k7q2x"


def test_a_later_mount_lies_over_an_earlier_one() -> None:
    assert running(f"{OURS}40 22 0:31 / / rw - tmpfs tmpfs rw\n") is None


def test_on_zfs_it_is_read_from_the_datasets_name() -> None:
    assert running("22 1 0:25 / / ro,relatime - zfs my\\040pool/ROOT/b4k7q2x ro\n") == "b4k7q2x"
    for other in ("rpool/ROOT/debian", "rpool/ROOT/b4k7q2x/etc", "rpool/USER/b4k7q2x", "rpool"):
        assert running(f"22 1 0:25 / / rw - zfs {other} rw\n") is None


def test_other_roots_are_none_of_ours() -> None:
    assert running("22 1 0:20 /@ / rw - btrfs /dev/vda1 rw\n") is None
    assert running("") is None
