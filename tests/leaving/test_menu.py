"""The menu of a root that leaves, and the stub that leads there."""

import pytest

from snaproot.bootloader.entry import Entry
from snaproot.errors import Refused
from snaproot.leaving.menu import leads_to, pointed, render

UUID = "8e3a3a3a-1111-2222-3333-444455556666"
STUB = (
    f"search.fs_uuid {UUID} root hd0,gpt2 \nset prefix=($root)'/boot/grub'\n"
    "configfile $prefix/grub.cfg\n"
).encode()


def entry(release: str, *arguments: str) -> Entry:
    return Entry("b1", f"Linux {release}", UUID, f"/@/boot/vmlinuz-{release}", "/@/i", arguments)


def test_the_first_entry_needs_no_password() -> None:
    text = render('set superusers="x"\n', [entry("2", "root=UUID=x", "a b'c"), entry("1")])
    assert text.count("menuentry") == 2
    assert "menuentry 'Linux 2' --unrestricted {" in text
    assert "menuentry 'Linux 1' {" in text
    assert "linux '/@/boot/vmlinuz-2' 'root=UUID=x' 'a b'\\''c'" in text
    assert text.index("superusers") < text.index("menuentry")


def test_a_stub_that_leads_there_is_not_touched() -> None:
    assert pointed(STUB, UUID, "/boot/grub") is STUB
    assert leads_to(STUB.decode()) == "/boot/grub"


def test_a_stub_is_pointed_elsewhere_at_its_own_length() -> None:
    made = pointed(STUB, UUID, "/@/boot/grub")
    assert len(made) == len(STUB)
    lines = made.decode().rstrip("\n").splitlines()
    assert lines == [
        f"search.fs_uuid {UUID} root",
        "set prefix=($root)'/@/boot/grub'",
        "configfile $prefix/grub.cfg",
    ]


def test_without_room_it_is_refused() -> None:
    with pytest.raises(Refused, match="no room"):
        pointed(STUB, UUID, f"/{'x' * 40}/boot/grub")


@pytest.mark.parametrize("stub", [b"", STUB.replace(b"8e3a", b"0000"), f"# {UUID}\n".encode()])
def test_a_stub_of_something_else_is_refused(stub: bytes) -> None:
    with pytest.raises(Refused, match="does not lead to this filesystem"):
        pointed(stub, UUID, "/boot/grub")
