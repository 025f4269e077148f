from snaproot import shims


def test_each_call_is_told_once_in_order() -> None:
    log = b"update-grub\ngrub-install /dev/sda\nupdate-grub\n\n"
    assert shims.called(log) == ("update-grub", "grub-install /dev/sda")


def test_a_hostile_log_cannot_reach_the_terminal() -> None:
    told = shims.called(b"\x1b[2Jreboot\xff\n" + b"x" * 5000)
    assert told[0] == "[2Jreboot\N{REPLACEMENT CHARACTER}"
    assert len(told[1]) == 200


def test_apt_run_by_hand_finds_the_shims() -> None:
    assert shims.apt_configuration().startswith(f'DPkg::Path "{shims.DIRECTORY}:')
