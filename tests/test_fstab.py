"""fstab(5) as people and installers write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snaproot import fstab
from snaproot.fstab import Entry

DEBIAN = """\
# /etc/fstab: static file system information.
#
# <file system> <mount point>   <type>  <options>       <dump>  <pass>
UUID=6f1c / btrfs defaults,subvol=@rootfs 0 0
UUID=6f1c\t/home\tbtrfs\tnoatime,subvol=/@home,subvolid=257\t0\t2
LABEL=old\\040disk /mnt/my\\040disk ext4 ro
/swap/file none swap sw 0 0   # made by hand

tmpfs /x tmpfs
"""


def test_entries_know_their_lines() -> None:
    assert [(entry.line, entry.file) for entry in fstab.parse(DEBIAN)] == [
        (4, "/"),
        (5, "/home"),
        (6, "/mnt/my disk"),
        (7, "none"),
        (9, "/x"),
    ]


def test_octal_escapes_are_undone_and_written_again() -> None:
    entry = fstab.parse("LABEL=a\\040b\\011c\\134d /x\\040y ext4 ro 0 0")[0]
    assert fstab.parse(r"LABEL=\303\244 /x ext4")[0].spec == "LABEL=\u00e4"
    assert entry.spec == "LABEL=a b\tc\\d"
    assert fstab.render(entry) == "LABEL=a\\040b\\011c\\134d\t/x\\040y\text4\tro\t0\t0"


def test_missing_fields_are_what_mount_takes_them_for() -> None:
    assert fstab.parse("tmpfs /x tmpfs")[0] == Entry(1, "tmpfs", "/x", "tmpfs", ("defaults",))


def test_subvolume_is_found_however_it_is_spelt() -> None:
    root, home, *_ = fstab.parse(DEBIAN)
    assert (root.subvolume, home.subvolume) == ("@rootfs", "@home")
    assert home.option("subvolid") == "257"
    assert home.option("noatime") == ""
    assert root.option("compress") is None


def test_options_are_dropped_and_set() -> None:
    root, home, *_ = fstab.parse(DEBIAN)
    assert home.without("subvol", "subvolid").options == ("noatime",)
    assert root.having("subvol=/a").options == ("subvol=/a",)
    assert fstab.render(root.without("subvol", "defaults")) == "UUID=6f1c\t/\tbtrfs\tdefaults\t0\t0"


def test_only_named_lines_change() -> None:
    root, home, *_ = fstab.parse(DEBIAN)
    new = [fstab.render(root.without("subvol")), "# of ours"]
    text = fstab.rewritten(DEBIAN, {root.line: new, home.line: []})
    before, after = DEBIAN.splitlines(), text.splitlines()
    assert after[3:5] == ["UUID=6f1c\t/\tbtrfs\tdefaults\t0\t0", "# of ours"]
    assert after[:3] + after[5:] == before[:3] + before[5:]
    assert text.endswith("tmpfs /x tmpfs\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n\nUUID=1 /", "line 3: 2 fields"),
        ("a /b c d 0 0 more", "line 1: 7 fields"),
        ("a /b c d zero", "line 1: 'zero' stands where"),
        ("# x\na b ext4 defaults", "line 2: 'b' is no mount point"),
        ("\nUUID=\\000 /b ext4", "line 2: a zero byte"),
        ("a /b\0c ext4", "line 1: a zero byte"),
    ],
)
def test_damage_names_the_line(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fstab.parse(text)


words = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters=","), min_size=1
).map(lambda word: f"x {word}")


@given(spec=words, file=words, options=st.lists(words, min_size=1, max_size=3))
def test_what_is_rendered_is_parsed_back(spec: str, file: str, options: list[str]) -> None:
    entry = Entry(1, spec, f"/{file}", "btrfs", tuple(options), 0, 2)
    assert fstab.parse(fstab.render(entry)) == (entry,)
