"""Kernel arguments are read from GRUB's settings as an admin writes them, without running them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snaproot.grubdefaults import arguments, assigned, rootflags

DEBIAN = """\
GRUB_DEFAULT=0
GRUB_DISTRIBUTOR=`( . /etc/os-release && echo ${NAME} )`
GRUB_CMDLINE_LINUX_DEFAULT="quiet splash"
GRUB_CMDLINE_LINUX="console=ttyS0"
#GRUB_TERMINAL=console
"""


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([DEBIAN], ("console=ttyS0", "quiet", "splash")),
        ([], ()),
        ([DEBIAN, 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX net.ifnames=0"'],
         ("console=ttyS0", "net.ifnames=0", "quiet", "splash")),
        (["GRUB_CMDLINE_LINUX='a $B c'"], ("a", "$B", "c")),
        (['GRUB_CMDLINE_LINUX="a \\\n  b" # why'], ("a", "b")),
        (['export GRUB_CMDLINE_LINUX=single'], ("single",)),
        (['GRUB_CMDLINE_LINUX="dyndbg=\\"file a +p\\" b"'], ('dyndbg="file a +p"', "b")),
        (['GRUB_CMDLINE_LINUX="root=/dev/sda1 rootflags=subvol=@ snaproot.trial=d1.1 b"'], ("b",)),
        (['GRUB_CMDLINE_LINUX="unfinished'], ()),
    ],
)  # fmt: skip
def test_arguments_are_read(texts: list[str], expected: tuple[str, ...]) -> None:
    assert arguments(texts) == expected


def test_options_of_the_root_are_kept_but_for_its_subvolume() -> None:
    text = 'GRUB_CMDLINE_LINUX="rootflags=compress=zstd,subvol=@ quiet rootflags=noatime"'
    assert rootflags([text]) == ("compress=zstd", "noatime")


def test_nothing_is_run() -> None:
    assert assigned(['GRUB_CMDLINE_LINUX="quiet $(id)"'])["GRUB_CMDLINE_LINUX"] == ""


@given(st.text(max_size=80))
def test_no_text_is_an_error(text: str) -> None:
    arguments([f"GRUB_CMDLINE_LINUX={text}", text])
