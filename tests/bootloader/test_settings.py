"""What the menu takes over, and that it is never less protected than before."""

import pytest

from snaproot.bootloader import settings
from snaproot.errors import Refused

DEBIAN = """\
if [ x"${feature_timeout_style}" = xy ] ; then
  set timeout_style=hidden
  set timeout=5
fi
serial --unit=0 --speed=115200
terminal_input serial console
terminal_output gfxterm
terminal_output serial
set superusers="admin"
password_pbkdf2 admin grub.pbkdf2.sha512.10000.0A1B.2C3D
menuentry 'Debian' {
    set timeout=reboot; reboot
}
"""


def lines(text: str, default: str = "") -> list[str]:
    return settings.render(text, default).splitlines()[1:]


def test_everything_that_can_be_is_taken_over() -> None:
    assert lines(DEBIAN, 'GRUB_TIMEOUT="7" # seconds\n') == [
        "set timeout=7",
        "set timeout_style=hidden",
        "serial --unit=0 --speed=115200",
        "terminal_input serial console",
        "terminal_output serial",
        'set superusers="admin"',
        "password_pbkdf2 admin grub.pbkdf2.sha512.10000.0A1B.2C3D",
        "export superusers",
    ]


@pytest.mark.parametrize(
    ("text", "default", "seconds"),
    [
        ("", "", 5),
        ("set timeout=0\n", "", 0),
        ("set timeout=30\nset timeout='8'\n", "", 8),
        ("set timeout=8\n", "GRUB_TIMEOUT=0\n", 0),
        ("set timeout=8\n", "GRUB_TIMEOUT=$(evil)\n", 8),
        ("set timeout=8\n", "GRUB_TIMEOUT='\n", 8),
        ("set timeout=-1\n", "", 10),
        ("", "GRUB_TIMEOUT=-1\n", 10),
    ],
)
def test_nobody_is_waited_for_for_ever(text: str, default: str, seconds: int) -> None:
    assert lines(text, default) == [f"set timeout={seconds}"]


@pytest.mark.parametrize(
    "line",
    [
        "serial --unit=0; reboot",
        "serial $(x)",
        "terminal_output console; reboot",
        "terminal_output gfxterm",
        "set timeout=1; reboot",
        "set timeout_style=$x",
    ],
)
def test_a_line_that_is_more_than_it_seems_is_left(line: str) -> None:
    assert lines(f"{line}\n") == ["set timeout=5"]


@pytest.mark.parametrize(
    "line",
    [
        'set superusers="$users"',
        "superusers=admin",
        "set superusers=admin; export superusers",
        "password_pbkdf2 admin ${GRUB2_PASSWORD}",
        "password admin it's",
    ],
)
def test_a_password_that_cannot_be_read_is_not_dropped(line: str) -> None:
    with pytest.raises(Refused, match="nothing was changed"):
        settings.render(f"    {line}\n")


def test_plain_passwords_and_several_users_are_kept() -> None:
    text = 'set superusers="root, ops"\npassword root secret\n'
    assert lines(text)[1:] == [*text.splitlines(), "export superusers"]
