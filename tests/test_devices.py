"""Which devices there are."""

from snaproot.devices import exists


def test_a_path_to_nothing_is_no_device() -> None:
    assert exists("/dev/null")
    assert not exists("/dev/no-such-device")
    assert not exists("UUID=00000000-0000-0000-0000-000000000000")
